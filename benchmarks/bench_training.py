"""Time an epoch of HAN, and an evaluation, against bare torch on tensors in memory.

    python benchmarks/bench_training.py [VIDEOS]

Features have the published sizes: 10 segments of 128 (audio), 2048 and 512 (visual); batches of 64.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import torch

from vaplan.arrays import Inputs, Target
from vaplan.losses import total
from vaplan.models.han import HAN
from vaplan.recipe import read
from vaplan.training import Training, fit, predict, seeded

SIZES, SEGMENTS, CLASSES, BATCH = ((128,), (2048, 512)), 10, 25, 64


def data(videos: int) -> tuple[Inputs, Target]:
    """Random videos, a tenth of their segments missing."""
    with seeded(0):
        streams = tuple(tuple(torch.randn(videos, SEGMENTS, size) for size in sizes) for sizes in SIZES)
        weak = torch.rand(videos, CLASSES) < 0.08
        pseudo = weak[:, None, None] & (torch.rand(videos, SEGMENTS, 2, CLASSES) < 0.5)
        return Inputs(streams, torch.rand(videos, SEGMENTS, 2) < 0.9), Target(weak, pseudo)


def network() -> HAN:
    with seeded(0):
        return HAN(feature_sizes=SIZES, classes=CLASSES)


def bare_epoch(model: HAN, inputs: Inputs, target: Target) -> None:
    """Forward, loss, backward and optimiser on consecutive slices: nothing can be left out of this."""
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-4)
    model.train()
    for start in range(0, len(inputs), BATCH):
        batch = slice(start, start + BATCH)
        optimiser.zero_grad()
        total(model(inputs[batch]), target[batch], read("ple").losses)[0].backward()
        optimiser.step()


@torch.no_grad()
def bare_forward(model: HAN, inputs: Inputs) -> None:
    model.eval()
    for start in range(0, len(inputs), 256):
        model(inputs[start : start + 256])


def seconds(*works: Callable[[], object], repeats: int = 5) -> list[float]:
    """Median CPU time of each, taken in turns so that both see the same machine."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for work, times in zip(works, taken, strict=True):
            begun = time.process_time()
            work()
            times.append(time.process_time() - begun)
    return [median(times) for times in taken]


def main() -> None:
    videos = int(sys.argv[1]) if len(sys.argv) > 1 else 640
    inputs, target = data(videos)
    model, settings = network(), Training(epochs=1, batch_size=BATCH)
    train = seconds(
        lambda: fit(model, inputs, target, settings=settings, losses=read("ple").losses),
        lambda: bare_epoch(model, inputs, target),
    )
    evaluate = seconds(lambda: predict(model, inputs), lambda: bare_forward(model, inputs))
    print(f"{videos} videos, {torch.get_num_threads()} threads\n")
    print("| CPU seconds | vaplan | bare torch | ratio |")
    print("|---|---|---|---|")
    for name, (ours, bare) in (("training epoch", train), ("prediction", evaluate)):
        print(f"| {name} | {ours:.2f} | {bare:.2f} | {ours / bare:.2f} |")


if __name__ == "__main__":
    main()
