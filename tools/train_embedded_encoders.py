"""Train the two encoders that ship with vaplan, and write them into the package.

    python tools/train_embedded_encoders.py            # both, side by side on two cores
    python tools/train_embedded_encoders.py clip       # one of them

A step shows a batch of frames or one-second sounds, and one sentence a class in random words; a sigmoid per pair
says whether the sentence is true of the segment (after SigLIP: Zhai et al. 2023, arXiv 2303.15343). So a segment
with nothing in it is near no sentence, and one with two classes is near both. Frames are asked patch by patch as
well, without which so small a transformer does not learn shapes in minutes. The same command on the same machine
gives the same bytes.
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
    frames_bank,
    heard_again,
    seen_again,
    sounds_bank,
)
from encoder_models import (
    CLASSES,
    DIMENSION,
    FILLERS,
    LONGEST,
    PATCH,
    SIDE,
    frame_vectors,
    new_clap,
    new_clip,
    sound_vectors,
    tokenizer,
)
from torch import Tensor
from torch.nn import functional
from transformers.utils import logging

from vaplan.encoders import pretrained
from vaplan.encoders.embedded import WEIGHTS


@dataclass(frozen=True)
class Plan:
    """How to train one encoder."""

    clips: int  # rendered for it
    steps: int
    batch: int = 64
    learning_rate: float = 1e-3
    matrix_rate: float = 0.02  # learning rate of the layers' matrices, which Muon turns
    patch_weight: float = 4.0  # of the question asked patch by patch
    warm_up: int = 100  # steps
    seed: int = FIRST_SEED


PLANS = {"clip": Plan(clips=1500, steps=1000), "clap": Plan(clips=1200, steps=900)}
Look = Callable[
    [Tensor], tuple[Tensor, Tensor | None]
]  # inputs to one vector each, and one for every patch
Judge = Callable[
    [Tensor, Tensor, Tensor], Tensor
]  # vectors, sentences and truth to a loss
Vary = Callable[[Bank, Tensor, torch.Generator], Batch]


# --- training ---------------------------------------------------------------------------------------------------------


def train(model: Any, look: Look, bank: Bank, plan: Plan, *, vary: Vary) -> None:
    """Fit the model to the bank, in place."""
    words, rng, noise = (
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
    began, model = time.monotonic(), model.train()
    for step, rows in enumerate(batches(len(bank.truth), plan, rng)):
        asked = words(
            sentences(rng),
            padding="max_length",
            max_length=LONGEST,
            truncation=True,
            return_tensors="pt",
        )
        batch = vary(bank, rows, noise)
        with torch.autocast("cpu", torch.bfloat16):
            said = pretrained.pooled(
                model.get_text_features(asked["input_ids"], asked["attention_mask"])
            )
            seen = look(batch.inputs)
        loss = total_loss(
            seen,
            said,
            batch,
            plan,
            judge=partial(disagreement, scale=scale(model).exp(), offset=offset),
        )
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for part in (*optimizers, *schedules):
            part.step()
        if step % 100 == 99:
            print(
                f"step {step + 1}/{plan.steps} loss {loss:.4f} {time.monotonic() - began:.0f} s",
                flush=True,
            )


def total_loss(
    seen: tuple[Tensor, Tensor | None],
    said: Tensor,
    batch: Batch,
    plan: Plan,
    *,
    judge: Judge,
) -> Tensor:
    """What the sentences get wrong about whole segments, and about the patches of a picture."""
    whole, patches = seen
    loss = judge(whole, said, batch.truth)
    if patches is None or batch.places is None:
        return loss
    return loss + plan.patch_weight * judge(
        patches.flatten(0, 1), said, batch.places.flatten(0, 1)
    )


def optimizers_of(
    model: Any, offset: Tensor, plan: Plan
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for all else."""
    named = dict(model.named_parameters())
    matrices = {
        n
        for n, p in named.items()
        if ".layers." in n and n.endswith("weight") and p.ndim == 2
    }
    rest = [offset, *(p for n, p in named.items() if n not in matrices)]
    turned = [p for n, p in named.items() if n in matrices]
    return [
        torch.optim.Muon(turned, lr=plan.matrix_rate, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=plan.learning_rate, weight_decay=0.05),
    ]


def rate(step: int, plan: Plan) -> float:
    """The learning rate's factor: up in a line, down in half a cosine."""
    return min((step + 1) / plan.warm_up, 1) * (
        0.5 + 0.5 * math.cos(math.pi * step / plan.steps)
    )


