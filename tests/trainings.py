"""Random features, a small network, and quick trainings of it."""

import subprocess
import sys

import torch

from tests.objectives import PLG_OBJECTIVE
from vaplan import recipe as recipes
from vaplan.arrays import Inputs, Target
from vaplan.models.han import HAN, HANSettings
from vaplan.training import Training, fit, seeded

LOCALISING = [
    name
    for name in recipes.shipped()
    if recipes.read(name).training.select_by == "accuracy"
]
PARSING = [name for name in recipes.shipped() if name not in LOCALISING]
QUICK = Training(epochs=3, batch_size=16, learning_rate=2e-3)


def world(videos=64, time=5, classes=4, *, seed=0):
    """Videos whose features show their events through noise; some segments are missing."""
    generator = torch.Generator().manual_seed(seed)
    looks = torch.randn(2, classes, 12, generator=torch.Generator().manual_seed(99))
    truth = torch.rand(videos, time, 2, classes, generator=generator) < 0.2
    features = torch.einsum("vtmc,mcf->mvtf", truth.float(), looks)
    features += 0.3 * torch.randn(features.shape, generator=generator)
    mask = torch.rand(videos, time, 2, generator=generator) < 0.9
    truth &= mask[..., None]
    return Inputs(
        ((features[0],), (features[1, ..., :8], features[1, ..., 8:])), mask
    ), truth


def network(seed=0, **settings):
    with seeded(seed):
        chosen = HANSettings(hidden=32, feedforward=32, **settings)
        return HAN(chosen, feature_sizes=((12,), (8, 4)), classes=4)


def labelled(truth):
    return Target(truth.any(1).any(1), truth)


def trained(losses=PLG_OBJECTIVE, settings=QUICK, **options):
    inputs, truth = world()
    model = network()
    history = fit(
        model, inputs, labelled(truth), settings=settings, losses=losses, **options
    )
    return model, history


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


class Killed(Exception):
    """Raised by tests to end a training."""


def torchrun(*arguments):
    """Run two processes on this machine; their output is shown if they fail."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
