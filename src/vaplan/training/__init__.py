"""Train parsers and predict with them.

All methods share one training loop. It takes batches by index from arrays in memory and
minimises a weighted sum of losses. The same seed gives the same weights on the same
machine.
"""

from vaplan.training.checkpoints import Checkpoints
from vaplan.training.devices import (
    ComputePlan,
    is_rank_zero,
    leave_process_group,
    resolve_compute,
)
from vaplan.training.inference import predict, seeded, threads
from vaplan.training.loop import Epoch, TargetHook, Validate, fit
from vaplan.training.mean_teacher import Teacher
from vaplan.training.settings import (
    ACCURACY,
    OPTIMISERS,
    SCHEDULES,
    SELECTIONS,
    Training,
    learning_rate,
)
from vaplan.training.tensorboard import tensorboard_logger

__all__ = [
    "ACCURACY",
    "OPTIMISERS",
    "SCHEDULES",
    "SELECTIONS",
    "Checkpoints",
    "ComputePlan",
    "Epoch",
    "TargetHook",
    "Teacher",
    "Training",
    "Validate",
    "fit",
    "is_rank_zero",
    "learning_rate",
    "leave_process_group",
    "predict",
    "resolve_compute",
    "seeded",
    "tensorboard_logger",
    "threads",
]
