"""Measure the time of `vaplan predict` and `vaplan evaluate`, each in a new process.

python benchmarks/bench_predict.py [--rounds 5] [--write]

A table has 2,500 videos of a split `train`, 649 of `val` and 1,200 of `test`, 25 classes. Their ten
segments have random features of the published widths: 128 (audio), 2048 and 512 (visual). The run
is an untrained HAN; its threshold is chosen so that it predicts six events per video, as a trained
HAN does. The commands predict and score the test videos on one thread and on two.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vaplan import recipe as recipes
from vaplan import runs
from vaplan.annotations import read_data
from vaplan.annotations.rows import Row
from vaplan.annotations.table import write_rows
from vaplan.dataset import Dataset
from vaplan.store import Entry, Store
from vaplan.taxonomy import Taxonomy
from vaplan.training import threads as use_threads

VIDEOS = {"train": 2500, "val": 649, "test": 1200}
CLASSES, SEGMENTS, SHARD = 25, 10, 64
THRESHOLD = 0.58
ENCODERS = {
    "audio:legacy:vggish": 128,
    "visual:legacy:res152": 2048,
    "visual:legacy:r2plus1d_18": 512,
}
THREADS = (1, 2)
NETWORK = "of this: the network"
RESULTS = Path(__file__).parent / "results" / "predict.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write the table to benchmarks/results/{RESULTS.name}",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder))
        text = report(Path(folder), arguments.rounds)
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


def make_files(folder: Path) -> None:
    """Write the table, the store and the run."""
    generator = np.random.default_rng(0)
    classes = [f"Class {number:02d}" for number in range(CLASSES)]
    splits = {
        f"{split}{number:05d}_30_40": split
        for split, count in VIDEOS.items()
        for number in range(count)
    }
    write_rows(folder / "data.csv", make_rows(splits, classes, generator))
    for name, dimension in ENCODERS.items():
        fill_store(folder / "store", name, dimension, [*splits], generator)
    write_run(folder, classes)


def make_rows(
    splits: dict[str, str], classes: list[str], generator: np.random.Generator
) -> Iterator[Row]:
    """Yield tags for the training videos and five events for each of the other videos."""
    for video, split in splits.items():
        if split == "train":
            for name in generator.choice(classes, 2, replace=False):
                yield Row(video, class_name=str(name), split=split)
            continue
        for number in range(5):
            modality = ("audio", "visual")[number % 2]
            onset = float(generator.integers(SEGMENTS - 1))
            offset = onset + 1 + float(generator.integers(SEGMENTS - onset))
            name = str(generator.choice(classes))
            yield Row(video, modality, name, onset, offset, split=split)


def fill_store(
    root: Path,
    name: str,
    dimension: int,
    videos: list[str],
    generator: np.random.Generator,
) -> None:
    """Write random features of all videos."""
    provenance = {"dimension": dimension, "weights_sha256": "random"}
    store = Store.create(root, name, provenance, planned=videos)
    mask = np.ones(SEGMENTS, dtype=bool)
    with store.open_writer() as writer:
        for start in range(0, len(videos), SHARD):
            writer.add(
                [
                    Entry(
                        video,
                        generator.standard_normal(
                            (SEGMENTS, dimension), dtype=np.float32
                        ),
                        mask,
                    )
                    for video in videos[start : start + SHARD]
                ]
            )


def write_run(folder: Path, classes: list[str]) -> None:
    """Write the run folder of a network with its initial weights."""
    audio, visual = (
        tuple(name.partition(":")[2] for name in ENCODERS if name.startswith(modality))
        for modality in ("audio", "visual")
    )
    recipe = recipes.read(
        "han",
        changes=[
            f"data=table:{folder / 'data.csv'}",
            f"store={folder / 'store'}",
            f"audio=[{','.join(map(repr, audio))}]",
            f"visual=[{','.join(map(repr, visual))}]",
            f"decision.threshold={THRESHOLD}",
        ],
    )
    sizes = ((128,), (2048, 512))
    model = runs.make_model(recipe, feature_sizes=sizes, classes=len(classes))
    run = runs.Run(
        folder / "run", recipe, Taxonomy(tuple(classes)), sizes, (), model.eval()
    )
    runs.save(run)


def report(folder: Path, rounds: int) -> str:
    """Run the commands in turns, and return a table of the fastest rounds."""
    data = ["--data", f"table:{folder / 'data.csv'}", "--split", "test"]
    store = ["--store", str(folder / "store")]
    table = str(folder / "predictions.csv")
    predict = ["predict", str(folder / "run"), *data, *store, "--out", table]
    commands = {
        "`predict`": [sys.executable, "-m", "vaplan", *predict],
        "`evaluate`": [
            *(sys.executable, "-m", "vaplan"),
            *("evaluate", *data, "--estimate", table),
        ],
        "`predict --evaluate`": [
            sys.executable,
            "-m",
            "vaplan",
            *predict,
            "--evaluate",
        ],
        "of this: `import torch`": [sys.executable, "-c", "import torch"],
    }
    taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for threads in THREADS:
            for name, command in commands.items():
                time_taken = measure(command, threads=threads)
                taken.setdefault((name, threads), []).append(time_taken)
            taken.setdefault((NETWORK, threads), []).append(
                measure_network(folder, threads=threads)
            )
    about = (
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"{platform.machine()}, {os.cpu_count()} cores. Fastest of {rounds} rounds in turns; "
        "the time of a whole process, and of the forward passes in a process that has "
        "everything in memory."
    )
    lines = [
        "# `predict` and `evaluate` of 1,200 videos: 10 segments of 128 + 2048 + 512 numbers, 25 classes",
        "",
        about,
        "",
        "| | CPU seconds, one thread | seconds, one thread | seconds, two threads |",
        "|---|---:|---:|---:|",
    ]
    for name in (*commands, NETWORK):
        cpu, wall = (min(times) for times in zip(*taken[name, 1], strict=True))
        _, wall_of_two = (min(times) for times in zip(*taken[name, 2], strict=True))
        lines.append(f"| {name} | {cpu:.2f} | {wall:.2f} | {wall_of_two:.2f} |")
    return "\n".join(lines) + "\n"


def measure_network(folder: Path, *, threads: int) -> tuple[float, float]:
    """Measure the CPU seconds and the seconds of the forward passes alone."""
    run = runs.load(folder / "run")
    data = read_data(f"table:{folder / 'data.csv'}").select("test")
    inputs = Dataset.with_features(data, folder / "store", run.recipe.encoders).inputs
    with use_threads(threads):
        before, begun = time.process_time(), time.perf_counter()
        run.predict(inputs)
        return time.process_time() - before, time.perf_counter() - begun


def measure(command: list[str], *, threads: int) -> tuple[float, float]:
    """Measure the CPU seconds and the seconds of a process."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command,
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, wall


if __name__ == "__main__":
    main()
