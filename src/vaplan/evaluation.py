"""Tables to numbers: put a reference and an estimate on one grid and score it."""

import math
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from vaplan.annotations import Annotations
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.metrics.ave import AVEScores, ave_labels, ave_scores
from vaplan.metrics.intervals import bootstrap, llp_differences, llp_intervals
from vaplan.metrics.llp import LLPScores, llp_counts, llp_scores
from vaplan.modalities import audio_visual
from vaplan.timeline import Event, to_score_grid

SEED = 0  # of resampling: the same tables have the same intervals
Numbers = dict[
    str, Any
]  # one number, or an interval, by name; for LLP by level and then by kind


@dataclass(frozen=True)
class Evaluation:
    """An estimate and a reference on one grid, with the counts of unscored videos.

    `data` are the videos that are scored, `table` is where the estimate came from. `missing` are
    labelled videos that the estimate has no row for: they count as empty. `ignored` are videos of
    the estimate that are not densely labelled in this split, `left_out` those that were not to be
    evaluated.
    """

    data: Annotations
    reference: Bool[np.ndarray, "video time modality class"]
    estimate: Bool[np.ndarray, "video time modality class"]
    confidence: Float[np.ndarray, "video time modality class"]
    table: Path = Path()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @cached_property
    def llp(self) -> LLPScores:
        """The ten scores of every video."""
        return llp_scores(self.reference, self.estimate)

    @cached_property
    def ave(self) -> AVEScores:
        """Accuracy of every video, for data sets with one class or background a segment."""
        labels = ave_labels(
            audio_visual(self.estimate), score=self.confidence.min(axis=2)
        )
        return ave_scores(
            ave_labels(audio_visual(self.reference)),
            labels,
            classes=len(self.data.taxonomy),
        )

    @property
    def scores(self) -> LLPScores | AVEScores:
        """Scores by the metric of the data set."""
        return self.ave if self.data.localisation else self.llp

    def numbers(self) -> Numbers:
        """The ten numbers of LLP by level and kind, or the accuracies of AVE, in percent."""
        return dict(self.scores.percent())

    def per_class(self) -> Numbers:
        """Return the F or accuracy of each class in percent; None for classes without labels."""
        names = self.data.taxonomy.classes
        if self.data.localisation:
            return dict(self.ave.per_class(names))
        return dict(llp_counts(self.reference, self.estimate).per_class(names))

    def intervals(self) -> Numbers:
        """The 95 % interval of each number over resampled videos, in percent; of AVE's, that of
        the accuracy."""
        if self.data.localisation:
            (found,) = bootstrap(100 * self.ave.per_video[:, None], seed=SEED)
            return {"accuracy": [found.low, found.high]}
        found_all = llp_intervals(self.llp, seed=SEED)
        return {
            level: {kind: [i.low, i.high] for kind, i in kinds.items()}
            for level, kinds in found_all.items()
        }

    def minus(self, other: "Evaluation") -> Numbers:
        """How far this one is ahead, in points: the mean over the same videos, and its 95 %
        interval."""
        if self.data.localisation:
            (found,) = bootstrap(
                100 * (self.ave.per_video - other.ave.per_video)[:, None], seed=SEED
            )
            return {"accuracy": asdict(found)}
        found_all = llp_differences(self.llp, other.llp, seed=SEED)
        return {
            level: {kind: asdict(i) for kind, i in kinds.items()}
            for level, kinds in found_all.items()
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
        without: Videos that are not to be evaluated, for example because their media file is lost.

    Raises: AnnotationError for a video that is not in the data set, or an unknown class.
    """
    _refuse_strangers(reference, estimate, without)
    labelled = reference.select(split).labelled_ids()
    videos = [video for video in labelled if video not in set(without)]
    if not videos:
        what = f"no densely labelled video in split {split!r}" + (
            " is left" if labelled else ""
        )
        raise UsageError(
            what,
            file=reference.source,
            fix="choose another split, or give its events a modality",
        )
    length = reference.segments or _longest(videos, reference, estimate)
    classes = reference.taxonomy
    scored = np.stack(
        [
            to_score_grid(estimate.events.get(video, ()), classes, length)
            for video in videos
        ]
    )
    return Evaluation(
        data=reference.select_videos(videos),
        reference=reference.select_videos(videos).reference(length),
        estimate=~np.isnan(scored),
        confidence=np.nan_to_num(scored, nan=0.0),
        table=estimate.source,
        missing=tuple(video for video in videos if video not in estimate.events),
        ignored=tuple(sorted({*estimate.ids} - {*labelled})),
        left_out=tuple(video for video in labelled if video in set(without)),
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


def _refuse_strangers(
    reference: Annotations, estimate: Annotations, without: Collection[str]
) -> None:
    reference_ids = set(reference.ids)
    strangers = [video for video in estimate.videos if video.video not in reference_ids]
    if strangers:
        first = strangers[0]
        what = f"{len(strangers)} of {len(estimate.videos)} videos are not in the data set, the first is {first.video!r}"
        fix = "evaluate the table against the data set it was made from"
        raise AnnotationError(what, file=estimate.source, line=first.line, fix=fix)
    for name in estimate.taxonomy.classes:
        if name not in reference.taxonomy.classes:
            raise AnnotationError(
                unknown("class", name, reference.taxonomy.classes), file=estimate.source
            )
    if lost := sorted(set(without) - reference_ids):
        raise UsageError(
            f"the video to leave out {lost[0]!r} is not in the data set",
            file=reference.source,
        )


def align(
    reference: Annotations, estimate: Annotations, videos: list[str]
) -> tuple[
    Bool[np.ndarray, "video time modality class"],
    Bool[np.ndarray, "video time modality class"],
]:
    """Both on one grid, as long as the last event of either; segments beyond it are empty in both
    and score nothing.

    Args:
        reference: Annotations with dense labels.
        estimate: Annotations to compare.
        videos: Ids of the videos.
    """
    length = reference.segments or _longest(videos, reference, estimate)
    painted = replace(estimate, taxonomy=reference.taxonomy)
    return reference.select_videos(videos).reference(length), painted.select_videos(
        videos
    ).reference(length)


def _longest(videos: Iterable[str], *tables: Annotations) -> int:
    return max(
        1,
        *(
            last_segment(table.events.get(video, ()))
            for table in tables
            for video in videos
        ),
    )


def last_segment(events: Iterable[Event]) -> int:
    """Return the number of segments up to the last event."""
    return max((math.ceil(event.offset) for event in events), default=1)
