"""Classes and their descriptions in words: LLP, AVE, and taxonomy files."""

from vaplan.taxonomy.files import read_task, read_taxonomy, with_prompts
from vaplan.taxonomy.taxonomy import (
    AVE,
    LLP,
    TEMPLATES,
    Taxonomy,
    display_name,
    from_names,
    multi_hot,
)

__all__ = [
    "AVE",
    "LLP",
    "TEMPLATES",
    "Taxonomy",
    "display_name",
    "from_names",
    "multi_hot",
    "read_task",
    "read_taxonomy",
    "with_prompts",
]
