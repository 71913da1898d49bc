"""Classes and the sentences that describe them to a text encoder, per modality.

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


def spoken(name: str) -> str:
    """Return the class name as words of a prompt.

    >>> spoken("Frying_(food)")
    'frying food'
    """
    return " ".join(
        name.replace("_", " ").replace("(", " ").replace(")", " ").lower().split()
    )


MAX_CLASSES = 20_000  # a grid has an axis of classes; AudioSet has 527


@dataclass(frozen=True)
class Taxonomy:
    """An ordered list of classes; index c of every grid is `classes[c]`.

    `templates` maps a modality to sentence templates with one `{}`; `own_prompts` maps a modality
    and a class to sentences that replace the templates.
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
        twice = [name for name, times in Counter(self.classes).items() if times > 1]
        if twice:
            raise AnnotationError(
                f"class {twice[0]!r} is listed twice", fix="keep one of the two"
            )
        for modality, templates in self.templates.items():
            if modality not in MODALITIES:
                raise UsageError(unknown("modality", modality, MODALITIES))
            for template in templates:
                if template.count("{}") != 1:
                    raise UsageError(
                        f"template {template!r} must hold one {{}} for the class name"
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
        """Return the prompts of each class, whose embeddings are averaged."""
        own = self.own_prompts.get(modality, {})
        return [
            list(own[c]) if c in own else self._filled(modality, c)
            for c in self.classes
        ]

    def _filled(self, modality: str, name: str) -> list[str]:
        return [
            template.replace("{}", spoken(name))
            for template in self.templates[modality]
        ]


def from_names(names: Iterable[str]) -> Taxonomy:
    """A taxonomy of the distinct names, in alphabetical order."""
    return Taxonomy(tuple(sorted(set(names))))


def multi_hot(names: Sequence[str], taxonomy: Taxonomy) -> Bool[np.ndarray, " class"]:
    """Mark the classes of a taxonomy that are in a list of names.

    Args:
        names: Names of classes.
        taxonomy: Classes.
    """
    marked = np.zeros(len(taxonomy), dtype=bool)
    marked[[taxonomy.index(name) for name in names]] = True
    return marked


LLP = Taxonomy(
    tuple(
        """Speech Car Cheering Dog Cat Frying_(food) Basketball_bounce Fire_alarm Chainsaw Cello Banjo Singing
        Chicken_rooster Violin_fiddle Vacuum_cleaner Baby_laughter Accordion Lawn_mower Motorcycle Helicopter
        Acoustic_guitar Telephone_bell_ringing Baby_cry_infant_cry Blender Clapping""".split()
    )
)

AVE = Taxonomy(
    tuple(
        """Church bell; Male speech, man speaking; Bark; Fixed-wing aircraft, airplane; Race car, auto racing;
        Female speech, woman speaking; Helicopter; Violin, fiddle; Flute; Ukulele; Frying (food); Truck; Shofar;
        Motorcycle; Acoustic guitar; Train horn; Clock; Banjo; Goat; Baby cry, infant cry; Bus; Chainsaw; Cat;
        Horse; Toilet flush; Rodents, rats, mice; Accordion; Mandolin""".replace(
            "\n        ", " "
        ).split("; ")
    )
)
