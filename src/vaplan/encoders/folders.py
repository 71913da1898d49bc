"""Find the folder of a model, and check that it has the files that are needed.

Only safetensors, JSON and the text files of the tokenizer are read.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vaplan.encoders.silence import silence_transformers
from vaplan.errors import EncoderError

FILES = ["*.json", "*.txt", "*.model", "model.safetensors", "model-*.safetensors"]
SUBFOLDERS = "*/*"  # of a Hub repository; their files are for other programs
SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
BRING_A_FOLDER = (
    "bring a folder with config.json, model.safetensors, preprocessor_config.json "
    "and the tokenizer's files"
)
COPY_AGAIN = "copy the file again"
# a revision may follow after @
HUB_ID = r"[\w-][\w.-]*(/[\w-][\w.-]*)?(@[\w-][\w./-]*)?"
BLOCK_BYTES = 1 << 20


def find_folder(source: str) -> Path | None:
    """Find the folder of a model on this machine, without requests.

    Args:
        source: Path of a folder, or Hub id with an optional `@revision`.

    Returns:
        The folder itself, or the one in the Hub's cache; None if the cache has none.

    Raises:
        EncoderError: The source is neither a folder nor a possible Hub id.
    """
    folder = Path(source).expanduser()
    if source and folder.is_dir():
        return folder
    if not re.fullmatch(HUB_ID, source):
        raise EncoderError(f"no folder {source!r}", fix=BRING_A_FOLDER)
    from huggingface_hub import snapshot_download

    name, _, revision = source.partition("@")
    try:
        with silence_transformers():
            snapshot = snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=FILES,
                ignore_patterns=SUBFOLDERS,
                local_files_only=True,
            )
    except (OSError, ValueError):
        return None
    has_weights = any(Path(snapshot).glob("model*.safetensors"))
    return Path(snapshot) if has_weights else None


def list_weight_files(folder: Path) -> list[Path]:
    """List the safetensors files of a model after a check that each can be opened.

    Raises:
        EncoderError: A file is missing or damaged; the message names it.
    """
    if (folder / SINGLE_FILE).exists():
        names = [SINGLE_FILE]
    elif (folder / INDEX_FILE).exists():
        names = _read_shard_names(folder / INDEX_FILE)
    else:
        has_pickle = any(folder.glob("*.bin"))
        note = "; pickled weights are not read" if has_pickle else ""
        raise EncoderError(f"no {SINGLE_FILE} in {folder}{note}", fix=BRING_A_FOLDER)
    files = [folder / name for name in names]
    for file in files:
        _check_safetensors(file)
    return files


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """Read the settings of the preprocessor from the older or the newer of its files.

    Raises:
        EncoderError: The folder has neither file, or it is damaged.
    """
    older_file = folder / "preprocessor_config.json"
    if older_file.exists():
        return read_json(older_file)
    newer_file = folder / "processor_config.json"
    if not newer_file.exists():
        raise EncoderError(f"no {older_file.name} in {folder}", fix=BRING_A_FOLDER)
    document = read_json(newer_file)
    settings: dict[str, Any] = (
        document.get("image_processor") or document.get("feature_extractor") or {}
    )
    return settings


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        EncoderError: The file is missing, damaged, or another JSON value.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(
            f"no {path.name} in {path.parent}", fix=BRING_A_FOLDER
        ) from None
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"cannot be read as JSON ({error})", fix=COPY_AGAIN, file=path
        ) from None
    if not isinstance(value, dict):
        raise EncoderError("is not a JSON object", fix=COPY_AGAIN, file=path)
    return value


def hash_files(files: Iterable[Path]) -> str:
    """Return the SHA-256 hash of the joined contents of files."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _read_shard_names(index: Path) -> list[str]:
    """Read the names of a model's safetensors files from its index."""
    weight_map = read_json(index).get("weight_map")
    names = sorted(set(weight_map.values())) if isinstance(weight_map, dict) else []
    if not names or not all(_is_shard_name(name) for name in names):
        raise EncoderError(
            "does not name the safetensors files of the weights",
            fix=COPY_AGAIN,
            file=index,
        )
    return names


def _is_shard_name(name: object) -> bool:
    """Return whether a value of an index is a safetensors file of the same folder."""
    if not isinstance(name, str):
        return False
    return name == Path(name).name and name.endswith(".safetensors")


def _check_safetensors(file: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as content:
            content.keys()
    except FileNotFoundError:
        raise EncoderError(
            "is missing", fix=f"bring it; {INDEX_FILE} names it", file=file
        ) from None
    except (OSError, SafetensorError) as error:
        raise EncoderError(
            f"cannot be loaded as safetensors ({error})",
            fix=f"{COPY_AGAIN}, it may be incomplete",
            file=file,
        ) from None
