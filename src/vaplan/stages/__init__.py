"""The stages: one function a command, from files to files."""

from vaplan.annotations import read_data
from vaplan.stages.check_data import Check, check, read_manifest, write_manifest
from vaplan.stages.check_labels import LabelCheck, check_labels
from vaplan.stages.denoise import Denoised, denoise
from vaplan.stages.exchange import exchange
from vaplan.stages.features import Outcome, features
from vaplan.stages.fetch_data import fetch
from vaplan.stages.fit import fit
from vaplan.stages.import_features import Imported, import_pack
from vaplan.stages.import_vectors import import_vectors
from vaplan.stages.label import Labelling, label
from vaplan.stages.noise import noise_ratios
from vaplan.stages.parse import parse
from vaplan.stages.predict import predict
from vaplan.stages.refine import Refined, refine
from vaplan.stages.train import train

__all__ = [
    "Check",
    "Denoised",
    "Imported",
    "LabelCheck",
    "Labelling",
    "Outcome",
    "Refined",
    "check",
    "check_labels",
    "denoise",
    "exchange",
    "features",
    "fetch",
    "fit",
    "import_pack",
    "import_vectors",
    "label",
    "noise_ratios",
    "parse",
    "predict",
    "read_data",
    "read_manifest",
    "refine",
    "train",
    "write_manifest",
]
