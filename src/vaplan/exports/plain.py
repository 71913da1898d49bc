"""Timelines as JSON and CSV, with exact times and scores."""

import csv
import io
import json

from vaplan.modalities import MODALITIES
from vaplan.timeline import Event, Timeline

COLUMNS = ("video", "modality", "class", "onset", "offset", "score")


def to_json(timeline: Timeline) -> str:
    """Write a timeline as JSON: video, seconds, events, missing spans and warnings.

    Args:
        timeline: Timeline to write.
    """
    events = [dict(zip(COLUMNS[1:], _cells(event), strict=True)) for event in timeline]
    document = {
        "video": timeline.video,
        "seconds": timeline.seconds,
        "events": events,
        "missing": [
            {"modality": modality, "onset": onset, "offset": offset}
            for modality, onset, offset in timeline.missing
        ],
        "warnings": list(timeline.warnings),
    }
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def to_csv(timeline: Timeline) -> str:
    """Write a timeline as the six columns of a table.

    A video without events has one row with an empty class. Ids are written unchanged, although a
    spreadsheet may read an id that starts with `-` or `=` as a formula: 151 ids of LLP start
    with `-`, and a changed id would name another video.

    Args:
        timeline: Timeline to write.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    empty_row = (None,) * len(COLUMNS[1:])
    rows = [_cells(event) for event in timeline] or [empty_row]
    for row in rows:
        writer.writerow([timeline.video, *row])  # None is an empty cell
    return text.getvalue()


def segment_scores_csv(timeline: Timeline) -> str:
    """Format the scores of every segment as CSV.

    The columns are modality, onset and offset in seconds, and one column a class. Segments
    that a modality lacks have no row.

    Args:
        timeline: Timeline with the scores of its segments.

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
        for t, exists in enumerate(scores.mask[:, m]):
            if exists:
                values = [f"{value:.6g}" for value in scores.values[t, m].tolist()]
                writer.writerow([modality, t, t + 1, *values])
    return text.getvalue()


def _cells(event: Event) -> tuple[str | float | None, ...]:
    return event.modality, event.class_name, event.onset, event.offset, event.score
