"""Recipes of trainings: strict YAML, resolved to all settings.

Unknown keys and wrong types are errors with a suggestion. A resolved recipe names every setting.
"""

import copy
import math
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import yaml

from vaplan.arrays import MODALITIES
from vaplan.decisions import DECISIONS
from vaplan.decisions.localisation import LOCALISATION_RULES
from vaplan.errors import RecipeError, excerpt, unknown
from vaplan.losses import Objective
from vaplan.losses import check as check_objective
from vaplan.losses import defaults as loss_defaults
from vaplan.models import MODELS
from vaplan.reading import MAX_BYTES, Document, plain_number, plain_text, yaml_document
from vaplan.training import Teacher, Training
from vaplan.training.label_removal import Removal

DENSE = "dense"  # the dense labels of the data set, in place of a table


@dataclass(frozen=True)
class Model:
    """A network.

    Attributes:
        name: Name in `models.MODELS`.
        settings: Settings of this network.
        text_similarity: Whether the network also reads the similarity of each segment with
            the prompts of the classes; see `models.text_similarity`.
    """

    name: str = "han"
    settings: Mapping[str, Any] = field(default_factory=dict)
    text_similarity: bool = False


SEGMENT_THRESHOLDS = ("fixed", "fitted", "matched")


@dataclass(frozen=True)
class Decision:
    """The rule that turns probabilities into labels.

    Attributes:
        rule: Name in `decisions.DECISIONS`.
        threshold: Threshold of the gate and, unless fitted, of the segments.
        segments: How the thresholds of the segments are chosen after the training. `fixed`:
            they are `threshold`. `fitted`: per modality and class on the densely labelled
            videos of split `val`; a rule of localisation has one threshold, which is fitted
            by accuracy. `matched`: per modality, so that as many segments of the training
            videos are marked as are labelled.
    """

    rule: str = "global_gate"
    threshold: float = 0.5
    segments: str = "fixed"

    def __post_init__(self) -> None:
        for name, value, names in (
            ("decision rule", self.rule, DECISIONS),
            ("way to choose segment thresholds", self.segments, SEGMENT_THRESHOLDS),
        ):
            if value not in names:
                raise RecipeError(unknown(name, value, names))
        if not 0 <= self.threshold <= 1:
            raise RecipeError(f"threshold must lie in [0, 1], not {self.threshold}")
        if self.segments == "matched" and self.rule in LOCALISATION_RULES:
            raise RecipeError(
                f"the decision rule {self.rule} has no segment thresholds by modality",
                fix="write segments: fitted, or segments: fixed",
            )


