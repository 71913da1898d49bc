"""The ten numbers of audio-visual video parsing on LLP, with their quirks.

Per video and class, segments (or events: maximal runs of segments) are counted in audio, visual and audio-visual, the
last being the cells where a class is both heard and seen. A class takes part in a video's score if the reference or
the estimate marks it there; the video's score is the mean F over those classes, and 1 where there are none, so an
empty estimate does not score zero. "type" is the mean of the three; "event" adds the counts of audio and visual before
F is taken. A data set's score is the mean over its videos.
Source: Tian, Li, Xu, ECCV 2020 (arXiv 2007.10558), section 5.1, and the evaluation code published with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from vaplan.arrays import MODALITIES
from vaplan.metrics.counts import Counts, count_cells, count_events, f_score

LEVELS = {"segment": count_cells, "event": count_events}
KINDS = (*MODALITIES, "audio_visual", "type", "event")


@dataclass(frozen=True)
class LLPScores:
    """Every video's scores, in [0, 1]; adding two joins their videos."""

    per_video: Float[np.ndarray, "video level kind"]

    def __len__(self) -> int:
        return len(self.per_video)

    def __add__(self, other: "LLPScores") -> "LLPScores":
        return LLPScores(np.concatenate((self.per_video, other.per_video)))

    def of(self, level: str, kind: str) -> Float[np.ndarray, " video"]:
        """One of the ten numbers, video by video (for intervals)."""
        return self.per_video[:, list(LEVELS).index(level), KINDS.index(kind)]

    def percent(self) -> dict[str, dict[str, float]]:
        """The ten numbers."""
        if not len(self):
            raise ValueError("no videos to average over")
        means = 100 * self.per_video.mean(axis=0)
        return {level: dict(zip(KINDS, map(float, row), strict=True)) for level, row in zip(LEVELS, means, strict=True)}


def llp(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> dict[str, dict[str, float]]:
    """The ten numbers in percent: `{"segment": {"audio", "visual", "audio_visual", "type", "event"}, "event": …}`."""
    return llp_scores(reference, estimate, mask=mask).percent()


def llp_scores(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> LLPScores:
    """The ten numbers of every video.

    Args:
        mask: Which segments a video has, where lengths differ. A segment that exists but could not be heard or seen
            stays in: what the reference marks there was missed.
    """
    rows = _Rows.of(reference, estimate, mask)
    per_level = [_video_scores(counts, rows.video, len(reference)) for counts in rows.counts()]
    return LLPScores(np.stack(per_level, axis=1))


def label_f(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> dict[str, dict[str, float]]:
    """How good pseudo labels are, in percent: `{"audio": {"segment", "event"}, "visual": …}`."""
    numbers = llp(reference, estimate, mask=mask)
    return {modality: {level: numbers[level][modality] for level in LEVELS} for modality in MODALITIES}


def class_f(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Float[np.ndarray, "level modality class"]:
    """F of each class in percent, from counts summed over videos; NaN where nobody marks it."""
    rows = _Rows.of(reference, estimate, mask)
    levels = []
    for counts in rows.counts():
        summed = [np.zeros((reference.shape[3], reference.shape[2]), dtype=np.int64) for _ in range(3)]
        for total, count in zip(summed, (counts.matched, counts.reference, counts.estimate), strict=True):
            np.add.at(total, rows.class_, count[:, : len(MODALITIES)])
        levels.append(100 * f_score(Counts(*summed)).T)
    return np.stack(levels)


@dataclass(frozen=True)
class _Rows:
    """The time rows of the (video, class) pairs that anybody marks; all others change no score."""

    video: Int[np.ndarray, " pair"]
    class_: Int[np.ndarray, " pair"]
    reference: Bool[np.ndarray, "pair kind time"]
    estimate: Bool[np.ndarray, "pair kind time"]

    @classmethod
    def of(
        cls,
        reference: Bool[np.ndarray, "video time modality class"],
        estimate: Bool[np.ndarray, "video time modality class"],
        mask: Bool[np.ndarray, "video time"] | None,
    ) -> "_Rows":
        if mask is not None:
            exists = mask[:, :, None, None]
            reference, estimate = reference & exists, estimate & exists
        video, class_ = np.nonzero((reference | estimate).any(axis=(1, 2)))
        return cls(video, class_, *(_with_both(grid[video, :, :, class_]) for grid in (reference, estimate)))

    def counts(self) -> Iterator[Counts]:
        """Per level, the counts of each pair in audio, visual and audio-visual."""
        pairs, kinds, time = self.reference.shape
        for count in LEVELS.values():
            counts = count(self.reference.reshape(-1, time), self.estimate.reshape(-1, time))
            shape = pairs, kinds
            yield Counts(*(c.reshape(shape) for c in (counts.matched, counts.reference, counts.estimate)))


def _with_both(rows: Bool[np.ndarray, "pair time modality"]) -> Bool[np.ndarray, "pair kind time"]:
    """Put the row of cells that are both heard and seen after those of the modalities."""
    by_kind = rows.transpose(0, 2, 1)
    return np.concatenate((by_kind, by_kind.all(axis=1, keepdims=True)), axis=1)


def _video_scores(counts: Counts, video: Int[np.ndarray, " pair"], videos: int) -> Float[np.ndarray, "video kind"]:
    """Per video the mean F over the classes that anybody marks, for each of `KINDS`."""
    own = slice(0, len(MODALITIES))
    either = Counts(*(c[:, own].sum(axis=1) for c in (counts.matched, counts.reference, counts.estimate)))
    columns = [*f_score(counts).T, f_score(either)]
    *three, event = (_mean_by_video(column, video, videos) for column in columns)
    return np.stack((*three, np.mean(three, axis=0), event), axis=1)


def _mean_by_video(
    f: Float[np.ndarray, " pair"], video: Int[np.ndarray, " pair"], videos: int
) -> Float[np.ndarray, " video"]:
    scored = ~np.isnan(f)
    total = np.bincount(video[scored], weights=f[scored], minlength=videos)
    number = np.bincount(video[scored], minlength=videos)
    return np.where(number > 0, total / np.maximum(number, 1), 1.0)
