"""Segment accuracy of audio-visual event localisation on AVE.

Every segment has one label: the class of the event that is both heard and seen there, or
background, whose label is the number of classes. A data set's accuracy is the share of all its
segments whose label is right.
Source: Tian, Shi, Li, Duan, Xu, ECCV 2018 (arXiv 1803.08842), and the evaluation code published
with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vaplan.arrays import audio_visual


@dataclass(frozen=True)
class AVEScores:
    """How often each label was taken for each, and each video's accuracy; adding two joins their
    videos."""

    confusion: Int[
        np.ndarray, "label label"
    ]  # rows: reference, columns: estimate; the last is background
    per_video: Float[
        np.ndarray, " video"
    ]  # in [0, 1]; NaN for a video without segments

    def __add__(self, other: "AVEScores") -> "AVEScores":
        return AVEScores(
            self.confusion + other.confusion,
            np.concatenate((self.per_video, other.per_video)),
        )

    def accuracy(self) -> float:
        """The official number: right segments in percent of all."""
        return _percent(self.confusion.trace(), self.confusion.sum())

    def event_accuracy(self) -> float:
        """Compute the accuracy of event against background, in percent."""
        return _percent(
            self.confusion[:-1, :-1].sum() + self.confusion[-1, -1],
            self.confusion.sum(),
        )

    def foreground_accuracy(self) -> float:
        """Compute the accuracy in segments with an event, in percent."""
        return _percent(self.confusion[:-1].trace(), self.confusion[:-1].sum())

    def background_accuracy(self) -> float:
        """Compute the accuracy in segments without an event, in percent."""
        return _percent(self.confusion[-1, -1], self.confusion[-1].sum())

    def label_accuracy(self) -> Float[np.ndarray, " label"]:
        """Compute the accuracy for each label in percent, background last; NaN without segments."""
        total = self.confusion.sum(axis=1)
        right = np.full(total.shape, np.nan)
        np.divide(100 * self.confusion.diagonal(), total, out=right, where=total > 0)
        return right

    def percent(self) -> dict[str, float]:
        """The four accuracies by name."""
        return {
            "accuracy": self.accuracy(),
            "event_accuracy": self.event_accuracy(),
            "foreground_accuracy": self.foreground_accuracy(),
            "background_accuracy": self.background_accuracy(),
        }

    def per_class(self, names: Sequence[str]) -> dict[str, float | None]:
        """Return `label_accuracy` by name; None for labels without reference segments."""
        labels = (*names, "background")
        right = self.label_accuracy()
        return {
            name: None if np.isnan(a) else float(a)
            for name, a in zip(labels, right, strict=True)
        }


def ave_labels(
    grid: Bool[np.ndarray, "video time class"],
    *,
    score: Float[np.ndarray, "video time class"] | None = None,
) -> Int[np.ndarray, "video time"]:
    """Convert a grid to one label a segment: the class with the highest score, or background.

    Args:
        grid: Where a class is both heard and seen.

    >>> ave_labels(np.array([[[True, True], [False, True], [False, False]]]))
    array([[0, 1, 2]])
    """
    ranked = grid if score is None else np.where(grid, score, -np.inf)
    background = grid.shape[2]
    labels: Int[np.ndarray, "video time"] = np.where(
        grid.any(axis=2), ranked.argmax(axis=2), background
    )
    return labels


def ave_scores(
    reference: Int[np.ndarray, "video time"],
    estimate: Int[np.ndarray, "video time"],
    *,
    classes: int,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> AVEScores:
    """Compare labels, segment by segment.

    Args:
        classes: How many there are without background, whose label is this number.
        mask: Which segments a video has, where lengths differ.

    Raises: ValueError for a label that is neither a class nor background.
    """
    labels = classes + 1
    exists = np.ones(reference.shape, dtype=bool) if mask is None else mask
    actual, predicted = (
        reference[exists].astype(np.int64),
        estimate[exists].astype(np.int64),
    )
    for side in (actual, predicted):
        if ((side < 0) | (side >= labels)).any():
            raise ValueError(
                f"labels run from 0 to {classes} (background), not from "
                f"{side.min()} to {side.max()}"
            )
    confusion = np.bincount(actual * labels + predicted, minlength=labels**2).reshape(
        labels, labels
    )
    segment_counts = exists.sum(axis=1)
    right = ((reference == estimate) & exists).sum(axis=1)
    return AVEScores(
        confusion,
        np.divide(
            right,
            segment_counts,
            out=np.full(len(segment_counts), np.nan),
            where=segment_counts > 0,
        ),
    )


def ave(
    reference: Int[np.ndarray, "video time"],
    estimate: Int[np.ndarray, "video time"],
    *,
    classes: int,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> dict[str, float]:
    """In percent: `{"accuracy", "event_accuracy", "foreground_accuracy", "background_accuracy"}`.

    The first is the official number; "event_accuracy" asks only whether a segment holds an event.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        classes: Number of classes.
        mask: Segments that exist; other segments do not count.
    """
    return ave_scores(reference, estimate, classes=classes, mask=mask).percent()


def label_accuracy(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
) -> float:
    """Compute the official accuracy in percent, of labels on the grid of modalities.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
    """
    actual, predicted = (
        ave_labels(audio_visual(grid)) for grid in (reference, estimate)
    )
    return ave_scores(actual, predicted, classes=reference.shape[-1]).accuracy()


def _percent(right: Any, total: Any) -> float:
    return 100 * float(right) / float(total) if total else float("nan")
