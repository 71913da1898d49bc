"""Issues of a data set, each with its file and line. Nothing is repaired, nothing is hidden."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations

from vaplan.annotations.rows import AnnotationRows, Issue, Row


def find_issues(sheet: AnnotationRows) -> tuple[Issue, ...]:
    """List the issues of the rows, after the issues that the reader found."""
    events = [row for row in sheet.rows if row.modality]
    return (
        *sheet.issues,
        *unknown_ids(sheet),
        *empty_events(events),
        *late_events(events, sheet.segments),
        *repeated(sheet.rows),
        *self_overlaps(events),
        *outside_tags(sheet.own()),
        *tags_without_event(sheet),
        *leaks(sheet),
    )


def unknown_ids(sheet: AnnotationRows) -> Iterator[Issue]:
    """List videos that have rows but are not in the data set; their rows are left out."""
    strangers = defaultdict[str, list[Row]](list)
    for row in sheet.rows:
        if sheet.listed is not None and row.video not in sheet.listed:
            strangers[row.video].append(row)
    for video, rows in strangers.items():
        lines_by_file = "; ".join(
            f"{name}: {lines}" for name, lines in _lines(rows).items()
        )
        what = f"{video} is in no split and its rows are left out ({lines_by_file})"
        yield Issue("unknown id", what, video, rows[0].file, rows[0].line)


def empty_events(events: Iterable[Row]) -> Iterator[Issue]:
    """List events that end at their onset or before; they mark nothing."""
    for row in events:
        onset, offset = row.span
        if onset >= offset:
            kind = "zero-length event" if onset == offset else "backward event"
            yield _at(row, kind, f"from {onset:g} to {offset:g} s marks nothing")


def late_events(events: Iterable[Row], segments: int | None) -> Iterator[Issue]:
    """List events that exceed the end of the video; they are cut there.

    Args:
        events: Rows of events.
        segments: Number of segments of every video, if fixed.
    """
    for row in events:
        if segments is not None and row.span[1] > segments:
            yield _at(
                row,
                "event past the end",
                f"ends at {row.span[1]:g} s, the video at {segments} s",
            )


def repeated(rows: Iterable[Row]) -> Iterator[Issue]:
    """List rows that repeat an event, or a tag of a video."""
    first: dict[tuple[object, ...], Row] = {}
    for row in rows:
        if row.class_name:
            earlier_row = first.setdefault(
                (row.video, row.modality, row.class_name, row.onset, row.offset), row
            )
            if earlier_row is not row:
                kind = "duplicate event" if row.modality else "repeated tag"
                yield _at(row, kind, f"as in line {earlier_row.line}")


def self_overlaps(events: Iterable[Row]) -> Iterator[Issue]:
    """List events that overlap or touch another of the same class; they are merged.

    The events of a class in one modality of a video are sorted by onset and offset, without
    duplicates and events of no length. An event overlaps if it begins before the latest end
    so far; it touches if it begins there.
    """
    groups = defaultdict[tuple[str, str, str], dict[tuple[float, float], Row]](dict)
    for row in events:
        if row.marks:
            groups[row.video, row.modality, row.class_name].setdefault(row.span, row)
    for spans in groups.values():
        end = -1.0
        for (onset, offset), row in sorted(spans.items(), key=lambda item: item[0]):
            if onset <= end:
                kind = "self-overlap" if onset < end else "touching events"
                yield _at(
                    row,
                    kind,
                    f"from {onset:g} s on, where another goes on until {end:g} s",
                )
            end = max(end, offset)


def outside_tags(rows: Iterable[Row]) -> Iterator[Issue]:
    """List events of classes outside the tags of their video."""
    rows = list(rows)
    tags = _tags(rows)
    for row in rows:
        if row.modality and row.video in tags and row.class_name not in tags[row.video]:
            yield _at(
                row,
                "class outside the tags",
                f"the tags are {', '.join(tags[row.video])}",
            )


def tags_without_event(sheet: AnnotationRows) -> Iterator[Issue]:
    """List tags of densely labelled videos without an event of that class."""
    rows = sheet.own()
    split = {row.video: row.split for row in rows if row.split}
    labelled = {
        row.video
        for row in rows
        if row.modality or not row.class_name or split.get(row.video) in sheet.labelled
    }
    marked = {(row.video, row.class_name) for row in rows if row.marks}
    for row in {
        (row.video, row.class_name): row
        for row in rows
        if not row.modality and row.class_name
    }.values():
        if row.video in labelled and (row.video, row.class_name) not in marked:
            yield _at(row, "tag without an event", "nowhere heard or seen")


def leaks(sheet: AnnotationRows) -> Iterator[Issue]:
    """List recordings with clips in two splits."""
    clips = defaultdict[str, dict[str, Row]](dict)
    for row in sheet.own():
        if row.split:
            clips[sheet.recording(row.video)].setdefault(row.split, row)
    for recording, splits in clips.items():
        for one, other in combinations(splits, 2):
            row = splits[other]
            what = f"{recording}: {splits[one].video} is in {one} and {row.video} in {other}"
            kind = f"leak between {' and '.join(sorted((one, other)))}"
            yield Issue(kind, what, row.video, row.file, row.line)


def _tags(rows: Iterable[Row]) -> dict[str, list[str]]:
    tags = defaultdict[str, list[str]](list)
    for row in rows:
        if row.class_name and not row.modality:
            tags[row.video].append(row.class_name)
    return tags


def _lines(rows: Iterable[Row]) -> dict[str, str]:
    """Return the lines of rows as text, by file name."""
    lines = defaultdict[str, list[int]](list)
    for row in rows:
        lines[row.file.name].append(row.line)
    return {
        name: f"line{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
        for name, numbers in lines.items()
    }


def _at(row: Row, kind: str, what: str) -> Issue:
    subject = " ".join(filter(None, (row.video, row.modality, row.class_name)))
    return Issue(kind, f"{subject}: {what}", row.video, row.file, row.line)
