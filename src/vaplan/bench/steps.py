"""The steps a suite can name: each is a stage, its settings, and the names of the steps whose
files it reads.

In a suite's file the first key of a step is its verb: `{train: ple, labels: refined}`.
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

THRESHOLDS = ("fitted", "mixture", "given", "chance")


@dataclass(frozen=True)
class Label:
    """PLG. Thresholds are `fitted` as by `vaplan label`, by `mixture` (from tags alone), `given`,
    or given in multiples of chance, 1 / classes (`chance`)."""

    label: str
    smooth: float = 0.0
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.label not in THRESHOLDS:
            raise RecipeError(unknown("kind of thresholds", self.label, THRESHOLDS))
        if (self.label in ("given", "chance")) != bool(self.thresholds):
            fix = (
                "write {label: fitted}, or "
                "{label: given, thresholds: {audio: 0.04, visual: 0.04}}"
            )
            raise RecipeError(
                f"{self.label} thresholds, and these: {dict(self.thresholds)}", fix=fix
            )
        for name in self.thresholds:
            if name not in MODALITIES:
                raise RecipeError(unknown("modality", name, MODALITIES))


@dataclass(frozen=True)
class Reference:
    """The dense labels of a split as if they were pseudo labels, for an oracle."""

    reference: str


@dataclass(frozen=True)
class Train:
    """A recipe, trained with every seed; `set` changes its settings, `labels` and `ratios` are
    steps.

    With `label_probability` it also reads the probability of each label.
    """

    train: str
    labels: str = ""
    ratios: str = ""
    label_probability: bool = False
    set: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Denoise:
    """PLD: denoise the labels of a step with the parser of another step."""

    denoise: str
    labels: str
    settings: Denoising = Denoising()


@dataclass(frozen=True)
class Refine:
    """Refine the labels of a step with the encoder and out-of-fold parsers.

    See `stages.refine`.
    """

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
    """MA's second step, on a parser."""

    exchange: str


@dataclass(frozen=True)
class Noise:
    """JoMoLD's second step, on a parser."""

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
READS: Mapping[type[Step], tuple[str, ...]] = {  # which fields name other steps
    Train: ("labels", "ratios"),
    Denoise: ("denoise", "labels"),
    Refine: ("refine", "labels"),
    Exchange: ("exchange",),
    Noise: ("noise",),
}
TABLES = (Label, Reference, Denoise, Refine, Exchange)
KINDS: Mapping[str, tuple[type[Step], ...]] = {  # which steps such a field may name
    "labels": TABLES,
    "ratios": (Noise,),
    "denoise": (Train,),
    "refine": (Train,),
    "exchange": (Train,),
    "noise": (Train,),
}


def read_step(name: str, value: Any) -> Step:
    """A step from its YAML.

    Args:
        name: Name of the step.
        value: YAML value of the step.
    """
    verb = str(next(iter(value), "")) if isinstance(value, Mapping) else ""
    if verb not in VERBS:
        fix = "write for example `ple: {train: ple, labels: labels}`"
        raise RecipeError(unknown(f"verb of step {name!r}", verb, VERBS), fix=fix)
    step: Step = build(VERBS[verb], value, name)
    return step


def reads(step: Step) -> dict[str, str]:
    """Return the steps that a step depends on, by field."""
    return {
        key: getattr(step, key)
        for key in READS.get(type(step), ())
        if getattr(step, key)
    }
