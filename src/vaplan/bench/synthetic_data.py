"""Synthetic videos as a data set with features: rendered once and encoded once."""

from collections.abc import Callable
from pathlib import Path

from vaplan import stages, synthetic
from vaplan.errors import UsageError
from vaplan.locks import lock_folder
from vaplan.workers import Progress

Bars = Callable[[str], Progress]

SPLITS = {"train": 18, "val": 2, "test": 10}  # shares of the videos
EMBEDDED = (("embedded",), ("embedded",))
TRUTH = "train_truth.csv"  # dense labels of the training videos; no stage reads them


def make_data(folder: Path, store: Path, *, videos: int, seed: int, bars: Bars) -> Path:
    """Render and encode missing videos; return the table of annotations.

    Args:
        folder: Folder of the files.
        store: Feature store.
        videos: Number of videos.
        seed: Seed of the videos.
        bars: Makes a progress callback from a name.

    Raises:
        UsageError: The folder contains videos of another seed.
        MachineError: Another process renders into the folder.
    """
    with lock_folder(folder, kind="folder of synthetic videos"):
        table = _render(folder, videos, seed, bars("render"))
    data = stages.read_data(f"table:{table}")
    outcome = stages.features(
        data, folder, store, encoders=EMBEDDED, progress=bars("features")
    )
    if outcome.failed:
        raise UsageError(
            f"{len(outcome.failed)} rendered videos cannot be decoded",
            file=folder,
            fix="delete this folder and start again",
        )
    return table


def _refuse_other_seed(folder: Path, seed: int) -> None:
    """Raise UsageError if a folder contains videos of another seed."""
    prefix = f"{seed}-"
    for path in (folder / "media").glob("*.mp4"):
        if not path.name.startswith(prefix):
            other, _, _ = path.name.partition("-")
            raise UsageError(
                f"it contains videos of seed {other}, not {seed}",
                file=folder,
                fix=f"give another folder, or --seed {other}",
            )


def _render(folder: Path, videos: int, seed: int, bar: Progress) -> Path:
    _refuse_other_seed(folder, seed)
    shares = sum(SPLITS.values())
    counts = {split: videos * share // shares for split, share in SPLITS.items()}
    clips = synthetic.plan_clips(counts, seed=seed)
    return synthetic.render(clips, folder, progress=bar)
