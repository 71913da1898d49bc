"""CMBS restated video by video and head by head, with hand-written attention (evaluation mode, nothing masked).

Source: Xia, Zhao, CVPR 2022, and the code published with it. Visual features are maps: (time place channel).
"""

import math

import torch
from torch import Tensor

from tests.oracles.han import linear, norm

Weights = dict[str, Tensor]
AUDIO, VISUAL = 0, 1


def weak(w: Weights, audio: Tensor, visual: Tensor, s) -> dict[str, Tensor]:
    """The gate, the score of every segment, raw and fused scores, and event scores of one video."""
    visible = look(w, torch.relu(linear(w, "see_place", visual)), audio, s.map_strength)
    kv_a, kv_v = (
        encoder(w, f"encode.{AUDIO}", audio, s),
        encoder(w, f"encode.{VISUAL}", visible, s),
    )
    aq, vq = (
        decoder(w, f"decode.{AUDIO}", audio, kv_v, s),
        decoder(w, f"decode.{VISUAL}", visible, kv_a, s),
    )
    g1, g2 = (
        sigmoid(linear(w, f"gate.{VISUAL}", kv_v)),
        sigmoid(linear(w, f"gate.{AUDIO}", kv_a)),
    )
    alpha = s.gate_strength
    vq, aq = (1 - alpha) * vq + alpha * g1 * vq, (1 - alpha) * aq + alpha * g2 * aq
    av_gate = (g1 + g2) / 2
    cas_v, cas_a = linear(w, f"score.{VISUAL}", vq), linear(w, f"score.{AUDIO}", aq)
    vq = meeting(w, f"meet.{VISUAL}", vq, aq, s)
    aq = meeting(w, f"meet.{AUDIO}", aq, vq, s)
    cas = (
        s.score_strength
        * (sigmoid(cas_v) + sigmoid(cas_a))
        * ((vq + aq) / 2 @ w["classify.weight"].T)
    )
    raw = top(cas, s.top)
    fused = av_gate * raw[None]
    logits = torch.stack([max(fused[:, c]) for c in range(fused.shape[1])])
    return {
        "gate": av_gate[:, 0],
        "cas": cas,
        "raw": raw,
        "logits": logits,
        "event_scores": softmax(logits),
    }


def full(w: Weights, audio: Tensor, visual: Tensor, s) -> dict[str, Tensor]:
    """The gate, whether each segment holds an event, and two scores of the classes, of one video."""
    visible = look(w, torch.relu(linear(w, "see_place", visual)), audio, s.map_strength)
    audible, visible = (
        lstm(w, f"over_time.{AUDIO}.lstm", audio),
        lstm(w, f"over_time.{VISUAL}.lstm", visible),
    )
    kv_v, kv_a = (
        encoder(w, f"encode.{VISUAL}", visible, s),
        encoder(w, f"encode.{AUDIO}", audible, s),
    )
    aq, vq = (
        decoder(w, f"decode.{AUDIO}", audible, kv_v, s),
        decoder(w, f"decode.{VISUAL}", visible, kv_a, s),
    )
    g_a, g_v = (
        sigmoid(linear(w, f"gate.{AUDIO}", kv_a)),
        sigmoid(linear(w, f"gate.{VISUAL}", kv_v)),
    )
    vq, aq = vq * (1 + s.gate_strength * g_a), aq * (1 + s.gate_strength * g_v)
    av_score = (
        top(linear(w, f"score.{VISUAL}", vq), s.top)
        + top(linear(w, f"score.{AUDIO}", aq), s.top)
    ) / 2
    vq = meeting(w, f"meet.{VISUAL}", vq, aq, s)
    aq = meeting(w, f"meet.{AUDIO}", aq, vq, s)
    f = (vq + aq) / 2
    highest = torch.stack([max(f[:, d]) for d in range(f.shape[1])])
    scores = linear(w, "classify", highest) + s.score_strength * av_score
    return {
        "gate": (g_a * g_v)[:, 0],
        "event": linear(w, "event", f)[:, 0],
        "class": scores,
        "av_score": av_score,
    }


def look(w: Weights, maps: Tensor, audio: Tensor, beta: float) -> Tensor:
    """Audio-guided attention, segment by segment."""
    return torch.stack(
        [look_once(w, r, a, beta) for r, a in zip(maps, audio, strict=True)]
    )


def look_once(w: Weights, r: Tensor, a: Tensor, beta: float) -> Tensor:
    query, key, value = (
        linear(w, f"look.relate.{name}", r) for name in ("query", "key", "value")
    )
    read = torch.stack(
        [
            sum(p * v for p, v in zip(softmax(key @ q), value, strict=True))
            for q in query
        ]
    )
    f = norm(w, "look.relate.norm", r + read)
    m = relu(linear(w, "look.own_pool.guide", f.sum(0) / len(f)))
    s = pooled(w, "look.own_pool", f, m)
    audible, visible = relu(linear(w, "look.hear", a)), relu(linear(w, "look.see", f))
    u = sum(audible * place for place in visible) / len(visible)
    e = sigmoid(linear(w, "look.excite", relu(linear(w, "look.squeeze", u))))
    z = pooled(
        w, "look.audio_pool", r * (1 + e), relu(linear(w, "look.audio_pool.guide", a))
    )
    return z + beta * sigmoid(s) * z


def pooled(w: Weights, name: str, places: Tensor, guide: Tensor) -> Tensor:
    scores = [
        torch.tanh(
            linear(w, f"{name}.score", relu(linear(w, f"{name}.place", p)) * guide)
        )[0]
        for p in places
    ]
    return sum(
        weight * p
        for weight, p in zip(softmax(torch.stack(scores)), places, strict=True)
    )


