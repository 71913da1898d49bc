"""Train a parser, run it over many videos, and turn what it says into decisions.

One loop for every method: batches are taken by index from arrays in memory, the objective is a weighted sum of named
losses. The same seed gives the same weights on the same machine.
"""

from vaplan.training.checkpoints import Checkpoints
from vaplan.training.decisions import DECISIONS, decide, fit_thresholds
from vaplan.training.loop import Epoch, Revise, Validate, fit
from vaplan.training.running import predict, seeded, threads
from vaplan.training.settings import OPTIMISERS, SCHEDULES, SELECTIONS, Training, learning_rate

__all__ = [
    "DECISIONS",
    "OPTIMISERS",
    "SCHEDULES",
    "SELECTIONS",
    "Checkpoints",
    "Epoch",
    "Revise",
    "Training",
    "Validate",
    "decide",
    "fit",
    "fit_thresholds",
    "learning_rate",
    "predict",
    "seeded",
    "threads",
]
