"""What the demo measured: scores of every method and seed, F of the labels, flips, differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vaplan.arrays import MODALITIES
from vaplan.bench.label_quality import Flips
from vaplan.bench.results import spread
from vaplan.metrics.intervals import paired_bootstrap
from vaplan.metrics.llp import KINDS, LEVELS, LLPScores

NAMES = {
    "han": "HAN on weak labels",
    "plg": "+ PLG (video-level)",
    "segment_bce": "+ segment BCE",
    "ple": "+ PLE",
    "pld": "+ PLD",
}
SHORT = {
    "han": "HAN",
    "plg": "PLG",
    "segment_bce": "segment BCE",
    "ple": "PLE",
    "pld": "PLD",
}
PAIRS = (("plg", "han"), ("segment_bce", "plg"), ("ple", "plg"), ("pld", "ple"))
DECIMALS = 4  # of numbers in percent, in the JSON


@dataclass(frozen=True)
class Demo:
    """Where everything is, and the numbers, in percent: one entry a seed."""

    page: Path
    rule: str
    labels_before: dict[str, dict[str, float]]
    labels_after: list[dict[str, dict[str, float]]]
    scores: dict[str, list[LLPScores]]
    flips: list[Flips]

    def numbers(self) -> dict[str, Any]:
        """The document of `vaplan demo --json`: means over seeds."""
        after = {
            level: _mean([seed["visual"][level] for seed in self.labels_after])
            for level in LEVELS
        }
        labels: dict[str, Any] = {
            modality: {"before": _round(self.labels_before[modality])}
            for modality in MODALITIES
        }
        labels["visual"]["after"] = _round(after)
        methods = {
            name: {
                level: _round({kind: self.mean(name, level, kind) for kind in KINDS})
                for level in LEVELS
            }
            for name in self.scores
        }
        return {"labels": labels, "methods": methods}

    def mean(self, name: str, level: str, kind: str) -> float:
        """A method's number, mean over seeds."""
        return _mean(self.per_seed(name, level, kind))

    def per_seed(self, name: str, level: str, kind: str) -> list[float]:
        """A method's number for each seed."""
        return [scores.percent()[level][kind] for scores in self.scores[name]]


def difference(result: Demo, better: str, worse: str, level: str) -> str:
    """For example `+3.1 [1.8, 4.4]`."""
    first, second = (
        np.mean(
            [100 * scores.of(level, "type") for scores in result.scores[name]], axis=0
        )
        for name in (better, worse)
    )
    difference, low, high = paired_bootstrap(first, second, seed=0)
    return f"{difference:+.1f} [{low:.1f}, {high:.1f}]"


def summary(result: Demo) -> str:
    """What the numbers rest on, in one sentence."""
    videos, seeds = len(result.scores["han"][0]), len(result.scores["han"])
    return f"F in percent on {videos} test videos, mean ± deviation of {seeds} seeds; decision rule {result.rule}"


def method_rows(result: Demo, levels: Sequence[str] = tuple(LEVELS)) -> list[list[str]]:
    """A row a method: its numbers at these levels, mean ± deviation over seeds."""
    return [
        [
            title,
            *(
                spread(result.per_seed(name, level, kind))
                for level in levels
                for kind in KINDS
            ),
        ]
        for name, title in NAMES.items()
    ]


def label_rows(result: Demo) -> list[list[str]]:
    """F of the test videos' pseudo labels: audio, visual, and visual after PLD."""
    rows = [
        [f"PLG, {m}", *(f"{result.labels_before[m][level]:.1f}" for level in LEVELS)]
        for m in MODALITIES
    ]
    after = [
        spread([seed["visual"][level] for seed in result.labels_after])
        for level in LEVELS
    ]
    return [*rows, ["PLD, visual", *after]]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _round(numbers: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, DECIMALS) for name, value in numbers.items()}
