"""The ten numbers of audio-visual video parsing on LLP, with their quirks.

Per video and class, segments (or events: maximal runs of segments) are counted in audio, visual
and audio-visual, the last being the cells where a class is both heard and seen. A class takes
part in a video's score if the reference or the estimate marks it there; the video's score is the
mean F over those classes, and 1 where there are none, so an empty estimate does not score zero.
"type" is the mean of the three; "event" adds the counts of audio and visual before F is taken. A
data set's score is the mean over its videos.
Source: Tian, Li, Xu, ECCV 2020 (arXiv 2007.10558), section 5.1, and the evaluation code published
with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.metrics.counts import Counts, count_cells, count_events, f_score, pack

LEVELS = {"segment": count_cells, "event": count_events}
KINDS = (*MODALITIES, "audio_visual", "type", "event")
# what is counted together stays in the processor's cache, and memory does not grow
VIDEOS_AT_ONCE = 256


@dataclass(frozen=True)
class LLPSum:
    """The scores of any number of videos, added up: adding two gives the sum over the videos of
    both."""

    total: Float[np.ndarray, "level kind"]
    videos: int

    def __add__(self, other: "LLPSum") -> "LLPSum":
        return LLPSum(self.total + other.total, self.videos + other.videos)

    def percent(self) -> dict[str, dict[str, float]]:
        """The ten numbers."""
        if not self.videos:
            raise ValueError("no videos to average over")
        return by_name(100 * self.total / self.videos)


@dataclass(frozen=True)
class LLPScores:
    """Every video's scores, in [0, 1]; adding two joins their videos."""

    per_video: Float[np.ndarray, "video level kind"]

    def __len__(self) -> int:
        return len(self.per_video)

    def __add__(self, other: "LLPScores") -> "LLPScores":
        return LLPScores(np.concatenate((self.per_video, other.per_video)))

    def of(self, level: str, kind: str) -> Float[np.ndarray, " video"]:
        """One of the ten numbers, video by video (for intervals).

        Args:
            level: `segment` or `event`.
            kind: Kind of the score, a name in `KINDS`.
        """
        return self.per_video[:, list(LEVELS).index(level), KINDS.index(kind)]

    def sum(self) -> LLPSum:
        """All that the ten numbers need, in a size that does not depend on the number of videos."""
        return LLPSum(self.per_video.sum(axis=0), len(self))

    def percent(self) -> dict[str, dict[str, float]]:
        """The ten numbers."""
        return self.sum().percent()


@dataclass(frozen=True)
class LLPCounts:
    """Counts of each class, summed over videos; adding two sums over the videos of both.

    The ten numbers cannot be had from these: they average over videos. These give other numbers,
    the F of each class and the micro F, in which a video weighs as much as it holds.
    """

    counts: Int[
        np.ndarray, "count level kind class"
    ]  # matched, reference, estimate of audio, visual, audio-visual

    def __add__(self, other: "LLPCounts") -> "LLPCounts":
        return LLPCounts(self.counts + other.counts)

    def class_f(self) -> Float[np.ndarray, "level kind class"]:
        """F of each class in percent for each of `KINDS`; NaN where nobody marks it, "type" then
        over what is left."""
        return self._f(self.counts)

    def per_class(
        self, names: Sequence[str]
    ) -> dict[str, dict[str, dict[str, float | None]]]:
        """`class_f` by name: `{"segment": {"audio": {class: F}, …}, "event": …}`; None where
        nobody marks the class."""
        return {
            level: {
                kind: {
                    name: None if np.isnan(f) else float(f)
                    for name, f in zip(names, row, strict=True)
                }
                for kind, row in zip(KINDS, rows, strict=True)
            }
            for level, rows in zip(LEVELS, self.class_f(), strict=True)
        }

    def micro(self) -> dict[str, dict[str, float]]:
        """The ten numbers' names, from counts summed over videos and classes, in percent; NaN
        where nothing is."""
        return by_name(self._f(self.counts.sum(axis=3, keepdims=True))[:, :, 0])

    @staticmethod
    def _f(
        counts: Int[np.ndarray, "count level kind class"],
    ) -> Float[np.ndarray, "level all_kinds class"]:
        three = 100 * f_score(Counts(*counts))
        either = 100 * f_score(Counts(*counts[:, :, [AUDIO, VISUAL]].sum(axis=2)))
        defined = ~np.isnan(three)
        total, number = three.sum(axis=1, where=defined), defined.sum(axis=1)
        type_ = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        return np.concatenate((three, type_[:, None], either[:, None]), axis=1)


