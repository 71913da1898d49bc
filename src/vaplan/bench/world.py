"""The drawn world as a data set with features, for whoever has no data at hand: rendered once,
encoded once."""

from collections.abc import Callable
from pathlib import Path

from vaplan import stages, synthetic
from vaplan.errors import UsageError
from vaplan.workers import Progress

Bars = Callable[[str], Progress]

SPLITS = {"train": 18, "val": 2, "test": 10}  # parts of the videos
EMBEDDED = (("embedded",), ("embedded",))
TRUTH = "train_truth.csv"  # which no stage reads


def make_world(
    folder: Path, store: Path, *, videos: int, seed: int, bars: Bars
) -> Path:
    """Render and encode missing videos; return the table of annotations.

    Args:
        folder: Folder of the files.
        store: Feature store.
        videos: Number of videos.
        seed: Seed of the videos.
        bars: Makes a progress callback from a name.

    Raises:
        UsageError: The folder contains videos of another seed.
    """
    table = _render(folder, videos, seed, bars("render"))
    data = stages.read_data(f"table:{table}")
    outcome = stages.features(
        data, folder, store, encoders=EMBEDDED, progress=bars("features")
    )
    if outcome.failed:
        what = f"{len(outcome.failed)} rendered videos cannot be read"
        raise UsageError(what, fix=f"delete {folder.parent} and start again")
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
    parts = sum(SPLITS.values())
    counts = {split: videos * part // parts for split, part in SPLITS.items()}
    clips = synthetic.plan_clips(counts, seed=seed)
    return synthetic.render(clips, folder, progress=bar)
