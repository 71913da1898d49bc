"""Sentences that go by a name, beside those of a user's own file."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from vaplan.arrays import MODALITIES
from vaplan.errors import UsageError, unknown
from vaplan.pseudo_labels import valor_prompts
from vaplan.taxonomy import TEMPLATES, Taxonomy, with_prompts


def default(taxonomy: Taxonomy) -> Taxonomy:
    """VAPLAN's templates for every class."""
    return replace(taxonomy, templates=dict(TEMPLATES), own_prompts={})


def valor(taxonomy: Taxonomy) -> Taxonomy:
    """VALOR's sentences, which there are for the classes of LLP."""
    own = {
        name: dict(
            zip(
                taxonomy.classes,
                map(tuple, valor_prompts(taxonomy.classes, modality)),
                strict=True,
            )
        )
        for modality, name in enumerate(MODALITIES)
    }
    return replace(taxonomy, own_prompts=own)


PROMPTS: Mapping[str, Callable[[Taxonomy], Taxonomy]] = {
    "default": default,
    "valor": valor,
}


def in_other_words(taxonomy: Taxonomy, prompts: str) -> Taxonomy:
    """The same classes in the sentences of `PROMPTS` that go by this name, or in those of a taxonomy file."""
    if prompts in PROMPTS:
        return PROMPTS[prompts](taxonomy)
    if not Path(prompts).suffix:
        fix = "give one of these names, or a taxonomy file (YAML or CSV)"
        raise UsageError(unknown("list of prompts", prompts, PROMPTS), fix=fix)
    return with_prompts(taxonomy, Path(prompts))
