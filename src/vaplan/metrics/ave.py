"""Segment accuracy of audio-visual event localisation on AVE.

Every segment has one label: the class of the event that is both audible and visible in
it, or background, whose label is the number of classes. The accuracy of a data set is
the share of correct segments among all its segments.

Source: Tian, Shi, Li, Duan, Xu, ECCV 2018, arXiv 1803.08842, and its published
evaluation code.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from vaplan.modalities import audio_visual
from vaplan.ragged import Ragged, as_ragged


@dataclass(frozen=True)
class AVEScores:
    """Confusion of labels, and accuracy of each video.

    The sum of two values has the videos of both.

    Attributes:
        confusion: Number of segments by label of the reference (row) and of the
            estimate (column). The last label is background.
        per_video: Accuracy in [0, 1]; NaN for a video without segments.

    >>> ave_scores(np.array([[0, 2]]), np.array([[1, 2]]), classes=2)
    AVEScores(videos=1, accuracy=50.0 %)
    """

    confusion: Int[np.ndarray, "label label"]
    per_video: Float[np.ndarray, " video"]

    def __add__(self, other: "AVEScores") -> "AVEScores":
        per_video = np.concatenate((self.per_video, other.per_video))
        return AVEScores(self.confusion + other.confusion, per_video)

    def __repr__(self) -> str:
        videos = len(self.per_video)
        return f"AVEScores(videos={videos}, accuracy={self.accuracy():.1f} %)"

    def accuracy(self) -> float:
        """Compute the official number: correct segments in percent of all segments."""
        correct = self.confusion.trace()
        return _percent(correct, self.confusion.sum())

    def event_accuracy(self) -> float:
        """Compute the accuracy of event against background, in percent."""
        event_segments = self.confusion[:-1, :-1].sum()
        background_segments = self.confusion[-1, -1]
        correct = event_segments + background_segments
        return _percent(correct, self.confusion.sum())

    def foreground_accuracy(self) -> float:
        """Compute the accuracy in segments with an event, in percent."""
        foreground = self.confusion[:-1]
        return _percent(foreground.trace(), foreground.sum())

    def background_accuracy(self) -> float:
        """Compute the accuracy in segments without an event, in percent."""
        background = self.confusion[-1]
        return _percent(background[-1], background.sum())

    def label_accuracy(self) -> Float[np.ndarray, " label"]:
        """Compute the accuracy for each label in percent, background last.

        Returns:
            One number a label; NaN for a label without reference segments.
        """
        segments = self.confusion.sum(axis=1)
        correct = self.confusion.diagonal()
        accuracy = np.full(segments.shape, np.nan)
        np.divide(100 * correct, segments, out=accuracy, where=segments > 0)
        return accuracy

    def percent(self) -> dict[str, float]:
        """Return the four accuracies in percent by name.

        `accuracy` is the official number; `event_accuracy` compares only whether a
        segment contains an event.

        >>> scores = ave_scores(np.array([[0, 2]]), np.array([[1, 2]]), classes=2)
        >>> scores.percent()["event_accuracy"]
        100.0
        """
        return {
            "accuracy": self.accuracy(),
            "event_accuracy": self.event_accuracy(),
            "foreground_accuracy": self.foreground_accuracy(),
            "background_accuracy": self.background_accuracy(),
        }

    def per_class(self, names: Sequence[str]) -> dict[str, float | None]:
        """Return `label_accuracy` by name.

        Args:
            names: Names of the classes, without background.

        Returns:
            The accuracy of each class and of `background`; None for a label without
            reference segments.
        """
        labels = (*names, "background")
        accuracies: dict[str, float | None] = {}
        for name, accuracy in zip(labels, self.label_accuracy(), strict=True):
            accuracies[name] = None if np.isnan(accuracy) else float(accuracy)
        return accuracies


def ave_labels(
    grid: Bool[np.ndarray, "video time class"],
    *,
    score: Float[np.ndarray, "video time class"] | None = None,
) -> Int[np.ndarray, "video time"]:
    """Convert a grid to one label a segment: the class with the highest score, or background.

    Args:
        grid: Segments in which a class is both audible and visible.
        score: Score of each class; by default the first marked class is taken.

    >>> ave_labels(np.array([[[True, True], [False, True], [False, False]]]))
    array([[0, 1, 2]])
    """
    background = grid.shape[2]
    ranking = grid if score is None else np.where(grid, score, -np.inf)
    best_class = ranking.argmax(axis=2)
    labels: Int[np.ndarray, "video time"] = np.where(
        grid.any(axis=2), best_class, background
    )
    return labels


def ave_scores(
    reference: Int[np.ndarray, "video time"],
    estimate: Int[np.ndarray, "video time"],
    *,
    classes: int,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> AVEScores:
    """Compare the labels of all segments.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        classes: Number of classes without background; also the label of background.
        mask: Segments that exist, if videos differ in length.

    Raises:
        ValueError: A label is neither a class nor background.
    """
    exists = np.ones(reference.shape, dtype=bool) if mask is None else mask
    is_correct = (reference == estimate) & exists
    segments = exists.sum(axis=1)
    correct_segments = is_correct.sum(axis=1)
    per_video = np.full(len(segments), np.nan)
    np.divide(correct_segments, segments, out=per_video, where=segments > 0)
    confusion = _confusion(reference[exists], estimate[exists], classes)
    return AVEScores(confusion, per_video)


def label_accuracy(
    reference: Bool[np.ndarray, "video time modality class"] | Ragged[np.ndarray],
    estimate: Bool[np.ndarray, "video time modality class"] | Ragged[np.ndarray],
) -> float:
    """Compute the official accuracy in percent from labels of both modalities.

    Args:
        reference: Dense labels of the videos: an array, or a collection of arrays if they
            differ in length.
        estimate: Estimated labels of the same videos.
    """
    # every segment counts alike, whatever its video
    reference_labels = ave_labels(audio_visual(as_ragged(reference).rows()))
    estimate_labels = ave_labels(audio_visual(as_ragged(estimate).rows()))
    classes = as_ragged(reference).values.shape[-1]
    return ave_scores(reference_labels, estimate_labels, classes=classes).accuracy()


def _confusion(
    reference: Int[np.ndarray, " segment"],
    estimate: Int[np.ndarray, " segment"],
    classes: int,
) -> Int[np.ndarray, "label label"]:
    """Count segments by label of the reference and of the estimate."""
    for labels in (reference, estimate):
        if ((labels < 0) | (labels > classes)).any():
            raise ValueError(
                f"labels run from 0 to {classes} (background), not from "
                f"{labels.min()} to {labels.max()}"
            )
    label_count = classes + 1
    pairs = reference.astype(np.int64) * label_count + estimate.astype(np.int64)
    counts = np.bincount(pairs, minlength=label_count**2)
    return counts.reshape(label_count, label_count)


def _percent(correct: Any, total: Any) -> float:
    if not total:
        return math.nan
    return 100 * float(correct) / float(total)
