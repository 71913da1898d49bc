"""Videos with random vectors: each second is the sum of the directions of its classes, and noise."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

CLASSES = ("Bell", "Dog", "Rain")
HEADER = "video,modality,class,onset,offset,score,split\n"
SECONDS = 6
LENGTH = 7.0  # of the vectors, which are no unit vectors


@dataclass(frozen=True)
class OwnVideos:
    """A data set in memory.

    Attributes:
        table: Text of its table, with tags and events.
        text: Vector of each class, per modality.
        vectors: Vectors of each video, per modality.
    """

    table: str
    text: dict[str, dict[str, np.ndarray]]
    vectors: dict[str, dict[str, np.ndarray]]

    def save(self, folder: Path) -> Path:
        """Write `videos.csv`, `audio/` and `visual/` with one .npy a video, and text vectors."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "videos.csv").write_text(self.table)
        for modality, videos in self.vectors.items():
            np.savez(folder / f"{modality}_text.npz", **self.text[modality])
            for video, array in videos.items():
                path = folder / modality / f"{video}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, array)
        return folder


def make_videos(
    *, count: int = 30, widths: tuple[int, int] = (12, 20), seed: int = 0
) -> OwnVideos:
    """Make videos with one or two classes in each modality.

    Args:
        count: Number of videos; two thirds are `train`, the others `val` and `test`.
        widths: Sizes of an audio and a visual vector.
        seed: Seed of all random numbers.
    """
    rng = np.random.default_rng(seed)
    modalities = dict(zip(("audio", "visual"), widths, strict=True))
    text = {
        modality: dict(zip(CLASSES, np.eye(len(CLASSES), width) * 3.0, strict=True))
        for modality, width in modalities.items()
    }
    rows = list[str]()
    vectors: dict[str, dict[str, np.ndarray]] = {name: {} for name in modalities}
    for number in range(count):
        split = ("train", "train", "train", "train", "val", "test")[number % 6]
        video = f"{split}/{number:02d}"
        tags = set[str]()
        for modality, width in modalities.items():
            array = 0.05 * rng.standard_normal((SECONDS, width))
            array[:, -1] += 1  # a direction of no class, for seconds without events
            for name in rng.choice(CLASSES, size=rng.integers(1, 3), replace=False):
                onset = int(rng.integers(0, SECONDS - 1))
                offset = int(rng.integers(onset + 1, SECONDS + 1))
                array[onset:offset] += text[modality][name] / 3
                tags.add(name)
                if split != "train":
                    rows.append(
                        f"{video},{modality},{name},{onset},{offset},,{split}\n"
                    )
            vectors[modality][video] = (LENGTH * array).astype(np.float32)
        rows += [f"{video},,{name},,,,{split}\n" for name in sorted(tags)]
    return OwnVideos(HEADER + "".join(rows), text, vectors)
