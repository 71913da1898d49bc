"""Issues of a data set, by kind, with the file and the line; nothing is changed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

from vaplan.annotations.rows import AnnotationRows, Issue, Row


def find_issues(sheet: AnnotationRows) -> tuple[Issue, ...]:
    """List the issues of the reader and of the rows.

    Args:
        sheet: Rows of a data set.
    """
    events = [row for row in sheet.rows if row.modality]
    return (
        *sheet.issues,
        *unknown_ids(sheet),
        *empty_events(events),
        *late_events(events, sheet.segments),
        *times_without_modality(sheet.rows),
        *repeated_rows(sheet.rows),
        *self_overlaps(events),
        *outside_tags(sheet.own()),
        *tags_without_event(sheet),
        *leaks(sheet),
    )


def unknown_ids(sheet: AnnotationRows) -> Iterator[Issue]:
    """Yield videos that the data set does not list; their rows are left out.

    Args:
        sheet: Rows of a data set.
    """
    unknown = defaultdict[str, list[Row]](list)
    for row in sheet.rows:
        if sheet.listed is not None and row.video not in sheet.listed:
            unknown[row.video].append(row)

    for video, rows in unknown.items():
        lines = [f"{name}: {text}" for name, text in _lines(rows).items()]
        what = f"{video} is in no split and its rows are left out ({'; '.join(lines)})"
        yield Issue("unknown id", what, video, rows[0].file, rows[0].line)


def empty_events(events: Iterable[Row]) -> Iterator[Issue]:
    """Yield events without a duration; they mark no segment.

    Args:
        events: Rows of events.
    """
    for row in events:
        onset, offset = row.span
        if onset >= offset:
            kind = "zero-length event" if onset == offset else "backward event"
            yield _at(row, kind, f"from {onset:g} to {offset:g} s marks nothing")


def late_events(events: Iterable[Row], segments: int | None) -> Iterator[Issue]:
    """Yield events that exceed the end of the video; they are cut there.

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


def times_without_modality(rows: Iterable[Row]) -> Iterator[Issue]:
    """Yield files whose events have no modality; they are tags of their videos.

    Args:
        rows: Rows of a data set.
    """
    rows_of = defaultdict[Path, list[Row]](list)
    for row in rows:
        if row.onset is not None and not row.modality:
            rows_of[row.file].append(row)
    for file, timed in rows_of.items():
        what = (
            f"{len(timed)} rows have times and no modality, so they count as tags of their "
            "videos; for dense labels add a column modality with audio, visual or both"
        )
        yield Issue(
            "times without a modality", what, timed[0].video, file, timed[0].line
        )


def repeated_rows(rows: Iterable[Row]) -> Iterator[Issue]:
    """Yield events and tags that are repeated.

    Args:
        rows: Rows of a data set.
    """
    first = dict[tuple[object, ...], Row]()
    for row in rows:
        if not row.class_name:
            continue

        content = (row.video, row.modality, row.class_name, row.onset, row.offset)
        earlier = first.setdefault(content, row)
        if earlier is not row:
            kind = "duplicate event" if row.modality else "repeated tag"
            yield _at(row, kind, f"as in line {earlier.line}")


def self_overlaps(events: Iterable[Row]) -> Iterator[Issue]:
    """Yield events of one class, modality and video that overlap or touch; they are merged.

    The events are ordered by onset and offset, without exact duplicates and events without a
    duration. An event that starts before the latest end so far overlaps; one that starts at it
    touches.

    Args:
        events: Rows of events.
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
                what = f"starts at {onset:g} s, another one ends at {end:g} s"
                yield _at(row, kind, what)
            end = max(end, offset)


def outside_tags(rows: Iterable[Row]) -> Iterator[Issue]:
    """Yield events of classes outside the tags of their video.

    Args:
        rows: Rows of a data set.
    """
    rows = list(rows)
    tags = _tags(rows)
    for row in rows:
        if not row.modality or row.video not in tags:
            continue
        names = tags[row.video]
        if row.class_name not in names:
            yield _at(row, "class outside the tags", f"the tags are {', '.join(names)}")


def tags_without_event(sheet: AnnotationRows) -> Iterator[Issue]:
    """Yield tags of densely labelled videos without an event of that class.

    Args:
        sheet: Rows of a data set.
    """
    rows = sheet.own()
    split = {row.video: row.split for row in rows if row.split}
    labelled = set[str]()
    with_event = set[tuple[str, str]]()
    tags = dict[tuple[str, str], Row]()
    for row in rows:
        key = row.video, row.class_name
        if row.is_dense or split.get(row.video) in sheet.labelled:
            labelled.add(row.video)
        if row.marks:
            with_event.add(key)
        if row.is_tag:
            tags[key] = row

    for key, row in tags.items():
        if row.video in labelled and key not in with_event:
            yield _at(row, "tag without an event", "no event in either modality")


def leaks(sheet: AnnotationRows) -> Iterator[Issue]:
    """Yield recordings with clips in two splits.

    Args:
        sheet: Rows of a data set.
    """
    clips = defaultdict[str, dict[str, Row]](dict)
    for row in sheet.own():
        if row.split:
            clips[sheet.recording(row.video)].setdefault(row.split, row)

    for recording, splits in clips.items():
        for first, second in combinations(splits, 2):
            clip, row = splits[first].video, splits[second]
            names = " and ".join(sorted((first, second)))
            yield Issue(
                f"leak between {names}",
                f"{recording}: {clip} is in {first} and {row.video} in {second}",
                row.video,
                row.file,
                row.line,
            )


def _tags(rows: Iterable[Row]) -> dict[str, list[str]]:
    tags = defaultdict[str, list[str]](list)
    for row in rows:
        if row.is_tag:
            tags[row.video].append(row.class_name)
    return tags


def _lines(rows: Iterable[Row]) -> dict[str, str]:
    """Describe the lines of rows, by file name."""
    lines = defaultdict[str, list[int]](list)
    for row in rows:
        lines[row.file.name].append(row.line)

    texts = dict[str, str]()
    for name, numbers in lines.items():
        word = "lines" if len(numbers) > 1 else "line"
        texts[name] = f"{word} {', '.join(map(str, numbers))}"
    return texts


def _at(row: Row, kind: str, what: str) -> Issue:
    subject = " ".join(filter(None, (row.video, row.modality, row.class_name)))
    return Issue(kind, f"{subject}: {what}", row.video, row.file, row.line)
