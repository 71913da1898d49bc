"""The verbs: each stage is a function here and a command outside, from files to files."""

from vaplan.stages.check import Check, check, read_manifest, write_manifest
from vaplan.stages.data import read_data
from vaplan.stages.features import Outcome, features
from vaplan.stages.fetch import fetch
from vaplan.stages.fit import fit
from vaplan.stages.label import Labelling, label
from vaplan.stages.packs import Imported, import_pack
from vaplan.stages.predict import parse, predict
from vaplan.stages.tags import exchange, noise_ratios
from vaplan.stages.train import Denoised, denoise, train

__all__ = [
    "Check",
    "Denoised",
    "Imported",
    "Labelling",
    "Outcome",
    "check",
    "denoise",
    "exchange",
    "features",
    "fetch",
    "fit",
    "import_pack",
    "label",
    "noise_ratios",
    "parse",
    "predict",
    "read_data",
    "read_manifest",
    "train",
    "write_manifest",
]
