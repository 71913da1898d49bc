"""A model's folder: where it is, and whether the files that are needed are in it.

Only safetensors, JSON and the tokenizer's own text files are ever read.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vaplan.encoders.quiet import quiet
from vaplan.errors import EncoderError

FILES = ["*.json", "*.txt", "*.model", "model.safetensors", "model-*.safetensors"]
SUBFOLDERS = "*/*"  # of a hub; they are for other programs
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
BRING_A_FOLDER = "bring a folder with config.json, model.safetensors, preprocessor_config.json and the tokenizer's files"
COPY_AGAIN = "copy the file again"
HUB_ID = (
    r"[\w-][\w.-]*(/[\w-][\w.-]*)?(@[\w-][\w./-]*)?"  # with a revision behind the @
)


def find(source: str) -> Path | None:
    """The folder of a model: the one named or, by its hub id, the one in the hub's cache; None if
    it is in neither.

    No request is made.

    Raises: EncoderError for what can be neither a folder here nor a hub id.
    """
    folder = Path(source).expanduser()
    if source and folder.is_dir():
        return folder
    if not re.fullmatch(HUB_ID, source):
        raise EncoderError(f"no folder {source!r}", fix=BRING_A_FOLDER)
    from huggingface_hub import snapshot_download

    name, _, revision = source.partition("@")
    try:
        with quiet():
            cached = snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=FILES,
                ignore_patterns=SUBFOLDERS,
                local_files_only=True,
            )
    except (OSError, ValueError):
        return None
    return Path(cached) if any(Path(cached).glob("model*.safetensors")) else None


def weight_files(folder: Path) -> list[Path]:
    """List the complete safetensors files of the model.

    Raises: EncoderError that names the file.
    """
    names = [WHOLE]
    if not (folder / WHOLE).exists():
        if not (folder / INDEX).exists():
            pickled = (
                "; pickled weights are not read" if any(folder.glob("*.bin")) else ""
            )
            raise EncoderError(f"no {WHOLE} in {folder}{pickled}", fix=BRING_A_FOLDER)
        names = _shards(folder / INDEX)
    for name in names:
        _check_safetensors(folder / name)
    return [folder / name for name in names]


def _shards(index: Path) -> list[str]:
    tensors = read_json(index).get("weight_map")
    names = sorted(set(tensors.values())) if isinstance(tensors, dict) else []
    if not names or not all(
        isinstance(n, str) and n == Path(n).name and n.endswith(".safetensors")
        for n in names
    ):
        raise EncoderError(
            "does not say which safetensors files hold the weights",
            fix=COPY_AGAIN,
            file=index,
        )
    return names


def _check_safetensors(file: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "pt") as content:
            content.keys()
    except FileNotFoundError:
        raise EncoderError(
            "is missing", fix=f"bring it; {INDEX} names it", file=file
        ) from None
    except (OSError, SafetensorError) as error:
        what = f"cannot be loaded as safetensors ({error})"
        raise EncoderError(
            what, fix=f"{COPY_AGAIN}, it may have been cut", file=file
        ) from None


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """Read the settings of the preprocessor from either of its files."""
    if (folder / "preprocessor_config.json").exists():
        return read_json(folder / "preprocessor_config.json")
    if not (folder / "processor_config.json").exists():
        raise EncoderError(
            f"no preprocessor_config.json in {folder}", fix=BRING_A_FOLDER
        )
    document = read_json(folder / "processor_config.json")
    part: dict[str, Any] = (
        document.get("image_processor") or document.get("feature_extractor") or {}
    )
    return part


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or an error that names the file."""
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


def sha256(files: Iterable[Path]) -> str:
    """The hash of the files' bytes, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
