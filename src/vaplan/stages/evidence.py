"""What speaks for every class in every second, before it is decided what is enough."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan import encoders, pseudo_labels
from vaplan.annotations import Annotations
from vaplan.parser import MARGIN, read_sentences
from vaplan.stages.data import Encoders, check_weights, folders, read_inputs, usable
from vaplan.training import threads


@dataclass(frozen=True)
class Evidence:
    """The videos that have features, and the evidence for each class in each of their segments.

    `weak_label` is the filter: the tags, or everything where nobody tagged anything. `skipped` are the videos whose
    file could not be read.
    """

    data: Annotations
    values: Float[Tensor, "video time modality class"]
    weak_label: Bool[Tensor, "video class"]
    mask: Bool[Tensor, "video time modality"]
    strategy: str
    skipped: tuple[str, ...]

    @property
    def tagged(self) -> bool:
        """Whether there is any tag."""
        return any(video.tags for video in self.data.videos)

    def mixture(self) -> pseudo_labels.Mixture:
        """How likely what evidence is right, from tagged and untagged videos."""
        odds = self.strategy == "confidence"  # a softmax
        return pseudo_labels.fit_mixture(
            self.values, self.weak_label, self.mask, odds=odds
        )


def gather(
    data: Annotations,
    store: Path,
    *,
    names: Encoders,
    strategy: str | None = None,
    smooth: float = 0.0,
) -> Evidence:
    """Read the features of the first encoder of each modality, and hold them against the classes in words.

    Args:
        strategy: See `parser.Sentences`. By default PLG's `confidence`; without tags, or for a single class, of which
            it says nothing, `margin`.
        smooth: Over how many segments the evidence is averaged; see `pseudo_labels.smooth`.
    """
    data, skipped = usable(data, store, names)
    inputs = read_inputs(store, [group[:1] for group in names], data.ids)
    tagged = any(video.tags for video in data.videos)
    strategy = strategy or (
        "confidence" if tagged and len(data.taxonomy) > 1 else MARGIN
    )
    with threads(1):
        loaded = [
            encoders.load(group[0], modality) for modality, group in enumerate(names)
        ]
        for folder, encoder in zip(
            (group[0] for group in folders(store, names)), loaded, strict=True
        ):
            check_weights(folder, encoder)
        values = read_sentences(data.taxonomy, loaded, strategy=strategy).evidence(
            inputs
        )
        values = pseudo_labels.smooth(values, inputs.mask, width=smooth)
    weak_label = torch.from_numpy(data.weak_label()) | (not tagged)
    return Evidence(data, values, weak_label, inputs.mask, strategy, tuple(skipped))
