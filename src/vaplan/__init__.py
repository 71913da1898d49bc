"""Audio-visual video parsing from weak labels.

>>> import vaplan
>>> parser = vaplan.Parser.load("runs/mine")  # doctest: +SKIP
>>> timeline = parser("dog.mp4")  # doctest: +SKIP
>>> vaplan.export(timeline, "dog.csv")  # doctest: +SKIP

Names are imported at first use, so that `import vaplan` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vaplan.annotations import Annotations, read_data, read_table
    from vaplan.dataset import Dataset
    from vaplan.errors import VaplanError
    from vaplan.evaluation import compare, evaluate
    from vaplan.exports import export, import_events
    from vaplan.media import MediaArrays
    from vaplan.metrics.ave import ave_scores
    from vaplan.metrics.llp import llp_scores
    from vaplan.parser import Parser
    from vaplan.plots import plot
    from vaplan.stages.denoise import denoise
    from vaplan.stages.features import features
    from vaplan.stages.fit import fit
    from vaplan.stages.label import label
    from vaplan.stages.parse import parse
    from vaplan.stages.predict import predict
    from vaplan.stages.refine import refine
    from vaplan.stages.train import train
    from vaplan.taxonomy import Taxonomy
    from vaplan.timeline import Event, Timeline
    from vaplan.workers import Progress
    from vaplan.zero_shot import ZeroShotClassifier

MODULE_OF = {
    "Annotations": "annotations",
    "Dataset": "dataset",
    "Event": "timeline",
    "MediaArrays": "media",
    "Parser": "parser",
    "Progress": "workers",
    "Taxonomy": "taxonomy",
    "Timeline": "timeline",
    "VaplanError": "errors",
    "ZeroShotClassifier": "zero_shot",
    "ave_scores": "metrics.ave",
    "compare": "evaluation",
    "denoise": "stages",
    "evaluate": "evaluation",
    "export": "exports",
    "features": "stages",
    "fit": "stages",
    "import_events": "exports",
    "label": "stages",
    "llp_scores": "metrics.llp",
    "parse": "stages",
    "plot": "plots",
    "predict": "stages",
    "read_data": "annotations",
    "read_table": "annotations",
    "refine": "stages",
    "train": "stages",
}

__all__ = [
    "Annotations",
    "Dataset",
    "Event",
    "MediaArrays",
    "Parser",
    "Progress",
    "Taxonomy",
    "Timeline",
    "VaplanError",
    "ZeroShotClassifier",
    "ave_scores",
    "compare",
    "denoise",
    "evaluate",
    "export",
    "features",
    "fit",
    "import_events",
    "label",
    "llp_scores",
    "parse",
    "plot",
    "predict",
    "read_data",
    "read_table",
    "refine",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in MODULE_OF:
        raise AttributeError(f"module 'vaplan' has no attribute {name!r}")
    return getattr(import_module(f"vaplan.{MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
