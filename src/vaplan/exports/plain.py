"""Timelines as JSON, and as tables (CSV and Parquet), with exact times and scores."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vaplan.annotations.fields import check_id, check_text
from vaplan.annotations.published import (
    expect,
    expect_item,
    expect_key,
    expect_number,
    expect_seconds,
)
from vaplan.annotations.rows import Row
from vaplan.annotations.table import checked_rows
from vaplan.errors import AnnotationError, unknown
from vaplan.exports.labels import Defaults, check_span
from vaplan.modalities import MODALITIES
from vaplan.reading import json_value
from vaplan.timeline import TABLE_COLUMNS, Event, Timeline

EVENT_COLUMNS = TABLE_COLUMNS[1:]
NO_TIMELINE = "give a timeline that `vaplan parse` wrote"


def to_json(timeline: Timeline) -> str:
    """Format a timeline as one document: video, seconds, events, missing spans, warnings."""
    events = [event_cells(event) for event in timeline]
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


def from_json(
    path: Path,
    video: str,  # noqa: ARG001 - the file names everything
    defaults: Defaults,  # noqa: ARG001
) -> list[Timeline]:
    """Read the document of `to_json`.

    Args:
        path: File to read.
        video: Unused; the file names its video.
        defaults: Unused; the file names every modality.

    Raises:
        AnnotationError: The file is no timeline; the error names the value and its place.
    """
    document = expect(json_value(path), dict, "", file=path)
    name = expect_item(document, "video", str, "", file=path)
    check_id(name, file=path, line=None)

    seconds = expect_key(document, "seconds", "", path)
    events = expect_item(document, "events", list, "", file=path)
    missing = expect(document.get("missing", []), list, "missing", file=path)
    warnings = expect(document.get("warnings", []), list, "warnings", file=path)

    return [
        Timeline(
            name,
            expect_seconds(seconds, "seconds", file=path),
            tuple(
                _read_event(event, f"events[{n}]", path)
                for n, event in enumerate(events)
            ),
            tuple(
                _read_span(span, f"missing[{n}]", path)
                for n, span in enumerate(missing)
            ),
            tuple(
                expect(text, str, f"warnings[{n}]", file=path)
                for n, text in enumerate(warnings)
            ),
        )
    ]


def _read_event(value: object, place: str, file: Path) -> Event:
    event: Mapping[str, Any] = expect(value, dict, place, file=file)
    name = expect_item(event, "class", str, place, file=file)
    check_text(f"{place}.class", name, file=file, line=None)
    modality, onset, offset = _read_span(event, place, file)
    check_span(onset, offset, name, file=file)

    score = event.get("score")
    if score is not None:
        score = expect_number(score, f"{place}.score", file=file)
    return Event(modality, name, onset, offset, score)


def _read_span(value: object, place: str, file: Path) -> tuple[str, float, float]:
    span: Mapping[str, Any] = expect(value, dict, place, file=file)
    modality = expect_key(span, "modality", place, file)
    if modality not in MODALITIES:
        raise AnnotationError(
            f"{place}: {unknown('modality', str(modality), MODALITIES)}",
            file=file,
            fix=NO_TIMELINE,
        )
    onset, offset = (
        expect_seconds(expect_key(span, key, place, file), f"{place}.{key}", file=file)
        for key in ("onset", "offset")
    )
    return str(modality), onset, offset


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
        writer.writerow([timeline.video, *event_cells(event).values()])
    if not len(timeline):
        writer.writerow([timeline.video, *("" for _ in EVENT_COLUMNS)])
    return text.getvalue()


def to_parquet(timeline: Timeline) -> bytes:
    """Format a timeline as a Parquet table with the six columns of a table.

    A video without events has one row with an empty class.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = [
        {"video": timeline.video, **event_cells(event)} for event in timeline
    ]
    empty = {"video": timeline.video, "modality": "", "class": ""}
    numbers = ("onset", "offset", "score")
    types = {
        name: pa.float64() if name in numbers else pa.string() for name in TABLE_COLUMNS
    }

    table = pa.Table.from_pylist(rows or [empty], schema=pa.schema(types))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def from_table(
    path: Path,
    video: str,  # noqa: ARG001 - the file names everything
    defaults: Defaults,  # noqa: ARG001
) -> list[Timeline]:
    """Read the timelines of a table, CSV or Parquet; see `vaplan.read_table`.

    Args:
        path: File to read.
        video: Unused; the table names its videos.
        defaults: Unused; the table names every modality.

    Raises:
        AnnotationError: A row is not valid, or the table has no column of modalities.
    """
    return [timeline for timeline, _ in read_table(path)]


def read_table(path: Path) -> Iterator[tuple[Timeline, str]]:
    """Read the timelines of a table with the paths of their media files.

    Rows of tags, without a modality, are left out; so is a video that has no other row.

    Args:
        path: Table, CSV or Parquet.

    Yields:
        A timeline, as long as its last event, and the path in the column `path`, or "".

    Raises:
        AnnotationError: A row is not valid, or the table has no column of modalities.
    """
    rows_of = defaultdict[str, list[Row]](list)
    _, rows = checked_rows(path, needs_modality=True)
    for row in rows:
        if row.is_dense:
            rows_of[row.video].append(row)

    for video, own_rows in rows_of.items():
        events = tuple(
            Event(modality, row.class_name, *row.span, row.score)
            for row in own_rows
            if row.modality
            for modality in row.modalities
        )
        seconds = max((event.offset for event in events), default=0.0)
        yield Timeline(video, seconds, events), own_rows[0].path


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


def event_cells(event: Event) -> dict[str, str | float | None]:
    """Return the cells of an event by the names of the columns of a table.

    Args:
        event: Event.
    """
    return {
        "modality": event.modality,
        "class": event.class_name,
        "onset": event.onset,
        "offset": event.offset,
        "score": event.score,
    }
