"""Events in seconds, and the one bridge between them and arrays on the grid.

A segment is marked by an event that covers at least half of it; a run of marked segments is one
event.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from vaplan.modalities import MODALITIES
from vaplan.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pyannote.core import Annotation

TABLE_COLUMNS = ("video", "modality", "class", "onset", "offset", "score")
MAX_REPR_EVENTS = 10
LANE_HEIGHT, LANE_WIDTH, LABEL_WIDTH = 20, 560, 220  # of the drawing, in pixels
COLOURS = {"audio": "#3b7dd8", "visual": "#d8813b"}


@dataclass(frozen=True, order=True)
class Event:
    """One class in one modality, half-open in time.

    Attributes:
        modality: `audio` or `visual`.
        class_name: Class of the taxonomy.
        onset: Start in seconds.
        offset: End in seconds.
        score: Score of the method, if it has one.
    """

    modality: str
    class_name: str
    onset: float
    offset: float
    score: float | None = None

    @property
    def lane(self) -> str:
        """Return modality and class in one name, joined by a colon."""
        return f"{self.modality}:{self.class_name}"


def split_lane(name: str) -> tuple[str, str]:
    """Separate modality and class of a lane; the modality is empty if the name has none.

    >>> split_lane("audio:Dog"), split_lane("Dog: barking")
    (('audio', 'Dog'), ('', 'Dog: barking'))

    Args:
        name: Name of a lane, or of a class alone.
    """
    start, colon, rest = name.partition(":")
    return (start, rest) if colon and start in MODALITIES else ("", name)


@dataclass(frozen=True)
class MediaLink:
    """The media file of a timeline.

    Attributes:
        path: The file.
        folder: Folder of all media files; other tools get names relative to it.
    """

    path: Path
    folder: Path

    @property
    def name(self) -> str:
        """Return the path relative to the folder, with `/` between its parts."""
        return Path(os.path.relpath(self.path, self.folder)).as_posix()


@dataclass(frozen=True)
class SegmentScores:
    """Scores of every class in every segment of one video.

    Attributes:
        values: Probabilities of a trained parser, or margins of a zero-shot classifier.
        mask: Segments that exist; other values are without meaning.
        classes: Names of the classes.
    """

    values: Float[np.ndarray, "time modality class"]
    mask: Bool[np.ndarray, "time modality"]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Timeline:
    """The events of one video.

    Attributes:
        video: Id of the video.
        seconds: Length of the video.
        events: Events of both modalities.
        missing: Modality, start and end in seconds of the spans that could not be decoded.
        warnings: Warnings of the decoder.
        scores: Scores of every segment, if they were asked for; two timelines are equal
            whatever their scores and their media files are.
        media: Media file, for formats that link it.
    """

    video: str
    seconds: float
    events: tuple[Event, ...] = ()
    missing: tuple[tuple[str, float, float], ...] = ()
    warnings: tuple[str, ...] = ()
    scores: SegmentScores | None = field(default=None, compare=False, repr=False)
    media: MediaLink | None = field(default=None, compare=False, repr=False)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def of(self, modality: str) -> tuple[Event, ...]:
        """Return the events of one modality."""
        return tuple(event for event in self.events if event.modality == modality)

    def __repr__(self) -> str:
        lines = [f"Timeline of {self.video!r}, {self.seconds:g} s, {len(self)} events"]
        for event in self.events[:MAX_REPR_EVENTS]:
            score = "" if event.score is None else f"  {event.score:.2f}"
            lines.append(
                f"  {event.onset:7.2f} – {event.offset:7.2f} s  {event.modality:6}  "
                f"{event.class_name}{score}"
            )
        if len(self) > MAX_REPR_EVENTS:
            lines.append(f"  … {len(self) - MAX_REPR_EVENTS} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Draw the timeline in a notebook: one lane for each modality and class."""
        lanes = sorted({(event.modality, event.class_name) for event in self.events})
        seconds = max(self.seconds, *(event.offset for event in self.events), 1.0)
        height = LANE_HEIGHT * max(1, len(lanes))
        parts = []
        for number, (modality, class_name) in enumerate(lanes):
            top = number * LANE_HEIGHT
            label = escape(f"{modality}: {class_name}")
            parts.append(
                f'<text x="0" y="{top + 15}" fill="currentColor">{label}</text>'
            )
            for event in self.events:
                if (event.modality, event.class_name) != (modality, class_name):
                    continue
                left = LABEL_WIDTH + LANE_WIDTH * event.onset / seconds
                width = LANE_WIDTH * (event.offset - event.onset) / seconds
                score = "" if event.score is None else f", score {event.score:.2f}"
                title = f"{label} {event.onset:g} – {event.offset:g} s{score}"
                parts.append(
                    f'<rect x="{left:.1f}" y="{top + 3}" width="{width:.1f}" '
                    f'height="{LANE_HEIGHT - 6}" fill="{COLOURS[modality]}">'
                    f"<title>{title}</title></rect>"
                )
        heading = escape(f"{self.video}, {self.seconds:g} s, {len(self)} events")
        return (
            f"<div><b>{heading}</b><br>"
            f'<svg width="{LABEL_WIDTH + LANE_WIDTH}" height="{height}" '
            f'font-size="12" role="img" aria-label="{heading}">{"".join(parts)}</svg></div>'
        )

    def __getitem__(self, span: slice) -> "Timeline":
        """Select a span in seconds; events are cut at its ends and keep their times.

        >>> timeline = Timeline("v", 9.0, (Event("audio", "Dog", 1.0, 4.0),))
        >>> timeline[2.0:3.0].events
        (Event(modality='audio', class_name='Dog', onset=2.0, offset=3.0, score=None),)

        Args:
            span: Start and end in seconds; either may be omitted. Values outside the video
                are cut to it.

        Raises:
            TypeError: The index is not a slice without a step.
        """
        if not isinstance(span, slice) or span.step is not None:
            raise TypeError("select a span of seconds, such as timeline[2.0:5.5]")
        start = 0.0 if span.start is None else max(0.0, float(span.start))
        stop = self.seconds if span.stop is None else float(span.stop)
        events = []
        for event in self.events:
            onset = max(event.onset, start)
            offset = min(event.offset, stop)
            if onset < offset:
                events.append(replace(event, onset=onset, offset=offset))
        missing = tuple(
            (modality, max(onset, start), min(offset, stop))
            for modality, onset, offset in self.missing
            if max(onset, start) < min(offset, stop)
        )
        return replace(self, events=tuple(events), missing=missing, scores=None)

    def __or__(self, other: "Timeline") -> "Timeline":
        """Unite two timelines of one video; overlapping or touching events are merged.

        A merged event has the higher score. The union has no segment scores.

        Raises:
            ValueError: The timelines are of different videos.
        """
        if self.video != other.video:
            raise ValueError(
                f"timelines of different videos: {self.video!r} and {other.video!r}"
            )

        return Timeline(
            self.video,
            max(self.seconds, other.seconds),
            _unite(sorted({*self.events, *other.events}, key=_sort_key)),
            tuple(sorted({*self.missing, *other.missing})),
            tuple(dict.fromkeys((*self.warnings, *other.warnings))),
        )

    def to_grid(
        self, taxonomy: Taxonomy, *, segment_seconds: float = 1.0
    ) -> Bool[np.ndarray, "time modality class"]:
        """Mark the segments that events cover by at least half.

        Args:
            taxonomy: Classes of the grid; it contains the classes of all events.
            segment_seconds: Length of a segment.
        """
        segments = max(1, math.ceil(self.seconds / segment_seconds))
        return to_grid(self.events, taxonomy, segments, segment_seconds=segment_seconds)

    def to_dataframe(self) -> Any:
        """Return the events as a pandas DataFrame with the six columns of a table.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            message = "to_dataframe needs pandas; install it with `pip install pandas`"
            raise ImportError(message) from error
        rows = [
            (
                self.video,
                event.modality,
                event.class_name,
                event.onset,
                event.offset,
                event.score,
            )
            for event in self.events
        ]
        return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))

    @classmethod
    def from_dataframe(
        cls, frame: Any, *, video: str = "", seconds: float = 0.0
    ) -> "Timeline":
        """Make a timeline from a pandas DataFrame with the columns of `to_dataframe`.

        The column score may be missing; an empty cell is no score.

        Args:
            frame: Events of one video, one a row.
            video: Id of the video; by default that of the rows.
            seconds: Length of the video; at least the end of the last event.

        Raises:
            ValueError: A column is missing, the rows are of several videos or of none, or an
                event is not valid.
        """
        required = set(TABLE_COLUMNS) - {"score", "video"}
        absent = sorted(required - {*map(str, frame.columns)})
        if absent:
            raise ValueError(f"the frame has no column {absent[0]!r}")
        records = frame.to_dict("records")
        videos = {video} if video else {row.get("video") for row in records}
        if len(videos) != 1:
            raise ValueError(
                f"the frame has rows of {len(videos)} videos; select one, or give video="
            )
        events = []
        for row in records:
            score = row.get("score")
            has_score = score is not None and not math.isnan(score)
            event = Event(
                row["modality"],
                row["class"],
                float(row["onset"]),
                float(row["offset"]),
                float(score) if has_score else None,
            )
            events.append(_checked(event))
        return cls(str(videos.pop()), _length(events, seconds), tuple(events))

    def to_annotation(self, modality: str = "") -> "Annotation":
        """Return the events as an Annotation of pyannote.core.

        Scores are left out, and events shorter than a microsecond, which are empty there.

        Args:
            modality: `audio` or `visual`: only its events, labelled by their class. By
                default all events, labelled by their lane, such as `audio:Dog`.

        Raises:
            ImportError: pyannote.core is not installed.
        """
        core = _import_pyannote()
        annotation = core.Annotation(uri=self.video, modality=modality or None)
        events = self.of(modality) if modality else self.events
        for track, event in enumerate(events):
            segment = core.Segment(event.onset, event.offset)
            annotation[segment, track] = event.class_name if modality else event.lane
        return annotation

    @classmethod
    def from_annotation(
        cls, annotation: "Annotation", *, modality: str = "", seconds: float = 0.0
    ) -> "Timeline":
        """Make a timeline from an Annotation of pyannote.core.

        Args:
            annotation: Annotation whose `uri` is the id of the video.
            modality: Modality of labels such as `Dog`; by default that of the annotation. A
                label such as `audio:Dog` names its own if neither is given.
            seconds: Length of the video; at least the end of the last event.

        Raises:
            ValueError: The annotation has no `uri`, or an event is not valid.
        """
        if not annotation.uri:
            raise ValueError("the annotation has no uri; set it to the id of the video")
        default = modality or annotation.modality or ""
        events = []
        for segment, _, name in annotation.itertracks(yield_label=True):
            lane = (default, str(name)) if default else split_lane(str(name))
            lane_modality, class_name = lane
            onset, offset = float(segment.start), float(segment.end)
            events.append(_checked(Event(lane_modality, class_name, onset, offset)))
        return cls(annotation.uri, _length(events, seconds), tuple(events))


def _import_pyannote() -> Any:
    try:
        import pyannote.core
    except ImportError as error:
        message = (
            "to_annotation needs pyannote.core; install it with "
            "`pip install pyannote.core`"
        )
        raise ImportError(message) from error
    return pyannote.core


def _checked(event: Event) -> Event:
    """Return an event if its modality, class and times are valid."""
    if event.modality not in MODALITIES:
        known = " or ".join(MODALITIES)
        raise ValueError(f"modality {event.modality!r} of {event}, expected {known}")
    if not isinstance(event.class_name, str) or not event.class_name:
        raise ValueError(f"class {event.class_name!r} of {event}, expected a name")
    if not 0 <= event.onset < event.offset < math.inf:
        raise ValueError(f"times of {event}, expected 0 <= onset < offset")
    return event


def _length(events: Iterable[Event], seconds: float) -> float:
    return max([seconds, *(event.offset for event in events)])


def _sort_key(event: Event) -> tuple[str, str, float, float, float]:
    score = -math.inf if event.score is None else event.score
    return event.modality, event.class_name, event.onset, event.offset, score


def _unite(events: Sequence[Event]) -> tuple[Event, ...]:
    """Merge sorted events of one class and modality that overlap or touch."""
    united = list[Event]()
    for event in events:
        last = united[-1] if united else None
        is_same_lane = last is not None and (last.modality, last.class_name) == (
            event.modality,
            event.class_name,
        )
        if last is None or not is_same_lane or event.onset > last.offset:
            united.append(event)
            continue
        scores = [e.score for e in (last, event) if e.score is not None]
        united[-1] = replace(
            last,
            offset=max(last.offset, event.offset),
            score=max(scores, default=None),
        )
    return tuple(
        sorted(
            united, key=lambda event: (event.onset, event.modality, event.class_name)
        )
    )


def runs(row: Bool[np.ndarray, " time"]) -> list[tuple[int, int]]:
    """Return the maximal runs of marked segments as half-open index pairs.

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    steps = np.diff(np.pad(row.astype(np.int8), 1))
    edges = np.flatnonzero(steps).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def to_grid(
    events: Iterable[Event],
    taxonomy: Taxonomy,
    segments: int,
    *,
    segment_seconds: float = 1.0,
) -> Bool[np.ndarray, "time modality class"]:
    """Mark the segments of a grid that an event covers by at least half.

    Args:
        events: Events of one video.
        taxonomy: Classes of the grid.
        segments: Number of segments.
        segment_seconds: Length of a segment in seconds.
    """
    grid = np.zeros((segments, len(MODALITIES), len(taxonomy)), dtype=bool)
    for event in events:
        first, last = _covered(event, segment_seconds)
        modality = MODALITIES.index(event.modality)
        label = taxonomy.index(event.class_name)
        grid[first:last, modality, label] = True
    return grid


