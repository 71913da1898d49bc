"""Published features: the layout of each pack on disk, checked readers, and poolings.

A pack is a value in `LAYOUTS`; the conversion of its arrays to one vector for each segment is a
function in `POOLINGS`.
"""

from vaplan.packs.files import PackError
from vaplan.packs.layouts import LAYOUTS, LabelPack, Layout, Pack, find_path
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
    "find_path",
]
