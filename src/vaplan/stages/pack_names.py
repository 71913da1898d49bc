"""How the ids of a data set name the parts of a published pack."""

from vaplan.annotations import Annotations
from vaplan.errors import AnnotationError
from vaplan.stages.data import YOUTUBE_ID

BACKGROUND = "background"


def youtube_names(data: Annotations) -> dict[str, str]:
    """The first characters of every id, by which published files are named; raises if two ids share them."""
    owner = dict[str, str]()
    for video in data.ids:
        other = owner.setdefault(video[:YOUTUBE_ID], video)
        if other != video:
            what = f"{other!r} and {video!r} begin alike, but the pack names its files by {video[:YOUTUBE_ID]!r} alone"
            raise AnnotationError(
                what, file=data.source, fix="import a data set with one of the two"
            )
    return {video: name for name, video in owner.items()}


def pack_row(data: Annotations, video: str) -> tuple[bool, int]:
    """Whether an id `NAME@ROW` is that of a background clip, and its row."""
    name, _, row = video.rpartition("@")
    if not name or not row.isascii() or not row.isdigit():
        what = f"{video!r} names no row of the pack's files"
        raise AnnotationError(
            what,
            file=data.source,
            fix="use ids that end with @ROW, as those of ave:DIR do",
        )
    return name == BACKGROUND, int(row)
