"""Compare the time of a training epoch of HAN, and of a prediction, with a plain PyTorch loop on one thread.

python benchmarks/bench_training.py [--write]
python benchmarks/bench_training.py --threads [--write]

Features have the published sizes: 10 segments of 128 (audio), 2048 and 512 (visual); batches of 64.

`--threads` compares one and two threads instead. Each measurement runs in a new process, because the
policy of idle threads is set before torch is imported: `active` threads poll for work, `passive` ones
sleep.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from vaplan.arrays import Inputs, Target
from vaplan.losses import total
from vaplan.models.han import HAN
from vaplan.recipe import read
from vaplan.store import mapped
from vaplan.training import Teacher, Training, fit, predict, seeded

SIZES, SEGMENTS, CLASSES, BATCH = ((128,), (2048, 512)), 10, 25, 64
TRAINED, EVALUATED, ROUNDS = 640, 1200, 5
LOSSES = read("ple").losses
ONE_EPOCH = Training(epochs=1, batch_size=BATCH)
PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm")
RESULTS = Path(__file__).parent / "results" / "training.md"
THREADS_RESULTS = RESULTS.with_name("threads.md")
SETUPS = (
    (1, "default"),
    (2, "default"),
    (2, "active"),
    (2, "passive"),
)  # number of threads, policy of idle threads
BATCHES, FEW_VIDEOS = (16, 64), 128

Works = dict[str, Callable[[], object]]


def data(videos: int) -> tuple[Inputs, Target]:
    """Make random videos; a tenth of their segments are missing."""
    with seeded(0):
        streams = tuple(
            tuple(torch.randn(videos, SEGMENTS, size) for size in sizes)
            for sizes in SIZES
        )
        weak = torch.rand(videos, CLASSES) < 0.08
        pseudo = weak[:, None, None] & (torch.rand(videos, SEGMENTS, 2, CLASSES) < 0.5)
        return Inputs(streams, torch.rand(videos, SEGMENTS, 2) < 0.9), Target(
            weak, pseudo
        )


def network() -> HAN:
    with seeded(0):
        return HAN(feature_sizes=SIZES, classes=CLASSES)


def map_to_file(inputs: Inputs, folder: Path) -> Inputs:
    """Copy the features to a memory-mapped file, as vaplan does if they are too large for the memory."""

    def map_stream(stream: torch.Tensor) -> torch.Tensor:
        array = mapped.mapped_zeros(tuple(stream.shape), np.float32, folder=folder)
        array[:] = stream.numpy()
        return torch.from_numpy(array)

    audio, visual = (
        tuple(map_stream(stream) for stream in streams) for streams in inputs.streams
    )
    return Inputs((audio, visual), inputs.mask)


def bare_epoch(model: HAN, inputs: Inputs, target: Target) -> None:
    """Train for an epoch on consecutive slices: forward, loss, backward and optimiser alone."""
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-4)
    model.train()
    for start in range(0, len(inputs), BATCH):
        batch = slice(start, start + BATCH)
        optimiser.zero_grad()
        total(model(inputs[batch]), target[batch], LOSSES)[0].backward()
        optimiser.step()


@torch.no_grad()
def bare_forward(model: HAN, inputs: Inputs) -> None:
    model.eval()
    for start in range(0, len(inputs), 256):
        model(inputs[start : start + 256])


def seconds(works: Works) -> dict[str, float]:
    """Measure the median CPU seconds of each function, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.process_time()
            work()
            taken[name].append(time.process_time() - start)
    return {name: median(times) for name, times in taken.items()}


def comparison_rows() -> list[str]:
    """Compare an epoch and a prediction with a plain PyTorch loop."""
    rows, model = [], network()
    inputs, target = data(TRAINED)
    test_inputs, _ = data(EVALUATED)
    for name, works in {
        f"an epoch of {TRAINED:,} videos": {
            "vaplan": lambda: fit(
                model, inputs, target, settings=ONE_EPOCH, losses=LOSSES
            ),
            "bare": lambda: bare_epoch(model, inputs, target),
        },
        f"a prediction of {EVALUATED:,} videos": {
            "vaplan": lambda: predict(model, test_inputs),
            "bare": lambda: bare_forward(model, test_inputs),
        },
    }.items():
        taken = seconds(works)
        rows.append(
            f"| {name} | {taken['vaplan']:.2f} | {taken['bare']:.2f} | {taken['vaplan'] / taken['bare']:.2f} |"
        )
    return rows


