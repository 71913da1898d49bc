"""Events of untrimmed videos in the JSON of ActivityNet; UnAV-100 is published in it.

`{"version": …, "database": {ID: {"subset": …, "duration": …, "annotations": [{"segment":
[start, end], "label": …}]}}}`, times in seconds. An annotation may have the keys `modality` and
`score` too, which vaplan writes.
Sources: Caba Heilbron, Escorcia, Ghanem, Niebles, CVPR 2015 (ActivityNet,
http://activity-net.org); Geng, Wang, Duan, Cheng, CVPR 2023, arXiv 2303.12930 (UnAV-100,
https://github.com/ttgeng233/UnAV).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vaplan.annotations.fields import check_id, check_text
from vaplan.annotations.published import (
    classes_of,
    expect,
    expect_item,
    expect_number,
    expect_seconds,
    one_modality,
    split_of,
)
from vaplan.annotations.rows import BOTH, AnnotationRows, Issue, Row
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.modalities import MODALITIES, VISUAL
from vaplan.reading import json_value
from vaplan.timeline import Event

AUDIO_VISUAL = "unav"  # start of the version of files whose events are heard and seen
ROUNDING = 0.01  # seconds by which an event may exceed the rounded length of its video


@dataclass(frozen=True)
class Entry:
    """One video of the database: where it is, its split, its length and its events."""

    video: str
    place: str
    subset: str
    split: str
    duration: float | None
    events: tuple[Event, ...]  # the modality of one that names none is empty


def read(path: Path, *, annotations: str = "") -> AnnotationRows:
    """Read the events of a database.

    Every event is in both modalities if the version in the file begins with `unav`, and
    otherwise in the visual one: ActivityNet names what people see. Videos of a subset in which
    no video has an event are left out and counted, because their labels are not published; in
    other subsets a video without events was looked at and holds nothing.

    Args:
        path: JSON file.
        annotations: Modality of the events, `audio`, `visual` or `both`, where the version of
            the file does not say it.

    Raises:
        UsageError: `annotations` is no modality.
        AnnotationError: The file cannot be read; the error names the value and its place.
    """
    modalities = (*MODALITIES, BOTH)
    if annotations and annotations not in modalities:
        raise UsageError(
            unknown("modality", annotations, modalities),
            file=path,
            fix="give their modality: --annotations audio, visual or both",
        )
    modality, version, entries = read_database(path, modality=annotations)
    events = Counter[str]()
    for entry in entries:
        events[entry.subset] += len(entry.events)
    hidden = [entry for entry in entries if not events[entry.subset]]
    rows = [
        row
        for entry in entries
        if events[entry.subset]
        for row in _rows(entry, modality, path)
    ]
    return AnnotationRows(
        source=path,
        taxonomy=classes_of(rows, path),
        rows=rows,
        version=f"{version or path.name}, events in {modality}",
        files=(path,),
        issues=(
            *_hidden(hidden, path),
            *_late(entries, path),
            *one_modality(rows),
        ),
    )


def read_database(path: Path, *, modality: str = "") -> tuple[str, str, list[Entry]]:
    """Read the videos of a database.

    Args:
        path: JSON file.
        modality: Modality of events that name none, if the user gave one.

    Returns:
        The modality of events that name none, the version, and the videos.

    Raises:
        AnnotationError: The file cannot be read; the error names the value and its place.
    """
    document = expect(json_value(path), dict, "", file=path)
    database = expect_item(document, "database", dict, "", file=path)
    entries = [_entry(video, value, path) for video, value in database.items()]
    version = str(document.get("version", ""))
    is_audio_visual = version.casefold().startswith(AUDIO_VISUAL)
    default = modality or (BOTH if is_audio_visual else MODALITIES[VISUAL])
    return default, version, entries


def _entry(video: str, value: object, file: Path) -> Entry:
    place = f"database[{video[:60]!r}]"
    check_id(video, file=file, line=None)
    entry = expect(value, dict, place, file=file)
    subset = expect_item(entry, "subset", str, place, file=file)
    if not split_of(subset):
        raise AnnotationError(
            f"{place}.subset is {subset[:60]!r}, expected train, val or test",
            file=file,
            fix="name the subset training, validation or testing",
        )

    events_place = f"{place}.annotations"
    events = expect(entry.get("annotations", []), list, events_place, file=file)
    duration = entry.get("duration")
    if duration is not None:
        duration = expect_seconds(duration, f"{place}.duration", file=file)
    return Entry(
        video,
        place,
        subset,
        split_of(subset),
        duration,
        tuple(
            _event(event, f"{events_place}[{n}]", file)
            for n, event in enumerate(events)
        ),
    )


def _event(value: object, place: str, file: Path) -> Event:
    event: Mapping[str, object] = expect(value, dict, place, file=file)
    label = expect_item(event, "label", str, place, file=file).strip()
    check_text(f"{place}.label", label, file=file, line=None)
    if not label:
        raise AnnotationError(
            f"{place}.label is empty", file=file, fix="name the class of the event"
        )

    segment = expect_item(event, "segment", list, place, file=file)
    if len(segment) != 2:
        raise AnnotationError(
            f"{place}.segment has {len(segment)} values, expected start and end",
            file=file,
            fix="compare it with the published file",
        )
    onset, offset = (
        expect_seconds(time, f"{place}.segment[{n}]", file=file)
        for n, time in enumerate(segment)
    )
    modality = event.get("modality", "")
    if modality not in ("", *MODALITIES):
        raise AnnotationError(
            f"{place}.modality: {unknown('modality', str(modality), MODALITIES)}",
            file=file,
            fix="correct it, or leave it out",
        )
    score = event.get("score")
    if score is not None:
        score = expect_number(score, f"{place}.score", file=file)
    return Event(str(modality), label, onset, offset, score)


def _rows(entry: Entry, modality: str, file: Path) -> Iterator[Row]:
    if not entry.events:
        yield Row(entry.video, split=entry.split, file=file)
    for event in entry.events:
        yield Row(
            entry.video,
            event.modality or modality,
            event.class_name,
            event.onset,
            event.offset,
            event.score,
            split=entry.split,
            file=file,
        )


def _hidden(entries: list[Entry], file: Path) -> Iterator[Issue]:
    """Name the subsets without an event; their videos are left out."""
    first = dict[str, Entry]()
    for entry in entries:
        first.setdefault(entry.subset, entry)

    count = Counter(entry.subset for entry in entries)
    for subset, entry in first.items():
        what = (
            f"none of the {count[subset]} videos of subset {subset} has an event; they are "
            "left out"
        )
        yield Issue("subset without labels", what, entry.video, file)


def _late(entries: list[Entry], file: Path) -> Iterator[Issue]:
    """Name events that exceed the length of their video; nothing marks what is not there."""
    for entry in entries:
        for n, event in enumerate(entry.events):
            if entry.duration is not None and event.offset > entry.duration + ROUNDING:
                what = (
                    f"{entry.place}.annotations[{n}] ({event.class_name}) ends at "
                    f"{event.offset:g} s, "
                    f"the video at {entry.duration:g} s"
                )
                yield Issue("event past the end", what, entry.video, file)
