"""`metadata.jsonl` of Hugging Face data sets: one line a media file, to be put beside the files.

A folder of media files with it is an `audiofolder` or `videofolder` data set. Times are exact.

Source: https://huggingface.co/docs/datasets/video_load.
"""

import json
from collections.abc import Sequence

from vaplan.errors import UsageError
from vaplan.exports.plain import event_cells
from vaplan.timeline import MediaLink, Timeline

FILE = "metadata.jsonl"


def write(timelines: Sequence[Timeline]) -> dict[str, str]:
    """Format timelines as one line a media file: its name, id, length and events."""
    lines = []
    for timeline in timelines:
        row = {
            "file_name": media_of(timeline).name,
            "video": timeline.video,
            "seconds": timeline.seconds,
            "events": [event_cells(event) for event in timeline],
        }
        lines.append(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    return {FILE: "".join(lines)}


def media_of(timeline: Timeline) -> MediaLink:
    """Return the media file of a timeline.

    Args:
        timeline: Timeline for a format that needs the file.

    Raises:
        UsageError: The file is not known.
    """
    if timeline.media is None:
        raise UsageError(
            f"the media file of {timeline.video!r} is not known",
            fix="give the folder of the media files with --media DIR",
        )
    return timeline.media
