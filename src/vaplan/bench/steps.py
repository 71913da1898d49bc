"""Steps of a suite: a stage, its settings, and the names of the steps whose results it reads.

In the file of a suite the first key of a step names the stage: `{train: ple, labels: refined}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vaplan.arrays import MODALITIES
from vaplan.errors import RecipeError, unknown
from vaplan.pseudo_labels import Denoising
from vaplan.pseudo_labels.jomold import NoiseEstimate
from vaplan.recipe import build
from vaplan.stages.refine import AUTO, RULES

LABEL_KINDS = ("fitted", "hmm", "mixture", "given", "chance")


@dataclass(frozen=True)
class Label:
    """Pseudo labels of the encoders (PLG).

    Attributes:
        label: Rule of the labels: `fitted` as `vaplan label` fits thresholds, `hmm` or `mixture`
            (from tags alone), `given`, or `chance`: given in multiples of 1 / classes.
        smooth: Weight of the neighbouring segments, 0 to 1.
        thresholds: Given thresholds by modality.
    """

    label: str
    smooth: float = 0.0
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.label not in LABEL_KINDS:
            raise RecipeError(unknown("kind of labels", self.label, LABEL_KINDS))
        if (self.label in ("given", "chance")) != bool(self.thresholds):
            raise RecipeError(
                f"label: {self.label} does not go with thresholds: {dict(self.thresholds)}",
                fix="write {label: fitted}, or "
                "{label: given, thresholds: {audio: 0.04, visual: 0.04}}",
            )
        for name in self.thresholds:
            if name not in MODALITIES:
                raise RecipeError(unknown("modality", name, MODALITIES))


@dataclass(frozen=True)
class Reference:
    """The dense labels of a split in place of pseudo labels, for an oracle."""

    reference: str


@dataclass(frozen=True)
class Train:
    """A training, repeated with every seed.

    Attributes:
        train: Recipe.
        labels: Step whose pseudo labels it learns.
        ratios: Step whose noise ratios it reads.
        label_probability: Read the probability of each label too.
        set: Changed settings of the recipe.
    """

    train: str
    labels: str = ""
    ratios: str = ""
    label_probability: bool = False
    set: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Denoise:
    """Pseudo labels of one step, denoised with the parser of another step (PLD)."""

    denoise: str
    labels: str
    settings: Denoising = Denoising()


@dataclass(frozen=True)
class Refine:
    """Pseudo labels of a step, refined by encoders and out-of-fold parsers; see
    `stages.refine`."""

    refine: str
    labels: str
    rule: str = AUTO
    parser_weight: float = 0.5
    folds: int = 2

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise RecipeError(unknown("rule", self.rule, RULES))


@dataclass(frozen=True)
class Exchange:
    """Labels of the modalities from exchanged tracks (MA), with the parser of a step."""

    exchange: str


@dataclass(frozen=True)
class Noise:
    """Noise ratios of the modalities (JoMoLD), with the parser of a step."""

    noise: str
    settings: NoiseEstimate = NoiseEstimate()


Step = Label | Reference | Train | Denoise | Refine | Exchange | Noise
VERBS: Mapping[str, type[Step]] = {
    "label": Label,
    "reference": Reference,
    "train": Train,
    "denoise": Denoise,
    "refine": Refine,
    "exchange": Exchange,
    "noise": Noise,
}
INPUT_FIELDS: Mapping[type[Step], tuple[str, ...]] = {  # fields that name other steps
    Train: ("labels", "ratios"),
    Denoise: ("denoise", "labels"),
    Refine: ("refine", "labels"),
    Exchange: ("exchange",),
    Noise: ("noise",),
}
TABLES = (Label, Reference, Denoise, Refine, Exchange)
INPUT_KINDS: Mapping[
    str, tuple[type[Step], ...]
] = {  # steps that such a field may name
    "labels": TABLES,
    "ratios": (Noise,),
    "denoise": (Train,),
    "refine": (Train,),
    "exchange": (Train,),
    "noise": (Train,),
}


def read_step(name: str, value: Any) -> Step:
    """Make a step from its YAML value.

    Args:
        name: Name of the step.
        value: YAML value of the step.

    Raises:
        RecipeError: The value is not a valid step.
    """
    verb = str(next(iter(value), "")) if isinstance(value, Mapping) else ""
    if verb not in VERBS:
        fix = "write for example `ple: {train: ple, labels: labels}`"
        raise RecipeError(unknown(f"verb of step {name!r}", verb, VERBS), fix=fix)
    step: Step = build(VERBS[verb], value, name)
    return step


def input_steps(step: Step) -> dict[str, str]:
    """Return the names of the steps whose results a step reads, by field."""
    names = {key: getattr(step, key) for key in INPUT_FIELDS.get(type(step), ())}
    return {key: name for key, name in names.items() if name}
