"""Label tracks of Audacity: onset, offset and label, separated by tabs. Times are microseconds.

The label is the lane and its score, as in `audio:Dog [0.83]`.

Source: Audacity manual, "Importing and Exporting Labels",
https://manual.audacityteam.org/man/importing_and_exporting_labels.html.
"""

from pathlib import Path

from vaplan.annotations.fields import number
from vaplan.errors import AnnotationError
from vaplan.exports.labels import (
    Defaults,
    check_timeline,
    in_order,
    label,
    new_timeline,
    read_label,
    round_events,
)
from vaplan.reading import plain_text
from vaplan.timeline import Event, Timeline

MICROSECONDS = 1_000_000  # in a second
FREQUENCIES = "\\"  # begins a line with the frequencies of the label above


def write(timeline: Timeline) -> str:
    """Format a timeline as a label track."""
    check_timeline(timeline, "Audacity")
    events = in_order(round_events(timeline, MICROSECONDS))
    lines = [f"{e.onset:.6f}\t{e.offset:.6f}\t{label(e)}\n" for e in events]
    return "".join(lines)


def read(path: Path, video: str, defaults: Defaults) -> list[Timeline]:
    """Read a label track; frequencies of labels are left out.

    Args:
        path: File to read.
        video: Id of the video.
        defaults: Modality of labels that name none.

    Raises:
        AnnotationError: A line is no label of an event; the error names it.
    """
    events = list[Event]()
    lines = plain_text(path).splitlines()
    for line, text in enumerate(lines, start=1):
        if not text.strip() or text.startswith(FREQUENCIES):
            continue
        cells = text.split("\t")
        if len(cells) != 3:
            raise AnnotationError(
                f"{len(cells)} fields, expected onset, offset and label",
                file=path,
                line=line,
                fix="separate them by tabs, as Audacity does",
            )

        onset, offset = (
            number(name, cell.strip(), file=path, line=line)
            for name, cell in zip(("onset", "offset"), cells[:2], strict=True)
        )
        events += read_label(cells[2], onset, offset, defaults, file=path, line=line)
    return [new_timeline(video, events)]
