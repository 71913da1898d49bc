"""Folders of pretrained models and the files in them.

Only safetensors, JSON and the text files of the tokenizer are read.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vaplan.encoders.silence import silence_transformers
from vaplan.errors import EncoderError, VaplanError, excerpt
from vaplan.workers.faults import machine_fault

WEIGHT_FILES = ["model.safetensors", "model-*.safetensors"]
FILES = ["*.json", "*.txt", "*.model", *WEIGHT_FILES]
CONVERSION = "vaplan/"  # begins a reference in the Hub's cache to converted weights
SUBFOLDERS = "*/*"  # of a Hub repository; they are for other programs
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
BRING_A_FOLDER = (
    "bring a folder with config.json, model.safetensors, preprocessor_config.json and the "
    "tokenizer's files"
)
COPY_AGAIN = "copy the file again"
MAX_LAYERS = 1_000
MAX_SIZE = 2**24  # of a vocabulary, a vector or another part of a model
# A revision may follow after an @.
HUB_ID = r"[\w-][\w.-]*(/[\w-][\w.-]*)?(@[\w-][\w./-]*)?"


def find(source: str) -> Path | None:
    """Return the folder of a model: the given one, or that of a Hub id in the Hub's cache.

    No request is made.

    Args:
        source: Folder or Hub id.

    Returns:
        The folder; None if the Hub id is not in the cache.

    Raises:
        EncoderError: It is no folder and no valid Hub id.
    """
    folder = Path(source).expanduser()
    if source and folder.is_dir():
        return folder
    if not re.fullmatch(HUB_ID, source):
        raise EncoderError(f"no folder {source!r}", fix=BRING_A_FOLDER)
    name, _, revision = source.partition("@")
    return _cached(name, revision) or _cached(name, conversion_ref(revision))


def conversion_ref(revision: str) -> str:
    """Name the reference in the Hub's cache to the conversion of a revision's weights.

    >>> conversion_ref("")
    'vaplan/main'

    Args:
        revision: Branch, tag or commit with pickled weights; empty for `main`.
    """
    return f"{CONVERSION}{revision or 'main'}"


def hub_commit(folder: Path) -> dict[str, str]:
    """Return the commit of a folder in the Hub's cache; empty for any other folder.

    Args:
        folder: Folder of a model.
    """
    is_cached = folder.parent.name == "snapshots"
    return {"hub_commit": folder.name} if is_cached else {}


def names_weights(files: Iterable[str]) -> bool:
    """Return whether safetensors weights are among the files of a model.

    >>> names_weights(["config.json", "model-00001-of-00002.safetensors"])
    True

    Args:
        files: Paths in the repository or folder of the model.
    """
    return any(
        fnmatch(file, pattern)
        for file in files
        for pattern in WEIGHT_FILES
        if "/" not in file
    )


def _cached(name: str, revision: str) -> Path | None:
    """Return the folder of a Hub id in the Hub's cache, if its weights are there."""
    from huggingface_hub import snapshot_download

    try:
        with silence_transformers():
            path = snapshot_download(
                name,
                revision=revision or None,
                allow_patterns=FILES,
                ignore_patterns=SUBFOLDERS,
                local_files_only=True,
            )
    except (OSError, ValueError, RuntimeError):  # the last if there is no home folder
        return None
    folder = Path(path)
    return folder if names_weights(file.name for file in folder.iterdir()) else None


def weight_files(folder: Path) -> list[Path]:
    """List the safetensors files of a model.

    Args:
        folder: Folder of the model.

    Raises:
        EncoderError: A file is missing or damaged; the error names it.
    """
    names = [WEIGHTS]
    if not (folder / WEIGHTS).exists():
        if not (folder / INDEX).exists():
            has_pickle = any(folder.glob("*.bin"))
            note = "; pickled weights are not read" if has_pickle else ""
            raise EncoderError(
                f"no {WEIGHTS} in it{note}", fix=BRING_A_FOLDER, file=folder
            )
        names = _shard_names(folder / INDEX)

    for name in names:
        _check_safetensors(folder / name)
    return [folder / name for name in names]


def _shard_names(index: Path) -> list[str]:
    tensors = read_json(index).get("weight_map")
    names = sorted(set(tensors.values())) if isinstance(tensors, dict) else []
    if not names or not all(map(_is_file_name, names)):
        raise EncoderError(
            "it does not list the safetensors files of the weights",
            fix=COPY_AGAIN,
            file=index,
        )
    return names


def _is_file_name(name: object) -> bool:
    """Return whether a value names a safetensors file in the same folder."""
    return (
        isinstance(name, str)
        and name == Path(name).name
        and name.endswith(".safetensors")
    )


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
        raise EncoderError(
            f"cannot be loaded as safetensors ({error})",
            fix=f"{COPY_AGAIN}, it may be incomplete",
            file=file,
        ) from None


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """Read the settings of the preprocessor from either of its files.

    Args:
        folder: Folder of the model.

    Raises:
        EncoderError: There is no such file, or it is no JSON object.
    """
    if (folder / "preprocessor_config.json").exists():
        return read_json(folder / "preprocessor_config.json")
    if not (folder / "processor_config.json").exists():
        raise EncoderError(
            "no preprocessor_config.json in it", fix=BRING_A_FOLDER, file=folder
        )
    document = read_json(folder / "processor_config.json")
    settings = document.get("image_processor") or document.get("feature_extractor")
    return settings if isinstance(settings, dict) else {}


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: JSON file.

    Raises:
        EncoderError: The file does not exist or is no JSON object; the error names it.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(
            f"no {path.name} in it", fix=BRING_A_FOLDER, file=path.parent
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(
            f"cannot be read as JSON ({error})", fix=COPY_AGAIN, file=path
        ) from None
    if not isinstance(value, dict):
        raise EncoderError("is not a JSON object", fix=COPY_AGAIN, file=path)
    return value


def check_sizes(config: Mapping[str, Any], file: Path) -> None:
    """Check the sizes of a model before it is built.

    Args:
        config: Content of config.json.
        file: File of the content, for errors.

    Raises:
        EncoderError: A size is too large for any model.
    """
    for key, value in config.items():
        if isinstance(value, Mapping):
            check_sizes(value, file)
            continue
        largest = MAX_LAYERS if "layers" in key or key == "depths" else MAX_SIZE
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and not abs(number) <= largest:
                raise EncoderError(
                    f"{key} is {excerpt(value)}, expected at most {largest:,}",
                    file=file,
                    fix=COPY_AGAIN,
                )


@contextmanager
def errors_of(file: Path) -> Iterator[None]:
    """Turn any error about the content of a model's file into an `EncoderError`.

    Args:
        file: File or folder of the model that is read in the block.
    """
    try:
        yield
    except VaplanError as error:
        error.file = error.file or file
        raise
    except BaseException as error:
        # Tokenizers stop with a PanicException, which is no Exception.
        is_panic = type(error).__name__ == "PanicException"
        if machine_fault(error) or not (is_panic or isinstance(error, Exception)):
            raise
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise EncoderError(
            f"cannot be loaded ({reason})", file=file, fix=BRING_A_FOLDER
        ) from error


def sha256(files: Iterable[Path]) -> str:
    """Hash the bytes of files, one after the other.

    Args:
        files: Files in order.
    """
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
