"""Evaluation of tables: put a reference and an estimate on one grid and score them."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vaplan.annotations import Annotations
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.metrics.ave import AVEScores, ave_labels, ave_scores
from vaplan.metrics.intervals import bootstrap, llp_differences, llp_intervals
from vaplan.metrics.llp import LLPScores, llp_counts, llp_scores
from vaplan.modalities import audio_visual
from vaplan.ragged import Lengths, Ragged
from vaplan.timeline import Event, to_score_grid

SEED = 0  # of resampling: the same tables have the same intervals
Numbers = dict[
    str, Any
]  # numbers or intervals by name; for LLP by level and then by kind


@dataclass(frozen=True)
class Evaluation:
    """An estimate and a reference in segments of one second.

    Attributes:
        data: Videos that are scored.
        reference: Dense labels, Bool "segment modality class".
        estimate: Estimated labels, Bool "segment modality class".
        confidence: Scores of the estimated labels, Float "segment modality class".
        table: Table of the estimate.
        missing: Labelled videos without a row in the estimate; they count as empty.
        ignored: Videos of the estimate without dense labels in this split.
        left_out: Labelled videos that the caller excluded.
    """

    data: Annotations
    reference: Ragged[np.ndarray]
    estimate: Ragged[np.ndarray]
    confidence: Ragged[np.ndarray]
    table: Path = Path()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @cached_property
    def llp(self) -> LLPScores:
        """Return the ten scores of every video."""
        return llp_scores(self.reference, self.estimate)

    @cached_property
    def ave(self) -> AVEScores:
        """Return the accuracy of every video, for localisation data sets."""
        labels = ave_labels(
            audio_visual(self.estimate.batch()),
            score=self.confidence.batch().min(axis=2),
        )
        return ave_scores(
            ave_labels(audio_visual(self.reference.batch())),
            labels,
            classes=len(self.data.taxonomy),
        )

    @property
    def scores(self) -> LLPScores | AVEScores:
        """Return the scores by the metric of the data set."""
        return self.ave if self.data.localisation else self.llp

    def numbers(self) -> Numbers:
        """Return the ten numbers of LLP by level and kind, or the accuracies, in percent."""
        return dict(self.scores.percent())

    def per_class(self) -> Numbers:
        """Return the F or accuracy of each class in percent; None for classes without labels."""
        names = self.data.taxonomy.classes
        if self.data.localisation:
            return dict(self.ave.per_class(names))
        return dict(llp_counts(self.reference, self.estimate).per_class(names))

    def intervals(self) -> Numbers:
        """Return the 95 % bootstrap interval of each number over videos, in percent.

        For localisation it is the interval of the accuracy.
        """
        if self.data.localisation:
            accuracy = 100 * self.ave.per_video[:, None]
            (interval,) = bootstrap(accuracy, seed=SEED)
            return {"accuracy": [interval.low, interval.high]}
        return {
            level: {kind: [one.low, one.high] for kind, one in kinds.items()}
            for level, kinds in llp_intervals(self.llp, seed=SEED).items()
        }

    def minus(self, other: "Evaluation") -> Numbers:
        """Return the lead over another estimate in points, with 95 % bootstrap intervals.

        Args:
            other: Evaluation of the other estimate on the same videos.
        """
        if self.data.localisation:
            lead = self.ave.per_video - other.ave.per_video
            (interval,) = bootstrap(100 * lead[:, None], seed=SEED)
            return {"accuracy": asdict(interval)}

        differences = llp_differences(self.llp, other.llp, seed=SEED)
        return {
            level: {kind: asdict(interval) for kind, interval in kinds.items()}
            for level, kinds in differences.items()
        }


def evaluate(
    reference: Annotations,
    estimate: Annotations,
    *,
    split: str = "",
    without: Collection[str] = (),
) -> Evaluation:
    """Compare an estimate with the densely labelled videos of a split, in segments of one second.

    Args:
        reference: Data set with dense labels.
        estimate: Estimated events.
        split: Name of the split; empty for all videos.
        without: Videos to leave out, for example because their media file is lost.

    Raises:
        AnnotationError: A video is not in the data set, or a class is unknown.
        UsageError: No video of the split has dense labels.
    """
    _check_names(reference, estimate, without)
    labelled = reference.select(split).labelled_ids()
    left_out = set(without)
    videos = [video for video in labelled if video not in left_out]
    if not videos:
        rest = " is left" if labelled else ""
        raise UsageError(
            f"no densely labelled video in split {split!r}{rest}",
            file=reference.source,
            fix="choose another split, or give its events a modality",
        )

    lengths = segment_counts(videos, reference, estimate)
    classes = reference.taxonomy
    grids = [
        to_score_grid(estimate.events.get(video, ()), classes, segments)
        for video, segments in zip(videos, lengths.counts.tolist(), strict=True)
    ]
    score = np.concatenate(grids)
    data = reference.select_videos(videos)

    return Evaluation(
        data=data,
        reference=Ragged(data.labels(lengths), lengths),
        estimate=Ragged(~np.isnan(score), lengths),
        confidence=Ragged(np.nan_to_num(score, nan=0.0), lengths),
        table=estimate.source,
        missing=tuple(video for video in videos if video not in estimate.events),
        ignored=tuple(sorted({*estimate.ids} - {*labelled})),
        left_out=tuple(video for video in labelled if video in left_out),
    )


def compare(
    reference: Annotations,
    estimate: Annotations,
    baseline: Annotations,
    *,
    split: str = "",
) -> Numbers:
    """Compute how far an estimate is ahead of a baseline on the same videos.

    Args:
        reference: Data set with dense labels.
        estimate: Estimated events.
        baseline: Events to compare with.
        split: Split of the videos; all by default.

    Returns:
        Differences of the scores in points, each with a 95 % bootstrap interval over
        videos; for LLP by level and kind.
    """
    ahead = evaluate(reference, estimate, split=split)
    behind = evaluate(reference, baseline, split=split)
    return ahead.minus(behind)


def _check_names(
    reference: Annotations, estimate: Annotations, without: Collection[str]
) -> None:
    reference_ids = set(reference.ids)
    others = [video for video in estimate.videos if video.video not in reference_ids]
    if others:
        raise AnnotationError(
            f"{len(others)} of {len(estimate.videos)} videos are not in the data set, the "
            f"first is {others[0].video!r}",
            file=estimate.source,
            line=others[0].line,
            fix="evaluate the table against its own data set",
        )
    for name in estimate.taxonomy.classes:
        if name not in reference.taxonomy.classes:
            raise AnnotationError(
                unknown("class", name, reference.taxonomy.classes), file=estimate.source
            )
    unknown_ids = sorted(set(without) - reference_ids)
    if unknown_ids:
        raise UsageError(
            f"the video to leave out {unknown_ids[0]!r} is not in the data set",
            file=reference.source,
        )


def align(
    reference: Annotations, estimate: Annotations, videos: list[str]
) -> tuple[Ragged[np.ndarray], Ragged[np.ndarray]]:
    """Return the labels of two tables for the same segments.

    Args:
        reference: Annotations with dense labels.
        estimate: Annotations to compare.
        videos: Ids of the videos.
    """
    lengths = segment_counts(videos, reference, estimate)
    same_classes = replace(estimate, taxonomy=reference.taxonomy)
    return (
        Ragged(reference.select_videos(videos).labels(lengths), lengths),
        Ragged(same_classes.select_videos(videos).labels(lengths), lengths),
    )


def segment_counts(
    videos: Sequence[str], reference: Annotations, *estimates: Annotations
) -> Lengths:
    """Return the number of segments in which tables are compared.

    It is the length of the data set's videos if the data set defines one. Else a video
    ends with its last event; segments without any event have no effect on F. For
    localisation, where they count, every video is as long as the longest.

    Args:
        videos: Ids of the videos.
        reference: Annotations with dense labels.
        estimates: Tables to compare.
    """
    if reference.segments:
        return Lengths.equal(len(videos), reference.segments)

    tables = (reference, *estimates)
    counts = [
        max(last_segment(table.events.get(video, ())) for table in tables)
        for video in videos
    ]
    if reference.localisation:
        return Lengths.equal(len(videos), max(counts, default=1))
    return Lengths.of(counts)


def last_segment(events: Iterable[Event]) -> int:
    """Return the number of segments up to the last event.

    Args:
        events: Events of a video.
    """
    return max((math.ceil(event.offset) for event in events), default=1)
