"""Score curves of a trained parser, for the review of its events."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from vaplan.writing import write_bytes

if TYPE_CHECKING:
    from vaplan.parser import Parser


def write_scores(run: Path, media: Path, out: Path) -> None:
    """Parse a media file and write the scores of every segment.

    A process keeps the parser for the next file.

    Args:
        run: Run folder of the parser.
        media: Media file.
        out: CSV to write, as `vaplan parse --scores` writes it.

    Raises:
        RunError: The run cannot be loaded.
        MediaError: The file cannot be decoded.
        MachineError: The scores cannot be written.
    """
    from vaplan.exports.plain import segment_scores_csv

    timeline = _load(run)(media, scores=True)
    write_bytes(out, segment_scores_csv(timeline).encode())


@cache
def _load(run: Path) -> "Parser":
    import torch  # torch starts slowly, and most reviews need no parser

    from vaplan.parser import Parser

    torch.set_num_threads(1)
    return Parser.load(run)
