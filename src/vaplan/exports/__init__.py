"""Timelines as text. `EXPORTS` maps a file suffix to the function that formats a timeline."""

from collections.abc import Callable
from pathlib import Path

from vaplan.errors import UsageError, unknown
from vaplan.exports.plain import to_csv, to_json
from vaplan.timeline import Timeline
from vaplan.writing import write_text

__all__ = ["EXPORTS", "export"]

EXPORTS: dict[str, Callable[[Timeline], str]] = {"json": to_json, "csv": to_csv}


def export(timeline: Timeline, path: Path | str) -> Path:
    """Write a timeline in the format of the file's suffix: all of it, or nothing.

    Args:
        timeline: Timeline to write.
        path: File to write; its suffix is the format.

    Returns:
        The path.

    Raises:
        UsageError: The suffix is not a format.
        MachineError: The file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in EXPORTS:
        raise UsageError(
            unknown("export format", suffix, EXPORTS),
            file=path,
            fix="name the file with one of these",
        )
    format_timeline = EXPORTS[suffix]
    return write_text(path, format_timeline(timeline))