def batches(rows: int, plan: Plan, rng: np.random.Generator) -> Iterator[Tensor]:
    """As many batches as the plan has steps; every row once before any comes again."""
    left = np.empty(0, dtype=np.int64)
    for _ in range(plan.steps):
        if len(left) < plan.batch:
            left = np.concatenate([left, rng.permutation(rows)])
        yield torch.from_numpy(left[: plan.batch])
        left = left[plan.batch :]


def sentences(rng: np.random.Generator) -> list[str]:
    """One sentence a class in random words, and two about nothing the model knows."""
    return [_about(name, rng) for name in [*CLASSES, "[UNK]", "[UNK] [UNK]"]]


def _about(name: str, rng: np.random.Generator) -> str:
    words = rng.choice([*FILLERS, "[UNK]"], size=rng.integers(0, 7)).tolist()
    place = rng.integers(0, len(words) + 1) if rng.random() < 0.4 else len(words)
    return " ".join([*words[:place], name, *words[place:]])


def disagreement(
    seen: Tensor, said: Tensor, truth: Tensor, *, scale: Tensor, offset: Tensor
) -> Tensor:
    """Cross entropy, per segment and sentence, of "this sentence is true of this segment"."""
    seen, said = (
        functional.normalize(vectors.float(), dim=-1) for vectors in (seen, said)
    )
    known = functional.pad(
        truth, (0, len(said) - truth.shape[1])
    )  # the sentences about nothing are never true
    return functional.binary_cross_entropy_with_logits(
        scale * seen @ said.T + offset, known
    )


def scale(model: Any) -> Tensor:
    """The model's own parameter for the logarithm of its scale."""
    return model.logit_scale if hasattr(model, "logit_scale") else model.logit_scale_a


# --- the folder -------------------------------------------------------------------------------------------------------


def make(kind: str, plan: Plan, folder: Path) -> None:
    """Train one encoder and put its folder in place."""
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    model, processor = new_clip() if kind == "clip" else new_clap()
    began = time.monotonic()
    bank = (frames_bank if kind == "clip" else sounds_bank)(
        plan.clips, plan.seed, processor
    )
    print(
        f"{kind}: {len(bank.truth)} segments rendered in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    look = partial(frame_vectors if kind == "clip" else sound_vectors, model)
    train(
        model,
        look,
        bank,
        plan,
        vary=partial(seen_again, patches=SIDE // PATCH)
        if kind == "clip"
        else heard_again,
    )
    beside = folder.with_name(f".{folder.name}-{os.getpid()}")
    for part in (model.eval(), tokenizer(), processor):
        part.save_pretrained(beside)
    (beside / "model.safetensors").chmod(0o644)
    (beside / "README.md").write_text(card(kind, plan, model), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def card(kind: str, plan: Plan, model: Any) -> str:
    """What a stranger should know about the folder."""
    what = {"clip": "frames (CLIPModel)", "clap": "one-second sounds (ClapModel)"}[kind]
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    return f"""# A small {kind.upper()} for the synthetic world

Embeds {what} and sentences in one space of {DIMENSION} dimensions; {millions:.2f} million parameters.
It knows the {len(CLASSES)} procedural classes of `vaplan.synthetic` and nothing else:
{", ".join(CLASSES)}.
On real media its vectors mean nothing; name a real checkpoint there (`{kind}:FOLDER`).

Made by `python tools/train_embedded_encoders.py {kind}` from scratch, on {plan.clips} clips rendered with seed
{plan.seed} ({plan.steps} steps of {plan.batch} segments). Seeds from {FIRST_SEED} on belong to this script;
demos, benchmarks and tests use smaller ones, so no label of theirs is in these weights. Like a real encoder it is
imperfect: it knows one {"frame" if kind == "clip" else "second"} at a time, and some classes are hard for it.

Files: `config.json`, `model.safetensors`, `tokenizer.json`, `tokenizer_config.json`, `preprocessor_config.json`,
as `save_pretrained` of the transformers library writes them. License: Apache-2.0, as the rest of vaplan.
"""


def main() -> None:
    """Train what was asked for; both side by side by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", nargs="?", choices=sorted(PLANS))
    parser.add_argument(
        "--out", type=Path, default=WEIGHTS, help="where the two folders go"
    )
    asked = parser.parse_args()
    if asked.kind is None:
        command = [sys.executable, __file__, "--out", str(asked.out)]
        trainings = [subprocess.Popen([*command, kind]) for kind in PLANS]
        sys.exit(max([training.wait() for training in trainings]))
    assert PLANS[asked.kind].seed >= FIRST_SEED, "smaller seeds belong to evaluations"
    asked.out.mkdir(parents=True, exist_ok=True)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    make(asked.kind, PLANS[asked.kind], asked.out / asked.kind)


if __name__ == "__main__":
    main()
