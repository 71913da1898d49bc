"""Collections of unequal length: accuracy, time and memory.

    python benchmarks/bench_collections.py lengths [--work FOLDER] [--seeds 3]
    python benchmarks/bench_collections.py labels [--work FOLDER]
    python benchmarks/bench_collections.py windows [--work FOLDER] [--seeds 3]
    python benchmarks/bench_collections.py film [--work FOLDER]
    python benchmarks/bench_collections.py scale [--work FOLDER]
    python benchmarks/bench_collections.py tree [--work FOLDER]

`lengths` joins the same rendered clips of ten seconds to longer and longer videos, whose tags
are the tags of all their clips, and trains on each collection. In the same folder, `labels`
scores the pseudo labels of the training videos, and `windows` compares settings of long videos
on split val. `film` runs `fit` on forty clips and on the same clips with one film of ten
minutes. `scale` runs the stages on random features of videos from 3 s to 2 h, in three sizes.
`tree` parses 2,000 small files with equal names in fifty folders. Times are CPU seconds of the
process and its workers.
Results are written to `benchmarks/results/collections_*.md`.
"""

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from vaplan import recipe as recipes
from vaplan import runs, stages, synthetic
from vaplan.annotations import Annotations, Row, read_table
from vaplan.annotations.table import write_rows
from vaplan.arrays import MODALITIES
from vaplan.bench.synthetic_data import EMBEDDED, make_data
from vaplan.dataset import Dataset, open_features, read_lengths
from vaplan.encoders import own, store_name
from vaplan.evaluation import evaluate
from vaplan.metrics.llp import label_f
from vaplan.models import windows
from vaplan.pseudo_labels.evidence import are_informative
from vaplan.pseudo_labels.rules import HMM
from vaplan.ragged import Ragged
from vaplan.stages.evaluate import score_split
from vaplan.stages.fit import without_tags
from vaplan.store import Entry, Store
from vaplan.store.text import TextVectors
from vaplan.synthetic.clips import Clip, sort_events
from vaplan.zero_shot import ZeroShotClassifier

