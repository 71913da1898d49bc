"""Tables of sound event detection (DCASE): one TSV a modality with the events of all videos.

The files are `audio.tsv` and `visual.tsv`. A video is a file name, `<id>.wav` or `<id>.mp4`; a
video without events has a row with an empty label. Times are exact; scores are left out.

Source: https://dcase.community, "Sound event detection in domestic environments".
"""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from vaplan.annotations.dcase import read_rows
from vaplan.errors import AnnotationError
from vaplan.exports.labels import (
    Defaults,
    check_span,
    check_timeline,
    in_modalities,
    new_timeline,
)
from vaplan.modalities import AUDIO, MODALITIES, VISUAL
from vaplan.timeline import Event, Timeline

COLUMNS = ("filename", "onset", "offset", "event_label")
SUFFIXES = {MODALITIES[AUDIO]: ".wav", MODALITIES[VISUAL]: ".mp4"}


def write(timelines: Sequence[Timeline]) -> dict[str, str]:
    """Format timelines as one table for each modality."""
    for timeline in timelines:
        check_timeline(timeline, "DCASE")
    return {f"{one}.tsv": _format_table(timelines, one) for one in MODALITIES}


def _format_table(timelines: Sequence[Timeline], modality: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    for timeline in timelines:
        file = f"{timeline.video}{SUFFIXES[modality]}"
        events = timeline.of(modality)
        for event in events:
            writer.writerow([file, event.onset, event.offset, event.class_name])
        if not events:
            writer.writerow([file, "", "", ""])
    return text.getvalue()


def read(
    path: Path,
    video: str,  # noqa: ARG001 - the rows name their videos
    defaults: Defaults,
) -> list[Timeline]:
    """Read a table of events with times.

    The events of a file named `visual` are visual; those of others are audio, as DCASE is
    about sounds, unless a default is given.

    Args:
        path: File to read.
        video: Unused; the rows name their videos, or the file is named after its video.
        defaults: Modality of the events of a file that is not named after one.

    Raises:
        AnnotationError: A row is no event with times; the error names it.
    """
    modality = path.stem if path.stem in MODALITIES else defaults.modality
    modalities = in_modalities(modality or MODALITIES[AUDIO])
    events = defaultdict[str, list[Event]](list)
    for row in read_rows(path):
        video_events = events[row.video]
        if not row.class_name:
            continue
        if not row.modality:
            raise AnnotationError(
                f"label {row.class_name!r} has no times",
                file=path,
                line=row.line,
                fix="give a table with onset and offset",
            )
        check_span(*row.span, row.class_name, file=path, line=row.line)
        for one in modalities:
            video_events.append(Event(one, row.class_name, *row.span))
    return [new_timeline(name, own_events) for name, own_events in events.items()]