def encoder(w: Weights, name: str, x: Tensor, s) -> Tensor:
    x = linear(w, f"{name}.project", x)
    for k in range(s.layers):
        x = transformer(w, f"{name}.layers.{k}", x, x, s.heads)
    return x


def decoder(w: Weights, name: str, x: Tensor, memory: Tensor, s) -> Tensor:
    q = linear(w, f"{name}.project", x)
    return transformer(w, f"{name}.layer", q, torch.cat([memory, q]), s.heads)


def transformer(w: Weights, name: str, q: Tensor, memory: Tensor, heads: int) -> Tensor:
    q = norm(
        w,
        f"{name}.norm_attention",
        q + attention(w, f"{name}.attend.attention", q, memory, heads),
    )
    step = linear(w, f"{name}.contract", relu(linear(w, f"{name}.expand", q)))
    return norm(w, f"{name}.norm_feedforward", q + step)


def meeting(w: Weights, name: str, x: Tensor, y: Tensor, s) -> Tensor:
    g = x * y
    return norm(
        w,
        f"{name}.norm",
        g
        + attention(
            w, f"{name}.attend.attention", g, torch.cat([y, x]), s.fusion_heads
        ),
    )


def attention(
    w: Weights, name: str, query: Tensor, memory: Tensor, heads: int
) -> Tensor:
    (wq, wk, wv), (bq, bk, bv) = (
        w[f"{name}.in_proj_weight"].chunk(3),
        w[f"{name}.in_proj_bias"].chunk(3),
    )
    q, k, v = query @ wq.T + bq, memory @ wk.T + bk, memory @ wv.T + bv
    size = q.shape[1] // heads
    columns = []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        columns.append(
            torch.stack(
                [
                    softmax(k[:, part] @ row / math.sqrt(size)) @ v[:, part]
                    for row in q[:, part]
                ]
            )
        )
    return (
        torch.cat(columns, dim=1) @ w[f"{name}.out_proj.weight"].T
        + w[f"{name}.out_proj.bias"]
    )


def lstm(w: Weights, name: str, x: Tensor) -> Tensor:
    """Both directions, step by step."""
    forwards, backwards = (
        one_way(w, name, x, ""),
        one_way(w, name, x.flip(0), "_reverse").flip(0),
    )
    return torch.cat([forwards, backwards], dim=1)


def one_way(w: Weights, name: str, x: Tensor, way: str) -> Tensor:
    w_in, w_state = w[f"{name}.weight_ih_l0{way}"], w[f"{name}.weight_hh_l0{way}"]
    bias = w[f"{name}.bias_ih_l0{way}"] + w[f"{name}.bias_hh_l0{way}"]
    state = cell = x.new_zeros(w_state.shape[1])
    states = []
    for step in x:
        i, f, g, o = (w_in @ step + w_state @ state + bias).chunk(4)
        cell = sigmoid(f) * cell + sigmoid(i) * torch.tanh(g)
        state = sigmoid(o) * torch.tanh(cell)
        states.append(state)
    return torch.stack(states)


def top(score: Tensor, share: float) -> Tensor:
    """Per column the mean of the highest scores: 4 of 10 for a share of 0.4."""
    count = round(share * len(score))
    columns = [
        sorted((float(v) for v in column), reverse=True)[:count] for column in score.T
    ]
    return score.new_tensor([sum(column) / count for column in columns])


def official_labels(outputs: dict[str, Tensor]) -> list[int]:
    """Inference of the weak network as published: the sigmoid is taken of the gate once more."""
    classes = len(outputs["raw"]) - 1
    best = int(outputs["raw"].argmax())
    return [best if float(sigmoid(gate)) > 0.5 else classes for gate in outputs["gate"]]


def full_labels(outputs: dict[str, Tensor]) -> list[int]:
    best = int(outputs["class"].argmax())
    return [
        best if float(sigmoid(event)) > 0.5 else len(outputs["class"])
        for event in outputs["event"]
    ]


def weak_loss(outputs: list[dict[str, Tensor]], labels: Tensor) -> float:
    """The soft margin of the event scores; `labels` are (video label), background last."""
    losses = []
    for one, label in zip(outputs, labels, strict=True):
        p = [float(sigmoid(x)) for x in one["event_scores"]]
        cells = [
            -(math.log(q) if y else math.log(1 - q))
            for q, y in zip(p, label, strict=True)
        ]
        losses.append(sum(cells) / len(cells))
    return sum(losses) / len(losses)


def full_loss(outputs: list[dict[str, Tensor]], labels: Tensor) -> float:
    """Event, gate and two cross entropies; `labels` are one-hot (video time label), background last."""
    event, gate, classes = [], [], []
    for one, label in zip(outputs, labels, strict=True):
        foreground = [[float(v) for v in row[:-1]] for row in label]
        for t, row in enumerate(foreground):
            event.append(bce_of_logit(float(one["event"][t]), max(row)))
            gate.append(bce_of_logit(float(one["gate"][t]), max(row)))
        index = max(row.index(max(row)) for row in foreground)
        classes.append(
            -math.log(softmax(one["class"])[index])
            - math.log(softmax(one["av_score"])[index])
        )
    return mean(event) + mean(gate) + mean(classes)


def bce_of_logit(x: float, y: float) -> float:
    return math.log(1 + math.exp(x)) - x * y


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def softmax(x: Tensor) -> Tensor:
    return x.exp() / x.exp().sum()


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)
