"""Export formats of timelines: `EXPORTS` maps the ending of a file to a function."""

from collections.abc import Callable
from pathlib import Path

from vaplan.errors import UsageError, unknown
from vaplan.exports.plain import to_csv, to_json
from vaplan.timeline import Timeline
from vaplan.writing import write_text

__all__ = ["EXPORTS", "export"]

EXPORTS: dict[str, Callable[[Timeline], str]] = {"json": to_json, "csv": to_csv}


def export(timeline: Timeline, path: Path | str) -> Path:
    """Write a timeline in the format of the file's ending.

    Args:
        timeline: Timeline to write.
        path: File to write.

    Returns:
        The path.

    Raises:
        UsageError: No format has this ending.
    """
    path = Path(path)
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in EXPORTS:
        raise UsageError(
            unknown("export format", suffix, EXPORTS),
            file=path,
            fix="name the file with one of these",
        )
    return write_text(path, EXPORTS[suffix](timeline))
