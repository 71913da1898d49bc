"""The layers of HAN, JoMoLD and VALOR restated query by query on the weights of our network (evaluation mode).

Source: Tian, Li, Xu, ECCV 2020; Cheng et al., ECCV 2022; Lai et al., NeurIPS 2023, and the codes published with them.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.oracles.han import Weights, linear, norm


@dataclass(frozen=True)
class Form:
    """The differences between the networks."""

    layers: int
    heads: int
    sequential: bool = False
    pre_norm: bool = False
    cross: bool = True
    from_source: bool = False  # every layer reads the first one's input


def encode(
    w: Weights, form: Form, audio: Tensor, visual: Tensor
) -> tuple[Tensor, Tensor]:
    """One video's segments after all layers."""
    source = audio, visual
    for n in range(form.layers):
        if form.from_source:
            audio, visual = source
        new_audio = update(w, form, f"layers.{n}", audio, visual)
        visual = update(
            w, form, f"layers.{n}", visual, new_audio if form.sequential else audio
        )
        audio = new_audio
    if form.pre_norm:
        audio, visual = norm(w, "last_norms.0", audio), norm(w, "last_norms.1", visual)
    return audio, visual


def update(w: Weights, form: Form, layer: str, query: Tensor, other: Tensor) -> Tensor:
    asked = norm(w, f"{layer}.norm_attention", query) if form.pre_norm else query
    summed = query + attention(w, f"{layer}.own.attention", form.heads, asked, asked)
    if form.cross:
        summed = summed + attention(
            w, f"{layer}.cross.attention", form.heads, asked, other
        )
    if form.pre_norm:
        return summed + feed_forward(
            w, layer, norm(w, f"{layer}.norm_feedforward", summed)
        )
    summed = norm(w, f"{layer}.norm_attention", summed)
    return norm(w, f"{layer}.norm_feedforward", summed + feed_forward(w, layer, summed))


def feed_forward(w: Weights, layer: str, x: Tensor) -> Tensor:
    return linear(w, f"{layer}.contract", linear(w, f"{layer}.expand", x).clamp(min=0))


def attention(w: Weights, name: str, heads: int, query: Tensor, key: Tensor) -> Tensor:
    """Every head looks at its own slice of the projected vectors."""
    (wq, wk, wv), (bq, bk, bv) = (
        w[f"{name}.in_proj_weight"].chunk(3),
        w[f"{name}.in_proj_bias"].chunk(3),
    )
    rows = []
    for q in query @ wq.T + bq:
        found = []
        for head in range(heads):
            part = slice(head * len(q) // heads, (head + 1) * len(q) // heads)
            logits = torch.stack(
                [q[part] @ (wk @ k + bk)[part] for k in key]
            ) / math.sqrt(len(q) // heads)
            weight = logits.exp() / logits.exp().sum()
            found.append(
                sum(weight[t] * (wv @ key[t] + bv)[part] for t in range(len(key)))
            )
        rows.append(torch.cat(found))
    return (
        torch.stack(rows) @ w[f"{name}.out_proj.weight"].T + w[f"{name}.out_proj.bias"]
    )
