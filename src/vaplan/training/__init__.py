"""Train a parser, run it over many videos, and turn what it says into decisions.

One loop for every method: batches are taken by index from arrays in memory, the objective is a weighted sum of named
losses. The same seed gives the same weights on the same machine.
"""

from vaplan.training.checkpoints import Checkpoints
from vaplan.training.decisions import DECISIONS, RULES, decide, fit_thresholds
from vaplan.training.devices import leads, place
from vaplan.training.inference import predict, seeded, threads
from vaplan.training.loop import Epoch, Revise, Validate, fit
from vaplan.training.mean_teacher import Teacher
from vaplan.training.settings import (
    ACCURACY,
    OPTIMISERS,
    SCHEDULES,
    SELECTIONS,
    Training,
    learning_rate,
)
from vaplan.training.tensorboard import board

__all__ = [
    "ACCURACY",
    "DECISIONS",
    "OPTIMISERS",
    "RULES",
    "SCHEDULES",
    "SELECTIONS",
    "Checkpoints",
    "Epoch",
    "Revise",
    "Teacher",
    "Training",
    "Validate",
    "board",
    "decide",
    "fit",
    "fit_thresholds",
    "leads",
    "learning_rate",
    "place",
    "predict",
    "seeded",
    "threads",
]
