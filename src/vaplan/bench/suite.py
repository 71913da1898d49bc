"""Suites: YAML files with named steps and the rows of a table.

    about: What one learns from it.
    steps:
      labels: {label: fitted}
      before: {train: ple, labels: labels}
      refined: {denoise: before, labels: labels, settings: {keep: $K}}
      after: {train: ple, labels: refined}
    rows: {"PLD, K = $K": after}
    sweep: {K: [1, 3, 5, 7, 9]}
    set: {training.epochs: 10}

`set` changes the settings of all recipes. The `set` of a step comes after it and takes a
setting back with `~`. A suite with a `sweep` has one variant for every value; the value replaces
`$` and the name of the sweep in all keys and texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from vaplan import recipe as recipes
from vaplan.bench.steps import INPUT_KINDS, TABLES, Step, Train, input_steps, read_step
from vaplan.errors import RecipeError, unknown
from vaplan.reading import MAX_BYTES, plain_text, yaml_document
from vaplan.recipe import build


@dataclass(frozen=True)
class Variant:
    """The steps and rows of a suite for one value of its sweep.

    Attributes:
        about: One or two sentences on the question that the suite answers.
        steps: Steps by name; each is a `Step`.
        rows: Parsers of the table: names of `train` steps by title.
        labels: Pseudo labels whose quality is measured: names of steps by title.
        differences: Pairs of row titles to compare; by default each row with the first.
        value: Value of the sweep.
        localisation: Whether the suite is for data sets of audio-visual event localisation.
    """

    about: str
    steps: Mapping[str, Any]
    rows: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    differences: tuple[tuple[str, ...], ...] = ()
    value: float | None = None
    localisation: bool = False

    def __post_init__(self) -> None:
        for name, step in self.steps.items():
            for key, other in input_steps(step).items():
                self._check(f"{key} of step {name!r}", other, INPUT_KINDS[key])
        for title, name in self.rows.items():
            self._check(f"row {title!r}", name, (Train,))
        for title, name in self.labels.items():
            self._check(f"labels {title!r}", name, TABLES)
        for name in self.steps:
            self._refuse_circles(name, ())
        for pair in self.differences:
            if len(pair) != 2:
                raise RecipeError(
                    f"a difference of {list(pair)}",
                    fix="write [better, worse], two titles of rows",
                )
            for title in pair:
                if title not in self.rows:
                    raise RecipeError(unknown("row", title, self.rows))

    def _check(self, subject: str, name: str, kinds: tuple[type[Step], ...]) -> None:
        if name not in self.steps:
            raise RecipeError(f"{subject}: {unknown('step', name, self.steps)}")
        if not isinstance(self.steps[name], kinds):
            verbs = " or ".join(kind.__name__.lower() for kind in kinds)
            raise RecipeError(
                f"{subject}: {name!r} is no step that begins with {verbs}"
            )

    def _refuse_circles(self, name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise RecipeError(
                f"step {name!r} needs itself: {' → '.join((*above, name))}"
            )
        for other in input_steps(self.steps[name]).values():
            self._refuse_circles(other, (*above, name))


@dataclass(frozen=True)
class Suite:
    """A suite with one variant for every value of its sweep.

    Attributes:
        name: File name of the suite without its ending.
        parameter: Name of the sweep; empty without a sweep.
        variants: One variant for every value; a single one without a sweep.
    """

    name: str
    parameter: str
    variants: tuple[Variant, ...]

    @property
    def about(self) -> str:
        """Return the sentences on the question that the suite answers."""
        return self.variants[0].about


def shipped() -> dict[str, Path]:
    """Return the paths of the suites that come with vaplan, by name."""
    folder = Path(str(resources.files("vaplan"))) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read(name: str | Path) -> Suite:
    """Read a suite.

    Args:
        name: Name of a suite that comes with vaplan, or path of a YAML file.

    Raises:
        RecipeError: There is no such suite, or the file is not a valid suite.
    """
    path = Path(name)
    if not path.is_file():
        if str(name) not in shipped():
            raise RecipeError(
                unknown("suite", str(name), shipped()),
                fix="give a YAML file or one of these names",
            )
        path = shipped()[str(name)]
    try:
        return parse(
            plain_text(path, error=RecipeError, at_most=MAX_BYTES),
            name=path.stem,
            folder=path.parent,
        )
    except RecipeError as error:
        raise RecipeError(
            error.what, fix=error.fix, file=error.file or path, line=error.line
        ) from None


def parse(text: str, *, name: str, folder: Path = Path()) -> Suite:
    """Parse the text of a suite.

    Args:
        text: YAML text.
        name: Name of the suite.
        folder: Folder of the recipe files that the suite names.

    Raises:
        RecipeError: The text is not a valid suite.
    """
    tree = yaml_document(text, error=RecipeError).value
    if not isinstance(tree, dict) or not isinstance(tree.get("steps"), dict):
        raise RecipeError(
            "a suite is a mapping with about, steps and rows", fix="copy a shipped one"
        )
    tree["steps"] = build(Mapping[str, Any], tree["steps"], "steps")
    sweep = build(Mapping[str, Any], tree.pop("sweep", {}), "sweep")
    if not sweep:
        return Suite(name, "", (_variant(tree, folder),))
    (parameter, values), *others = sweep.items()
    if others or not isinstance(values, list) or not values:
        raise RecipeError(
            "a sweep has one name and its values", fix="write sweep: {keep: [1, 3, 5]}"
        )
    numbers = [build(float, value, parameter) for value in values]
    variants = list[Variant]()
    for value, number in zip(values, numbers, strict=True):
        variant_tree = _substitute(tree, f"${parameter}", value)
        variants.append(_variant(variant_tree | {"value": number}, folder))
    return Suite(name, parameter, tuple(variants))


def _variant(tree: Mapping[str, Any], folder: Path) -> Variant:
    common = build(Mapping[str, Any], tree.get("set", {}), "set")
    steps = {
        name: _with_recipe_path(read_step(name, value), folder, common)
        for name, value in tree["steps"].items()
    }
    rest = {key: value for key, value in tree.items() if key != "set"}
    variant: Variant = build(Variant, {**rest, "steps": steps}, "suite")
    return variant


def _with_recipe_path(step: Step, folder: Path, common: Mapping[str, Any]) -> Step:
    """Replace the recipe's name by its path and add the common changes."""
    if not isinstance(step, Train):
        return step
    path = recipes.shipped().get(step.train, folder / step.train)
    changes = {**common, **step.set}
    for key in common:
        if changes[key] is None:
            del changes[key]
    return replace(step, train=str(path), set=changes)


def _substitute(tree: Any, mark: str, value: Any) -> Any:
    """Replace a mark by a value; within a longer text by the digits of the value."""
    if isinstance(tree, dict):
        return {
            _substitute_in_key(key, mark, value): _substitute(item, mark, value)
            for key, item in tree.items()
        }
    if isinstance(tree, list):
        return [_substitute(item, mark, value) for item in tree]
    if isinstance(tree, str):
        return value if tree == mark else tree.replace(mark, str(value))
    return tree


def _substitute_in_key(key: Any, mark: str, value: Any) -> Any:
    """Replace a mark in a name, which stays a text."""
    return key.replace(mark, str(value)) if isinstance(key, str) else key