def to_score_grid(
    events: Iterable[Event],
    taxonomy: Taxonomy,
    segments: int,
    *,
    segment_seconds: float = 1.0,
) -> Float[np.ndarray, "time modality class"]:
    """Put the highest score of the events that mark a segment onto a grid.

    The score of an event without one is 1; segments that are not marked are NaN.

    Args:
        events: Events of one video.
        taxonomy: Classes of the grid.
        segments: Number of segments.
        segment_seconds: Length of a segment in seconds.
    """
    grid = np.full((segments, len(MODALITIES), len(taxonomy)), np.nan)
    for event in events:
        first, last = _covered(event, segment_seconds)
        modality = MODALITIES.index(event.modality)
        label = taxonomy.index(event.class_name)
        cells = grid[first:last, modality, label]
        score = 1.0 if event.score is None else event.score
        np.fmax(cells, score, out=cells)
    return grid


def _covered(event: Event, segment_seconds: float) -> tuple[int, int]:
    """Return the segments that an event covers by at least half, as a half-open range.

    >>> _covered(Event("audio", "Dog", 0.5, 2.4), 1.0)
    (0, 2)
    >>> _covered(Event("audio", "Dog", 0.6, 1.2), 1.0)
    (1, 1)
    """
    rounding = 1e-9
    first = math.ceil(event.onset / segment_seconds - 0.5 - rounding)
    last = math.floor(event.offset / segment_seconds + 0.5 + rounding)
    is_too_short = event.offset - event.onset < segment_seconds / 2 - rounding
    if last - first == 1 and is_too_short:
        return first, first  # it touches both halves of a segment and fills neither
    return first, max(first, last)


