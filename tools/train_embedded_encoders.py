"""Train the two embedded encoders of vaplan, and write them into the package.

    python tools/train_embedded_encoders.py            # both, in parallel on two cores
    python tools/train_embedded_encoders.py clip       # one of them

A step has a batch of frames or seconds of audio, and one sentence per class in random words. The loss is a sigmoid
cross entropy of each pair of segment and sentence (after SigLIP: Zhai et al. 2023, arXiv 2303.15343), so a segment
without events is near no sentence, and one with two classes is near both. The loss of frames also has a term for
each patch: without it, so small a transformer does not learn shapes within minutes. The same command on the same
machine gives the same bytes.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encoder_banks import (
    FIRST_SEED,
    Bank,
    Batch,
    augment_audio,
    augment_frames,
    make_audio_bank,
    make_frame_bank,
)
from encoder_models import (
    CLASSES,
    DIMENSION,
    FILLERS,
    LONGEST,
    PATCH,
    SIDE,
    audio_vectors,
    frame_vectors,
    new_clap,
    new_clip,
    tokenizer,
)
from torch import Tensor
from torch.nn import functional
from transformers.utils import logging

from vaplan.encoders import pretrained
from vaplan.encoders.embedded import WEIGHTS


@dataclass(frozen=True)
class Plan:
    """Settings of the training of one encoder."""

    clips: int  # number of rendered clips
    steps: int
    batch: int = 64
    learning_rate: float = 1e-3
    matrix_rate: float = 0.02  # learning rate of the layers' matrices, by Muon
    patch_weight: float = 4.0  # of the loss of the patches
    warm_up: int = 100  # steps
    seed: int = FIRST_SEED


PLANS = {"clip": Plan(clips=1500, steps=1000), "clap": Plan(clips=1200, steps=900)}
# From inputs to one vector each, and one for every patch.
Embed = Callable[[Tensor], tuple[Tensor, Tensor | None]]
# From vectors of segments, vectors of sentences and truth to a loss.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
Augment = Callable[[Bank, Tensor, torch.Generator], Batch]


# --- training ---------------------------------------------------------------------------------------------------------


def train(
    model: Any, embed: Embed, bank: Bank, plan: Plan, *, augment: Augment
) -> None:
    """Fit the model to the bank, in place."""
    tokenize, rng, noise = (
        tokenizer(),
        np.random.default_rng(plan.seed),
        torch.Generator().manual_seed(plan.seed),
    )
    offset = torch.nn.Parameter(torch.tensor(-4.0))
    optimizers = optimizers_of(model, offset, plan)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, partial(rate, plan=plan))
        for o in optimizers
    ]
    start, model = time.monotonic(), model.train()
    for step, rows in enumerate(batches(len(bank.truth), plan, rng)):
        tokens = tokenize(
            sentences(rng),
            padding="max_length",
            max_length=LONGEST,
            truncation=True,
            return_tensors="pt",
        )
        batch = augment(bank, rows, noise)
        with torch.autocast("cpu", torch.bfloat16):
            text = pretrained.pooled(
                model.get_text_features(tokens["input_ids"], tokens["attention_mask"])
            )
            vectors = embed(batch.inputs)
        loss = total_loss(
            vectors,
            text,
            batch,
            plan,
            pair_loss=partial(sigmoid_loss, scale=scale(model).exp(), offset=offset),
        )
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in (*optimizers, *schedules):
            part.step()
        if step % 100 == 99:
            print(
                f"step {step + 1}/{plan.steps} loss {loss:.4f} {time.monotonic() - start:.0f} s",
                flush=True,
            )


def total_loss(
    vectors: tuple[Tensor, Tensor | None],
    text: Tensor,
    batch: Batch,
    plan: Plan,
    *,
    pair_loss: Loss,
) -> Tensor:
    """Sum the loss of whole segments and the loss of the patches of frames."""
    whole, patches = vectors
    loss = pair_loss(whole, text, batch.truth)
    if patches is None or batch.patch_truth is None:
        return loss
    return loss + plan.patch_weight * pair_loss(
        patches.flatten(0, 1), text, batch.patch_truth.flatten(0, 1)
    )


def optimizers_of(
    model: Any, offset: Tensor, plan: Plan
) -> list[torch.optim.Optimizer]:
    """Make Muon for the matrices inside the layers and AdamW for all other parameters."""
    named = dict(model.named_parameters())
    matrices = {
        n
        for n, p in named.items()
        if ".layers." in n and n.endswith("weight") and p.ndim == 2
    }
    rest = [offset, *(p for n, p in named.items() if n not in matrices)]
    inner = [p for n, p in named.items() if n in matrices]
    return [
        torch.optim.Muon(inner, lr=plan.matrix_rate, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=plan.learning_rate, weight_decay=0.05),
    ]


def rate(step: int, plan: Plan) -> float:
    """Compute the factor of the learning rate: linear warm-up, then half a cosine."""
    return min((step + 1) / plan.warm_up, 1) * (
        0.5 + 0.5 * math.cos(math.pi * step / plan.steps)
    )


def batches(rows: int, plan: Plan, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield the rows of each step; every row occurs once before any is repeated."""
    left = np.empty(0, dtype=np.int64)
    for _ in range(plan.steps):
        if len(left) < plan.batch:
            left = np.concatenate([left, rng.permutation(rows)])
        yield torch.from_numpy(left[: plan.batch])
        left = left[plan.batch :]


