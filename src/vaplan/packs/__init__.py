"""Published features: the files of each pack, checked readers, and pooling to segments.

A pack is a value in `LAYOUTS`; a pooling is a function in `POOLINGS`.
"""

from vaplan.packs.files import PackError, group_errors
from vaplan.packs.layouts import LAYOUTS, LabelPack, Layout, Pack, find
from vaplan.packs.pooling import POOLINGS
from vaplan.packs.sources import ArrayFiles, RowFiles, Source

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
    "find",
    "group_errors",
]
