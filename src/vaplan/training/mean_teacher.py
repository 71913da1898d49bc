"""Mean teacher: a moving average of the network's weights that corrects pseudo labels.

Source: Tarvainen, Valpola, NeurIPS 2017, arXiv 1703.01780, section 2. The decay is
smaller at the start, as in TensorFlow's ExponentialMovingAverage. The correction of
segment labels is our own extension.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import condition_on_tags


@dataclass(frozen=True)
class Teacher:
    """How the averaged network corrects the pseudo labels during training.

    The label of a segment is 1 where (1 - `strength`) · pseudo label + `strength` ·
    probability is at least 0.5. The probability is conditional on the tags of the video.
    With a strength of 0.5 or less no label would change; with 1 the average alone
    determines the labels. With 0.7 a label 0 becomes 1 from a probability of 0.71, and
    a label 1 becomes 0 below 0.29. Only tags of the video can be labels.

    Args:
        warmup_epochs: Number of epochs without correction; fractions count.
        strength: Weight of the averaged network, in (0.5, 1].
    """

    warmup_epochs: float = 5.0
    strength: float = 0.7

    def __post_init__(self) -> None:
        if not 0.5 < self.strength <= 1:
            raise RecipeError(
                f"teacher.strength is {self.strength}",
                fix="write a number above 0.5 and at most 1",
            )
        if not self.warmup_epochs >= 0:
            raise RecipeError(
                f"teacher.warmup_epochs must be 0 or more, not {self.warmup_epochs}"
            )


def correct_targets(
    prediction: Prediction, target: Target, settings: Teacher
) -> Target:
    """Correct pseudo labels by the prediction of the averaged network; see `Teacher`.

    Args:
        prediction: Prediction of the averaged network.
        target: Labels of the videos.
        settings: Strength of the correction.
    """
    if target.pseudo is None:
        raise RecipeError(
            "a teacher corrects pseudo labels, and there are none",
            fix="give labels, or no teacher",
        )
    teacher_probability = condition_on_tags(prediction).float()
    label_probability = torch.lerp(
        target.pseudo.float(), teacher_probability, settings.strength
    )
    is_possible = target.weak[:, None, None] & prediction.mask[..., None]
    return replace(target, pseudo=(label_probability >= 0.5) & is_possible)


@torch.no_grad()
def update_ema(
    average: nn.Module, model: nn.Module, *, decay: float, step: int
) -> None:
    """Update the moving average of the weights after a step.

    The weight of the previous average is at most (step + 1) / (step + 10). At the start
    the average is therefore over about the last ninth of the steps, so that the initial
    weights lose their influence soon, also in a short training.

    Args:
        average: Averaged network, changed in place.
        model: Network.
        decay: Largest weight of the previous average.
        step: Index of the step, from 0.
    """
    average_weights = _float_tensors(average)
    model_weights = _float_tensors(model)
    average_share = min(decay, (step + 1) / (step + 10))
    torch._foreach_lerp_(average_weights, model_weights, 1 - average_share)


def _float_tensors(model: nn.Module) -> list[Tensor]:
    """Return the floating-point tensors of the state of a network."""
    tensors = model.state_dict().values()
    return [tensor for tensor in tensors if tensor.is_floating_point()]