def from_grid(
    grid: Bool[np.ndarray, "time modality class"],
    taxonomy: Taxonomy,
    *,
    score: Float[np.ndarray, "time modality class"] | None = None,
    segment_seconds: float = 1.0,
) -> tuple[Event, ...]:
    """Read the maximal runs of marked segments as events.

    Args:
        grid: Marked segments of one video.
        taxonomy: Classes of the grid.
        score: Score of each segment; the score of an event is the mean over its segments.
        segment_seconds: Length of a segment in seconds.
    """
    length, _, classes = grid.shape
    lanes = grid.reshape(length, -1).T.astype(np.int8)  # one for modality and class
    steps = np.diff(lanes, axis=1, prepend=0, append=0)
    lane, start = np.nonzero(steps == 1)
    _, stop = np.nonzero(steps == -1)
    scores = None if score is None else score.reshape(length, -1)
    events = list[Event]()
    for index, first, end in zip(
        lane.tolist(), start.tolist(), stop.tolist(), strict=True
    ):
        mean = None
        if scores is not None:
            mean = round(float(scores[first:end, index].mean()), 6)
        modality = MODALITIES[index // classes]
        class_name = taxonomy.classes[index % classes]
        onset = first * segment_seconds
        offset = end * segment_seconds
        events.append(Event(modality, class_name, onset, offset, mean))
    return tuple(sorted(events, key=lambda e: (e.onset, e.modality, e.class_name)))


def missing_spans(
    mask: Bool[np.ndarray, "time modality"], *, segment_seconds: float = 1.0
) -> tuple[tuple[str, float, float], ...]:
    """Return the spans without audio or video, as (modality, onset, offset).

    Args:
        mask: Segments that exist.
        segment_seconds: Length of a segment in seconds.
    """
    return tuple(
        (modality, start * segment_seconds, stop * segment_seconds)
        for m, modality in enumerate(MODALITIES)
        for start, stop in runs(~mask[:, m])
    )


def merge(events: Sequence[Event]) -> tuple[Event, ...]:
    """Join touching or overlapping events of one class and modality.

    The score of the joined event is the mean of the scores, weighted by duration.

    >>> merge([Event("audio", "Dog", 0.0, 1.0, 0.5), Event("audio", "Dog", 1.0, 2.0, 1.0)])
    (Event(modality='audio', class_name='Dog', onset=0.0, offset=2.0, score=0.75),)
    """
    merged = list[Event]()
    order = sorted(events, key=lambda e: (e.modality, e.class_name, e.onset, e.offset))
    for event in order:
        if merged and _touch(merged[-1], event):
            merged[-1] = _join(merged[-1], event)
        else:
            merged.append(event)
    return tuple(sorted(merged, key=lambda e: (e.onset, e.modality, e.class_name)))


def _touch(first: Event, second: Event) -> bool:
    same = (first.modality, first.class_name) == (second.modality, second.class_name)
    return same and second.onset <= first.offset


def _join(first: Event, second: Event) -> Event:
    score = first.score
    if first.score is not None and second.score is not None:
        first_seconds = first.offset - first.onset
        second_seconds = second.offset - second.onset
        total = max(first_seconds + second_seconds, 1e-9)
        weighted = first.score * first_seconds + second.score * second_seconds
        score = round(weighted / total, 6)
    offset = max(first.offset, second.offset)
    return Event(first.modality, first.class_name, first.onset, offset, score)
