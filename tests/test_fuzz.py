"""Files from elsewhere, damaged at random: each is read, or refused with one clear line.

Every reader gets a valid file that is then changed: bytes are flipped, removed, inserted,
repeated or cut off, the encoding is changed, and values are replaced by numbers that are too
large, other types, deep nesting and control characters. A reader may accept the result. If it
does not, it raises a `VaplanError` that names the file, and nothing else; it takes neither long
nor much memory.

The damage is the same every time. `VAPLAN_FUZZ=20` damages 20 times as many files, at random.
"""

import copy
import io
import json
import os
import re
import resource
import signal
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformers import ClapFeatureExtractor, CLIPConfig, CLIPModel

from tests.annotations.test_activitynet import entry
from tests.annotations.test_activitynet import write as write_activitynet
from tests.annotations.test_audioset import SEGMENTS, STRONG
from tests.annotations.test_audioset import write as write_audioset
from tests.annotations.test_dcase import STRONG as SOUNDS
from tests.annotations.test_dcase import write as write_dcase
from tests.annotations.test_ovave import write as write_ovave
from tests.encoders.conftest import saved_clip
from tests.official import write_ave, write_llp
from vaplan import encoders, runs, training
from vaplan import recipe as recipes
from vaplan.annotations import (
    AnnotationRows,
    activitynet,
    audioset,
    ave,
    dcase,
    llp,
    merge_rows,
    ovave,
    read_rows,
    vggsound,
    vggsounder,
)
from vaplan.annotations.corrections import apply_corrections, read_corrections
from vaplan.annotations.issues import find_issues
from vaplan.annotations.label_tables import (
    details_path,
    read_label_probability,
    read_labels,
    write_label_probability,
)
from vaplan.annotations.rows import Row
from vaplan.annotations.table import read, write_rows
from vaplan.annotations.tags import read_known_tags
from vaplan.arrays import VISUAL, Inputs, Target
from vaplan.bench import execute, results, suite
from vaplan.bench.compare_runs import compare_runs
from vaplan.bench.jobs import Job, Workspace
from vaplan.bench.steps import Reference
from vaplan.encoders import checkpoints
from vaplan.encoders.encoded import Encoded
from vaplan.encoders.folders import errors_of, read_preprocessing
from vaplan.encoders.own import describe_vectors, load_stored
from vaplan.encoders.spectrogram import AudioPreprocessing, mel_bank
from vaplan.errors import Exit, VaplanError
from vaplan.exports import FORMATS, import_events, write_content
from vaplan.exports.sed_scores import read_scores, write_scores
from vaplan.models import official
from vaplan.models.han import HAN, HANSettings
from vaplan.packs import PackError, h5, npy, open_vectors, read_text_vectors
from vaplan.ragged import Lengths, Ragged
from vaplan.review import preparation
from vaplan.review.collection import read_collection, read_score_curves
from vaplan.review.history import Entry as Change
from vaplan.review.history import Revision, State, open_history
from vaplan.runs import Run
from vaplan.search.timelines import find_spans, run_sql
from vaplan.stages.check_data import read_manifest
from vaplan.store import Entry, Store, TextVectors, find_stores, index, shards
from vaplan.store import text as store_text
from vaplan.store.card import short_hash
from vaplan.taxonomy import Taxonomy, read_task, read_taxonomy
from vaplan.taxonomy.files import with_prompts
from vaplan.timeline import Event, Timeline
from vaplan.training.checkpoints import Checkpoints
from vaplan.training.label_removal import Removal, load_removal
from vaplan.writing import sha256

SECONDS = 1.0  # of processor time that one file may take
ROOM = 1 << 30  # bytes that one file may take
MULTIPLE = int(os.environ.get("VAPLAN_FUZZ", "1"))
EXAMPLES = 50  # damaged files of each reader
CLASSES = Taxonomy(("Dog", "Rain"))
IDS = ("a", "b/c")
ACTIVITIES = {
    "a": entry(("sailing", 13.01, 15.78)),
    "b": entry(("skating", 0, 39), subset="test", duration=39),
}
SHAPE = (4, 3)  # of an array of a feature pack

