"""Run folders: a trained parser with everything that it depends on.

- `recipe.yaml`: the resolved recipe.
- `run.json`: classes, feature sizes, decision thresholds, versions and input hashes.
- `log.jsonl`: one line an epoch.
- `metrics.json`: scores of the splits with dense labels.
- `model.safetensors`: the weights.
- `tensorboard/`: training curves, if TensorBoard is installed.
- `lock`: names the process that trains into the folder.

No pickle is written or read.
"""

import json
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from vaplan import recipe as recipes
from vaplan.arrays import MODALITIES, FeatureSizes, Inputs, Prediction
from vaplan.decisions import decide
from vaplan.decisions.localisation import LOCALISATION_RULES
from vaplan.errors import AnnotationError, RecipeError, RunError
from vaplan.metrics.llp import LEVELS
from vaplan.models import MODELS
from vaplan.models.text_similarity import (
    TextSimilarityNetwork,
    TextVectors,
    empty_text,
)
from vaplan.ragged import Ragged
from vaplan.reading import json_object, plain_text
from vaplan.recipe import Recipe
from vaplan.taxonomy import Taxonomy
from vaplan.training import Epoch, predict, seeded
from vaplan.writing import (
    replace_together,
    sha256,
    write_json,
    write_tensors,
    write_text,
)

RECIPE = "recipe.yaml"
DESCRIPTION = "run.json"
LOG = "log.jsonl"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"
CHECKPOINT = "checkpoint.safetensors"
TENSORBOARD = "tensorboard"
PER_CLASS = "per_class"  # in the scores of a split
MAX_BYTES = 64 * 1024 * 1024  # of the log
MAX_VALUE = 1e100  # of a number in the log
MAX_SIZE = 2**24  # of a feature
LIBRARIES = (
    "vaplan",
    "torch",
    "numpy",
    "transformers",
    "av",
    "safetensors",
    "lightning-fabric",
)


@dataclass(frozen=True)
class Description:
    """Content of `run.json`.

    A run folder may come from anybody, so every value is checked before it is used.

    Attributes:
        classes: Names of the classes.
        feature_sizes: Feature size of each stream, per modality.
        weights_sha256: Hash of the weights file.
        decision: Decision rule, gate threshold, and one or all segment thresholds.
        selection: Epoch of the weights and why it was selected.
        inputs: Content hashes of everything the run was trained on, by name.
        environment: Version of the annotations, device and precision of the training.
        versions: Versions of the libraries.
    """

    classes: tuple[str, ...]
    feature_sizes: tuple[tuple[int, ...], ...]
    weights_sha256: str
    decision: Mapping[str, Any] = field(default_factory=dict)
    selection: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.feature_sizes) != len(MODALITIES) or not all(self.feature_sizes):
            raise RecipeError("feature_sizes must name the streams of each modality")
        numbers = [n for sizes in self.feature_sizes for n in sizes]
        if min(numbers) < 1 or max(numbers) > MAX_SIZE:
            raise RecipeError(f"feature_sizes must be from 1 to {MAX_SIZE:,}")
        rule, threshold = self.decision.get("rule"), self.decision.get("threshold")
        has_decision = isinstance(rule, str) and _are_probabilities([threshold], 1)
        if self.decision and not (has_decision and "segments" in self.decision):
            raise RecipeError("decision must hold a rule, a threshold and segments")
        if self.selection and not isinstance(self.selection.get("select"), str):
            raise RecipeError("selection must say which epoch was selected")

    @property
    def thresholds(self) -> Float[Tensor, "modality class"] | None:
        """The fitted segment thresholds; None if the run has one threshold."""
        thresholds = self.decision.get("segments")
        if not isinstance(thresholds, Mapping):
            return None
        rows = [thresholds.get(modality) for modality in MODALITIES]
        for row in rows:
            if not _are_probabilities(row, len(self.classes)):
                raise RecipeError(
                    "decision.segments must hold one threshold in [0, 1] for each "
                    f"modality and each of the {len(self.classes)} classes"
                )
        return torch.tensor(rows)


def _are_probabilities(value: Any, count: int) -> bool:
    if not isinstance(value, list) or len(value) != count:
        return False
    return all(type(v) in (int, float) and 0 <= v <= 1 for v in value)


