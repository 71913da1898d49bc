"""Weights of the published `MMIL_Net` in a `HAN`: its names of tensors, and ours.

MA and JoMoLD kept the names, so their published weights load alike. The published network holds
parameters that it never reads; they are left out, and named.
Source: the code published with Tian, Li, Xu, ECCV 2020.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import RunError
from vaplan.models.han import HAN

HEADS = {
    "fc_prob": "classify",
    "fc_frame_att": "pool.time_attention",
    "fc_av_att": "pool.modality_attention",
    "fc_a": f"project.{AUDIO}.each.0",
    "fc_v": f"project.{VISUAL}.each.0",
    "fc_st": f"project.{VISUAL}.each.1",
    "fc_fusion": f"project.{VISUAL}.fuse",
}
LAYER = {
    "self_attn": "own.attention",
    "cm_attn": "cross.attention",
    "linear1": "expand",
    "linear2": "contract",
    "norm1": "norm_attention",
    "norm2": "norm_feedforward",
}


def load_official(model: HAN, path: Path) -> tuple[str, ...]:
    """Fill `model` with published weights, from safetensors; return the names of the tensors it
    has no use for.

    Raises: RunError for a tensor that is missing or has another shape; then the model is as it was.
    """
    try:
        published = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"no safetensors: {error}",
            file=path,
            fix="convert the published weights first",
        ) from None
    expected, names = model.state_dict(), dict(_names(len(model.layers)))
    theirs = {ours: name for name, ours in names.items()}
    if strange := sorted(set(expected) - set(theirs)):
        what = f"the published network has no {strange[0]}"
        raise RunError(
            what,
            file=path,
            fix="use a HAN with one audio and two visual streams, and norm: post",
        )
    weights: dict[str, Tensor] = {}
    for ours, tensor in expected.items():
        found = published.get(theirs[ours])
        if found is None or found.shape != tensor.shape:
            came = "missing" if found is None else f"of shape {tuple(found.shape)}"
            what = f"{theirs[ours]} is {came}, expected {tuple(tensor.shape)}"
            raise RunError(
                what,
                file=path,
                fix="build the network with the sizes and classes of these weights",
            )
        if not torch.isfinite(found).all():
            raise RunError(
                f"{theirs[ours]} holds values that are not numbers",
                file=path,
                fix="convert it again",
            )
        weights[ours] = found
    model.load_state_dict(weights)
    return tuple(sorted(name for name in published if names.get(name) not in expected))


def _names(layers: int) -> Iterator[tuple[str, str]]:
    """Their name and ours of every tensor that is read."""
    for module, ours in HEADS.items():
        yield from (
            (f"{module}.{part}", f"{ours}.{part}") for part in ("weight", "bias")
        )
    for n in range(layers):
        for module, ours in LAYER.items():
            for part in (
                "in_proj_weight",
                "in_proj_bias",
                "out_proj.weight",
                "out_proj.bias",
                "weight",
                "bias",
            ):
                if ("proj" in part) == module.endswith("attn"):
                    yield (
                        f"hat_encoder.layers.{n}.{module}.{part}",
                        f"layers.{n}.{ours}.{part}",
                    )