def sentences(rng: np.random.Generator) -> list[str]:
    """Return one sentence per class in random words, and two sentences of unknown words."""
    return [_about(name, rng) for name in [*CLASSES, "[UNK]", "[UNK] [UNK]"]]


def _about(name: str, rng: np.random.Generator) -> str:
    words = rng.choice([*FILLERS, "[UNK]"], size=rng.integers(0, 7)).tolist()
    place = rng.integers(0, len(words) + 1) if rng.random() < 0.4 else len(words)
    return " ".join([*words[:place], name, *words[place:]])


def sigmoid_loss(
    segments: Tensor, text: Tensor, truth: Tensor, *, scale: Tensor, offset: Tensor
) -> Tensor:
    """Compute the cross entropy of whether each sentence fits each segment."""
    segments, text = (
        functional.normalize(vectors.float(), dim=-1) for vectors in (segments, text)
    )
    target = functional.pad(
        truth, (0, len(text) - truth.shape[1])
    )  # sentences of unknown words fit no segment
    return functional.binary_cross_entropy_with_logits(
        scale * segments @ text.T + offset, target
    )


def scale(model: Any) -> Tensor:
    """Return the parameter of the model for the logarithm of its scale."""
    return model.logit_scale if hasattr(model, "logit_scale") else model.logit_scale_a


# --- the folder -------------------------------------------------------------------------------------------------------


def make(kind: str, plan: Plan, folder: Path) -> None:
    """Train one encoder and replace its folder."""
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    model, processor = new_clip() if kind == "clip" else new_clap()
    start = time.monotonic()
    make_bank = make_frame_bank if kind == "clip" else make_audio_bank
    bank = make_bank(plan.clips, plan.seed, processor)
    print(
        f"{kind}: {len(bank.truth)} segments rendered in {time.monotonic() - start:.0f} s",
        flush=True,
    )
    embed = partial(frame_vectors if kind == "clip" else audio_vectors, model)
    train(
        model,
        embed,
        bank,
        plan,
        augment=partial(augment_frames, patches=SIDE // PATCH)
        if kind == "clip"
        else augment_audio,
    )
    temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
    for part in (model.eval(), tokenizer(), processor):
        part.save_pretrained(temporary)
    (temporary / "model.safetensors").chmod(0o644)
    (temporary / "README.md").write_text(card(kind, plan, model), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)


def card(kind: str, plan: Plan, model: Any) -> str:
    """Return the README of the folder."""
    inputs = {"clip": "frames (CLIPModel)", "clap": "seconds of audio (ClapModel)"}[
        kind
    ]
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    return f"""# A small {kind.upper()} for the synthetic data

Embeds {inputs} and sentences in one space of {DIMENSION} dimensions; {millions:.2f} million parameters.
It knows the {len(CLASSES)} procedural classes of `vaplan.synthetic` and nothing else:
{", ".join(CLASSES)}.
On real media its vectors mean nothing; use a real checkpoint there (`{kind}:FOLDER`).

Made by `python tools/train_embedded_encoders.py {kind}` from scratch, on {plan.clips} clips rendered with seed
{plan.seed} ({plan.steps} steps of {plan.batch} segments). Only this script uses seeds from {FIRST_SEED} on;
the demo, benchmarks and tests use smaller ones, so none of their labels are in these weights. Like a real encoder it is
imperfect: it embeds one {"frame" if kind == "clip" else "second"} at a time, and some classes are hard for it.

Files: `config.json`, `model.safetensors`, `tokenizer.json`, `tokenizer_config.json`, `preprocessor_config.json`,
as `save_pretrained` of the transformers library writes them. License: Apache-2.0, as the rest of vaplan.
"""


def main() -> None:
    """Train the given encoder, by default both in parallel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", nargs="?", choices=sorted(PLANS))
    parser.add_argument(
        "--out", type=Path, default=WEIGHTS, help="parent of the two folders"
    )
    arguments = parser.parse_args()
    kind, out = arguments.kind, arguments.out
    if kind is None:
        command = [sys.executable, __file__, "--out", str(out)]
        trainings = [subprocess.Popen([*command, name]) for name in PLANS]
        sys.exit(max([training.wait() for training in trainings]))
    assert PLANS[kind].seed >= FIRST_SEED, "evaluations use smaller seeds"
    out.mkdir(parents=True, exist_ok=True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    make(kind, PLANS[kind], out / kind)


if __name__ == "__main__":
    main()
