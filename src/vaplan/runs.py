"""Run folders: what was trained, on what, how, and the weights; everything a parser needs and a reader asks.

`recipe.yaml` is the resolved recipe, `run.json` says classes, sizes, decisions, versions and input hashes, `log.jsonl`
has a line an epoch, `metrics.json` the scores of the splits with dense labels, `model.safetensors` the weights;
`tensorboard` holds the curves where that is installed. No pickle is written or read.
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
from vaplan.arrays import MODALITIES, Prediction
from vaplan.errors import RunError
from vaplan.models import MODELS
from vaplan.recipe import Recipe
from vaplan.taxonomy import Taxonomy
from vaplan.training import Epoch, decide, seeded
from vaplan.writing import sha256, write_json, write_text, write_whole

FeatureSizes = tuple[tuple[int, ...], tuple[int, ...]]
RECIPE, ABOUT, LOG, WEIGHTS = (
    "recipe.yaml",
    "run.json",
    "log.jsonl",
    "model.safetensors",
)
METRICS, CHECKPOINT, BOARD = "metrics.json", "checkpoint.safetensors", "tensorboard"
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
    """A trained parser as it stands in its folder.

    `segments` is the longest video it was trained on, in segments; longer ones are parsed in windows of that length.
    `inputs` says what it was trained on: names and content hashes. `thresholds` are those of the segments where they
    were fitted; `metrics` the scores of each split with dense labels; `made` says on which version of the annotations
    it was trained, where and in which precision.
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
    made: Mapping[str, Any] = field(default_factory=dict)

    def decide(
        self, prediction: Prediction
    ) -> Bool[Tensor, "video time modality class"]:
        """What the parser marks, by its own rule and thresholds."""
        rule = self.recipe.decision
        return decide(
            prediction,
            rule=rule.rule,
            threshold=rule.threshold,
            thresholds=self.thresholds,
        )


def make_model(
    recipe: Recipe, *, feature_sizes: FeatureSizes, classes: int
) -> nn.Module:
    """The recipe's network with the initial weights of its seed."""
    settings_type, network = MODELS[recipe.model.name]
    settings = recipes.build(settings_type, recipe.model.settings, "settings")
    with seeded(recipe.training.seed):
        return network(settings, feature_sizes=feature_sizes, classes=classes)


def save(run: Run) -> Run:
    """Write a run into its folder; `run.json` comes last, so a folder that has one is whole."""
    folder = run.folder
    (folder / ABOUT).unlink(missing_ok=True)
    write_text(folder / RECIPE, recipes.dump(run.recipe))
    write_text(folder / LOG, "".join(json.dumps(epoch) + "\n" for epoch in run.history))
    weights = {
        name: tensor.contiguous().cpu()
        for name, tensor in run.model.state_dict().items()
    }
    write_whole(folder / WEIGHTS, lambda beside: save_file(weights, beside))
    write_json(folder / METRICS, run.metrics)
    about = {
        "classes": list(run.taxonomy.classes),
        "feature_sizes": run.feature_sizes,
        "segments": run.segments,
        "weights_sha256": sha256(folder / WEIGHTS),
        "decision": _decision(run),
        "selection": _selection(run),
        "inputs": dict(run.inputs),
        "made": dict(run.made),
        "versions": {name: version(name) for name in LIBRARIES}
        | {"python": platform.python_version()},
    }
    write_json(folder / ABOUT, about)
    return run


def _decision(run: Run) -> dict[str, Any]:
    """The rule, the gate's threshold, and those of the segments: one number, or one per modality and class."""
    rule = run.recipe.decision
    segments: Any = rule.threshold
    if run.thresholds is not None:
        segments = dict(zip(MODALITIES, run.thresholds.tolist(), strict=True))
    return {"rule": rule.rule, "threshold": rule.threshold, "segments": segments}


def _selection(run: Run) -> dict[str, Any]:
    """Which epoch's weights these are, and why."""
    how, epochs = run.recipe.training, run.history
    about: dict[str, Any] = {
        "select": how.select,
        "epoch": epochs[-1]["epoch"] if epochs else 0,
    }
    if how.select == "best" and epochs:
        best = max(epoch["validation"] for epoch in epochs)
        equal = [epoch["epoch"] for epoch in epochs if epoch["validation"] == best]
        about |= {
            "by": how.select_by,
            "on": how.select_on,
            "ties": how.ties,
            "epoch": equal[-1 if how.ties == "later" else 0],
        }
    return about


def is_done(folder: Path, recipe: Recipe, inputs: Mapping[str, str]) -> bool:
    """Whether the folder holds this very training: the same recipe on the same inputs, whole."""
    if not all((folder / name).is_file() for name in (RECIPE, ABOUT, WEIGHTS)):
        return False
    same = (folder / RECIPE).read_text(encoding="utf-8") == recipes.dump(recipe)
    return same and about_run(folder).get("inputs") == dict(inputs)


def load(folder: Path) -> Run:
    """Read a run folder, refusing one that is incomplete, changed or of another shape."""
    if not folder.is_dir():
        raise RunError(
            "no such folder",
            file=folder,
            fix="give the run folder of `vaplan train` or `vaplan fit`",
        )
    for name in (RECIPE, ABOUT, WEIGHTS):
        if not (folder / name).is_file():
            fix = "give the run folder of `vaplan train` or `vaplan fit`"
            raise RunError(f"no {name}: this is no finished run", file=folder, fix=fix)
    about = about_run(folder)
    recipe = recipes.read(folder / RECIPE)
    taxonomy = Taxonomy(tuple(about["classes"]))
    audio, visual = (tuple(sizes) for sizes in about["feature_sizes"])
    model = make_model(recipe, feature_sizes=(audio, visual), classes=len(taxonomy))
    _load_weights(model, folder / WEIGHTS, expected=about["weights_sha256"])
    history = _history(folder / LOG)
    fitted = about.get("decision", {}).get("segments")
    return Run(
        folder,
        recipe,
        taxonomy,
        (audio, visual),
        about["segments"],
        history,
        model.eval(),
        about.get("inputs", {}),
        torch.tensor([fitted[m] for m in MODALITIES])
        if isinstance(fitted, dict)
        else None,
        _metrics(folder / METRICS),
        about.get("made", {}),
    )


def _metrics(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = (
        json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    )
    return found


def about_run(folder: Path) -> dict[str, Any]:
    """What `run.json` says, for readers who do not need the network."""
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        assert {"classes", "feature_sizes", "segments", "weights_sha256"} <= set(about)
    except (ValueError, AssertionError):
        raise RunError(
            "not a run description", file=folder / ABOUT, fix="train again"
        ) from None
    return about


def _load_weights(model: nn.Module, path: Path, *, expected: str) -> None:
    if sha256(path) != expected:
        raise RunError(
            "the weights are not those that were trained", file=path, fix="train again"
        )
    try:
        model.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise RunError(
            f"the weights do not fit: {error}", file=path, fix="train again"
        ) from None
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise RunError(
                f"{name} holds values that are not numbers",
                file=path,
                fix="train again",
            )


def _history(path: Path) -> tuple[Epoch, ...]:
    if not path.is_file():
        return ()
    return tuple(
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
    )
