"""Measure the time and memory of an import of published features: `python benchmarks/bench_packs.py [VIDEOS]`.

Imports random files in the layout of HAN's features (VGGish, ResNet-152 of 80 frames, R(2+1)D-18; 0.7 MB per video)
and, for a tenth of the videos, of AVE's maps (10 x 7 x 7 x 512 doubles; 2 MB per video). The peak memory is that of
the process since its start, so it should not grow with the number of videos.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from vaplan.annotations import Annotations, Video
from vaplan.packs.h5 import KEY
from vaplan.packs.layouts import LAYOUTS
from vaplan.stages.import_features import Imported, import_pack
from vaplan.taxonomy import LLP


def han(folder: Path, videos: list[str]) -> None:
    generator = np.random.default_rng(0)
    for pack in LAYOUTS["han"].packs:
        pack_folder = folder / pack.places[0]
        pack_folder.mkdir(parents=True)
        for video in videos:
            np.save(
                pack_folder / f"{video[:11]}.npy",
                generator.random(pack.shape, dtype=np.float32),
            )


def ave(folder: Path, count: int) -> None:
    shape = LAYOUTS["ave"].packs[1].shape
    with h5py.File(folder / "visual_feature.h5", "w") as file:
        rows = file.create_dataset(KEY, (count, *shape), "f8")
        for row in range(count):
            rows[row] = np.random.default_rng(row).random(shape)


def data(videos: list[str]) -> Annotations:
    return Annotations(LLP, tuple(Video(video) for video in videos))


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main(count: int = 500) -> None:
    videos, clips = (
        [f"{i:011d}_0_10" for i in range(count)],
        [f"clip@{i}" for i in range(count // 10)],
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        han(root, videos)
        ave(root, len(clips))
        works: dict[str, tuple[int, Callable[[], Imported]]] = {
            "HAN pack": (
                count,
                lambda: import_pack("han", root, data(videos), root / "store"),
            ),
            "HAN pack, second import": (
                count,
                lambda: import_pack("han", root, data(videos), root / "store"),
            ),
            "HAN pack, all frames": (
                count,
                lambda: import_pack(
                    "han", root, data(videos), root / "whole", whole=True
                ),
            ),
            "AVE maps, averaged": (
                len(clips),
                lambda: import_pack("ave", root, data(clips), root / "store"),
            ),
        }
        print(f"{megabytes():.0f} MB before the first import\n")
        print(
            "| import | videos | seconds | videos a second | peak memory, MB |\n|---|---|---|---|---|"
        )
        for name, (number, work) in works.items():
            start = time.perf_counter()
            work()
            taken = time.perf_counter() - start
            print(
                f"| {name} | {number} | {taken:.2f} | {number / taken:.0f} | {megabytes():.0f} |"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