def llp(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> dict[str, dict[str, float]]:
    """The ten numbers in percent: `{"segment": {"audio", "visual", "audio_visual", "type",
    "event"}, "event": …}`.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        mask: Segments that exist; other segments do not count.
    """
    return llp_scores(reference, estimate, mask=mask).percent()


def llp_scores(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> LLPScores:
    """The ten numbers of every video.

    Args:
        mask: Which segments a video has, where lengths differ. A segment that exists but could
            not be heard or seen stays in: what the reference marks there was missed.
    """
    scores = np.empty((len(reference), len(LEVELS), len(KINDS)))
    for part, rows in _parts(reference, estimate, mask):
        for level, count in enumerate(LEVELS.values()):
            scores[part, level] = video_scores(count(*rows))
    return LLPScores(scores)


def llp_counts(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> LLPCounts:
    """Count matches for the F of each class and the micro F.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        mask: Segments that exist; other segments do not count.
    """
    kinds = len(MODALITIES) + 1
    total = np.zeros((3, len(LEVELS), kinds, reference.shape[3]), dtype=np.int64)
    for _, rows in _parts(reference, estimate, mask):
        for level, count in enumerate(LEVELS.values()):
            counts = count(*rows)
            total[:, level] += [
                c.sum(axis=0)
                for c in (counts.matched, counts.reference, counts.estimate)
            ]
    return LLPCounts(total)


def class_f(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Float[np.ndarray, "level modality class"]:
    """F of each class in percent, from counts summed over videos; NaN where nobody marks it.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        mask: Segments that exist; other segments do not count.
    """
    return llp_counts(reference, estimate, mask=mask).class_f()[:, [AUDIO, VISUAL]]


def label_f(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> dict[str, dict[str, float]]:
    """How good pseudo labels are, in percent: `{"audio": {"segment", "event"}, "visual": …}`.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        mask: Segments that exist; other segments do not count.
    """
    numbers = llp(reference, estimate, mask=mask)
    return {
        modality: {level: numbers[level][modality] for level in LEVELS}
        for modality in MODALITIES
    }


def by_name(numbers: Float[np.ndarray, "level kind"]) -> dict[str, dict[str, float]]:
    """Ten numbers under their names."""
    return {
        level: dict(zip(KINDS, map(float, row), strict=True))
        for level, row in zip(LEVELS, numbers, strict=True)
    }


def video_scores(counts: Counts) -> Float[np.ndarray, "video kind"]:
    """Score every video from the counts of its classes in audio, visual and audio-visual, for
    each of `KINDS`.

    Args:
        counts: Each `Int "video kind class"`.
    """
    modalities = [AUDIO, VISUAL]
    either = Counts(
        *(
            c[:, modalities].sum(axis=1)
            for c in (counts.matched, counts.reference, counts.estimate)
        )
    )
    three = _mean_over_classes(f_score(counts))
    event = _mean_over_classes(f_score(either))
    return np.concatenate(
        (three, three.mean(axis=1, keepdims=True), event[:, None]), axis=1
    )


def _mean_over_classes(f: Float[np.ndarray, "*row class"]) -> Float[np.ndarray, "*row"]:
    """The mean over the classes that anybody marks; 1 where there are none."""
    scored = ~np.isnan(f)
    total, number = f.sum(axis=-1, where=scored), scored.sum(axis=-1)
    return np.where(number > 0, total / np.maximum(number, 1), 1.0)


def _parts(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time"] | None,
) -> Iterator[
    tuple[
        slice,
        tuple[
            UInt[np.ndarray, "part kind class word"],
            UInt[np.ndarray, "part kind class word"],
        ],
    ]
]:
    """Some videos at a time: the packed rows of each class in audio, visual and audio-visual, on
    both sides."""
    for start in range(0, len(reference), VIDEOS_AT_ONCE):
        part = slice(start, start + VIDEOS_AT_ONCE)
        exists = None if mask is None else mask[part]
        yield part, (_rows(reference[part], exists), _rows(estimate[part], exists))


def _rows(
    grid: Bool[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time"] | None,
) -> UInt[np.ndarray, "video kind class word"]:
    words = pack(grid, axis=1)
    if mask is not None:
        words &= pack(mask)[:, None, None]
    return np.concatenate((words, words[:, [AUDIO]] & words[:, [VISUAL]]), axis=1)