@dataclass(frozen=True)
class Recipe:
    """All settings of a training.

    Attributes:
        data: Data set, `KIND:PATH`; usually given on the command line.
        store: Folder of the feature store; usually given on the command line.
        labels: Table of pseudo labels; empty to train on tags only, or `dense` for full
            supervision by the dense labels of the data set.
        label_probability: Table of the probability of each label, for losses with
            `labels: soft` or `labels: weighted`.
        train_on_dense_val: Whether the densely labelled videos of split `val` are training
            videos too, with their dense labels in place of pseudo labels.
        audio: Audio encoders whose features are input streams; by default all of the
            store.
        visual: Visual encoders whose features are input streams; by default all of the
            store.
        model: Network and its settings.
        losses: Training objective.
        training: Optimiser, schedule, selection and compute settings.
        removal: Settings of JoMoLD's removal of noisy tags.
        teacher: Settings of the mean teacher that corrects pseudo labels.
        decision: Decision rule and its thresholds.
    """

    data: str = ""
    store: str = ""
    labels: str = ""
    label_probability: str = ""
    train_on_dense_val: bool = False
    audio: tuple[str, ...] | None = None
    visual: tuple[str, ...] | None = None
    model: Model = Model()
    losses: Objective = field(
        default_factory=lambda: {"video": 1.0, "modality_weak": 1.0}
    )
    training: Training = Training()
    removal: Removal | None = None
    teacher: Teacher | None = None
    decision: Decision = Decision()

    def __post_init__(self) -> None:
        if self.model.name not in MODELS:
            error = RecipeError(unknown("model", self.model.name, MODELS))
            raise error.within("name").within("model")
        check_objective(self.losses)
        if self.teacher and not self.training.ema:
            raise RecipeError(
                "a teacher needs averaged weights", fix="write training: {ema: 0.99}"
            )
        if self.train_on_dense_val:
            self._check_dense_val()
        for modality in MODALITIES:
            if getattr(self, modality) == ():
                raise RecipeError(
                    f"no {modality} encoder", fix=f"write {modality}: [embedded]"
                )

    def _check_dense_val(self) -> None:
        """Check that nothing is chosen on the videos that the network was trained on."""
        selects = self.training.validates and self.training.select_on == "val"
        if selects or self.decision.segments == "fitted":
            chosen = "an epoch" if selects else "segment thresholds"
            raise RecipeError(
                f"train_on_dense_val trains on split val, on which {chosen} would be chosen",
                fix="write training: {select: last} and decision: {segments: matched}",
            )
        if not self.labels or self.label_probability:
            raise RecipeError(
                "train_on_dense_val adds dense labels to pseudo labels of 0 and 1",
                fix="name a table of labels, and no label_probability",
            )

    @property
    def encoders(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of the encoders per modality, in modality order."""
        return self.audio or (), self.visual or ()


def shipped() -> dict[str, Path]:
    """Return the paths of the recipes that come with vaplan, by name."""
    folder = Path(str(resources.files("vaplan"))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read(name: str | Path, *, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        name: Recipe file, or name of a recipe that comes with vaplan.
        changes: Changes `key=value`, with dots for nested keys.
    """
    path = Path(name)
    if not path.is_file():
        recipes = shipped()
        if str(name) not in recipes:
            raise RecipeError(
                unknown("recipe", str(name), recipes),
                fix="give a YAML file or one of these names",
            )
        path = recipes[str(name)]
    text = plain_text(path, error=RecipeError, at_most=MAX_BYTES)
    return parse(text, changes=changes, file=path)


def parse(
    text: str, *, changes: Sequence[str] = (), file: Path | None = None
) -> Recipe:
    """Read a recipe from text and apply changes.

    Args:
        text: Text of the recipe.
        changes: Changes `key=value`, with dots for nested keys.
        file: File of the text, for errors.
    """
    try:
        document = yaml_document(text, error=RecipeError)
        tree = document.value
        if tree is None and file is None:
            tree = {}  # a recipe of defaults and changes
        if tree is None or (tree == {} and file is not None):
            raise RecipeError(
                "the recipe is empty", fix="write `model: {name: han}` to begin with"
            )
        if not isinstance(tree, dict):
            raise RecipeError(
                "a recipe is a mapping of settings",
                fix="write `training: {epochs: 40}`",
                line=document.line(),
            )
        return _build_recipe(document, tree, changes)
    except RecipeError as error:
        raise RecipeError(
            error.what, fix=error.fix, file=error.file or file, line=error.line
        ) from None


def _build_recipe(
    document: Document, tree: dict[str, Any], changes: Sequence[str]
) -> Recipe:
    """Build the recipe of a file after the changes; errors of the file name its lines."""
    changed = copy.deepcopy(tree)
    for change in changes:
        _apply(changed, change)
    try:
        recipe: Recipe = build(Recipe, changed, "recipe")
    except RecipeError:
        _build_without_changes(document, tree)
        raise  # a change is the cause
    return recipe


def _build_without_changes(document: Document, tree: dict[str, Any]) -> None:
    try:
        build(Recipe, tree, "recipe")
    except RecipeError as error:
        error.line = document.line(*error.place)
        raise


def dump(recipe: Recipe) -> str:
    """Write a resolved recipe as YAML, with every setting.

    Args:
        recipe: Recipe to write.
    """
    return yaml.safe_dump(_plain(asdict(recipe)), sort_keys=False, allow_unicode=True)


def _apply(tree: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise RecipeError(
            f"{change!r} is no change",
            fix="write key=value, for example training.epochs=40",
        )
    *path, last = key.split(".")
    for part in path:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise RecipeError(f"{part!r} in {change!r} has no settings of its own")
    tree[last] = yaml_document(value, error=RecipeError).value


def build(kind: Any, value: Any, name: str) -> Any:
    """Convert a YAML value to a type.

    Args:
        kind: Type to convert to.
        value: YAML value.
        name: Name of the value, for errors.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind == Objective:
        return _build_objective(value)
    if is_dataclass(kind) and isinstance(kind, type):
        return _build_dataclass(kind, value, name)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return build(next(a for a in arguments if a is not type(None)), value, name)
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list | tuple):
            return tuple(
                _build_within(index, arguments[0], item, name)
                for index, item in enumerate(items)
            )
    elif origin in (Mapping, dict):
        if isinstance(value, Mapping):
            _refuse_other_keys(value, name)
            return {
                key: item
                if arguments[1] is Any
                else _build_within(key, arguments[1], item, f"{name}.{key}")
                for key, item in value.items()
            }
    elif kind is float and not isinstance(value, bool):
        number = None
        if isinstance(value, str):  # YAML 1.1 reads 1e-4 as text
            number = plain_number(value)
        elif isinstance(value, int | float):
            with suppress(OverflowError):
                number = float(value)
        if number is not None and math.isfinite(number):
            return number
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise RecipeError(f"{name} is {excerpt(value)}, expected {_describe_type(kind)}")


def _refuse_other_keys(value: Mapping[Any, Any], name: str) -> None:
    """Raise RecipeError for a name that YAML reads as a number, a truth value or a date."""
    for key in value:
        if not isinstance(key, str):
            raise RecipeError(
                f"{name} has the name {key!r}, expected a text",
                fix=f'put it in quotes: "{key}"',
            ).within(str(key))


def _build_within(key: str | int, kind: Any, value: Any, name: str) -> Any:
    """Build a part of a mapping or a list; an error gets its key."""
    try:
        return build(kind, value, name)
    except RecipeError as error:
        raise error.within(key) from None


def _build_objective(value: Any) -> dict[str, Any]:
    """Build the objective: a number is the weight of a loss; other settings get defaults."""
    if not isinstance(value, Mapping):
        raise RecipeError(
            f"losses is {excerpt(value)}, expected losses and their weights",
            fix="write `losses: {video: 1}`",
        )
    terms = dict[str, Any]()
    for name, term in value.items():
        try:
            terms[name] = _build_term(str(name), term)
        except RecipeError as error:
            raise error.within(name) from None
    return terms


def _build_term(name: str, term: Any) -> Any:
    setting_names = loss_defaults(name)
    settings = term if isinstance(term, Mapping) else {"weight": term}
    for key in settings:
        if key not in setting_names:
            raise RecipeError(
                unknown(f"setting of {name}", str(key), setting_names)
            ).within(str(key))
    kinds = {
        key: tuple[float, ...] if isinstance(value, tuple) else type(value)
        for key, value in setting_names.items()
    }
    built = setting_names | {
        key: _build_within(key, kinds[key], item, f"{name}.{key}")
        for key, item in settings.items()
    }
    return built if len(setting_names) > 1 else built["weight"]


def _build_dataclass(kind: type[Any], value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        raise RecipeError(
            f"{name} is {excerpt(value)}, expected settings",
            fix=f"write `{name}: {{…}}`",
        )
    hints = get_type_hints(kind)
    field_names = [one.name for one in fields(kind)]
    for key in value:
        if key not in field_names:
            raise RecipeError(
                unknown(f"setting of {name}", str(key), field_names)
            ).within(str(key))
    for one in fields(kind):
        has_default = not (one.default is MISSING and one.default_factory is MISSING)
        if not has_default and one.name not in value:
            raise RecipeError(
                f"{name} lacks {one.name!r}", fix=f"write `{one.name}: …`"
            )
    values = {
        key: _build_within(key, hints[key], item, key) for key, item in value.items()
    }
    return kind(**values)


def _describe_type(kind: Any) -> str:
    words = {
        float: "a number",
        int: "a whole number",
        str: "a text",
        bool: "true or false",
    }
    is_mapping = get_origin(kind) in (Mapping, dict)
    return words.get(kind, "names and values" if is_mapping else "a list")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value
