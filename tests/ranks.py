"""Started by torchrun in several processes: train as a whole, and killed and resumed; the first writes the results."""

import sys
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from tests.objectives import PLE_OBJECTIVE
from tests.trainings import QUICK, Killed, labelled, network, weights, world
from vaplan.training import Checkpoints, Teacher, fit, is_rank_zero, leave_process_group

AVERAGED = replace(
    QUICK, batch_size=15, ema=0.5, clip_norm=1.0, optimiser="adamw", weight_decay=0.01
)
OBJECTIVE = PLE_OBJECTIVE | {
    "contrastive_ma": 0.3
}  # means over a batch that a share of it does not have
VIDEOS = 61  # the last batch has fewer videos than there are processes


def train(model, **how):
    """Train with every setting that could differ between a batch and a share of it."""
    inputs, truth = world(videos=VIDEOS)
    settings = replace(AVERAGED, patience=9)
    validate = lambda averaged: float(weights(averaged).norm())  # noqa: E731
    labels = labelled(truth)
    return fit(
        model,
        inputs,
        labels,
        settings=settings,
        losses=OBJECTIVE,
        validate=validate,
        teacher=Teacher(1.0),
        **how,
    )


def kill_after(steps):
    """A `TargetHook` that ends a training."""
    passed = []

    def revise(_model, _inputs, target, _passed):
        passed.append(1)
        if len(passed) > steps:
            raise Killed
        return target

    return revise


def main(out: Path) -> None:
    plain, dropping, resumed = network(dropout=0.0), network(), network()
    history = train(plain)
    train(dropping)
    file = Checkpoints(out.with_suffix(".checkpoint"), seconds=0.0)
    try:
        train(network(), target_hook=kill_after(7), checkpoints=file)
    except Killed:
        train(resumed, checkpoints=replace(file, resume=True))
    if is_rank_zero():
        losses = {
            str(entry["epoch"]): f"{entry['loss']:.9g} {entry['validation']:.9g}"
            for entry in history
        }
        found = {
            "plain": weights(plain),
            "dropping": weights(dropping),
            "resumed": weights(resumed),
        }
        save_file(found, out, metadata=losses)
    leave_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
