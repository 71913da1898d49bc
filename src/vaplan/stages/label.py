"""PLG as a stage: features and tags to a table of pseudo labels."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from vaplan import pseudo_labels
from vaplan.annotations import Annotations
from vaplan.annotations.table import write_rows
from vaplan.arrays import MODALITIES
from vaplan.errors import UsageError
from vaplan.metrics.ave import label_accuracy
from vaplan.metrics.llp import label_f
from vaplan.pseudo_labels.generate import ThresholdSpec
from vaplan.stages.data import Encoders, input_hashes
from vaplan.stages.diagnose import ByClass, diagnose, draw
from vaplan.stages.evidence import gather
from vaplan.stages.soft import label_rows, write_soft
from vaplan.stages.thresholds import choose_thresholds
from vaplan.writing import write_json


@dataclass(frozen=True)
class Labelling:
    """What `label` did: thresholds per modality and how they were chosen, and the F of the labels where dense labels
    exist (percent, by split, modality and level)."""

    table: Path
    thresholds: dict[str, float | list[float]]
    chosen: str
    f: dict[str, dict[str, dict[str, float]]]
    skipped: tuple[str, ...]
    trust: ByClass | None = None

    def spoken(self, modality: str) -> str:
        """A modality's thresholds, and how they were chosen, in words."""
        value = self.thresholds[modality]
        if isinstance(value, float):
            return f"{modality} threshold {value:.4g}, {self.chosen}"
        return f"{modality} thresholds from {min(value):.4g} to {max(value):.4g}, one a class, {self.chosen}"


def label(
    data: Annotations,
    store: Path,
    out: Path,
    *,
    names: Encoders,
    thresholds: ThresholdSpec | None = None,
    choose: str | None = None,
    strategy: str | None = None,
    smooth: float = 0.0,
    soft: Path | None = None,
    judge: bool = False,
) -> Labelling:
    """Write pseudo labels of every video of the data set, one row a segment, with the evidence as its score.

    Thresholds that are not given are fitted on the densely labelled videos of split `val`. Where there are none, a
    label must be likelier right than wrong, as told by tagged and untagged videos. In a data set without any tag every
    class may occur in every video: there is no filter, and nothing to fit thresholds on.

    Args:
        choose: How thresholds are chosen, a name of `stages.thresholds.CHOICES`.
        strategy: What is held against the thresholds, see `stages.evidence.gather`.
        smooth: Over how many segments the evidence is averaged first.
        soft: A second table to write: how likely each label is right, for every segment and tag.
        judge: Say whether the labels look trustworthy, and draw it beside the table (`picture_path`).
    """
    found = gather(data, store, names=names, strategy=strategy, smooth=smooth)
    data, evidence = found.data, found.values
    if (soft or judge) and not found.tagged:
        what = "labels are not soft and cannot be judged in a data set without tags: nothing shows a class's absence"
        raise UsageError(what, fix="leave --soft and --diagnose out")
    threshold, chosen = choose_thresholds(found, given=thresholds, how=choose)
    labels = pseudo_labels.generate_pseudo_labels(
        evidence, found.weak_label, found.mask, threshold=threshold
    )
    write_rows(
        out, label_rows(data.ids, labels.numpy(), evidence.numpy(), data.taxonomy)
    )
    if soft:
        write_soft(
            soft,
            found.mixture().probability(found.values),
            found.weak_label,
            found.mask,
            data,
        )
    spoken = {
        m: _shortest(row.tolist()) for m, row in zip(MODALITIES, threshold, strict=True)
    }
    about = {
        "annotations": data.version,
        "strategy": found.strategy,
        "filter": "tags" if found.tagged else "none",
        "thresholds": spoken,
        "chosen": chosen,
        "smooth": smooth,
        "encoders": [list(n) for n in names],
    }
    prompts = {m: data.taxonomy.prompts(m) for m in MODALITIES}
    write_json(
        about_path(out),
        about | {"prompts": prompts, "inputs": input_hashes(data, store, names)},
    )
    quality = label_quality(data, labels.numpy()) if found.tagged else {}
    trust = (
        diagnose(found, threshold, store, names=names, smooth=smooth) if judge else None
    )
    if trust:
        draw(trust, picture_path(out))
    return Labelling(out, spoken, chosen, quality, found.skipped, trust)


def about_path(table: Path) -> Path:
    """The side file that says how a table of pseudo labels was made."""
    return table.with_suffix(".json")


def picture_path(table: Path) -> Path:
    """The picture of how trustworthy a table of pseudo labels looks."""
    return table.with_suffix(".png")


def label_quality(
    data: Annotations, labels: Bool[np.ndarray, "video time modality class"]
) -> dict[str, dict[str, dict[str, float]]]:
    """F of pseudo labels (one grid row a video of `data`) in percent, for each split with dense labels.

    Of localisation it is the accuracy of the labels that are in both modalities.
    """
    scores = dict[str, dict[str, dict[str, float]]]()
    eventful = {video.split for video in data.videos if data.events.get(video.video)}
    for split in dict.fromkeys(video.split for video in data.videos):
        index = [
            i
            for i, v in enumerate(data.videos)
            if v.split == split and v.video in data.events
        ]
        if split in eventful:
            reference = data.ordered([data.ids[i] for i in index]).reference(
                labels.shape[1]
            )
            if data.localisation:
                scores[split] = {
                    "audio_visual": {
                        "accuracy": label_accuracy(reference, labels[index])
                    }
                }
            else:
                scores[split] = label_f(reference, labels[index])
    return scores


def _shortest(row: list[float]) -> float | list[float]:
    return row[0] if len(set(row)) == 1 else row
