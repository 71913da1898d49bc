"""Whether a data set's own pseudo labels look trustworthy, without any dense label."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES
from vaplan.pseudo_labels import generate_pseudo_labels
from vaplan.pseudo_labels.trust import Trust, assess
from vaplan.stages.data import Encoders
from vaplan.stages.evidence import Evidence, gather
from vaplan.taxonomy import Taxonomy
from vaplan.writing import write_whole

ByClass = dict[str, dict[str, Trust]]


def diagnose(
    found: Evidence,
    threshold: Float[Tensor, "modality class"],
    store: Path,
    *,
    names: Encoders,
    smooth: float = 0.0,
) -> ByClass:
    """Per modality and class, what speaks for and against the labels above `threshold`."""
    about = found.values, found.weak_label, found.mask
    other = [
        gather(
            replace(found.data, taxonomy=taxonomy),
            store,
            names=names,
            strategy=found.strategy,
            smooth=smooth,
        )
        for taxonomy in one_sentence_each(found.data.taxonomy)
    ]
    label = generate_pseudo_labels(*about, threshold=threshold)
    others = [
        generate_pseudo_labels(e.values, *about[1:], threshold=e.mixture().thresholds())
        for e in other
    ]
    rows = assess(
        *about,
        threshold=threshold,
        mixture=found.mixture(),
        sentences=agreement(label, others),
    )
    classes = found.data.taxonomy.classes
    return {
        m: dict(zip(classes, row, strict=True))
        for m, row in zip(MODALITIES, rows, strict=True)
    }


def one_sentence_each(taxonomy: Taxonomy) -> Iterator[Taxonomy]:
    """The same classes with one of their sentences at a time; nothing where every class has one only."""
    prompts = {modality: taxonomy.prompts(modality) for modality in MODALITIES}
    most = max(
        len(sentences) for by_class in prompts.values() for sentences in by_class
    )
    for k in range(most if most > 1 else 0):
        own = {
            modality: {
                name: (said[k % len(said)],)
                for name, said in zip(taxonomy.classes, by_class, strict=True)
            }
            for modality, by_class in prompts.items()
        }
        yield replace(taxonomy, own_prompts=own)


def agreement(
    label: Bool[Tensor, "video time modality class"],
    others: Sequence[Bool[Tensor, "video time modality class"]],
) -> Float[Tensor, "modality class"]:
    """Of what either marks, the share that both do, mean over the others; NaN without others, or without a label."""
    shares = [(label & o).sum(dim=(0, 1)) / (label | o).sum(dim=(0, 1)) for o in others]
    return (
        torch.stack(shares).mean(dim=0)
        if shares
        else torch.full(label.shape[2:], torch.nan)
    )


def draw(trust: ByClass, out: Path) -> Path:
    """Write the picture of it."""
    from vaplan.report.label_diagnostics import picture

    figure = picture(trust)
    return write_whole(
        out,
        lambda beside: figure.savefig(
            beside, format="png", dpi=130, metadata={"Software": None}
        ),
    )
