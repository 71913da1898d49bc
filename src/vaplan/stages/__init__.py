"""The verbs: each stage is a function here and a command outside, from files to files."""

from vaplan.stages.data import read_data
from vaplan.stages.features import Outcome, features
from vaplan.stages.fit import fit
from vaplan.stages.label import Labelling, label
from vaplan.stages.predict import parse, predict
from vaplan.stages.train import Denoised, denoise, train

__all__ = [
    "Denoised",
    "Labelling",
    "Outcome",
    "denoise",
    "features",
    "fit",
    "label",
    "parse",
    "predict",
    "read_data",
    "train",
]
