"""The ten numbers of audio-visual video parsing on LLP.

Segments and events (maximal runs of segments) are counted per video and class in audio,
visual and audio-visual; the last marks the segments in which a class is both audible
and visible. The score of a video is the mean F over the classes that the reference or
the estimate marks, and 1 if there are none; an empty estimate therefore does not always
score zero. "type" is the mean of the three scores; "event" adds the counts of audio and
visual before F is computed. The score of a data set is the mean over its videos.

Source: Tian, Li, Xu, ECCV 2020, arXiv 2007.10558, section 5.1, and its published
evaluation code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vaplan.metrics.counts import Counts, count_cells, count_events, f_score, pack
from vaplan.modalities import AUDIO, MODALITIES, VISUAL
from vaplan.ragged import Index, Ragged

Grid = Bool[np.ndarray, "video time modality class"] | Ragged[np.ndarray]
LEVELS = {"segment": count_cells, "event": count_events}
KINDS = (*MODALITIES, "audio_visual", "type", "event")
VIDEOS_AT_ONCE = 256  # fits the processor's cache, and bounds the memory


@dataclass(frozen=True)
class LLPSum:
    """Sum of the scores of any number of videos.

    The sum of two values has the videos of both.

    Attributes:
        total: Sum of the scores, each in [0, 1].
        videos: Number of videos.

    >>> grid = np.array([[[[True], [False]]]])
    >>> llp_scores(grid, grid).sum() + llp_scores(grid, ~grid).sum()
    LLPSum(videos=2, segment type=66.7 %, event type=66.7 %)
    """

    total: Float[np.ndarray, "level kind"]
    videos: int

    def __add__(self, other: "LLPSum") -> "LLPSum":
        return LLPSum(
            total=self.total + other.total,
            videos=self.videos + other.videos,
        )

    def __repr__(self) -> str:
        return _describe(self, self)

    def percent(self) -> dict[str, dict[str, float]]:
        """Return the ten numbers in percent by level and kind.

        Raises:
            ValueError: There are no videos.
        """
        if not self.videos:
            raise ValueError("no videos to average over")
        return by_name(100 * self.total / self.videos)


@dataclass(frozen=True)
class LLPScores:
    """Scores of each video.

    The sum of two values has the videos of both.

    Attributes:
        per_video: Scores in [0, 1].

    >>> grid = np.array([[[[True], [False]]]])
    >>> scores = llp_scores(grid, grid) + llp_scores(grid, ~grid)
    >>> scores
    LLPScores(videos=2, segment type=66.7 %, event type=66.7 %)
    >>> scores.percent()["segment"]["audio"]
    50.0
    """

    per_video: Float[np.ndarray, "video level kind"]

    def __len__(self) -> int:
        return len(self.per_video)

    def __add__(self, other: "LLPScores") -> "LLPScores":
        per_video = np.concatenate((self.per_video, other.per_video))
        return LLPScores(per_video)

    def __repr__(self) -> str:
        return _describe(self, self.sum())

    def of(self, level: str, kind: str) -> Float[np.ndarray, " video"]:
        """Return one of the ten numbers for each video, in [0, 1].

        Args:
            level: `segment` or `event`.
            kind: Kind of the score, a name in `KINDS`.
        """
        level_index = list(LEVELS).index(level)
        return self.per_video[:, level_index, KINDS.index(kind)]

    def sum(self) -> LLPSum:
        """Add up the videos; the size of the sum does not depend on their number."""
        total = self.per_video.sum(axis=0)
        return LLPSum(total, videos=len(self))

    def percent(self) -> dict[str, dict[str, float]]:
        """Return the ten numbers in percent by level and kind.

        Returns:
            `{"segment": {"audio", "visual", "audio_visual", "type", "event"},
            "event": …}`.

        Raises:
            ValueError: There are no videos.
        """
        return self.sum().percent()


@dataclass(frozen=True)
class LLPCounts:
    """Counts of each class, summed over videos.

    The sum of two values has the videos of both. The ten numbers average over videos
    and do not follow from these counts. Other numbers do: the F of each class, and the
    micro F, in which a video weighs as much as it contains events.

    Attributes:
        counts: Matches, reference and estimate of audio, visual and audio-visual.
    """

    counts: Int[np.ndarray, "count level kind class"]

    def __add__(self, other: "LLPCounts") -> "LLPCounts":
        return LLPCounts(self.counts + other.counts)

    def class_f(self) -> Float[np.ndarray, "level kind class"]:
        """Compute F of each class in percent, for each of `KINDS`.

        Returns:
            NaN where neither reference nor estimate marks the class; "type" is the mean
            of the other numbers.
        """
        return _f_of_all_kinds(self.counts)

    def per_class(
        self, names: Sequence[str]
    ) -> dict[str, dict[str, dict[str, float | None]]]:
        """Return `class_f` by name.

        Args:
            names: Names of the classes.

        Returns:
            `{"segment": {"audio": {class: F}, …}, "event": …}`; None where neither
            reference nor estimate marks the class.
        """
        return {
            level: {
                kind: _by_class(names, row)
                for kind, row in zip(KINDS, rows, strict=True)
            }
            for level, rows in zip(LEVELS, self.class_f(), strict=True)
        }

    def micro(self) -> dict[str, dict[str, float]]:
        """Compute F in percent from counts summed over videos and classes.

        Returns:
            Numbers under the names of the ten numbers; NaN where nothing is marked.
        """
        summed_counts = self.counts.sum(axis=3, keepdims=True)
        f = _f_of_all_kinds(summed_counts)
        return by_name(f[:, :, 0])


def llp_scores(
    reference: Grid,
    estimate: Grid,
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> LLPScores:
    """Compute the ten numbers of each video.

    Args:
        reference: Dense labels of the videos: an array, or a collection of arrays if they
            differ in length.
        estimate: Estimated labels of the same videos.
        mask: Segments of the arrays that exist, if videos differ in length. A segment of which one
            modality is absent still counts: its reference events are missed.

    >>> reference = np.array([[[[True], [False]], [[True], [False]]]])
    >>> estimate = np.array([[[[True], [False]], [[False], [False]]]])
    >>> llp_scores(reference, estimate).percent()["event"]["audio"]
    100.0
    """
    shape = (len(reference), len(LEVELS), len(KINDS))
    scores = np.empty(shape)
    for part, rows in _parts(reference, estimate, mask):
        for level, count in enumerate(LEVELS.values()):
            counts = count(*rows)
            scores[part, level] = video_scores(counts)
    return LLPScores(scores)


def llp_counts(
    reference: Grid,
    estimate: Grid,
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
    classes = _values(reference).shape[-1]
    total = np.zeros((3, len(LEVELS), kinds, classes), dtype=np.int64)
    for _, rows in _parts(reference, estimate, mask):
        for level, count in enumerate(LEVELS.values()):
            counts = count(*rows)
            total[0, level] += counts.matched.sum(axis=0)
            total[1, level] += counts.reference.sum(axis=0)
            total[2, level] += counts.estimate.sum(axis=0)
    return LLPCounts(total)


def class_f(
    reference: Grid,
    estimate: Grid,
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Float[np.ndarray, "level modality class"]:
    """Compute F of each class in percent from counts summed over videos.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        mask: Segments that exist; other segments do not count.

    Returns:
        NaN where neither reference nor estimate marks the class.
    """
    counts = llp_counts(reference, estimate, mask=mask)
    return counts.class_f()[:, [AUDIO, VISUAL]]


def label_f(
    reference: Grid,
    estimate: Grid,
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> dict[str, dict[str, float]]:
    """Score pseudo labels per modality, in percent.

    Args:
        reference: Dense labels of the videos.
        estimate: Pseudo labels of the same videos.
        mask: Segments that exist; other segments do not count.

    Returns:
        `{"audio": {"segment", "event"}, "visual": …}`, a part of the ten numbers.
    """
    numbers = llp_scores(reference, estimate, mask=mask).percent()
    return {
        modality: {level: numbers[level][modality] for level in LEVELS}
        for modality in MODALITIES
    }


def by_name(numbers: Float[np.ndarray, "level kind"]) -> dict[str, dict[str, float]]:
    """Return ten numbers by level and kind."""
    names: dict[str, dict[str, float]] = {}
    for level, row in zip(LEVELS, numbers, strict=True):
        names[level] = dict(zip(KINDS, map(float, row), strict=True))
    return names


def video_scores(counts: Counts) -> Float[np.ndarray, "video kind"]:
    """Compute the scores of each video, in [0, 1], for each of `KINDS`.

    Args:
        counts: Counts of each class in audio, visual and audio-visual, each
            `Int "video kind class"`.
    """
    modalities = [AUDIO, VISUAL]
    both_modalities = Counts(
        matched=counts.matched[:, modalities].sum(axis=1),
        reference=counts.reference[:, modalities].sum(axis=1),
        estimate=counts.estimate[:, modalities].sum(axis=1),
    )
    three = _mean_over_classes(f_score(counts))
    type_ = three.mean(axis=1, keepdims=True)
    event = _mean_over_classes(f_score(both_modalities))
    return np.concatenate((three, type_, event[:, None]), axis=1)


def _describe(scores: LLPSum | LLPScores, total: LLPSum) -> str:
    """Write type, number of videos and both "type" numbers, for `repr`."""
    parts = [f"videos={total.videos}"]
    if total.videos:
        for level, row in total.percent().items():
            parts.append(f"{level} type={row['type']:.1f} %")
    return f"{type(scores).__name__}({', '.join(parts)})"


def _by_class(
    names: Sequence[str], row: Float[np.ndarray, " class"]
) -> dict[str, float | None]:
    numbers: dict[str, float | None] = {}
    for name, f in zip(names, row, strict=True):
        numbers[name] = None if np.isnan(f) else float(f)
    return numbers


def _f_of_all_kinds(
    counts: Int[np.ndarray, "count level kind class"],
) -> Float[np.ndarray, "level all_kinds class"]:
    """Compute F in percent for each of `KINDS`; see `LLPCounts.class_f`."""
    modality_counts = counts[:, :, [AUDIO, VISUAL]]
    event_counts = modality_counts.sum(axis=2)
    three = 100 * f_score(Counts(*counts))
    event = 100 * f_score(Counts(*event_counts))
    type_ = _mean_of_numbers(three, axis=1, default=np.nan)
    kinds = (three, type_[:, None], event[:, None])
    return np.concatenate(kinds, axis=1)


def _mean_over_classes(f: Float[np.ndarray, "*row class"]) -> Float[np.ndarray, "*row"]:
    """Average over the classes with a number; 1 where there are none."""
    return _mean_of_numbers(f, axis=-1, default=1.0)


def _mean_of_numbers(
    values: Float[np.ndarray, "..."], *, axis: int, default: float
) -> Float[np.ndarray, "..."]:
    """Average over an axis without the NaNs; the default where all are NaN."""
    is_number = ~np.isnan(values)
    total = values.sum(axis=axis, where=is_number)
    count = is_number.sum(axis=axis)
    mean = total / np.maximum(count, 1)
    return np.where(count > 0, mean, default)


def _parts(
    reference: Grid, estimate: Grid, mask: Bool[np.ndarray, "video time"] | None
) -> Iterator[
    tuple[
        Index,
        tuple[
            UInt[np.ndarray, "part kind class word"],
            UInt[np.ndarray, "part kind class word"],
        ],
    ]
]:
    """Yield parts of the videos with the packed rows of reference and estimate."""
    if isinstance(reference, Ragged) and isinstance(estimate, Ragged):
        for part in reference.lengths.groups(videos=VIDEOS_AT_ONCE):
            reference_rows = _rows(reference.batch(part), None)
            yield part, (reference_rows, _rows(estimate.batch(part), None))
        return
    references, estimates = np.asarray(reference), np.asarray(estimate)
    for start in range(0, len(references), VIDEOS_AT_ONCE):
        part = slice(start, start + VIDEOS_AT_ONCE)
        exists = None if mask is None else mask[part]
        reference_rows = _rows(references[part], exists)
        estimate_rows = _rows(estimates[part], exists)
        yield part, (reference_rows, estimate_rows)


def _values(grid: Grid) -> np.ndarray:
    return grid.values if isinstance(grid, Ragged) else grid


def _rows(
    grid: Bool[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time"] | None,
) -> UInt[np.ndarray, "video kind class word"]:
    """Pack the rows of each class in audio, visual and audio-visual."""
    words = pack(grid, axis=1)
    if mask is not None:
        words &= pack(mask)[:, None, None]
    audio_visual = words[:, [AUDIO]] & words[:, [VISUAL]]
    return np.concatenate((words, audio_visual), axis=1)
