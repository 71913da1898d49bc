"""Timelines as JSON and CSV, with exact times and scores."""

import csv
import io
import json

from vaplan.modalities import MODALITIES
from vaplan.timeline import Event, Timeline

EVENT_COLUMNS = ("modality", "class", "onset", "offset", "score")


def to_json(timeline: Timeline) -> str:
    """Format a timeline as one document: video, seconds, events, missing spans, warnings."""
    events = [
        dict(zip(EVENT_COLUMNS, _event_cells(event), strict=True)) for event in timeline
    ]
    missing = [
        {"modality": modality, "onset": onset, "offset": offset}
        for modality, onset, offset in timeline.missing
    ]
    document = {
        "video": timeline.video,
        "seconds": timeline.seconds,
        "events": events,
        "missing": missing,
        "warnings": list(timeline.warnings),
    }
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def to_csv(timeline: Timeline) -> str:
    """Format a timeline as the six columns of a table.

    A video without events has one row with an empty class. Ids are not changed, although a
    spreadsheet may read one that begins with `-` or `=` as a formula: 151 ids of LLP begin
    with `-`, and an escaped id would be another id.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["video", *EVENT_COLUMNS])
    for event in timeline:
        # the writer turns None into an empty cell
        writer.writerow([timeline.video, *_event_cells(event)])
    if not len(timeline):
        writer.writerow([timeline.video, *("" for _ in EVENT_COLUMNS)])
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
    segments = len(scores.values)
    for m, modality in enumerate(MODALITIES):
        for t in range(segments):
            if not scores.mask[t, m]:
                continue
            values = scores.values[t, m].tolist()
            cells = [f"{value:.6g}" for value in values]
            writer.writerow([modality, t, t + 1, *cells])
    return text.getvalue()


def _event_cells(event: Event) -> tuple[str | float | None, ...]:
    return (
        event.modality,
        event.class_name,
        event.onset,
        event.offset,
        event.score,
    )
