"""JSON and CSV: everything a timeline says, with times and scores as exact as they are held."""

import csv
import io
import json

from vaplan.modalities import MODALITIES
from vaplan.timeline import Event, Timeline

COLUMNS = ("video", "modality", "class", "onset", "offset", "score")


def to_json(timeline: Timeline) -> str:
    """One document: video, seconds, events, missing spans and warnings."""
    document = {
        "video": timeline.video,
        "seconds": timeline.seconds,
        "events": [
            dict(zip(COLUMNS[1:], _cells(event), strict=True)) for event in timeline
        ],
        "missing": [
            {"modality": modality, "onset": onset, "offset": offset}
            for modality, onset, offset in timeline.missing
        ],
        "warnings": list(timeline.warnings),
    }
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def to_csv(timeline: Timeline) -> str:
    """The table's six columns; a video without events has one row with an empty class.

    Ids are written as they are, although a spreadsheet may read one that begins with `-` or `=`
    as a
    formula: 151 ids of LLP begin with `-`, and a defused id would be another id.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    rows: list[tuple[object, ...]] = [_cells(event) for event in timeline] or [
        ("",) * len(COLUMNS[1:])
    ]
    writer.writerows(
        [timeline.video, *("" if cell is None else cell for cell in row)]
        for row in rows
    )
    return text.getvalue()


def segment_scores_csv(timeline: Timeline) -> str:
    """Format the scores of every segment as CSV.

    The columns are modality, onset and offset in seconds, and one column a class. Segments
    that a modality lacks have no row.

    Raises:
        ValueError: The timeline has no segment scores.
    """
    scores = timeline.scores
    if scores is None:
        raise ValueError("the timeline has no segment scores; parse with scores=True")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["modality", "onset", "offset", *scores.classes])
    for m, modality in enumerate(MODALITIES):
        for t in range(len(scores.values)):
            if scores.mask[t, m]:
                values = [f"{value:.6g}" for value in scores.values[t, m].tolist()]
                writer.writerow([modality, t, t + 1, *values])
    return text.getvalue()


def _cells(event: Event) -> tuple[str | float | None, ...]:
    return event.modality, event.class_name, event.onset, event.offset, event.score
