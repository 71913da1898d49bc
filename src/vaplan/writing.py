"""Files written whole, and their hashes: write beside, then rename, so that a file is complete or
not there."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vaplan.errors import MachineError


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` make a file beside `path`, then put it in place."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        fix = "free space, or choose another path"
        raise MachineError(
            f"cannot write: {error.strerror or error}", file=path, fix=fix
        ) from error
    finally:
        if temporary.is_file():
            temporary.unlink()
    return path


def write_text(path: Path, text: str) -> Path:
    """Write a text as UTF-8."""
    return write_whole(
        path, lambda temporary: temporary.write_text(text, encoding="utf-8")
    )


def write_json(path: Path, value: Mapping[str, Any]) -> Path:
    """Write one JSON document, readable."""
    return write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """The content hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
