"""RTTM, the format of speaker diarisation: one line an event. Times are milliseconds.

The speaker is the lane, as in `audio:Dog`, and the score is the confidence. Fields are separated
by spaces, so spaces and `%` in names are written as `%20` and `%25`.

Source: NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan",
appendix A.
"""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

from vaplan.annotations.fields import check_id, number
from vaplan.errors import AnnotationError
from vaplan.exports.labels import (
    MILLISECONDS,
    Defaults,
    check_span,
    check_timeline,
    in_order,
    new_timeline,
    read_lane,
    round_span,
)
from vaplan.reading import plain_text
from vaplan.timeline import Event, Timeline

KIND, CHANNEL, NOTHING = "SPEAKER", "1", "<NA>"
FIELDS = 9, 10  # the tenth, a look-ahead time, is often missing
COMMENT = ";;"
ESCAPED = "%;<"  # and every space


def write(timeline: Timeline) -> str:
    """Format a timeline as RTTM; a timeline without events is an empty file."""
    check_timeline(timeline, "RTTM")
    lines = []
    for event in in_order(timeline):
        onset, offset = round_span(event, MILLISECONDS)
        score = NOTHING if event.score is None else repr(event.score)
        cells = (
            KIND,
            escape(timeline.video),
            CHANNEL,
            f"{Decimal(onset) / MILLISECONDS:.3f}",
            f"{Decimal(offset - onset) / MILLISECONDS:.3f}",
            NOTHING,
            NOTHING,
            escape(event.lane),
            score,
            NOTHING,
        )
        lines.append(" ".join(cells) + "\n")
    return "".join(lines)


def escape(name: str) -> str:
    """Return a name as one field of a line.

    >>> escape("audio:Dog barking 100%")
    'audio:Dog%20barking%20100%25'

    Args:
        name: Id of a video, or name of a lane.
    """
    return "".join(
        "".join(f"%{byte:02X}" for byte in character.encode())
        if character.isspace() or character in ESCAPED
        else character
        for character in name
    )


def read(path: Path, video: str, defaults: Defaults) -> list[Timeline]:
    """Read the events of RTTM, of one or several videos; lines of other kinds are left out.

    Args:
        path: File to read.
        video: Id of the video of an empty file.
        defaults: Modality of speakers that name none.

    Raises:
        AnnotationError: A line is no event; the error names it.
    """
    events = defaultdict[str, list[Event]](list)
    lines = plain_text(path).splitlines()
    for line, text in enumerate(lines, start=1):
        cells = text.split()
        if not cells or text.startswith(COMMENT) or cells[0] != KIND:
            continue
        if len(cells) not in FIELDS:
            raise AnnotationError(
                f"{len(cells)} fields, expected {FIELDS[1]}",
                file=path,
                line=line,
                fix="write spaces in names as %20",
            )

        name = unquote(cells[1])
        check_id(name, file=path, line=line)
        onset, duration = (
            number(key, cell, file=path, line=line)
            for key, cell in zip(("onset", "duration"), cells[3:5], strict=True)
        )
        offset = float(Decimal(repr(onset)) + Decimal(repr(duration)))

        modalities, class_name = read_lane(
            unquote(cells[7]), defaults, file=path, line=line
        )
        check_span(onset, offset, cells[7], file=path, line=line)
        score = None
        if cells[8] != NOTHING:
            score = number("confidence", cells[8], file=path, line=line)
        events[name] += [
            Event(modality, class_name, onset, offset, score) for modality in modalities
        ]

    if not events:
        events[video] = []
    return [new_timeline(name, own_events) for name, own_events in events.items()]
