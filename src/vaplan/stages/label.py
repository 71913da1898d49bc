"""PLG as a stage: features and tags to a table of pseudo labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan import encoders, pseudo_labels
from vaplan.annotations import Annotations
from vaplan.annotations.sheet import Row
from vaplan.annotations.table import write_rows
from vaplan.arrays import MODALITIES, Inputs
from vaplan.files import write_json
from vaplan.metrics.llp import label_f
from vaplan.pseudo_labels.generate import ThresholdSpec
from vaplan.stages.data import Encoders, check_weights, folders, input_hashes, read_inputs, usable
from vaplan.taxonomy import Taxonomy
from vaplan.training import threads


@dataclass(frozen=True)
class Labelling:
    """What `label` did: thresholds per modality and how they were chosen, and the F of the labels where dense labels
    exist (percent, by split, modality and level)."""

    table: Path
    thresholds: dict[str, float | list[float]]
    chosen: str
    f: dict[str, dict[str, dict[str, float]]]
    skipped: tuple[str, ...]


def label(
    data: Annotations,
    store: Path,
    out: Path,
    *,
    names: Encoders,
    thresholds: ThresholdSpec | None = None,
) -> Labelling:
    """Write pseudo labels of every video of the data set, one row a segment, with the confidence as its score.

    Thresholds that are not given are fitted on the densely labelled videos of split `val`; where there are none, they
    are set so that classes outside the tags almost never fire.
    """
    data, skipped = usable(data, store, names)
    inputs = read_inputs(store, [group[:1] for group in names], data.ids)
    with threads(1):
        loaded = [encoders.load(group[0], modality) for modality, group in enumerate(names)]
        for folder, encoder in zip((group[0] for group in folders(store, names)), loaded, strict=True):
            check_weights(folder, encoder)
        confidence = class_confidence(inputs, data.taxonomy, loaded)
    weak_label = torch.from_numpy(data.weak_label())
    threshold, chosen = _thresholds(data, confidence, weak_label, inputs.mask, given=thresholds)
    labels = pseudo_labels.generate_pseudo_labels(confidence, weak_label, inputs.mask, threshold=threshold)
    write_rows(out, label_rows(data.ids, labels.numpy(), confidence.numpy(), data.taxonomy))
    spoken = {m: _shortest(row.tolist()) for m, row in zip(MODALITIES, threshold, strict=True)}
    about = {"annotations": data.version, "thresholds": spoken, "chosen": chosen, "encoders": [list(n) for n in names]}
    prompts = {m: data.taxonomy.prompts(m) for m in MODALITIES}
    write_json(about_path(out), about | {"prompts": prompts, "inputs": input_hashes(data, store, names)})
    return Labelling(out, spoken, chosen, label_quality(data, labels.numpy()), tuple(skipped))


def class_confidence(
    inputs: Inputs, taxonomy: Taxonomy, loaded: Sequence[encoders.Encoder]
) -> Float[Tensor, "video time modality class"]:
    """Per modality the softmax over classes of each segment's cosine with the class's prompts.

    Args:
        loaded: Per modality the encoder of the first feature stream.
    """
    grids = []
    for modality, encoder in enumerate(loaded):
        text = encoders.class_vectors(encoder, taxonomy.prompts(MODALITIES[modality]))
        grids.append(pseudo_labels.confidence(pseudo_labels.similarity(inputs.streams[modality][0], text)))
    return torch.stack(grids, dim=2)


def label_rows(
    videos: tuple[str, ...],
    labels: Bool[np.ndarray, "video time modality class"],
    score: Float[np.ndarray, "video time modality class"],
    taxonomy: Taxonomy,
) -> Iterator[Row]:
    """One row a marked segment; a video without any has one empty row."""
    for index, video in enumerate(videos):
        cells = np.argwhere(labels[index].transpose(1, 2, 0))
        if not len(cells):
            yield Row(video)
        for m, c, t in cells.tolist():
            confidence = round(float(score[index, t, m, c]), 6)
            yield Row(video, MODALITIES[m], taxonomy.classes[c], float(t), float(t + 1), confidence)


def about_path(table: Path) -> Path:
    """The side file that says how a table of pseudo labels was made."""
    return table.with_suffix(".json")


def _thresholds(
    data: Annotations,
    confidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    given: ThresholdSpec | None,
) -> tuple[Float[Tensor, "modality class"], str]:
    if given is not None:
        return pseudo_labels.thresholds(len(data.taxonomy), given), "given"
    dense = [i for i, video in enumerate(data.videos) if video.split == "val" and video.video in data.events]
    if not dense:
        chosen = pseudo_labels.thresholds_without_labels(confidence, weak_label, mask)
        return chosen, "from classes outside the tags"
    reference = data.ordered([data.ids[i] for i in dense]).reference(confidence.shape[1])

    def score(labels: Bool[Tensor, "video time modality class"], modality: int) -> float:
        return label_f(reference, labels.numpy())[MODALITIES[modality]]["segment"]

    fitted = pseudo_labels.choose_thresholds(confidence[dense], weak_label[dense], mask[dense], score)
    return fitted, f"fitted on {len(dense)} densely labelled videos of split val"


def label_quality(
    data: Annotations, labels: Bool[np.ndarray, "video time modality class"]
) -> dict[str, dict[str, dict[str, float]]]:
    """F of pseudo labels (one grid row a video of `data`) in percent, for each split with dense labels."""
    scores = {}
    for split in dict.fromkeys(video.split for video in data.videos):
        index = [i for i, v in enumerate(data.videos) if v.split == split and v.video in data.events]
        if index:
            reference = data.ordered([data.ids[i] for i in index]).reference(labels.shape[1])
            scores[split] = label_f(reference, labels[index])
    return scores


def _shortest(row: list[float]) -> float | list[float]:
    return row[0] if len(set(row)) == 1 else row
