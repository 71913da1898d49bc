"""A user's own vectors go the whole way: import, label, train, predict, evaluate, search."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vaplan
from tests.conftest import SMALL
from tests.own_vectors import CLASSES, LENGTH, OwnVideos, make_videos
from vaplan import annotations, encoders, stages
from vaplan import recipe as recipes
from vaplan.arrays import AUDIO, VISUAL
from vaplan.dataset import Dataset, input_hashes, select_encoders
from vaplan.errors import EncoderError, StoreError, UsageError, VaplanError
from vaplan.packs import PackError
from vaplan.parser import Parser
from vaplan.search.vectors import search_store
from vaplan.stages.import_features import Imported
from vaplan.stages.label import select_prompt_encoders
from vaplan.store import Store, find_stores

OWN = (("own:mine",), ("own:mine",))
VISUAL_STORE = "visual:own:mine"


@pytest.fixture(scope="module")
def videos() -> OwnVideos:
    return make_videos()


@pytest.fixture
def folder(videos: OwnVideos, tmp_path: Path) -> Path:
    return videos.save(tmp_path / "own")


@pytest.fixture
def imported(folder: Path) -> Path:
    """The folder with both modalities in its store."""
    for modality, name in enumerate(("audio", "visual")):
        done = stages.import_vectors(
            folder / name,
            "mine",
            modality,
            folder / "store",
            text=folder / f"{name}_text.npz",
            data=stages.read_data(f"table:{folder / 'videos.csv'}"),
        )
        assert done == Imported(30, 0, (), (f"{name}:own:mine",), ())
    return folder


def read_table(folder: Path) -> Any:
    return stages.read_data(f"table:{folder / 'videos.csv'}")


def test_the_encoders_of_a_store_are_the_default_if_it_has_one_of_each(
    imported: Path, tmp_path: Path
) -> None:
    data, store = read_table(imported), imported / "store"
    own = ("own:mine",)
    named = stages.label(data, store, tmp_path / "named.csv", encoders=(own, own))
    stages.label(data, store, tmp_path / "default.csv")
    assert (tmp_path / "default.csv").read_bytes() == named.table.read_bytes()
    assert select_prompt_encoders(store) == (own, own)
    stages.import_vectors(imported / "audio", "more", AUDIO, store, data=data)
    assert select_prompt_encoders(store) == (own, own)  # these encode no prompts
    assert select_encoders(store) == (("own:mine", "own:more"), own)
    text = imported / "audio_text.npz"
    stages.import_vectors(
        imported / "audio", "other", AUDIO, store, text=text, data=data
    )
    with pytest.raises(
        UsageError, match="2 audio encoders of prompts: own:mine, own:other"
    ):
        stages.label(data, store, tmp_path / "default.csv")
    chosen = select_prompt_encoders(store, (["own:other"], ()))
    assert chosen == (["own:other"], own)


def test_own_vectors_are_labelled_trained_on_predicted_and_scored(
    imported: Path,
) -> None:
    data, store = read_table(imported), imported / "store"
    labels, out = imported / "labels.csv", imported / "out.csv"
    labelling = stages.label(data, store, labels, encoders=OWN, diagnose=True)
    for scores in labelling.f["test"].values():
        assert scores["segment"] > 90
    changes = [*SMALL, f"data=table:{imported / 'videos.csv'}", f"store={store}"]
    changes += [
        f"labels={labels}",
        "training.epochs=30",
        "training.learning_rate=0.01",
        "decision.rule=segment",
    ]
    run = stages.train(recipes.read("plg", changes=changes), imported / "run")
    assert run.recipe.encoders == OWN
    assert stages.predict(imported / "run", data, store, out, split="test") == []
    estimate = annotations.read_table(out, taxonomy=data.taxonomy, needs_modality=True)
    found = vaplan.evaluate(data, estimate, split="test").numbers()
    assert found["segment"]["audio"] > 30  # 0 where nothing is learned or marked
    assert found["segment"]["visual"] > 30
    with pytest.raises(EncoderError, match="no model here computes them from media"):
        Parser.load(imported / "run")


def test_without_tags_a_class_is_marked_where_its_margin_is_large(
    imported: Path,
) -> None:
    lines = (imported / "videos.csv").read_text().splitlines()
    ids = dict.fromkeys(line.split(",")[0] for line in lines[1:])
    untagged = [f"{video},,,,,,\n" for video in ids]
    (imported / "untagged.csv").write_text(lines[0] + "\n" + "".join(untagged))
    (imported / "classes.yaml").write_text("classes: [Dog, Rain]\n")
    data = stages.read_data(
        f"table:{imported / 'untagged.csv'}", taxonomy=imported / "classes.yaml"
    )
    dataset = Dataset.with_features(data, imported / "store", OWN)
    from vaplan.stages.label import compute_dataset_evidence

    evidence = compute_dataset_evidence(dataset, strategy="margin")
    features, _, _ = Store.open(imported / "store", VISUAL_STORE).read(data.ids)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    text = np.eye(3, 20)
    expected = 100 * units @ (text - text.mean(axis=0)).T  # all classes of the file
    assert np.allclose(
        evidence.values.values[:, VISUAL].numpy(), expected[:, 1:], atol=1e-3
    )


def test_a_class_of_the_text_is_searched_and_another_sentence_is_not(
    imported: Path, videos: OwnVideos
) -> None:
    hits = search_store("Dog", imported / "store", modality="visual", top=5)
    assert len(hits) == 5
    for hit in hits:
        vector = videos.vectors["visual"][hit.video][int(hit.onset)]
        assert vector[CLASSES.index("Dog")] > LENGTH / 2
    with pytest.raises(
        EncoderError, match="no visual text vector of own:mine for a cat; it has Bell"
    ):
        search_store("a cat", imported / "store", modality="visual")


def test_vectors_stay_as_they_are_unless_float16_is_asked_for(
    imported: Path, videos: OwnVideos, tmp_path: Path
) -> None:
    store = Store.open(imported / "store", VISUAL_STORE)
    assert store.card.dtype == "float32"
    for video, array in videos.vectors["visual"].items():
        assert np.array_equal(store.read([video])[0], array)
    stages.import_vectors(
        imported / "visual", "half", VISUAL, imported / "store", float16=True
    )
    half = Store.open(imported / "store", "visual:own:half")
    video, array = next(iter(videos.vectors["visual"].items()))
    assert np.array_equal(half.read([video])[0], array.astype(np.float16))
    with pytest.raises(StoreError, match=r"stored as float16, now float32.*--float16"):
        stages.import_vectors(imported / "visual", "half", VISUAL, imported / "store")


def test_a_second_import_writes_nothing_and_changed_vectors_replace_the_former(
    imported: Path, videos: OwnVideos
) -> None:
    store = Store.open(imported / "store", VISUAL_STORE)
    before, shards = store.content_hash(), len(list(store.folder.glob("shard-*")))
    again = stages.import_vectors(
        imported / "visual", "mine", VISUAL, imported / "store"
    )
    assert (again.done, again.already) == (0, 30)
    assert store.content_hash() == before
    assert len(list(store.folder.glob("shard-*"))) == shards
    video = "train/00"
    np.save(imported / "visual" / f"{video}.npy", np.ones((4, 20), np.float32))
    changed = stages.import_vectors(
        imported / "visual", "mine", VISUAL, imported / "store"
    )
    assert (changed.done, changed.already) == (1, 29)
    assert changed.absent == (
        f"1 videos had other vectors, which were replaced: {video}",
    )
    assert np.array_equal(store.read([video])[0], np.ones((4, 20)))
    np.save(imported / "visual" / f"{video}.npy", np.full((4, 20), np.nan))
    broken = stages.import_vectors(
        imported / "visual", "mine", VISUAL, imported / "store"
    )
    assert [video for video, _ in broken.failed] == [video]
    assert store.read([video])[0].all()  # a bad file does not remove good vectors


def test_each_kind_of_bad_file_is_one_line(folder: Path) -> None:
    files = folder / "visual" / "train"
    for number in ("00", "01", "02", "03", "06"):
        np.save(files / f"{number}.npy", np.ones((6, 21)))
    np.save(files / "07.npy", np.full((6, 20), np.inf))
    np.save(files / "08.npy", np.ones(20))
    np.save(files / "09.npy", np.zeros((6, 20)))
    np.save(folder / "visual" / "other.npy", np.ones((6, 20)))
    (files / "12.npy").unlink()
    done = stages.import_vectors(
        folder / "visual", "mine", VISUAL, folder / "store", data=read_table(folder)
    )
    unknown, missing, widths, infinite, shape = done.problems
    assert "unknown id 'other'" in unknown
    assert "no vectors of a video of the data set" in missing
    assert widths.startswith("5 alike, the first is ")
    assert "21 numbers a segment, expected 20 as in most others" in widths
    assert widths.endswith("The others: train/01, train/02, train/03 and 1 more.")
    assert (
        "NaN, infinite or too large numbers in segment 0, 1, 2 and 3 more" in infinite
    )
    assert "shape 20, expected segments x width" in shape
    assert done.warnings[0].startswith("6 vectors have only zeros, in 1 of 22 videos")
    assert (done.done, len(done.failed)) == (22, 9)
    statuses = Store.open(folder / "store", VISUAL_STORE).read_statuses()
    assert statuses["train/12"][0] == "failed"
    assert "other" not in statuses


def test_the_first_files_may_be_the_bad_ones(folder: Path) -> None:
    for path in sorted((folder / "audio" / "test").glob("*.npy")):
        path.write_bytes(b"x")
    done = stages.import_vectors(folder / "audio", "mine", AUDIO, folder / "store")
    assert (done.done, len(done.failed)) == (25, 5)


def test_nothing_valid_leaves_no_store(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    done = stages.import_vectors(tmp_path, "mine", AUDIO, tmp_path / "store")
    assert (done.done, done.stores) == (0, ())
    assert not find_stores(tmp_path / "store")


def test_text_vectors_may_be_imported_later_and_are_among_the_input_hashes(
    folder: Path,
) -> None:
    def bring(**more: Any) -> dict[str, str]:
        for modality, name in enumerate(("audio", "visual")):
            stages.import_vectors(
                folder / name, "mine", modality, folder / "store", **more
            )
        return input_hashes(read_table(folder), folder / "store", OWN)

    without = bring()
    with pytest.raises(EncoderError, match="own:mine has no text vectors"):
        stages.label(
            read_table(folder), folder / "store", folder / "l.csv", encoders=OWN
        )
    rows = {"class": [*CLASSES, "Sea"], "vector": np.eye(4, 20).tolist()}
    pq.write_table(pa.table(rows), folder / "text.parquet")
    with pytest.raises(StoreError, match="text vectors of 20 numbers, but audio:own"):
        bring(text=folder / "text.parquet")
    stages.import_vectors(
        folder / "visual",
        "mine",
        VISUAL,
        folder / "store",
        text=folder / "text.parquet",
        logit_scale=20.0,
    )
    now = input_hashes(read_table(folder), folder / "store", OWN)
    assert set(now) - set(without) == {"text of visual:own:mine"}
    features = Store.open(folder / "store", VISUAL_STORE)
    text = features.read_text()
    assert text is not None
    assert (text.classes[-1], text.logit_scale) == ("Sea", 20.0)
    assert features.describe()["text"] == [*CLASSES, "Sea"]
    assert features.verify() == []


def test_every_class_without_a_text_vector_is_named(folder: Path) -> None:
    np.savez(folder / "text.npz", Dog=np.eye(1, 20)[0])
    with pytest.raises(
        PackError,
        match=r"text\.npz: no vector for 2 of 3 classes of the data set: Bell, Rain",
    ):
        stages.import_vectors(
            folder / "visual",
            "mine",
            VISUAL,
            folder / "store",
            text=folder / "text.npz",
            data=read_table(folder),
        )
    assert not (folder / "store").exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": "a:b"}, UsageError, "the name 'a:b'. Fix: use letters"),
        ({"logit_scale": 0.0}, UsageError, "the logit scale 0.0"),
    ],
)
def test_a_wrong_argument_is_one_line(
    folder: Path, changes: dict[str, Any], error: type[VaplanError], message: str
) -> None:
    arguments = {"name": "mine", "modality": AUDIO, "store": folder / "store"}
    with pytest.raises(error) as caught:
        stages.import_vectors(folder / "audio", **{**arguments, **changes})
    assert message in str(caught.value)


def test_no_encoder_is_loaded_by_the_name() -> None:
    with pytest.raises(EncoderError, match="own:mine are vectors that were imported"):
        encoders.load("own:mine", AUDIO)
