"""Audio-visual video parsing from weak labels.

>>> import vaplan
>>> parser = vaplan.Parser.load("runs/mine")  # doctest: +SKIP
>>> timeline = parser("dog.mp4")  # doctest: +SKIP
>>> vaplan.export(timeline, "dog.csv")  # doctest: +SKIP

Names are loaded when they are first used, so that `import vaplan` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vaplan.annotations import Annotations, read_table
    from vaplan.errors import VaplanError
    from vaplan.evaluation import evaluate
    from vaplan.exports import export
    from vaplan.metrics.llp import llp
    from vaplan.parser import Parser
    from vaplan.plots import plot
    from vaplan.taxonomy import Taxonomy
    from vaplan.timeline import Event, Timeline
    from vaplan.zero_shot import ZeroShotClassifier

_HOME = {
    "Annotations": "annotations",
    "Event": "timeline",
    "Parser": "parser",
    "Taxonomy": "taxonomy",
    "Timeline": "timeline",
    "VaplanError": "errors",
    "ZeroShotClassifier": "zero_shot",
    "evaluate": "evaluation",
    "export": "exports",
    "llp": "metrics.llp",
    "plot": "plots",
    "read_table": "annotations",
}

__all__ = [
    "Annotations",
    "Event",
    "Parser",
    "Taxonomy",
    "Timeline",
    "VaplanError",
    "ZeroShotClassifier",
    "evaluate",
    "export",
    "llp",
    "plot",
    "read_table",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'vaplan' has no attribute {name!r}")
    return getattr(import_module(f"vaplan.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