@dataclass(frozen=True)
class Run:
    """A trained parser and its run folder.

    Attributes:
        folder: Run folder.
        recipe: Resolved recipe.
        taxonomy: Classes.
        feature_sizes: Feature size of each stream, per modality.
        history: One entry an epoch.
        model: Network with its weights.
        inputs: Content hashes of everything the run was trained on, by name.
        thresholds: Fitted segment thresholds, if the recipe asks for them.
        metrics: Scores of each split with dense labels.
        environment: Version of the annotations, device and precision of the training.
    """

    folder: Path
    recipe: Recipe
    taxonomy: Taxonomy
    feature_sizes: FeatureSizes
    history: tuple[Epoch, ...]
    model: nn.Module
    inputs: Mapping[str, str] = field(default_factory=dict)
    thresholds: Float[Tensor, "modality class"] | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    def predict(self, inputs: Ragged[Inputs]) -> Ragged[Prediction]:
        """Predict videos; long ones in the windows of the recipe.

        Args:
            inputs: Features of the videos.
        """
        return predict(self.model, inputs, window=self.recipe.training.window)

    def with_decision(
        self,
        *,
        rule: str | None = None,
        gate: float | None = None,
        segments: Mapping[str, float] | None = None,
    ) -> "Run":
        """Return the run with another decision; its weights stay.

        Args:
            rule: Decision rule; by default that of the recipe.
            gate: Threshold of the gate; by default that of the recipe. For a localisation
                rule its only threshold, in place of a fitted one.
            segments: Segment thresholds by modality. A modality without one keeps its
                thresholds. A localisation rule has none.

        Raises:
            RecipeError: The rule does not exist or has no segment thresholds, or a threshold
                is not in [0, 1].
        """
        before = self.recipe.decision
        decision = replace(
            before,
            rule=before.rule if rule is None else rule,
            threshold=before.threshold if gate is None else gate,
        )
        recipe = replace(self.recipe, decision=decision)
        if decision.rule in LOCALISATION_RULES:
            if segments:
                raise RecipeError(
                    f"decision rule {decision.rule!r} has one threshold, that of the gate, and "
                    "none by modality"
                )
            kept = self.thresholds if gate is None else None
            return replace(self, recipe=recipe, thresholds=kept)
        if not segments and gate is None:
            return replace(self, recipe=recipe)
        thresholds = self._segment_thresholds(segments or {})
        return replace(self, recipe=recipe, thresholds=thresholds)

    def _segment_thresholds(
        self, changes: Mapping[str, float]
    ) -> Float[Tensor, "modality class"]:
        """Return the thresholds of all segments, with other ones for some modalities."""
        if self.thresholds is None:
            shape = (len(MODALITIES), len(self.taxonomy))
            thresholds = torch.full(shape, self.recipe.decision.threshold)
        else:
            thresholds = self.thresholds.clone()
        for modality, value in changes.items():
            if not 0 <= value <= 1:
                raise RecipeError(
                    f"{modality} threshold {value:g}, expected a probability from 0 to 1"
                )
            thresholds[MODALITIES.index(modality)] = value
        return thresholds

    def decide(
        self, prediction: Prediction
    ) -> Bool[Tensor, "video time modality class"]:
        """Mark segments by the rule of the recipe and the thresholds of the run."""
        return decide(
            prediction,
            rule=self.recipe.decision.rule,
            threshold=self.recipe.decision.threshold,
            segment_thresholds=self.thresholds,
        )


def make_model(
    recipe: Recipe,
    *,
    feature_sizes: FeatureSizes,
    classes: int,
    text: TextVectors = (),
) -> nn.Module:
    """Build the network of a recipe with the initial weights of its seed.

    Args:
        recipe: Recipe that names the network, its settings and the seed.
        feature_sizes: Feature size of each stream, per modality.
        classes: Number of classes.
        text: Vectors of the texts that a recipe with `text_similarity` compares segments
            with; see `Dataset.embed_texts`.
    """
    settings_type, network = MODELS[recipe.model.name]
    settings = recipes.build(settings_type, recipe.model.settings, "settings")
    make_network = partial(network, settings, classes=classes)
    with seeded(recipe.training.seed):
        if not recipe.model.text_similarity or not any(map(_has_vectors, text)):
            return make_network(feature_sizes=feature_sizes)
        return TextSimilarityNetwork(
            lambda sizes: make_network(feature_sizes=sizes),
            feature_sizes=feature_sizes,
            text=text,
        )


def _has_vectors(streams: Sequence[Tensor | None]) -> bool:
    return any(vectors is not None for vectors in streams)


