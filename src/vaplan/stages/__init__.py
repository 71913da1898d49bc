"""The verbs: each stage is a function here and a command outside, from files to files."""

from vaplan.stages.check import Check, check, read_manifest, write_manifest
from vaplan.stages.check_labels import Checked, check_labels
from vaplan.stages.data import read_data
from vaplan.stages.features import Outcome, features
from vaplan.stages.fetch import fetch
from vaplan.stages.fit import fit, known_tags
from vaplan.stages.label import Labelling, label
from vaplan.stages.packs import Imported, import_pack
from vaplan.stages.predict import media_files, parse, predict
from vaplan.stages.refine import refine
from vaplan.stages.tags import exchange, noise_ratios
from vaplan.stages.train import Denoised, denoise, train

__all__ = [
    "Check",
    "Checked",
    "Denoised",
    "Imported",
    "Labelling",
    "Outcome",
    "check",
    "check_labels",
    "denoise",
    "exchange",
    "features",
    "fetch",
    "fit",
    "import_pack",
    "known_tags",
    "label",
    "media_files",
    "noise_ratios",
    "parse",
    "predict",
    "read_data",
    "read_manifest",
    "refine",
    "train",
    "write_manifest",
]