TEXTS = [
    *(
        text.encode()
        for text in "0 -1 1e999 1e308 nan NaN Infinity null true ~".split()
    ),
    *(
        text.encode()
        for text in "7 1000 both Dog a 1_000 0x10 1:30 2024-13-45 ../x =1+1 a/../b".split()
    ),
    *(text.encode() for text in ("\u2028", "\u202e", "é", "１", "<b>", "none")),
    *(b"9" * 30, b"9" * 400, b"9" * 5_000, b"-" + b"9" * 30, b"a" * 2_000),
    *(b"", b" ", b"\0", b"\n", b"\r", b"\t", b",", b"&", b'"', b"'", b"\\", b"/"),
    *(b"[]", b"{}", b'{"a": 1}', b"[" * 3_000, b"{a: " * 3_000, b'"\\ud800"'),
    *(b"\xff\xfe", b"\xe9", b"&a", b"*a", b"!!python/name:os", b"? ", b": ", b"- "),
]
VALUES = [
    *(None, True, False, 0, 1, -1, 0.5, 10**9, 10**20, -(10**20), 10**400, 1e308),
    *(float("nan"), float("inf"), "", "x", "\0", "\n", "\ud800", "1e4", "9" * 5_000),
    *([], {}, [[]], [None], ["x"], {"x": 1}, [1.5, "x"], [0] * 50, {"": {}}),
]
COLUMNS = [
    pa.array([2**62, -1]),
    pa.array([-1, 2**30], pa.int32()),
    pa.array([float("nan"), float("inf")]),
    pa.array([True, None]),
    pa.array([None, None]),
    pa.array([b"\xff\xfe", b""]),
    pa.array([b"\xff" * 16, b"\0" * 16], pa.binary(16)),
    pa.array([["x"], None]),
    pa.array([{"x": 1}, None]),
    pa.array(["x", "x"]).dictionary_encode(),
    pa.array([0, 2**40], pa.timestamp("us")),
    pa.array(["\0", "a"], pa.large_string()),
    pa.array(["x" * 5_000, ""]),
]
Damage = Callable[[bytes], st.SearchStrategy[bytes]]


@dataclass(frozen=True)
class Reader:
    """A reader of one kind of file.

    Attributes:
        make: Writes valid files into a folder.
        file: Name of the file to damage there.
        read: Reads the files of the folder.
        values: Damages the values of the file's format; bytes are damaged in any case.
        seal: Called before the file is read, to renew what the file was sealed with.
        examples: Number of damaged files; fewer where a reader takes long.
    """

    make: Callable[[Path], object]
    file: str
    read: Callable[[Path], object]
    values: Damage | None = None
    seal: Callable[[Path], object] = lambda _: None
    examples: int = EXAMPLES


def bytes_changed(content: bytes) -> st.SearchStrategy[bytes]:
    """Change bytes, words or the encoding in one to three places."""
    words = [found.span() for found in re.finditer(rb"[^\s,;:&\"'{}\[\]]+", content)]
    place = st.integers(0, max(0, len(content) - 1))
    length = st.sampled_from([1, 1, 2, 7, 50, 1_000])

    def flip(content: bytes, at: int, size: int) -> bytes:
        part = bytes(byte ^ (1 << size % 8) for byte in content[at : at + 1])
        return content[:at] + part + content[at + 1 :]

    def remove(content: bytes, at: int, size: int) -> bytes:
        return content[:at] + content[at + size :]

    def cut(content: bytes, at: int, size: int) -> bytes:
        return content[:at]

    def repeat(content: bytes, at: int, size: int) -> bytes:
        return content[: at + size] + content[at:]

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        new = content
        if words and draw(st.booleans()):
            start, end = draw(st.sampled_from(words))
            new = content[:start] + draw(st.sampled_from(TEXTS)) + content[end:]
        for _ in range(draw(st.integers(new == content, 2))):
            change = draw(st.sampled_from([flip, remove, cut, repeat, None]))
            at = draw(place)
            if change:
                new = change(new, at, draw(length))
            else:
                text = st.one_of(st.sampled_from(TEXTS), st.binary(max_size=8))
                new = new[:at] + draw(text) + new[at:]
        encoding = draw(st.sampled_from(["", "", "", "utf-16", "utf-8-sig", "cp037"]))
        if encoding:
            new = new.decode("utf-8", "replace").encode(encoding, "replace")
        return new

    return changed()