def save(run: Run) -> Run:
    """Write a run into its folder.

    All files are written before one of an earlier run is replaced. `run.json` appears last, so a
    folder that contains it is complete.

    Raises:
        MachineError: The files cannot be written; an earlier run in the folder is unchanged.
    """
    with replace_together(run.folder, last=DESCRIPTION) as folder:
        history = "".join(json.dumps(epoch) + "\n" for epoch in run.history)
        write_text(folder / RECIPE, recipes.dump(run.recipe))
        write_text(folder / LOG, history)
        write_tensors(folder / WEIGHTS, run.model.state_dict())
        write_json(folder / METRICS, run.metrics)
        versions = {name: version(name) for name in LIBRARIES}
        description = Description(
            classes=run.taxonomy.classes,
            feature_sizes=run.feature_sizes,
            weights_sha256=sha256(folder / WEIGHTS),
            decision=_describe_decision(run),
            selection=_describe_selection(run),
            inputs=dict(run.inputs),
            environment=dict(run.environment),
            versions=versions | {"python": platform.python_version()},
        )
        write_json(folder / DESCRIPTION, asdict(description))
    return run


def _describe_decision(run: Run) -> dict[str, Any]:
    """Describe the rule, the gate threshold, and one or all segment thresholds."""
    decision = run.recipe.decision
    segments: Any = decision.threshold
    if run.thresholds is not None:
        segments = dict(zip(MODALITIES, run.thresholds.tolist(), strict=True))
    return {
        "rule": decision.rule,
        "threshold": decision.threshold,
        "segments": segments,
    }


def _describe_selection(run: Run) -> dict[str, Any]:
    """Describe which epoch the weights are from, and why."""
    settings = run.recipe.training
    epochs = run.history
    last = epochs[-1]["epoch"] if epochs else 0
    if settings.select != "best" or not epochs:
        return {"select": settings.select, "epoch": last}
    best = max(epoch["validation"] for epoch in epochs)
    ties = [epoch["epoch"] for epoch in epochs if epoch["validation"] == best]
    return {
        "select": settings.select,
        "epoch": ties[-1] if settings.ties == "later" else ties[0],
        "by": settings.select_by,
        "on": settings.select_on,
        "ties": settings.ties,
    }


def is_done(folder: Path, recipe: Recipe, inputs: Mapping[str, str]) -> bool:
    """Return whether a folder contains this training, finished.

    Args:
        folder: Run folder.
        recipe: Resolved recipe of the training.
        inputs: Content hashes of everything the training reads.
    """
    if not all((folder / name).is_file() for name in (RECIPE, DESCRIPTION, WEIGHTS)):
        return False
    if (folder / RECIPE).read_bytes() != recipes.dump(recipe).encode():
        return False
    return read_description(folder).inputs == dict(inputs)