PR_SET_CHILD_SUBREAPER = 36  # of Linux, for prctl
RESULTS = Path(__file__).parent / "results"
CLIPS = 480
CLIP_SECONDS = 10
LONGEST_CLIPS = 120  # 20 minutes
MIXED = "10 s to 20 min"
COLLECTIONS: dict[str, int | None] = {
    "10 s": 1,
    "1 min": 6,
    "5 min": 30,
    MIXED: None,
}
WINDOW_SETTINGS = {
    "window 10, 600 segments a step (default)": {},
    "window 20": {"training.window": 20},
    "window 40": {"training.window": 40},
    "60 segments a step": {"training.max_segments": 60},
    "all segments in every step": {"training.max_segments": 7200},
    "pooling over the windows": {"pool": "windows"},
}
COLUMNS = (
    "| length of the videos | videos | tags a video | weak labels alone | PLG labels | "
    "refined labels | as `fit` |"
)
FILM_CLIPS = 40
FILM_SECONDS = 600
FILM_CASES = ("clips", "one_film", "clips_and_film")
SCALE_VIDEOS = (100, 300, 1000)
SCALE_SHORTEST, SCALE_LONGEST = 3, 7200
SCALE_SIZE = 512
SCALE_CLASSES = tuple(f"class {number:02d}" for number in range(25))
SCALE_ENCODERS = (("own:random",), ("own:random",))
PARSE_TREE = "parse_tree"
TREE_FOLDERS, TREE_FILES, TREE_SECONDS = 50, 40, 2.0
SCALE_STAGES = ("label", "train", "refine", "predict", "evaluate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = {
        "lengths": measure_lengths,
        "labels": measure_labels,
        "windows": measure_windows,
        "film": measure_film,
        "scale": measure_scale,
        "tree": measure_tree,
    }
    parser.add_argument(
        "part", choices=[*parts, *FILM_CASES, *SCALE_STAGES, PARSE_TREE]
    )
    parser.add_argument("--work", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.part in SCALE_STAGES:
        run_stage(arguments.part, arguments.work)
    elif arguments.part == PARSE_TREE:
        parse_tree(arguments.work)
    elif arguments.part in FILM_CASES:
        run_fit(arguments.part, arguments.work)
    else:
        work = arguments.work or Path(tempfile.mkdtemp())
        parts[arguments.part](work, arguments.seeds)


# --- accuracy by length ---------------------------------------------------------------


def measure_lengths(work: Path, seeds: int) -> None:
    """Train on the same material cut into videos of different lengths."""
    store = work / "store"
    table = make_data(
        work / "clips", store, videos=CLIPS, seed=11, bars=lambda _: no_progress
    )
    data = stages.read_data(f"table:{table}")
    lines = [
        COLUMNS,
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, clips in COLLECTIONS.items():
        folder = work / name.replace(" ", "_")
        joined = join_clips(data, store, folder, clips=clips)
        train = joined.select("train")
        tags = np.mean([len(video.tags) for video in train.videos])
        scores = [
            [
                *train_all(joined, folder, data, store, seed),
                train_as_fit(joined, folder, data, store, seed),
            ]
            for seed in range(seeds)
        ]
        cells = [format_scores(method) for method in zip(*scores, strict=True)]
        row = [name, str(len(train.videos)), f"{tags:.1f}", *cells]
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    head = (
        f"Made by `python benchmarks/bench_collections.py lengths`. Segment-level Type@AV F "
        f"in percent on the {len(data.select('test').videos)} test clips of ten seconds, mean "
        f"and standard deviation of {seeds} seeds. The recipe `han` on weak labels alone, "
        "`default` on labels; the last column is the choice of `fit`, which is that of the "
        "column before unless tags allow more than 80 % of all labels. Labels and refinement read tags only "
        "(`hmm`, `fusion`). No setting was chosen on these numbers."
    )
    write_results("collections_lengths.md", "Length of the videos", [head, "", *lines])


def measure_labels(work: Path, _seeds: int) -> None:
    """Score the labels of the training videos by `hmm` and by the default of `label`."""
    clips = stages.read_data(f"table:{work / 'clips' / 'annotations.csv'}")
    train = clips.select("train")
    truth = read_table(work / "clips" / "train_truth.csv", taxonomy=clips.taxonomy)
    lengths = read_lengths(work / "store", EMBEDDED, train.ids)
    clip_labels = replace(train, events=truth.events).labels(lengths)
    lines = [
        "| length of the videos | labels that tags allow | `hmm` | default | its rule |",
        "|---|---:|---:|---:|---|",
    ]
    for name, size in COLLECTIONS.items():
        folder = work / name.replace(" ", "_")
        joined = join_clips(clips, work / "store", folder, clips=size)
        dataset = Dataset.with_features(joined, folder / "store", EMBEDDED)
        allowed = dataset.weak_label.numpy().sum(axis=1) @ dataset.lengths.counts
        share = allowed / dataset.lengths.total / len(clips.taxonomy)
        reference = Ragged(clip_labels, dataset.lengths)  # the clips lie end to end
        cells = []
        for rule in (HMM, None):
            table = folder / f"labels_by_{rule or 'default'}.csv"
            made = stages.label(
                joined, folder / "store", table, encoders=EMBEDDED, rule=rule
            )
            scores = label_f(reference, dataset.labels(table).numpy())
            audio, visual = (scores[name]["segment"] for name in MODALITIES)
            cells.append(f"{audio:.1f}, {visual:.1f}")
        lines.append(f"| {name} | {share:.2f} | {' | '.join(cells)} | {made.reason} |")
        print(lines[-1], flush=True)
    head = (
        "Made by `python benchmarks/bench_collections.py labels` in the folder of `lengths`: "
        "segment-level F of the pseudo labels of the training videos in percent, audio and "
        "visual."
    )
    write_results("collections_labels.md", "Labels of long videos", [head, "", *lines])


def measure_windows(work: Path, seeds: int) -> None:
    """Compare windows, pooling and sampled segments on the collection of mixed lengths.

    The scores are on split val; no test video is read.
    """
    store = work / "store"
    clips = stages.read_data(f"table:{work / 'clips' / 'annotations.csv'}")
    folder = work / MIXED.replace(" ", "_")
    joined = join_clips(clips, store, folder, clips=None)
    labels = folder / "labels.csv"
    if not labels.exists():
        stages.label(joined, folder / "store", labels, encoders=EMBEDDED, rule=HMM)
    common = [f"data=table:{joined.source}", f"store={folder / 'store'}"]
    lines = ["| setting | weak labels alone | PLG labels |", "|---|---:|---:|"]
    for title, settings in WINDOW_SETTINGS.items():
        cells = []
        for name, table in (("han", []), ("default", [f"labels={labels}"])):
            scores = [
                train_with(
                    name, [*common, *table], settings, seed, folder, clips, store
                )
                for seed in range(seeds)
            ]
            cells.append(format_scores(scores))
        lines.append(f"| {title} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    head = (
        "Made by `python benchmarks/bench_collections.py windows`. Segment-level Type@AV F in "
        f"percent on the {len(clips.select('val').videos)} val clips of ten seconds after "
        f"training on videos of {MIXED}, mean and standard deviation of {seeds} seeds. Pooling "
        "over the windows: each window is pooled by itself, and the maximum counts."
    )
    write_results(
        "collections_windows.md", "Settings of long videos", [head, "", *lines]
    )


def train_with(
    name: str,
    changes: Sequence[str],
    settings: Mapping[str, object],
    seed: int,
    folder: Path,
    clips: Annotations,
    store: Path,
) -> float:
    """Train a recipe with other settings of windows; return its F on val."""
    options = dict(settings)
    pools_windows = options.pop("pool", None) == "windows"
    more = [f"{key}={value}" for key, value in options.items()]
    recipe = recipes.read(name, changes=[*changes, *more, f"training.seed={seed}"])
    key = "-".join([name, *map(str, options.values()), *["pool"] * pools_windows])
    finished = folder / "windows" / f"{key}-{seed}.json"
    if finished.exists():
        return float(json.loads(finished.read_text()))
    with no_pooling_of_segments() if pools_windows else nullcontext():
        run = stages.train(recipe, finished.with_suffix(""))
        document = score_split(run, clips, store, "val")
    score = float(document["segment"]["type"])
    finished.write_text(json.dumps(score))
    return score


@contextmanager
def no_pooling_of_segments() -> Iterator[None]:
    """Treat every network as one that has `forward` only."""
    protocol = windows.PoolsSegments
    windows.PoolsSegments = NoNetwork  # type: ignore[misc]
    try:
        yield
    finally:
        windows.PoolsSegments = protocol  # type: ignore[misc]


class NoNetwork:
    """A class that no network belongs to."""


def join_clips(
    data: Annotations,
    store: Path,
    folder: Path,
    *,
    clips: int | None,
) -> Annotations:
    """Join the training clips to videos; write their table and their features.

    Args:
        data: The clips.
        store: Features of the clips.
        folder: Folder of the new table and store.
        clips: Number of clips of a video; None for random numbers.
    """
    train = data.select("train")
    groups = [*divide([*train.ids], clips)]
    tags = {video.video: video.tags for video in train.videos}
    rows = list[Row]()
    for number, group in enumerate(groups):
        names = sorted({name for clip in group for name in tags[clip]})
        for name in names or [""]:
            rows.append(Row(f"joined-{number:04d}", class_name=name, split="train"))
    table = write_rows(folder / "annotations.csv", rows)
    table.with_suffix(".taxonomy.yaml").write_text(
        json.dumps({"classes": list(data.taxonomy.classes)}), encoding="utf-8"
    )
    joined = stages.read_data(f"table:{table}")
    for features in (
        each for group in open_features(store, EMBEDDED) for each in group
    ):
        values, mask, lengths = features.read(train.ids)
        index = {clip: number for number, clip in enumerate(train.ids)}
        entries = []
        for number, group in enumerate(groups):
            chosen = [index[clip] for clip in group]
            positions = lengths.spans(chosen).positions()
            entries.append(
                Entry(f"joined-{number:04d}", values[positions], mask[positions])
            )
        copy = Store.create(
            folder / "store",
            features.card.encoder,
            features.card.provenance,
            planned=joined.ids,
        )
        if copy.list_missing(joined.ids):
            copy.add(entries)
    return joined


def divide(clips: list[str], size: int | None) -> Iterator[list[str]]:
    """Divide clips into groups of a size, or of log-uniform random sizes."""
    random = np.random.default_rng(0)
    while clips:
        count = size or round(float(np.exp(random.uniform(0, np.log(LONGEST_CLIPS)))))
        yield clips[:count]
        clips = clips[count:]


def train_all(
    joined: Annotations, folder: Path, clips: Annotations, store: Path, seed: int
) -> list[float]:
    """Train on weak labels, on PLG labels and on refined labels; score on the clips.

    The scores are kept in the folder, so an interrupted run of this script continues.
    """
    finished = folder / f"scores-{seed}.json"
    if finished.exists():
        return [float(score) for score in json.loads(finished.read_text())]
    long_store = folder / "store"
    data = f"data=table:{joined.source}"
    common = [data, f"store={long_store}", f"training.seed={seed}"]
    labels, probability = folder / "labels.csv", folder / "probability.csv"
    stages.label(
        joined,
        long_store,
        labels,
        encoders=EMBEDDED,
        rule=HMM,
        out_probability=probability,
    )
    trained = []
    for name, table in (("han", None), ("default", labels)):
        changes = [*common, f"labels={table}"] if table else common
        recipe = recipes.read(name, changes=changes)
        trained.append(train_once(recipe, folder / f"{name}-{seed}"))
    refined = folder / f"refined-{seed}.csv"
    stages.refine(
        trained[-1].folder,
        labels,
        refined,
        rule="fusion",
        label_probability=probability,
    )
    recipe = recipes.read("default", changes=[*common, f"labels={refined}"])
    trained.append(train_once(recipe, folder / f"refined-{seed}"))
    scores = []
    for run in trained:
        document = score_split(run, clips, store, "test")
        scores.append(document["segment"]["type"])
    finished.write_text(json.dumps(scores))
    return scores


def train_as_fit(
    joined: Annotations, folder: Path, clips: Annotations, store: Path, seed: int
) -> float:
    """Train as `fit` does; where tags are informative this is the parser of refined labels.

    The decision thresholds are those of the recipe, as in the other columns.
    """
    dataset = Dataset.with_features(joined, folder / "store", EMBEDDED)
    if are_informative(dataset.weak_label, dataset.lengths):
        run = runs.load(folder / f"refined-{seed}")
    else:
        labels = folder / "labels_fit.csv"
        stages.label(joined, folder / "store", labels, encoders=EMBEDDED)
        changes = [
            f"data=table:{joined.source}",
            f"store={folder / 'store'}",
            f"labels={labels}",
            f"training.seed={seed}",
        ]
        recipe = without_tags(recipes.read("default", changes=changes))
        run = train_once(recipe, folder / f"fit-{seed}")
    document = score_split(run, clips, store, "test")
    return float(document["segment"]["type"])


def train_once(recipe: recipes.Recipe, folder: Path) -> runs.Run:
    """Train, or load the run of an earlier call that was interrupted later."""
    if (folder / "run.json").exists():
        return runs.load(folder)
    return stages.train(recipe, folder)


def format_scores(scores: Sequence[float]) -> str:
    return f"{np.mean(scores):.1f} ± {np.std(scores):.1f}"


# --- one film among clips -------------------------------------------------------------


def measure_film(work: Path, _seeds: int) -> None:
    """Run `fit` on clips, on a film, and on both, each in a process of its own."""
    render_film(work)
    lines = ["| videos | CPU seconds | peak memory |", "|---|---:|---:|"]
    names = {
        "clips": f"{FILM_CLIPS} clips of {CLIP_SECONDS} s",
        "one_film": f"one film of {FILM_SECONDS} s",
        "clips_and_film": "the clips and the film",
    }
    for case in FILM_CASES:
        seconds, peak = run_alone(case, work)
        lines.append(f"| {names[case]} | {seconds:.0f} | {peak / 1e9:.2f} GB |")
        print(lines[-1], flush=True)
    head = (
        "Made by `python benchmarks/bench_collections.py film`: `fit` with the embedded "
        "encoders from the media files to the trained parser, one worker. Peak memory is that "
        "of the largest process."
    )
    write_results("collections_film.md", "One film among clips", [head, "", *lines])


def render_film(work: Path) -> None:
    """Render the clips and a film that has the events of as many clips as fill it."""
    counts = {"train": FILM_SECONDS // CLIP_SECONDS}
    film = join_plans(synthetic.plan_clips(counts, seed=13))
    clips = synthetic.plan_clips({"train": FILM_CLIPS}, seed=12)
    for case, plans in zip(FILM_CASES, (clips, [film], [*clips, film]), strict=True):
        table = synthetic.render(plans, work / case)
        lines = [f"media/{plan.video}.mp4,{';'.join(plan.tags)}\n" for plan in plans]
        table.with_name("tags.csv").write_text("".join(["path,tags\n", *lines]))


def join_plans(clips: Sequence[Clip]) -> Clip:
    """Join the plans of clips to the plan of one film."""
    events = [
        replace(event, onset=event.onset + shift, offset=event.offset + shift)
        for number, clip in enumerate(clips)
        for shift in [float(number * CLIP_SECONDS)]
        for event in clip.events
    ]
    return replace(
        clips[0],
        seconds=float(len(clips) * CLIP_SECONDS),
        tags=tuple(sorted({tag for clip in clips for tag in clip.tags})),
        events=sort_events(events),
    )


def run_fit(case: str, work: Path) -> None:
    """Run `fit` without any earlier output."""
    folder = work / case
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    tags = folder / "tags.csv"
    stages.fit(tags, folder, run, encoders=EMBEDDED, workers=1)


# --- time and memory ------------------------------------------------------------------


def measure_scale(work: Path, _seeds: int) -> None:
    """Run each stage on random features, in a process of its own."""
    lines = [
        "| videos | segments | features | stage | CPU seconds | a million segments | peak memory |",
        "|---:|---:|---:|---|---:|---:|---:|",
    ]
    for videos in SCALE_VIDEOS:
        folder = work / str(videos)
        segments = make_random_data(folder, videos)
        size = segments * SCALE_SIZE * 4 * 2
        for stage in SCALE_STAGES:
            seconds, peak = run_alone(stage, folder)
            lines.append(
                f"| {videos} | {segments:,} | {size / 1e9:.2f} GB | `{stage}` | "
                f"{seconds:.1f} | {seconds / segments * 1e6:.0f} | {peak / 1e9:.2f} GB |"
            )
            print(lines[-1], flush=True)
    head = (
        "Made by `python benchmarks/bench_collections.py scale`: videos from "
        f"{SCALE_SHORTEST} s to 2 h (log-uniform), random features of {SCALE_SIZE} numbers of "
        "two encoders as float32, 25 classes. `label` uses the rule `hmm`; `train` runs one epoch of `ple`; "
        "`refine` trains two parsers for one epoch each. Peak memory is that of the process."
    )
    write_results("collections_scale.md", "Time and memory by size", [head, "", *lines])


def make_random_data(folder: Path, videos: int) -> int:
    """Write a table with tags and events, labels, and random features.

    Returns:
        Number of segments of all videos.
    """
    random = np.random.default_rng(0)
    span = np.log(SCALE_SHORTEST), np.log(SCALE_LONGEST)
    counts = np.exp(random.uniform(*span, videos)).astype(int)
    ids = [f"video-{number:05d}" for number in range(videos)]
    rows = [*random_rows(ids, counts, random)]
    write_rows(folder / "annotations.csv", rows)
    labels = [replace(row, split="") for row in rows if row.modality]
    write_rows(folder / "labels.csv", labels)
    provenance = own.describe_vectors("random", SCALE_SIZE)
    for modality, (name,) in enumerate(SCALE_ENCODERS):
        store = Store.create(
            folder / "store",
            store_name(name, modality),
            provenance,
            planned=ids,
            dtype="float32",
        )
        sentences = random.standard_normal((len(SCALE_CLASSES), SCALE_SIZE))
        classes = dict(zip(SCALE_CLASSES, sentences, strict=True))
        store.write_text(TextVectors.of(classes))
        for video, count in zip(ids, counts.tolist(), strict=True):
            vectors = random.standard_normal((count, SCALE_SIZE), dtype=np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            store.add([Entry(video, vectors, np.ones(count, dtype=bool))])
    return int(counts.sum())


def random_rows(
    ids: Sequence[str], counts: Iterable[int], random: np.random.Generator
) -> Iterator[Row]:
    """Yield one tag for each two classes of a video, and an event a minute."""
    for number, (video, count) in enumerate(zip(ids, counts, strict=True)):
        split = "train" if number % 4 else "test"
        names = random.choice(SCALE_CLASSES, 3, replace=False).tolist()
        for name in names:
            yield Row(video, class_name=name, split=split)
        for minute in range(1 + int(count) // 60):
            onset = float(min(60 * minute, int(count) - 1))
            modality = ("audio", "visual")[minute % 2]
            name = names[minute % len(names)]
            yield Row(video, modality, name, onset, onset + 1, split=split)


def run_stage(stage: str, folder: Path) -> None:
    """Run one stage."""
    data = stages.read_data(f"table:{folder / 'annotations.csv'}")
    run, store = folder / "run", folder / "store"
    labels = folder / "labels.csv"
    if stage == "label":
        out = folder / "labels_hmm.csv"
        stages.label(data, store, out, encoders=SCALE_ENCODERS, rule=HMM)
    elif stage == "train":
        changes = [
            f"data=table:{folder / 'annotations.csv'}",
            f"store={store}",
            f"labels={labels}",
            "training.epochs=1",
        ]
        stages.train(recipes.read("ple", changes=changes), run)
    elif stage == "refine":
        stages.refine(run, labels, folder / "refined.csv", rule="fusion")
    elif stage == "predict":
        stages.predict(run, data, store, folder / "predictions.csv", split="test")
    else:
        estimate = read_table(folder / "predictions.csv", taxonomy=data.taxonomy)
        evaluate(data, estimate, split="test").numbers()


# --- a tree of folders ----------------------------------------------------------------


def measure_tree(work: Path, _seeds: int) -> None:
    """Parse a tree in which every folder has files of the same names."""
    clips = synthetic.plan_clips({"train": TREE_FILES}, seed=14)
    short = [replace(clip, seconds=TREE_SECONDS, events=()) for clip in clips]
    synthetic.render(short, work / "clips")
    for number in range(TREE_FOLDERS):
        folder = work / "tree" / f"{number // 10}" / f"{number:02d}"
        shutil.copytree(work / "clips" / "media", folder, dirs_exist_ok=True)
    shutil.rmtree(work / "timelines", ignore_errors=True)
    seconds, peak = run_alone(PARSE_TREE, work)

    files = sorted((work / "tree").rglob("*.mp4"))
    names = {file.relative_to(work / "tree").with_suffix(".json") for file in files}
    written = {
        file.relative_to(work / "timelines")
        for file in (work / "timelines").rglob("*.json")
    }
    head = (
        f"Made by `python benchmarks/bench_collections.py tree`: {len(files):,} files of "
        f"{TREE_SECONDS:g} s, the same {TREE_FILES} names in each of {TREE_FOLDERS} folders, "
        "zero-shot with the embedded encoders."
    )
    row = (
        f"| {len(files):,} | {len(names & written):,} | {seconds:.0f} | "
        f"{peak / 1e9:.2f} GB |"
    )
    print(row, flush=True)
    columns = "| files | timelines at the same path | CPU seconds | peak memory |"
    lines = [head, "", columns, "|---:|---:|---:|---:|", row]
    write_results("collections_tree.md", "A tree of folders", lines)


def parse_tree(work: Path) -> None:
    """Parse the tree without training."""
    taxonomy = read_table(work / "clips" / "annotations.csv").taxonomy
    load = partial(ZeroShotClassifier.load, taxonomy, ("embedded", "embedded"))
    outcome = stages.parse([work / "tree"], work / "timelines", load=load)
    assert not outcome.failed, outcome.failed


def run_alone(part: str, folder: Path) -> tuple[float, float]:
    """Run a part of this script in a process of its own.

    Returns:
        CPU seconds of the process and its workers, and the peak memory of the largest of
        them in bytes.
    """
    adopt_orphans()  # workers outlive the process for a moment
    process = subprocess.Popen([sys.executable, __file__, part, "--work", str(folder)])
    seconds, peak = 0.0, 0
    while True:
        try:
            pid, status, use = os.wait4(-1, 0)
        except ChildProcessError:
            return seconds, peak * 1024
        if pid == process.pid and status:
            raise subprocess.CalledProcessError(status, part)
        seconds += use.ru_utime + use.ru_stime
        peak = max(peak, use.ru_maxrss)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent has ended (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def write_results(name: str, title: str, lines: Sequence[str]) -> None:
    text = "\n".join([f"# {title}", "", *lines, ""])
    (RESULTS / name).write_text(text, encoding="utf-8")


def no_progress(_done: int, _total: int | None, _problem: str) -> None:
    """Ignore progress."""


if __name__ == "__main__":
    main()
