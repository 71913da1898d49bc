"""Run folders: a trained parser with everything that it depends on.

- `recipe.yaml`: the resolved recipe.
- `run.json`: classes, feature sizes, decision thresholds, versions and input hashes.
- `log.jsonl`: one line an epoch.
- `metrics.json`: scores of the splits with dense labels.
- `model.safetensors`: the weights.
- `tensorboard/`: training curves, if TensorBoard is installed.

No pickle is written or read.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vaplan import recipe as recipes
from vaplan.arrays import MODALITIES, FeatureSizes, Prediction
from vaplan.decisions import decide
from vaplan.errors import RunError
from vaplan.models import MODELS
from vaplan.recipe import Recipe
from vaplan.taxonomy import Taxonomy
from vaplan.training import Epoch, seeded
from vaplan.writing import sha256, write_json, write_text, write_whole

RECIPE = "recipe.yaml"
DESCRIPTION = "run.json"
LOG = "log.jsonl"
WEIGHTS = "model.safetensors"
METRICS = "metrics.json"
CHECKPOINT = "checkpoint.safetensors"
TENSORBOARD = "tensorboard"
REQUIRED_KEYS = ("classes", "feature_sizes", "segments", "weights_sha256")
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
class Run:
    """A trained parser and its run folder.

    Attributes:
        folder: Run folder.
        recipe: Resolved recipe.
        taxonomy: Classes.
        feature_sizes: Feature size of each stream, per modality.
        segments: Length of the longest training video; longer videos are parsed in
            windows of this length.
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
    segments: int
    history: tuple[Epoch, ...]
    model: nn.Module
    inputs: Mapping[str, str] = field(default_factory=dict)
    thresholds: Float[Tensor, "modality class"] | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

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
    recipe: Recipe, *, feature_sizes: FeatureSizes, classes: int
) -> nn.Module:
    """Build the network of a recipe with the initial weights of its seed.

    Args:
        recipe: Recipe that names the network, its settings and the seed.
        feature_sizes: Feature size of each stream, per modality.
        classes: Number of classes.
    """
    settings_type, network = MODELS[recipe.model.name]
    settings = recipes.build(settings_type, recipe.model.settings, "settings")
    with seeded(recipe.training.seed):
        return network(settings, feature_sizes=feature_sizes, classes=classes)


def save(run: Run) -> Run:
    """Write a run into its folder.

    `run.json` is written last, so a folder that contains it is complete.
    """
    folder = run.folder
    (folder / DESCRIPTION).unlink(missing_ok=True)
    write_text(folder / RECIPE, recipes.dump(run.recipe))
    write_text(folder / LOG, "".join(json.dumps(epoch) + "\n" for epoch in run.history))
    weights = {
        name: tensor.contiguous().cpu()
        for name, tensor in run.model.state_dict().items()
    }
    write_whole(folder / WEIGHTS, lambda temporary: save_file(weights, temporary))
    write_json(folder / METRICS, run.metrics)
    versions = {name: version(name) for name in LIBRARIES}
    description = {
        "classes": list(run.taxonomy.classes),
        "feature_sizes": run.feature_sizes,
        "segments": run.segments,
        "weights_sha256": sha256(folder / WEIGHTS),
        "decision": _describe_decision(run),
        "selection": _describe_selection(run),
        "inputs": dict(run.inputs),
        "environment": dict(run.environment),
        "versions": versions | {"python": platform.python_version()},
    }
    write_json(folder / DESCRIPTION, description)
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
    """Return whether a folder holds this training, complete.

    Args:
        folder: Run folder.
        recipe: Resolved recipe of the training.
        inputs: Content hashes of everything the training reads.
    """
    if not all((folder / name).is_file() for name in (RECIPE, DESCRIPTION, WEIGHTS)):
        return False
    if (folder / RECIPE).read_text(encoding="utf-8") != recipes.dump(recipe):
        return False
    return read_description(folder).get("inputs") == dict(inputs)


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
    taxonomy = Taxonomy(tuple(description["classes"]))
    audio, visual = (tuple(sizes) for sizes in description["feature_sizes"])
    model = make_model(recipe, feature_sizes=(audio, visual), classes=len(taxonomy))
    _load_weights(
        model, folder / WEIGHTS, expected_sha256=description["weights_sha256"]
    )
    return Run(
        folder,
        recipe,
        taxonomy,
        (audio, visual),
        description["segments"],
        _read_history(folder / LOG),
        model.eval(),
        description.get("inputs", {}),
        _read_thresholds(description),
        _read_metrics(folder / METRICS),
        description.get("environment", {}),
    )


def read_description(folder: Path) -> dict[str, Any]:
    """Read `run.json` without loading the network.

    Raises:
        RunError: The file is not the description of a run.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        description = None
    if not isinstance(description, dict):
        raise RunError("not the description of a run", file=path, fix="train again")
    missing = [key for key in REQUIRED_KEYS if key not in description]
    if missing:
        raise RunError(
            f"not the description of a run: {missing[0]!r} is missing",
            file=path,
            fix="train again",
        )
    return description


def _load_weights(model: nn.Module, path: Path, *, expected_sha256: str) -> None:
    if sha256(path) != expected_sha256:
        raise RunError(
            "the weights have changed since the training", file=path, fix="train again"
        )
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise RunError(
            f"the weights do not fit the network: {error}",
            file=path,
            fix="train again",
        ) from None
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
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            epochs.append(json.loads(line))
        except ValueError:
            raise RunError(
                "this line is not the JSON of an epoch",
                file=path,
                line=number,
                fix="train again, or delete the file: it is only the training log",
            ) from None
    return tuple(epochs)


def _read_thresholds(
    description: Mapping[str, Any],
) -> Float[Tensor, "modality class"] | None:
    thresholds = description.get("decision", {}).get("segments")
    if not isinstance(thresholds, dict):
        return None
    return torch.tensor([thresholds[modality] for modality in MODALITIES])


def _read_metrics(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        metrics: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise RunError(
            "not a JSON file of scores",
            file=path,
            fix="train again, or delete the file: predictions do not need it",
        ) from None
    return metrics