def load(folder: Path) -> Run:
    """Load a run folder.

    Raises:
        RunError: The folder is incomplete, was changed, or does not fit its description.
    """
    fix = "give the run folder of `vaplan train` or `vaplan fit`"
    if not folder.is_dir():
        raise RunError("no such folder", file=folder, fix=fix)
    for name in (RECIPE, DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise RunError(
                f"{name} is missing: this is not a finished run", file=folder, fix=fix
            )
    description = read_description(folder)
    recipe = recipes.read(folder / RECIPE)
    audio, visual = description.feature_sizes
    try:
        taxonomy = Taxonomy(description.classes)
        thresholds = description.thresholds
    except (AnnotationError, RecipeError) as error:
        raise _not_a_description(folder, error.what) from None
    shapes = _check_weights_fit(folder, recipe, description)
    model = make_model(
        recipe,
        feature_sizes=(audio, visual),
        classes=len(taxonomy),
        text=empty_text(shapes, (audio, visual)),
    )
    _load_weights(model, folder / WEIGHTS)
    return Run(
        folder,
        recipe,
        taxonomy,
        (audio, visual),
        _read_history(folder / LOG),
        model.eval(),
        description.inputs,
        thresholds,
        read_metrics(folder),
        description.environment,
    )


def read_description(folder: Path) -> Description:
    """Read `run.json` without loading the network.

    Raises:
        RunError: The file is not the description of a run.
    """
    path = folder / DESCRIPTION
    content = json_object(
        path, what="the description of a run", fix="train again", error=RunError
    )
    names = [f.name for f in fields(Description)]
    try:
        known = {name: content[name] for name in names if name in content}
        description: Description = recipes.build(Description, known, "the file")
    except RecipeError as error:
        raise _not_a_description(folder, error.what) from None
    return description


def _not_a_description(folder: Path, problem: str) -> RunError:
    return RunError(
        f"not the description of a run: {problem}",
        file=folder / DESCRIPTION,
        fix="train again",
    )


def _check_weights_fit(
    folder: Path, recipe: Recipe, description: Description
) -> dict[str, tuple[int, ...]]:
    """Compare the hash and the shapes of the weights file, before memory is allocated.

    Returns:
        The shape of each tensor.
    """
    path = folder / WEIGHTS
    audio, visual = description.feature_sizes
    try:
        with safe_open(path, framework="pt") as file:
            stored = {
                name: tuple(file.get_slice(name).get_shape()) for name in file.keys()
            }
    except (SafetensorError, OSError) as error:
        raise RunError(
            f"not a safetensors file: {error}", file=path, fix="train again"
        ) from None
    if (
        sha256(path) != description.weights_sha256
    ):  # of a file as long as its header says
        raise RunError(
            "the weights have changed since the training", file=path, fix="train again"
        )
    try:
        with torch.device("meta"):  # shapes without memory
            model = make_model(
                recipe,
                feature_sizes=(audio, visual),
                classes=len(description.classes),
                text=empty_text(stored, (audio, visual)),
            )
    except RecipeError as error:
        fix = error.fix or "train again"
        raise RecipeError(error.what, fix=fix, file=folder / RECIPE) from None
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    if stored != expected:
        different = sorted(
            name
            for name in {*stored, *expected}
            if stored.get(name) != expected.get(name)
        )
        name = different[0]
        raise RunError(
            f"the weights do not fit the network: {name} has shape "
            f"{stored.get(name)}, expected {expected.get(name)}",
            file=path,
            fix="train again",
        )
    return stored


def _load_weights(model: nn.Module, path: Path) -> None:
    model.load_state_dict(load_file(path))
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise RunError(
                f"{name} contains values that are not finite",
                file=path,
                fix="train again",
            )


def _read_history(path: Path) -> tuple[Epoch, ...]:
    if not path.is_file():
        return ()
    epochs = list[Epoch]()
    lines = plain_text(path, error=RunError, at_most=MAX_BYTES).splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            epoch = json.loads(line)
        except (ValueError, RecursionError):
            epoch = None
        if not _is_epoch(epoch):
            raise RunError(
                "this line is not the JSON of an epoch",
                file=path,
                line=number,
                fix="train again, or delete the file: it is only the training log",
            )
        epochs.append(epoch)
    return tuple(epochs)


def _is_epoch(value: Any) -> bool:
    if not isinstance(value, dict) or type(value.get("epoch")) is not int:
        return False
    return all(type(v) in (int, float) and abs(v) <= MAX_VALUE for v in value.values())


def read_metrics(folder: Path) -> dict[str, Any]:
    """Read the scores of each split with dense labels; there may be none.

    Args:
        folder: Run folder.

    Raises:
        RunError: `metrics.json` does not contain scores.
    """
    path = folder / METRICS
    if not path.is_file():
        return {}
    fix = "train again, or delete the file: predictions do not need it"
    what = "a JSON file of scores"
    metrics = json_object(path, what=what, fix=fix, error=RunError)
    for split, entries in metrics.items():
        if not isinstance(entries, dict):
            raise RunError(
                f"not {what}: {split!r} is no JSON object", file=path, fix=fix
            )
        for name, value in entries.items():
            if not _is_valid_entry(name, value):
                raise RunError(
                    f"not {what}: {name!r} of {split!r} must hold numbers in [0, 100]",
                    file=path,
                    fix=fix,
                )
    return metrics


def _is_valid_entry(name: str, value: Any) -> bool:
    """Return whether an entry of a split, if it has scores, has them in the form of `metrics`."""
    if name in LEVELS:
        return _all_values(value, _is_score)
    if name == PER_CLASS:
        return value is None or _are_class_scores(value)
    return _is_score(value) or not name.endswith("accuracy")


def _are_class_scores(value: Any) -> bool:
    """Return whether a value has a score for each class, or these by level and kind."""

    def is_class_score(score: Any) -> bool:
        return score is None or _is_score(score)

    def by_class(scores: Any) -> bool:
        return _all_values(scores, is_class_score)

    def by_kind(scores: Any) -> bool:
        return _all_values(scores, by_class)

    return by_class(value) or _all_values(value, by_kind)


def _all_values(value: Any, condition: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(condition, value.values()))


def _is_score(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 100
