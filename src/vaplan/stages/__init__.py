"""The stages: one function a command, from files to files.

Names are imported at first use: a command does not pay for what the others need.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from vaplan.stages.parse_features import parse_features
    from vaplan.stages.predict import predict
    from vaplan.stages.refine import Refined, refine
    from vaplan.stages.train import train

MODULE_OF = {
    "Check": "vaplan.stages.check_data",
    "Denoised": "vaplan.stages.denoise",
    "Imported": "vaplan.stages.import_features",
    "LabelCheck": "vaplan.stages.check_labels",
    "Labelling": "vaplan.stages.label",
    "Outcome": "vaplan.stages.features",
    "Refined": "vaplan.stages.refine",
    "check": "vaplan.stages.check_data",
    "check_labels": "vaplan.stages.check_labels",
    "denoise": "vaplan.stages.denoise",
    "exchange": "vaplan.stages.exchange",
    "features": "vaplan.stages.features",
    "fetch": "vaplan.stages.fetch_data",
    "fit": "vaplan.stages.fit",
    "import_pack": "vaplan.stages.import_features",
    "import_vectors": "vaplan.stages.import_vectors",
    "label": "vaplan.stages.label",
    "noise_ratios": "vaplan.stages.noise",
    "parse": "vaplan.stages.parse",
    "parse_features": "vaplan.stages.parse_features",
    "predict": "vaplan.stages.predict",
    "read_data": "vaplan.annotations",
    "read_manifest": "vaplan.stages.check_data",
    "refine": "vaplan.stages.refine",
    "train": "vaplan.stages.train",
    "write_manifest": "vaplan.stages.check_data",
}

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
    "parse_features",
    "predict",
    "read_data",
    "read_manifest",
    "refine",
    "train",
    "write_manifest",
]


class _Stages(ModuleType):
    """This package: of a stage and its module, which have one name, it holds the stage."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in MODULE_OF and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Stages


def __getattr__(name: str) -> Any:
    if name not in MODULE_OF:
        raise AttributeError(f"module 'vaplan.stages' has no attribute {name!r}")
    return getattr(import_module(MODULE_OF[name]), name)
