"""Events that a person corrected, as dense labels of a data set that has only tags."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vaplan.annotations.rows import Row
from vaplan.annotations.table import read_rows
from vaplan.errors import AnnotationError

VAL, TEST = "val", "test"


@dataclass(frozen=True)
class Corrections:
    """Events of the videos that a person finished.

    Attributes:
        source: The table of a review.
        rows: Rows of each video; a video without events has one row without a class.
    """

    source: Path
    rows: Mapping[str, Sequence[Row]]


def read_corrections(
    table: Path, finished: Collection[str] | None = None
) -> Corrections:
    """Read the finished videos of a reviewed table.

    Args:
        table: Table that `vaplan review` wrote, or any table of events.
        finished: Ids of the finished videos; by default all videos of the table.

    Raises:
        AnnotationError: The table cannot be read, or no video is finished.
    """
    rows = dict[str, list[Row]]()
    for row in read_rows(table, may_be_empty=True).rows:
        if finished is None or row.video in finished:
            rows.setdefault(row.video, []).append(row)
    if not rows:
        raise AnnotationError(
            "no video of this table is finished",
            file=table,
            fix="finish videos in `vaplan review`: the button Done, or the key D",
        )
    return Corrections(table, rows)


def apply_corrections(
    rows: Sequence[Row], corrections: Corrections, *, test_share: float
) -> list[Row]:
    """Replace the tags of the corrected videos by their events.

    A corrected video is densely labelled. It joins split `test` or `val` by a number that is
    computed from its id, so that more corrections never move it to the other split.

    Args:
        rows: Tags of all videos.
        corrections: Events of some of them.
        test_share: Share of the corrected videos that is kept to measure.

    Raises:
        AnnotationError: A corrected video has no tags.
    """
    path_of = {row.video: row.path for row in rows}
    unknown_videos = [video for video in corrections.rows if video not in path_of]
    if unknown_videos:
        raise AnnotationError(
            f"{len(unknown_videos)} corrected videos have no tags, the first is "
            f"{unknown_videos[0]!r}",
            file=corrections.source,
            fix="give the corrections of these videos, or add the videos to the tags",
        )
    corrected = list[Row]()
    for video, events in corrections.rows.items():
        split = TEST if _position(video) < test_share else VAL
        corrected += [
            replace(event, path=path_of[video], split=split, score=None)
            for event in events
        ]
    others = [row for row in rows if row.video not in corrections.rows]
    return [*others, *corrected]


def _position(video: str) -> float:
    """Return a number from 0 to 1 that depends on the id alone."""
    digest = hashlib.blake2b(video.encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