def _places(tree: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    if isinstance(tree, dict | list):
        for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _places(item, (*place, key))


@st.composite
def tree_changed(draw: st.DrawFn, tree: Any) -> Any:
    """Replace a value of a tree of lists and mappings, or remove it."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from([*_places(tree)]))
        value = copy.deepcopy(draw(st.sampled_from(VALUES)))
        if not place:
            return value
        parent = tree
        for key in place[:-1]:
            parent = parent[key]
        action = draw(st.sampled_from(["set", "set", "set", "remove", "add"]))
        if action == "remove":
            del parent[place[-1]]
        elif action == "add" and isinstance(parent, list):
            parent.append(value)
        elif action == "add":
            parent["unknown"] = value
        else:
            parent[place[-1]] = value
    return tree


def json_changed(content: bytes) -> st.SearchStrategy[bytes]:
    return tree_changed(json.loads(content)).map(lambda v: json.dumps(v).encode())


def lines_changed(content: bytes) -> st.SearchStrategy[bytes]:
    """Change the first of several JSON documents, one a line."""
    first, *others = content.splitlines(keepends=True)
    rest = b"".join([b"\n", *others])
    return json_changed(first).map(lambda line: line + rest)


def yaml_changed(content: bytes) -> st.SearchStrategy[bytes]:
    def dump(value: Any) -> bytes:
        return yaml.safe_dump(value, sort_keys=False).encode()

    return tree_changed(yaml.safe_load(content)).map(dump)


def header_changed(content: bytes) -> st.SearchStrategy[bytes]:
    """Change the header of a safetensors file."""
    (size,) = struct.unpack("<Q", content[:8])
    header, rest = json.loads(content[8 : 8 + size]), content[8 + size :]
    if "about" in header.get("__metadata__", {}):
        header["__metadata__"]["about"] = json.loads(header["__metadata__"]["about"])

    def packed(header: Any) -> bytes:
        about = header.get("__metadata__") if isinstance(header, dict) else None
        if isinstance(about, dict) and "about" in about:
            header["__metadata__"] = {"about": json.dumps(about["about"])}
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + rest

    return tree_changed(header).map(packed)


def columns_changed(content: bytes) -> st.SearchStrategy[bytes]:
    """Give a column of a Parquet table with two rows another type, or remove it."""
    table = pq.read_table(io.BytesIO(content))

    @st.composite
    def changed(draw: st.DrawFn) -> bytes:
        column = draw(st.integers(0, table.num_columns - 1))
        name = table.column_names[column]
        new = table.remove_column(column)
        array = draw(st.sampled_from([None, *COLUMNS]))
        if array is not None:
            new = new.add_column(column, draw(st.sampled_from([name, "video"])), array)
        out = io.BytesIO()
        pq.write_table(new, out)
        return out.getvalue()

    return changed()


def dataset_changed(key: str) -> Damage:
    """Make HDF5 files with other data sets than expected."""

    def write(file: h5py.File, kind: str) -> None:
        if kind == "text":
            file[key] = "text"
        elif kind == "number":
            file[key] = 3
        elif kind == "numbers that are not whole":
            file[key] = [0.5, float("nan")]
        elif kind == "whole numbers":
            file[key] = [2**62, -1]
        elif kind == "words":
            file.create_dataset(key, data=["a", "b"], dtype=h5py.string_dtype())
        elif kind == "empty":
            file[key] = h5py.Empty("f4")
        elif kind == "no rows":
            file[key] = np.zeros((0, *SHAPE), np.float32)
        elif kind == "records":
            file[key] = np.zeros(2, [("a", "i4"), ("b", "f4")])
        elif kind == "group":
            file.create_group(key)
        elif kind == "lost link":
            file[key] = h5py.SoftLink("/nowhere")
        elif kind == "link to itself":
            file[key] = h5py.SoftLink(f"/{key}")
        elif kind == "outer link":
            file[key] = h5py.ExternalLink("other.h5", key)
        elif kind == "reference":
            file.create_dataset(key, (2,), dtype=h5py.ref_dtype)
        elif kind == "two dimensions":
            file[key] = np.zeros((3, 3))
        else:  # 8 TB that were never written
            file.create_dataset(key, (10**12,), dtype="i8", chunks=(1_000,))

    def changed(_: bytes) -> st.SearchStrategy[bytes]:
        kinds = (
            "text,number,numbers that are not whole,whole numbers,words,empty,no rows,"
            "records,group,lost link,link to itself,outer link,reference,"
            "two dimensions,huge"
        )

        def packed(kind: str) -> bytes:
            out = io.BytesIO()
            with h5py.File(out, "w") as file:
                write(file, kind)
            return out.getvalue()

        return st.sampled_from(kinds.split(",")).map(packed)

    return changed


def used(sheet: AnnotationRows) -> None:
    """Do with annotations what every command does."""
    find_issues(sheet)
    data = merge_rows(sheet)
    data.weak_label()
    data.reference(10)
    data.by_split()


def make_table(path: Path) -> Path:
    rows = [
        Row("a", "audio", "Dog", 0.0, 2.5, 0.75, path="a.mp4", split="train"),
        Row("b/c", "", "Rain", path="b/c.mp4", split="val"),
    ]
    return write_rows(path, rows)


def make_labels(path: Path) -> Path:
    rows = [
        Row("a", "audio", "Dog", 0.0, 1.0, 0.75),
        Row("b/c", "both", "Rain", 1.0, 2.0, 0.5),
    ]
    return write_rows(path, rows)


def make_probability(folder: Path) -> Path:
    data = read(make_table(folder / "data.csv"))
    shape = len(IDS), 3, 2
    return write_label_probability(
        folder / "t.csv",
        Ragged.of(np.full((*shape, 2), 0.25)),
        data.weak_label(),
        Ragged.of(np.ones(shape, dtype=bool)),
        data,
    )


def read_labels_of(folder: Path) -> object:
    data = read(make_table(folder / "data.csv"), taxonomy=CLASSES)
    return read_labels(folder / "t.csv", data)


def read_probability(folder: Path) -> object:
    data = read(make_table(folder / "data.csv"), taxonomy=CLASSES)
    lengths = Lengths.equal(len(IDS), 3)
    return read_label_probability(folder / "t.csv", data, lengths)


def make_taxonomy(folder: Path) -> None:
    (folder / "t.yaml").write_text(
        "classes: [Dog, Rain]\ntask: localisation\n"
        "templates: {audio: 'the sound of {}', visual: ['a {}', 'one {}']}\n"
        "prompts:\n  Dog: {audio: [a dog barks, a howl], visual: a dog}\n"
    )


def read_taxonomies(path: Path) -> None:
    for reader in (read_taxonomy, read_task, lambda p: with_prompts(CLASSES, p)):
        try:
            reader(path)
        except VaplanError:
            if reader is read_taxonomy:
                raise


def make_recipe(folder: Path) -> None:
    (folder / "t.yaml").write_text(
        recipes.dump(recipes.read("valor", changes=["teacher={}", "training.ema=0.9"]))
    )


def make_suite(folder: Path) -> None:
    (folder / "t.yaml").write_text(
        "about: Text.\n"
        "steps:\n"
        "  labels: {label: given, thresholds: {audio: 0.1, visual: 0.1}}\n"
        "  before: {train: ple, labels: labels, set: {training.epochs: 3}}\n"
        "  refined: {denoise: before, labels: labels, settings: {keep: $K}}\n"
        "  after: {train: ple, labels: refined}\n"
        'rows: {before: before, "K = $K": after}\n'
        "labels: {PLG: labels}\n"
        "differences: [[before, before]]\n"
        "sweep: {K: [1, 3]}\n"
        "set: {training.seed: 1}\n"
    )


RECIPE = """
model: {name: han, settings: {hidden: 4, feedforward: 4, heads: 2}}
losses: {video: 1}
training: {epochs: 2, batch_size: 2}
audio: [embedded]
visual: [embedded]
"""
SCORES = dict.fromkeys(("audio", "visual", "audio_visual", "type", "event"), 50.0)


def make_run(folder: Path) -> Run:
    recipe = recipes.parse(RECIPE)
    sizes = ((3,), (3,))
    by_class = {kind: dict.fromkeys(CLASSES.classes, 50.0) for kind in SCORES}
    metrics: Mapping[str, Any] = {
        "val": {
            "videos": 2,
            "data": "table:t.csv",
            "annotations": "t.csv",
            "segment": SCORES,
            "event": SCORES,
            "per_class": {"segment": by_class, "event": by_class},
        }
    }
    history = tuple(
        {"epoch": n, "learning_rate": 0.1, "loss": 0.5, "video": 0.5} for n in (1, 2)
    )
    model = runs.make_model(recipe, feature_sizes=sizes, classes=2)
    run = Run(folder, recipe, CLASSES, sizes, history, model, metrics=metrics)
    return runs.save(run)


def seal_weights(folder: Path) -> None:
    """Write the hash of the weights into `run.json`."""
    path = folder / runs.DESCRIPTION
    description = json.loads(path.read_text())
    description["weights_sha256"] = sha256(folder / runs.WEIGHTS)
    path.write_text(json.dumps(description))


def read_run(folder: Path) -> None:
    runs.load(folder)
    runs.is_done(folder, recipes.parse(RECIPE), {})
    results.describe_decision(vars(runs.read_description(folder)))
    results.describe_selection(vars(runs.read_description(folder)))
    results._read_val_scores(folder)


def read_report(folder: Path) -> None:
    compare_runs([folder], folder / "report.html")


def make_store(folder: Path) -> None:
    provenance = {"dimension": 2, "weights_sha256": "a1"}
    store = Store.create(folder, "embedded", provenance, planned=IDS)
    mask = np.array([True, True, False])
    feature = np.array([[0.6, 0.8], [1, 0], [0, 0]], np.float32)
    nothing = np.zeros(0, dtype=bool)
    store.add(
        [
            Entry("a", feature, mask, warnings=("w",)),
            Entry("b/c", None, nothing, "failed", "no such file"),
        ]
    )
    (shard,) = shards.list_shards(store.folder)
    shard.rename(folder / "shard")
    store.folder.rename(folder / "store")
    seal_shard(folder)


def seal_shard(folder: Path) -> None:
    """Name the shard by the digest of its bytes."""
    content = (folder / "shard").read_bytes()
    for old in shards.list_shards(folder / "store"):
        old.unlink()
    (folder / "store" / f"shard-000000-{short_hash(content)}.parquet").write_bytes(
        content
    )


def read_store(folder: Path) -> None:
    """Call everything that reads; what one call refuses, others may read."""
    found = find_stores(folder)
    first: VaplanError | None = None
    for store in found.values():
        calls: list[Callable[[], object]] = [
            store.describe,
            store.verify,
            store.read_statuses,
            store.content_hash,
            lambda store=store: store.list_missing(IDS, retry="such"),
            lambda store=store: [*store.read_entries()],
            lambda store=store: store.read(IDS),
        ]
        for call in calls:
            try:
                call()
            except VaplanError as error:
                first = first or error
    if first:
        raise first


def make_index(folder: Path) -> None:
    """Write a store with an index; the test damages the index without its digest."""
    make_store(folder)
    (shard,) = shards.list_shards(folder / "store")
    rows = shards.read_columns(shard, index.COLUMNS)
    index._write_index(folder / "store", [shard.name], [rows])
    content = (folder / "store" / index.INDEX_FILE).read_bytes()
    (folder / "index").write_bytes(content[: -index.DIGEST_BYTES])


def seal_index(folder: Path) -> None:
    content = (folder / "index").read_bytes()
    sealed = content + short_hash(content).encode()
    (folder / "store" / index.INDEX_FILE).write_bytes(sealed)


def make_text(folder: Path) -> None:
    """Write a store with text vectors beside it."""
    store = Store.create(
        folder, "audio:own:mine", describe_vectors("mine", 2), planned=[]
    )
    store.write_text(TextVectors.of({"Dog": np.ones(2), "Rain": np.eye(2)[0]}))
    store.folder.rename(folder / "store")


def read_text(folder: Path) -> None:
    (store,) = find_stores(folder).values()
    load_stored(store).text(["Dog"])


VECTORS = {"a": np.ones((3, 2), np.float32), "b/c": np.eye(2, dtype=np.float32)}


def vector_rows(folder: Path, **columns: Any) -> None:
    vectors = [[0.5, 1.0], [1.0, 0.0]]
    pq.write_table(pa.table({**columns, "vector": vectors}), folder / "t.parquet")


def read_vectors(path: Path) -> None:
    with open_vectors(path) as source:
        for _, result in source.results(source.videos):
            if isinstance(result, PackError):
                raise result


def make_part(folder: Path) -> None:
    """Write the features of the first segments of a long file."""
    part = Encoded((np.ones((3, 2), np.float32),), np.ones((3, 2), dtype=bool))
    (folder / "000000.npz").write_bytes(checkpoints._to_bytes(part))


def make_log(folder: Path) -> None:
    events = tuple(Event("audio", "Dog", onset, 3.5) for onset in (0.0, 1.5))
    with open_history(folder / "t.jsonl") as history:
        for number, state in enumerate((State.IN_WORK, State.DONE), start=1):
            history.append([Change("a", "me", "add", Revision(number, state, events))])


def read_log(folder: Path) -> None:
    with open_history(folder / "t.jsonl"):
        pass


def correct(folder: Path) -> None:
    tags = make_table(folder / "tags.csv")
    corrections = read_corrections(folder / "t.csv")
    apply_corrections(read_rows(tags).rows, corrections, test_share=0.5)


def review(source: Path) -> None:
    """Read what is reviewed; a problem of one file of a folder is raised here."""
    collection = read_collection(source)
    if collection.problems:
        raise VaplanError(f"expected no problem: {collection.problems}", file=source)


def make_curves(folder: Path) -> None:
    (folder / "t.csv").write_text(
        "modality,onset,offset,Dog,Rain\naudio,0,1,0.25,0.5\nvisual,0,1,0.5,1e-3\n"
    )


def make_seal(folder: Path) -> None:
    (folder / "a.csv").write_text("made")
    preparation.seal(folder / "a.csv")


def make_encoder(folder: Path) -> None:
    saved_clip(folder / "clip", CLIPConfig, CLIPModel)


def read_encoder(folder: Path) -> None:
    """Load an encoder and embed a sentence."""
    encoders.load(f"clip:{folder / 'clip'}", VISUAL).text(["a dog"])


def reader_of_encoder(file: str) -> Reader:
    values = header_changed if file.endswith(".safetensors") else json_changed
    return Reader(make_encoder, f"clip/{file}", read_encoder, values, examples=20)


def make_spectrogram(folder: Path) -> None:
    extractor = ClapFeatureExtractor(feature_size=32, truncation="rand_trunc")
    extractor.save_pretrained(folder)


def read_spectrogram(folder: Path) -> None:
    """Read the settings as the loader of CLAP does."""
    with errors_of(folder):
        mel_bank(AudioPreprocessing.from_config(read_preprocessing(folder)))


def small_han() -> HAN:
    settings = HANSettings(hidden=4, feedforward=4, heads=2)
    return HAN(settings, feature_sizes=((3,), (3, 3)), classes=2)


def make_official(folder: Path) -> None:
    model = small_han()
    names = dict(official._tensor_names(len(model.layers)))
    tensors = {names[name]: tensor for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "t.safetensors")


def fit(folder: Path, *, resume: bool) -> None:
    """Train for an epoch; a checkpoint stays."""
    recipe = recipes.parse(RECIPE, changes=["training.epochs=1"])
    generator = torch.Generator().manual_seed(0)
    feature = torch.randn(2, 2, 3, 3, generator=generator)
    inputs = Inputs(
        ((feature[0],), (feature[1],)), torch.ones(2, 3, 2, dtype=torch.bool)
    )
    weak = torch.tensor([[True, False], [False, True]])
    training.fit(
        runs.make_model(recipe, feature_sizes=((3,), (3,)), classes=2),
        inputs,
        Target(weak),
        settings=recipe.training,
        losses=recipe.losses,
        checkpoints=Checkpoints(folder / "checkpoint", "f", 0.0, resume),
    )


def make_ratios(folder: Path) -> None:
    ratios = {m: {"Dog": 0.1, "Rain": 0.2} for m in ("audio", "visual")}
    (folder / "t.json").write_text(json.dumps({"ratios": ratios}))


def read_cost(folder: Path) -> object:
    job = Job(Reference("train"), 0, {}, "j")
    return execute.read_cost(job, Workspace("", folder, folder))


def make_h5(path: Path, key: str, values: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=values, chunks=(1, *values.shape[1:]))


def read_h5(folder: Path) -> None:
    path = folder / "t.h5"
    with h5.open_rows(path, SHAPE) as rows:
        h5.read_row(rows, 1, path)


def make_ave_h5(folder: Path) -> None:
    write_ave(folder)
    order = ave.read_order(folder / "train_order.txt")
    make_h5(folder / "train_order.h5", "order", np.array(order))
    make_h5(folder / "labels_noisy.h5", "avadataset", np.zeros((2, 10, 29)))


def make_scores(folder: Path) -> None:
    mask = np.ones((1, 3, 2), dtype=bool)
    score = np.full((1, 3, 2, 2), 0.25, dtype=np.float32)
    write_scores(folder, ["a"], score, mask, CLASSES)


def read_llp(folder: Path) -> None:
    sheet = llp.read(folder)
    used(sheet)
    llp.youtube_names(merge_rows(sheet))


def make_csv(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "t.csv").write_text(text)


TIMELINE = Timeline(
    "a",
    9.0,
    (
        Event("audio", "Dog", 0.0, 2.5, 0.75),
        Event("visual", "Rain", 1.0, 3.0),
    ),
)


def make_timeline(folder: Path, name: str) -> None:
    found = FORMATS[name]
    files = {f"a.{found.ending}": found.write(TIMELINE)} if found.write else {}
    if found.write_all:
        files = found.write_all([TIMELINE])
    for file, content in files.items():
        write_content(folder / file, content)


def reader_of_format(name: str) -> Reader:
    ending = FORMATS[name].ending
    joint = {"label-studio": "label_studio", "activitynet": "activitynet"}
    file = f"{joint.get(name, 'audio' if name == 'dcase' else 'a')}.{ending}"
    values = {"json": json_changed, "parquet": columns_changed}
    return Reader(
        lambda folder: make_timeline(folder, name),
        file,
        lambda folder: import_events(folder / file, format=name, modality="audio"),
        values.get(ending),
    )


def search(source: Path) -> None:
    find_spans(source, "audio:Dog and not visual:Dog or video(Dog > 0.5)")
    run_sql(source, "SELECT * FROM events JOIN videos USING (video)")


READERS = {
    **{
        f"format {name}": reader_of_format(name)
        for name, one in FORMATS.items()
        if one.read
    },
    "table": Reader(
        lambda folder: make_table(folder / "t.csv"),
        "t.csv",
        lambda folder: used(read_rows(folder / "t.csv")),
    ),
    "Parquet table": Reader(
        lambda folder: make_table(folder / "t.parquet"),
        "t.parquet",
        lambda folder: used(read_rows(folder / "t.parquet")),
        columns_changed,
    ),
    "table with tabs": Reader(
        make_csv("video\tmodality\tclass\tonset\toffset\na\taudio\tDog\t0\t1.5\n"),
        "t.csv",
        lambda folder: used(read_rows(folder / "t.csv")),
    ),
    "corrected table": Reader(
        lambda folder: make_table(folder / "t.csv"), "t.csv", correct
    ),
    "table to review": Reader(
        lambda folder: make_table(folder / "t.csv"),
        "t.csv",
        lambda folder: review(folder / "t.csv"),
    ),
    "timelines to review": Reader(
        lambda folder: make_timeline(folder, "json"), "a.json", review, json_changed
    ),
    "scores to review": Reader(
        make_curves, "t.csv", lambda folder: read_score_curves(folder / "t.csv")
    ),
    "edit log": Reader(make_log, "t.jsonl", read_log, lines_changed),
    "seal of a file to review": Reader(
        make_seal,
        "a.csv.json",
        lambda folder: preparation.is_intact(folder / "a.csv"),
        json_changed,
    ),
    "table to search": Reader(
        lambda folder: make_table(folder / "t.csv"),
        "t.csv",
        lambda folder: search(folder / "t.csv"),
    ),
    "Parquet table to search": Reader(
        lambda folder: make_table(folder / "t.parquet"),
        "t.parquet",
        lambda folder: search(folder / "t.parquet"),
        columns_changed,
    ),
    "timelines to search": Reader(
        lambda folder: make_timeline(folder, "json"),
        "a.json",
        search,
        json_changed,
    ),
    "taxonomy beside a table": Reader(
        lambda folder: (
            make_taxonomy(folder),
            (folder / "t.yaml").rename(folder / "t.taxonomy.yaml"),
            make_table(folder / "t.csv"),
        ),
        "t.taxonomy.yaml",
        lambda folder: used(read_rows(folder / "t.csv")),
        yaml_changed,
    ),
    "tags": Reader(
        make_csv('path,tags,split\na.mp4,Dog;Rain,train\n"b/c.mp4",Dog|Rain,\n'),
        "t.csv",
        lambda folder: read_known_tags(folder / "t.csv", CLASSES),
    ),
    "videos to leave out": Reader(
        make_csv("video,reason\na,lost\nb,lost\n"),
        "t.csv",
        lambda folder: read_manifest(folder / "t.csv"),
    ),
    "labels": Reader(
        lambda folder: make_labels(folder / "t.csv"), "t.csv", read_labels_of
    ),
    "details of labels": Reader(
        lambda folder: (
            make_labels(folder / "t.csv"),
            details_path(folder / "t.csv").write_text('{"smooth": 0.5}'),
        ),
        "t.json",
        read_labels_of,
        json_changed,
    ),
    "label probability": Reader(make_probability, "t.csv", read_probability),
    "segments of AudioSet": Reader(
        lambda folder: write_audioset(folder, balanced_train_segments=SEGMENTS),
        "balanced_train_segments.csv",
        lambda folder: used(audioset.read(folder)),
    ),
    "strong labels of AudioSet": Reader(
        lambda folder: write_audioset(folder, audioset_eval_strong=STRONG),
        "audioset_eval_strong.tsv",
        lambda folder: used(audioset.read(folder)),
    ),
    "names of AudioSet": Reader(
        lambda folder: write_audioset(folder, balanced_train_segments=SEGMENTS),
        "class_labels_indices.csv",
        lambda folder: used(audioset.read(folder)),
    ),
    "ActivityNet": Reader(
        lambda folder: write_activitynet(folder, ACTIVITIES),
        "annotations.json",
        lambda folder: used(activitynet.read(folder / "annotations.json")),
        json_changed,
    ),
    "DCASE": Reader(
        lambda folder: write_dcase(folder, SOUNDS),
        "validation.tsv",
        lambda folder: used(dcase.read(folder / "validation.tsv")),
    ),
    "clips of OV-AVEBench": Reader(
        write_ovave,
        "ovave_dataset_meta.csv",
        lambda folder: used(ovave.read(folder)),
    ),
    "labels of OV-AVEBench": Reader(
        write_ovave,
        "released_ovavel_dataset_anno.json",
        lambda folder: used(ovave.read(folder)),
        json_changed,
    ),
    "VGGSound": Reader(
        lambda folder: (folder / vggsound.FILE).write_text(
            'a-b,30,dog barking,train\nc_d,0,"people, crowd",test\n'
        ),
        vggsound.FILE,
        lambda folder: used(vggsound.read(folder)),
    ),
    "VGGSounder": Reader(
        lambda folder: (folder / vggsounder.FILE).write_text(
            "video_id,label,modality\na_000030,dog barking,AV\na_000030,rain,A\n"
        ),
        vggsounder.FILE,
        lambda folder: used(vggsounder.read(folder)),
    ),
    "LLP tags": Reader(write_llp, "AVVP_train.csv", read_llp),
    "LLP events": Reader(write_llp, "AVVP_eval_audio.csv", read_llp),
    "LLP list": Reader(
        lambda folder: (
            write_llp(folder),
            (folder / llp.FULL).write_bytes((folder / "AVVP_train.csv").read_bytes()),
        ),
        llp.FULL,
        read_llp,
    ),
    "AVE annotations": Reader(
        write_ave, "Annotations.txt", lambda folder: used(ave.read(folder))
    ),
    "AVE order": Reader(
        write_ave, "train_order.txt", lambda folder: used(ave.read(folder))
    ),
    "AVE order in HDF5": Reader(
        make_ave_h5,
        "train_order.h5",
        lambda folder: used(ave.read(folder)),
        dataset_changed("order"),
    ),
    "AVE background": Reader(
        make_ave_h5,
        "labels_noisy.h5",
        lambda folder: used(ave.read(folder)),
        dataset_changed("avadataset"),
    ),
    "recipe": Reader(
        make_recipe,
        "t.yaml",
        lambda folder: recipes.dump(recipes.read(folder / "t.yaml")),
        yaml_changed,
    ),
    "suite": Reader(
        make_suite, "t.yaml", lambda folder: suite.read(folder / "t.yaml"), yaml_changed
    ),
    "taxonomy": Reader(
        make_taxonomy,
        "t.yaml",
        lambda folder: read_taxonomies(folder / "t.yaml"),
        yaml_changed,
    ),
    "taxonomy as a table": Reader(
        make_csv("class,audio,visual\nDog,a dog barks,a dog\nDog,a howl,\nRain,,\n"),
        "t.csv",
        lambda folder: read_taxonomies(folder / "t.csv"),
    ),
    "run description": Reader(make_run, runs.DESCRIPTION, read_run, json_changed),
    "run recipe": Reader(make_run, runs.RECIPE, read_run, yaml_changed),
    "run log": Reader(make_run, runs.LOG, read_run),
    "run scores": Reader(make_run, runs.METRICS, read_run, json_changed),
    "run weights": Reader(
        make_run, runs.WEIGHTS, read_run, header_changed, seal_weights
    ),
    "report of a description": Reader(
        make_run, runs.DESCRIPTION, read_report, json_changed
    ),
    "report of scores": Reader(make_run, runs.METRICS, read_report, json_changed),
    "report of a log": Reader(make_run, runs.LOG, read_report),
    "checkpoint": Reader(
        lambda folder: fit(folder, resume=False),
        "checkpoint",
        lambda folder: fit(folder, resume=True),
        header_changed,
    ),
    "noise ratios": Reader(
        make_ratios,
        "t.json",
        lambda folder: load_removal(Removal(str(folder / "t.json")), CLASSES),
        json_changed,
    ),
    "store card": Reader(make_store, "store/provenance.json", read_store, json_changed),
    "store plan": Reader(make_store, "store/plan.json", read_store, json_changed),
    "store shard": Reader(make_store, "shard", read_store, columns_changed, seal_shard),
    "store index": Reader(make_index, "index", read_store, columns_changed, seal_index),
    "text vectors of a store": Reader(
        make_text, f"store/{store_text.FILE}", read_text, json_changed
    ),
    "features of a part of a file": Reader(
        make_part, "000000.npz", lambda folder: [*checkpoints._read_parts(folder)]
    ),
    **{
        f"encoder {file}": reader_of_encoder(file)
        for file in (
            "config.json",
            "preprocessor_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "model.safetensors",
        )
    },
    "settings of a CLAP encoder": Reader(
        make_spectrogram, "preprocessor_config.json", read_spectrogram, json_changed
    ),
    "published weights": Reader(
        make_official,
        "t.safetensors",
        lambda folder: official.load_official(small_han(), folder / "t.safetensors"),
        header_changed,
    ),
    "cost of a bench": Reader(
        lambda folder: (
            (folder / "costs").mkdir(),
            (folder / "costs/j.json").write_text('{"wall": 1.5, "cpu": 1.0}'),
        ),
        "costs/j.json",
        read_cost,
        json_changed,
    ),
    "array of a pack": Reader(
        lambda folder: np.save(folder / "t.npy", np.ones(SHAPE, np.float32)),
        "t.npy",
        lambda folder: npy.read(folder / "t.npy", SHAPE),
    ),
    "vectors as .npy": Reader(
        lambda folder: np.save(folder / "a.npy", VECTORS["a"]), "a.npy", read_vectors
    ),
    "vectors as .npz": Reader(
        lambda folder: np.savez_compressed(folder / "t.npz", **VECTORS),
        "t.npz",
        lambda folder: read_vectors(folder / "t.npz"),
    ),
    "vectors as HDF5": Reader(
        lambda folder: make_h5(folder / "t.h5", "a", VECTORS["a"]),
        "t.h5",
        lambda folder: read_vectors(folder / "t.h5"),
        dataset_changed("a"),
    ),
    "vectors as Parquet": Reader(
        lambda folder: vector_rows(folder, video=["a", "b"], segment=[0, 1]),
        "t.parquet",
        lambda folder: read_vectors(folder / "t.parquet"),
        columns_changed,
    ),
    "text vectors as .npz": Reader(
        lambda folder: np.savez(folder / "t.npz", **VECTORS),
        "t.npz",
        lambda folder: read_text_vectors(folder / "t.npz"),
    ),
    "text vectors as Parquet": Reader(
        lambda folder: vector_rows(folder, **{"class": ["Dog", "Rain"]}),
        "t.parquet",
        lambda folder: read_text_vectors(folder / "t.parquet"),
        columns_changed,
    ),
    "text vectors as a table": Reader(
        make_csv("class,0,1\nDog,0.5,1\nDog,1,0\nRain,1,1\n"),
        "t.csv",
        lambda folder: read_text_vectors(folder / "t.csv"),
    ),
    "HDF5 file of a pack": Reader(
        lambda folder: make_h5(folder / "t.h5", h5.KEY, np.ones((2, *SHAPE))),
        "t.h5",
        read_h5,
        dataset_changed(h5.KEY),
    ),
    "score file": Reader(
        make_scores, "audio/a.tsv", lambda folder: read_scores(folder, CLASSES)
    ),
}


class TooSlow(Exception):
    """A reader needs longer than `SECONDS`."""


def stop(*_: object) -> None:
    raise TooSlow


@contextmanager
def limited() -> Iterator[None]:
    """Let this process allocate no more than `ROOM` in the block, and end it in time."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    signal.signal(signal.SIGVTALRM, stop)
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, most)
    )
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (before, most))


def check_reading(reader: Reader, folder: Path) -> None:
    """Read the files; an error must be one clear line about one of them."""
    refusal = None
    try:
        with limited():
            reader.read(folder)
    except VaplanError as error:
        refusal = error
    if refusal:
        text = str(refusal)
        assert refusal.exit in {Exit.USAGE, Exit.NOTHING_DONE, Exit.MACHINE}
        assert refusal.fix or re.search("Known: |expected|must ", text), text
        assert text.startswith(str(folder)), text
        assert "\n" not in text
        assert len(text) < 2_000


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_with_one_line(
    name: str, tmp_path: Path
) -> None:
    reader = READERS[name]
    reader.make(tmp_path)
    reader.read(tmp_path)  # the file is valid
    file = tmp_path / reader.file
    content = file.read_bytes()
    damaged = bytes_changed(content)
    if reader.values:
        damaged = st.one_of(damaged, reader.values(content))

    @settings(
        max_examples=reader.examples * MULTIPLE,
        derandomize=MULTIPLE == 1,
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged)
    def check(content: bytes) -> None:
        file.write_bytes(content)
        reader.seal(tmp_path)
        check_reading(reader, tmp_path)

    check()
