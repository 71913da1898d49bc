"""The mean teacher: a moving average of the network's weights, and labels that it may correct
during the training.

Source: Tarvainen, Valpola, NeurIPS 2017, arXiv 1703.01780, section 2. That the average begins
with a smaller decay is as in TensorFlow's ExponentialMovingAverage; that it corrects labels of
segments, and how sure it must be, is ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import condition_on_tags


@dataclass(frozen=True)
class Teacher:
    """How the averaged network corrects the pseudo labels that the network learns.

    A segment's label is 1 where (1 - `strength`) · pseudo label + `strength` · probability is at
    least 0.5, with the teacher's probability given that the video holds its tags. Up to a
    strength of 0.5 no label changes; at 1 the teacher alone decides; between, a label that is to
    change needs a teacher who is sure: at 0.7 a 0 turns into 1 from a probability of 0.71 on, and
    a 1 into 0 below 0.29. Tags of the video limit the classes as before.

    Args:
        warmup_epochs: How long the labels stay as they are.
    """

    warmup_epochs: float = 5.0
    strength: float = 0.7

    def __post_init__(self) -> None:
        if not 0.5 < self.strength <= 1:
            raise RecipeError(
                f"teacher.strength is {self.strength}",
                fix="a number above 0.5 and at most 1",
            )
        if not self.warmup_epochs >= 0:
            raise RecipeError(
                f"teacher.warmup_epochs must be 0 or more, not {self.warmup_epochs}"
            )


def correct_targets(
    prediction: Prediction, target: Target, settings: Teacher
) -> Target:
    """The labels after the teacher had its say.

    Args:
        prediction: Prediction of the averaged network.
        target: Labels of the videos.
        settings: Settings; see their class.
    """
    if target.pseudo is None:
        raise RecipeError(
            "a teacher corrects pseudo labels, and there are none",
            fix="give labels, or no teacher",
        )
    blended = torch.lerp(
        target.pseudo.float(), condition_on_tags(prediction).float(), settings.strength
    )
    possible = target.weak[:, None, None] & prediction.mask[..., None]
    return replace(target, pseudo=(blended >= 0.5) & possible)


@torch.no_grad()
def update_ema(
    average: nn.Module, model: nn.Module, *, decay: float, step: int
) -> None:
    """Move the average towards the model after the step with this index, from 0.

    Early on the past weighs less than `decay`, (step + 1) / (step + 10): the average is over
    about the last ninth of the steps so far, so that the start is forgotten soon and a short
    training has an average of its end.

    Args:
        average: Averaged network, changed in place.
        model: Network.
        decay: Weight of the past average.
        step: Index of the step, from 0.
    """
    ours, theirs = (
        _numbers(average.state_dict().values()),
        _numbers(model.state_dict().values()),
    )
    torch._foreach_lerp_(ours, theirs, 1 - min(decay, (step + 1) / (step + 10)))


def _numbers(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor.is_floating_point()]
