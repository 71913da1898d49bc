"""Load the weights of the published `MMIL_Net` into a `HAN`.

MA and JoMoLD use the same names of tensors, so their published weights load as well.
The published network has parameters that it never uses; they are not loaded, and their
names are returned.

Source: the code published with Tian, Li, Xu, ECCV 2020.
"""

from collections.abc import Iterator, Sequence
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
ATTENTION = {
    "self_attn": "own.attention",
    "cm_attn": "cross.attention",
}
ATTENTION_PARTS = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
LAYER = {
    "linear1": "expand",
    "linear2": "contract",
    "norm1": "norm_attention",
    "norm2": "norm_feedforward",
}
PARTS = ("weight", "bias")


def load_official(model: HAN, path: Path) -> tuple[str, ...]:
    """Load published weights from a safetensors file into a network.

    Args:
        model: Network, changed in place.
        path: File of the published weights.

    Returns:
        The names of the tensors of the file that the network does not use.

    Raises:
        RunError: A tensor is missing or has another shape; the network is unchanged.
    """
    try:
        published = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"no safetensors: {error}",
            file=path,
            fix="convert the published weights first",
        ) from None
    our_tensors = model.state_dict()
    their_names = dict(_tensor_names(len(model.layers)))
    if extra_names := sorted(set(our_tensors) - set(their_names)):
        raise RunError(
            f"the published network has no {extra_names[0]}",
            file=path,
            fix="use a HAN with one audio and two visual streams, and norm: post",
        )
    weights: dict[str, Tensor] = {}
    for name, tensor in our_tensors.items():
        their_name = their_names[name]
        weight = published.get(their_name)
        weights[name] = _check_weight(weight, their_name, tensor.shape, path)
    model.load_state_dict(weights)
    used_names = {their_names[name] for name in our_tensors}
    return tuple(sorted(set(published) - used_names))


def _check_weight(
    weight: Tensor | None, name: str, shape: torch.Size, path: Path
) -> Tensor:
    """Return the weight if it has the shape and is finite."""
    if weight is None or weight.shape != shape:
        status = "missing" if weight is None else f"of shape {tuple(weight.shape)}"
        raise RunError(
            f"{name} is {status}, expected {tuple(shape)}",
            file=path,
            fix="build the network with the sizes and classes of these weights",
        )
    if not torch.isfinite(weight).all():
        raise RunError(
            f"{name} contains values that are not finite",
            file=path,
            fix="convert it again",
        )
    return weight


def _tensor_names(layers: int) -> Iterator[tuple[str, str]]:
    """Yield our name and the published name of every tensor that is used."""
    for theirs, ours in HEADS.items():
        yield from _part_names(ours, theirs, PARTS)
    for n in range(layers):
        our_layer = f"layers.{n}"
        their_layer = f"hat_encoder.layers.{n}"
        for theirs, ours in ATTENTION.items():
            yield from _part_names(
                f"{our_layer}.{ours}", f"{their_layer}.{theirs}", ATTENTION_PARTS
            )
        for theirs, ours in LAYER.items():
            yield from _part_names(
                f"{our_layer}.{ours}", f"{their_layer}.{theirs}", PARTS
            )


def _part_names(
    ours: str, theirs: str, parts: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for part in parts:
        yield f"{ours}.{part}", f"{theirs}.{part}"