def setting_rows(folder: Path) -> list[str]:
    """Compare the time of an epoch with each setting and by default."""
    inputs, target = data(TRAINED)
    stored = map_to_file(inputs, folder)
    averaged, half = replace(ONE_EPOCH, ema=0.99), replace(ONE_EPOCH, precision="bf16")

    def epoch(
        settings: Training, features: Inputs = inputs, teacher: Teacher | None = None
    ) -> Callable[[], object]:
        return lambda: fit(
            network(),
            features,
            target,
            settings=settings,
            losses=LOSSES,
            teacher=teacher,
        )

    taken = seconds(
        {
            "default": epoch(ONE_EPOCH),
            "features in a file": epoch(ONE_EPOCH, stored),
            "`ema: 0.99`": epoch(averaged),
            "`ema: 0.99` and a teacher": epoch(
                averaged, teacher=Teacher(warmup_epochs=0.0)
            ),
            "`precision: bf16`": epoch(half),
        }
    )
    return [
        f"| {name} | {time:.2f} | {time / taken['default']:.2f} |"
        for name, time in taken.items()
    ]


def profile_rows() -> list[str]:
    """Measure the shares of the operations in the time of a training step."""
    model, (inputs, target) = network(), data(BATCH)
    bare_epoch(model, inputs, target)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(ROUNDS):
            bare_epoch(model, inputs, target)
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    whole = sum(times.values())
    groups = {
        "matrix products": sum(times.get(name, 0) for name in PRODUCTS),
        "dropout": times["aten::bernoulli_"],
    }
    groups["everything else, with the optimiser"] = whole - sum(groups.values())
    return [f"| {name} | {100 * time / whole:.0f} |" for name, time in groups.items()]


def time_epoch(threads: int, batch: int) -> dict[str, float]:
    """Measure the seconds and the CPU seconds of an epoch in this process."""
    inputs, target = data(FEW_VIDEOS)
    settings = replace(ONE_EPOCH, batch_size=batch, threads=threads)
    model = network()

    def train(videos: slice) -> None:
        fit(model, inputs[videos], target[videos], settings=settings, losses=LOSSES)

    train(slice(batch))
    start, start_cpu = time.perf_counter(), time.process_time()
    train(slice(None))
    return {
        "seconds": time.perf_counter() - start,
        "CPU": time.process_time() - start_cpu,
    }


def compare_threads() -> str:
    """Return a table of the fastest rounds with one and two threads."""
    rounds = dict[tuple[int, int, str], list[dict[str, float]]]()
    for _ in range(ROUNDS):
        for batch in BATCHES:
            for threads, waiting in SETUPS:
                environment = dict(os.environ)
                environment.pop("OMP_NUM_THREADS", None)
                if waiting != "default":
                    environment["OMP_WAIT_POLICY"] = waiting
                done = subprocess.run(
                    [sys.executable, __file__, "--epoch", str(threads), str(batch)],
                    env=environment,
                    stdout=subprocess.PIPE,
                    check=True,
                )
                taken = rounds.setdefault((batch, threads, waiting), [])
                taken.append(json.loads(done.stdout))
    about = (
        f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}. "
        f"Fastest of {ROUNDS} rounds in turns; load average at the end: {os.getloadavg()[0]:.0f}."
    )
    lines = [
        f"# Threads of a training: an epoch of {FEW_VIDEOS} videos on {os.cpu_count()} cores",
        "",
        about,
        "",
        "| batch | threads | idle threads | seconds | CPU seconds |",
        "|---:|---:|---|---:|---:|",
    ]
    for (batch, threads, waiting), taken in rounds.items():
        best = {name: min(one[name] for one in taken) for name in taken[0]}
        numbers = " | ".join(f"{value:.2f}" for value in best.values())
        lines.append(f"| {batch} | {threads} | {waiting} | {numbers} |")
    return "\n".join(lines) + "\n"


def report() -> str:
    with tempfile.TemporaryDirectory() as folder:
        mapped.MEMORY_SHARE = 0.0  # so that features of any size go to a file
        lines = [
            "# Training HAN: 10 segments of 128 + 2048 + 512 numbers, batches of 64, one thread",
            "",
            f"Python {platform.python_version()}, torch {torch.__version__}, {platform.machine()}.",
            f"CPU seconds, medians of {ROUNDS} rounds in turns.",
            "",
            "| | vaplan | plain PyTorch | ratio |",
            "|---|---:|---:|---:|",
            *comparison_rows(),
            "",
            "| settings of an epoch | seconds | ratio to the default |",
            "|---|---:|---:|",
            *setting_rows(Path(folder)),
            "",
            "| part of a step | % |",
            "|---|---:|",
            *profile_rows(),
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--write",
        action="store_true",
        help="keep the tables in benchmarks/results",
    )
    parser.add_argument(
        "--threads", action="store_true", help="compare one and two threads"
    )
    parser.add_argument("--epoch", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.epoch:
        return print(json.dumps(time_epoch(*given.epoch)))
    torch.set_num_threads(1)
    text = compare_threads() if given.threads else report()
    print(text)
    if given.write:
        path = THREADS_RESULTS if given.threads else RESULTS
        path.write_text(text, encoding="utf-8")
    return None


if __name__ == "__main__":
    main()
