"""A suite: steps by name, and which of them are the rows of a table. Strict YAML, like a recipe.

    about: What one learns from it.
    steps:
      labels: {label: fitted}
      before: {train: ple, labels: labels}
      refined: {denoise: before, labels: labels, settings: {keep: $K}}
      after: {train: ple, labels: refined}
    rows: {"PLD, K = $K": after}
    sweep: {K: [1, 3, 5, 7, 9]}
    set: {training.epochs: 10}

`set` changes all recipes, before what a step sets itself; a step takes it back with `~`. A suite
with a sweep is made once for every value, which then stands wherever `$` and the name stand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from vaplan import recipe as recipes
from vaplan.bench.steps import KINDS, TABLES, Step, Train, read_step, reads
from vaplan.errors import RecipeError, unknown
from vaplan.reading import plain_text, yaml_document
from vaplan.recipe import build


@dataclass(frozen=True)
class Suite:
    """The steps of a suite and the rows of its tables.

    `rows` and `labels` map titles to steps, the parsers of the table and the pseudo labels whose
    quality is shown. `differences` are pairs of titles, by default every row against the first.
    `value` is that of the sweep. `localisation` says that all this is about data sets of
    localisation, and of no others.
    """

    about: str
    steps: Mapping[str, Any]  # each a Step
    rows: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    differences: tuple[tuple[str, ...], ...] = ()
    value: float | None = None
    localisation: bool = False

    def __post_init__(self) -> None:
        for name, step in self.steps.items():
            for key, other in reads(step).items():
                self._check(f"{key} of step {name!r}", other, KINDS[key])
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
        for other in reads(self.steps[name]).values():
            self._refuse_circles(other, (*above, name))


@dataclass(frozen=True)
class Swept:
    """A suite with all the values of its sweep; a suite without one has one variant, and no
    `parameter`."""

    name: str
    parameter: str
    variants: tuple[Suite, ...]

    @property
    def about(self) -> str:
        return self.variants[0].about


def shipped() -> dict[str, Path]:
    """The suites that come with vaplan, by name."""
    folder = Path(str(resources.files("vaplan"))) / "suites"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read(name: str | Path) -> Swept:
    """Read a suite file, or a shipped suite by its name."""
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
            plain_text(path, error=RecipeError), name=path.stem, folder=path.parent
        )
    except RecipeError as error:
        raise RecipeError(
            error.what, fix=error.fix, file=error.file or path, line=error.line
        ) from None


def parse(text: str, *, name: str, folder: Path = Path()) -> Swept:
    """Parse the text of a suite; its own recipe files are in `folder`.

    Args:
        text: Text of the suite.
        name: Name of the step.
        folder: Folder of the files.
    """
    tree = yaml_document(text, error=RecipeError).value
    if not isinstance(tree, dict) or not isinstance(tree.get("steps"), dict):
        raise RecipeError(
            "a suite is a mapping with about, steps and rows", fix="copy a shipped one"
        )
    sweep = build(Mapping[str, Any], tree.pop("sweep", {}), "sweep")
    if not sweep:
        return Swept(name, "", (_variant(tree, folder),))
    (parameter, values), *others = sweep.items()
    if others or not isinstance(values, list) or not values:
        raise RecipeError(
            "a sweep has one name and its values", fix="write sweep: {keep: [1, 3, 5]}"
        )
    numbers = [build(float, value, parameter) for value in values]
    filled = [
        _filled(tree, f"${parameter}", v) | {"value": n}
        for v, n in zip(values, numbers, strict=True)
    ]
    return Swept(name, parameter, tuple(_variant(one, folder) for one in filled))


def _variant(tree: Mapping[str, Any], folder: Path) -> Suite:
    common = build(Mapping[str, Any], tree.get("set", {}), "set")
    steps = {
        name: _placed(read_step(name, value), folder, common)
        for name, value in tree["steps"].items()
    }
    rest = {key: value for key, value in tree.items() if key != "set"}
    suite: Suite = build(Suite, {**rest, "steps": steps}, "suite")
    return suite


def _placed(step: Step, folder: Path, common: Mapping[str, Any]) -> Step:
    """Resolve the recipe path of a step and add the common changes."""
    if not isinstance(step, Train):
        return step
    path = recipes.shipped().get(step.train, folder / step.train)
    merged = {**common, **step.set}
    return replace(
        step,
        train=str(path),
        set={k: v for k, v in merged.items() if v is not None or k not in common},
    )


def _filled(tree: Any, mark: str, value: Any) -> Any:
    """The tree with the value in place of the mark; in a longer text its digits."""
    if isinstance(tree, dict):
        return {
            _filled(key, mark, value): _filled(item, mark, value)
            for key, item in tree.items()
        }
    if isinstance(tree, list):
        return [_filled(item, mark, value) for item in tree]
    if isinstance(tree, str):
        return value if tree == mark else tree.replace(mark, str(value))
    return tree
