"""Classes and how they are described in words: those of the public data sets, and the user's own
from a file."""

from vaplan.taxonomy.files import read_task, read_taxonomy, with_prompts
from vaplan.taxonomy.taxonomy import (
    AVE,
    LLP,
    TEMPLATES,
    Taxonomy,
    from_names,
    multi_hot,
    spoken,
)

__all__ = [
    "AVE",
    "LLP",
    "TEMPLATES",
    "Taxonomy",
    "from_names",
    "multi_hot",
    "read_task",
    "read_taxonomy",
    "spoken",
    "with_prompts",
]
