"""HAN restated video by video and query by query, with hand-written attention (evaluation mode, one head).

Source: Tian, Li, Xu, ECCV 2020, and the code published with it.
"""

import math

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def official_modules(
    seed: int, *, hidden: int = 512, classes: int = 25
) -> dict[str, nn.Module]:
    """The published network's modules, drawn in its own order, unused ones included: same seed, same weights."""
    torch.manual_seed(seed)
    modules: dict[str, nn.Module] = {
        "classify": nn.Linear(hidden, classes),
        "time": nn.Linear(hidden, classes),
        "modality": nn.Linear(hidden, classes),
        "audio": nn.Linear(128, hidden),
        "appearance": nn.Linear(2048, hidden),
        "motion": nn.Linear(512, hidden),
        "fusion": nn.Linear(2 * hidden, hidden),
    }
    for _ in range(2):
        nn.TransformerEncoderLayer(hidden, 1, hidden)
    for _ in range(3):  # the unused cross-modal layer: one attention, two linear maps
        nn.MultiheadAttention(hidden, 1) if _ == 0 else nn.Linear(hidden, hidden)
    modules["own"] = nn.MultiheadAttention(hidden, 1)
    modules["cross"] = nn.MultiheadAttention(hidden, 1)
    modules["expand"] = nn.Linear(hidden, hidden)
    modules["contract"] = nn.Linear(hidden, hidden)
    modules["norm1"], modules["norm2"] = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
    return modules


def flat(modules: dict[str, nn.Module]) -> Weights:
    """Every weight as `module.parameter`, in float64."""
    return {
        f"{name}.{key}": value.detach().double()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def forward(
    w: Weights, audio: Tensor, appearance: Tensor, motion: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities of the segments (time modality class), the modalities and the video, of one video."""
    audio_stream = linear(w, "audio", audio)
    visual_stream = linear(
        w,
        "fusion",
        torch.cat(
            [linear(w, "appearance", appearance), linear(w, "motion", motion)], -1
        ),
    )
    streams = [
        layer(w, audio_stream, visual_stream),
        layer(w, visual_stream, audio_stream),
    ]
    segment = torch.stack([torch.sigmoid(linear(w, "classify", x)) for x in streams], 1)
    time_logit = torch.stack([linear(w, "time", x) for x in streams], 1)
    modality_logit = torch.stack([linear(w, "modality", x) for x in streams], 1)
    return (segment, *pool(segment, time_logit, modality_logit))


def pool(
    segment: Tensor, time_logit: Tensor, modality_logit: Tensor
) -> tuple[Tensor, Tensor]:
    """Attentive MMIL pooling in loops: (modality class), (class)."""
    segments, modalities, classes = segment.shape
    by_modality, video = (
        segment.new_zeros(modalities, classes),
        segment.new_zeros(classes),
    )
    for c in range(classes):
        for m in range(modalities):
            over_time = [math.exp(float(time_logit[t, m, c])) for t in range(segments)]
            for t in range(segments):
                over_modality = [
                    math.exp(float(modality_logit[t, k, c])) for k in range(modalities)
                ]
                attended = over_time[t] / sum(over_time) * float(segment[t, m, c])
                by_modality[m, c] += attended
                video[c] += attended * over_modality[m] / sum(over_modality)
    return by_modality, video


def layer(w: Weights, query: Tensor, other: Tensor) -> Tensor:
    query = norm(
        w,
        "norm1",
        query + attention(w, "cross", query, other) + attention(w, "own", query, query),
    )
    return norm(
        w,
        "norm2",
        query + linear(w, "contract", linear(w, "expand", query).clamp(min=0)),
    )


def attention(w: Weights, name: str, query: Tensor, key: Tensor) -> Tensor:
    """One head: every query segment takes a weighted mean of the values of all key segments."""
    (wq, wk, wv), (bq, bk, bv) = (
        w[f"{name}.in_proj_weight"].chunk(3),
        w[f"{name}.in_proj_bias"].chunk(3),
    )
    rows = []
    for q in query @ wq.T + bq:
        logits = torch.stack([q @ (wk @ k + bk) for k in key]) / math.sqrt(len(q))
        weight = logits.exp() / logits.exp().sum()
        rows.append(sum(weight[t] * (wv @ key[t] + bv) for t in range(len(key))))
    return (
        torch.stack(rows) @ w[f"{name}.out_proj.weight"].T + w[f"{name}.out_proj.bias"]
    )


def linear(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred
        / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        * w[f"{name}.weight"]
        + w[f"{name}.bias"]
    )
