"""How well every segment fits every class in words, before any training: what pseudo labels and zero-shot parsing
start from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from vaplan import encoders, pseudo_labels, synthetic
from vaplan.arrays import MODALITIES, Inputs
from vaplan.encoders import Encoder
from vaplan.errors import UsageError, unknown
from vaplan.taxonomy import AVE, LLP, Taxonomy, spoken

MARGIN = "margin"
STRATEGIES = (*pseudo_labels.STRATEGIES, MARGIN)


@dataclass(frozen=True)
class Sentences:
    """Classes as the encoder of each modality reads them, and how its segments are held against them.

    `strategy` is `confidence` (PLG's softmax over classes), `logit` (VALOR's cosine at the encoder's own scale) or
    `margin` (a logit above that of everyday things, `pseudo_labels.above_everyday`).
    """

    strategy: str
    text: tuple[Float[Tensor, "class _"], ...]
    scales: tuple[float, ...]

    def evidence(self, inputs: Inputs) -> Float[Tensor, "video time modality class"]:
        """Per modality what speaks for each class in each segment, by the first feature stream."""
        rule = "logit" if self.strategy == MARGIN else self.strategy
        grids = [
            pseudo_labels.evidence(
                pseudo_labels.similarity(streams[0], text), strategy=rule, scale=scale
            )
            for streams, text, scale in zip(
                inputs.streams, self.text, self.scales, strict=True
            )
        ]
        return torch.stack(grids, dim=2)


def read_sentences(
    taxonomy: Taxonomy, loaded: Sequence[Encoder], *, strategy: str = "confidence"
) -> Sentences:
    """Let the encoder of each modality read the sentences of a taxonomy."""
    if strategy not in STRATEGIES:
        raise UsageError(unknown("strategy", strategy, STRATEGIES))
    text = []
    for modality, encoder in zip(MODALITIES, loaded, strict=True):
        classes = encoders.class_vectors(encoder, taxonomy.prompts(modality))
        if strategy == MARGIN:
            things = encoders.class_vectors(
                encoder, _everyday(taxonomy, encoder).prompts(modality)
            )
            classes = pseudo_labels.above_everyday(classes, things)
        text.append(classes)
    return Sentences(
        strategy, tuple(text), tuple(encoder.logit_scale for encoder in loaded)
    )


def _everyday(taxonomy: Taxonomy, encoder: Encoder) -> Taxonomy:
    """What may be there beside the user's classes, in the user's templates: the classes of LLP and AVE.

    The embedded encoders know no more than the drawn world.
    """
    known = (
        synthetic.TAXONOMY.classes
        if encoder.name == "embedded"
        else (*LLP.classes, *AVE.classes)
    )
    return replace(
        taxonomy, classes=tuple(dict.fromkeys(map(spoken, known))), own_prompts={}
    )
