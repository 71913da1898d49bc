"""Classes, and the prompts that describe them to a text encoder, per modality.

The default templates follow Zhou et al. 2024, arXiv 2406.00919.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool

from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.modalities import MODALITIES

TEMPLATES = {
    "audio": ("This sound contains the {}.",),
    "visual": ("This photo contains the {}.",),
}


def display_name(name: str) -> str:
    """Return the name of a class as words of a prompt.

    >>> display_name("Frying_(food)")
    'frying food'
    """
    for separator in "_()":
        name = name.replace(separator, " ")
    return " ".join(name.lower().split())


MAX_CLASSES = 20_000  # a grid has an axis of classes; AudioSet has 527


@dataclass(frozen=True)
class Taxonomy:
    """An ordered list of classes; index c of every grid is `classes[c]`.

    Attributes:
        classes: Names of the classes.
        templates: Prompts with one `{}` for the name of a class, per modality.
        own_prompts: Prompts that replace the templates, per modality and class.
    """

    classes: tuple[str, ...]
    templates: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: dict(TEMPLATES)
    )
    own_prompts: Mapping[str, Mapping[str, tuple[str, ...]]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        if not self.classes:
            raise AnnotationError(
                "a taxonomy needs at least one class", fix="name the classes"
            )
        if len(self.classes) > MAX_CLASSES:
            raise AnnotationError(
                f"{len(self.classes):,} classes, expected at most {MAX_CLASSES:,}",
                fix="check that this is a list of classes",
            )
        for name, count in Counter(self.classes).items():
            if count > 1:
                raise AnnotationError(
                    f"class {name!r} is listed twice", fix="keep one of the two"
                )
        for modality, templates in self.templates.items():
            if modality not in MODALITIES:
                raise UsageError(unknown("modality", modality, MODALITIES))
            for template in templates:
                if template.count("{}") != 1:
                    raise UsageError(
                        f"template {template!r} must contain one {{}} for the class name"
                    )

    def __len__(self) -> int:
        return len(self.classes)

    def index(self, name: str) -> int:
        """Return the index of a class.

        Raises:
            UsageError: There is no such class; the error names the most similar one.
        """
        try:
            return self._index_of[name]
        except KeyError:
            raise UsageError(unknown("class", name, self.classes)) from None

    @cached_property
    def _index_of(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.classes)}

    def prompts(self, modality: str) -> list[list[str]]:
        """Return the prompts of each class; their embeddings are averaged."""
        own_prompts = self.own_prompts.get(modality, {})
        prompts = []
        for name in self.classes:
            if name in own_prompts:
                prompts.append(list(own_prompts[name]))
            else:
                prompts.append(self._prompts_from_templates(modality, name))
        return prompts

    def _prompts_from_templates(self, modality: str, name: str) -> list[str]:
        words = display_name(name)
        templates = self.templates[modality]
        return [template.replace("{}", words) for template in templates]


def from_names(names: Iterable[str]) -> Taxonomy:
    """Return a taxonomy of the distinct names, in alphabetical order."""
    return Taxonomy(tuple(sorted(set(names))))


def multi_hot(names: Sequence[str], taxonomy: Taxonomy) -> Bool[np.ndarray, " class"]:
    """Mark the classes of a taxonomy that are in a list of names.

    Args:
        names: Names of classes.
        taxonomy: Classes of the result.
    """
    marked = np.zeros(len(taxonomy), dtype=bool)
    marked[[taxonomy.index(name) for name in names]] = True
    return marked


LLP_CLASSES = """
    Speech Car Cheering Dog Cat Frying_(food) Basketball_bounce Fire_alarm Chainsaw
    Cello Banjo Singing Chicken_rooster Violin_fiddle Vacuum_cleaner Baby_laughter
    Accordion Lawn_mower Motorcycle Helicopter Acoustic_guitar Telephone_bell_ringing
    Baby_cry_infant_cry Blender Clapping
"""
AVE_CLASSES = """
    Church bell; Male speech, man speaking; Bark; Fixed-wing aircraft, airplane;
    Race car, auto racing; Female speech, woman speaking; Helicopter; Violin, fiddle;
    Flute; Ukulele; Frying (food); Truck; Shofar; Motorcycle; Acoustic guitar;
    Train horn; Clock; Banjo; Goat; Baby cry, infant cry; Bus; Chainsaw; Cat; Horse;
    Toilet flush; Rodents, rats, mice; Accordion; Mandolin
"""

LLP = Taxonomy(tuple(LLP_CLASSES.split()))
AVE = Taxonomy(tuple(name.strip() for name in AVE_CLASSES.split(";")))
