"""Published features: the files of each pack, checked readers, and pooling to segments.

A pack is a value in `LAYOUTS`; a pooling is a function in `POOLINGS`.
"""

from vaplan.packs.files import PackError, format_names, group_errors
from vaplan.packs.layouts import LAYOUTS, LabelPack, Layout, Pack, find
from vaplan.packs.pooling import POOLINGS
from vaplan.packs.sources import ArrayFiles, RowFiles, Source
from vaplan.packs.text_vectors import read_text_vectors
from vaplan.packs.vectors import Vectors, VectorSource, open_vectors

__all__ = [
    "LAYOUTS",
    "POOLINGS",
    "ArrayFiles",
    "LabelPack",
    "Layout",
    "Pack",
    "PackError",
    "RowFiles",
    "Source",
    "VectorSource",
    "Vectors",
    "find",
    "format_names",
    "group_errors",
    "open_vectors",
    "read_text_vectors",
]
