"""A two-tower model of the transformers library, loaded whole or not at all.

Only safetensors and JSON are read. The library itself fills a missing tensor with random numbers, and reads a
pickle where there is no safetensors file, both without a word; here both are errors.
"""

import hashlib
import importlib.metadata
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from vaplan.errors import EncoderError

ARCHITECTURES = {"clip": "CLIPModel", "clap": "ClapModel"}  # by the `model_type` of config.json
BRING_A_FOLDER = (
    "bring a folder with config.json, model.safetensors, preprocessor_config.json and the tokenizer's files"
)
FILES = ["*.json", "*.txt", "model*.safetensors"]  # all that is ever asked of a hub
COMPUTED = ("position_ids", "token_type_ids")  # buffers that some checkpoints store; they hold nothing learned
LONGEST_PROMPT = 77  # tokens, as in CLIP; prompts are padded to a fixed length so that a sentence has one embedding


@dataclass(frozen=True, eq=False)
class Pretrained:
    """What a folder holds: both towers, the tokenizer, and how to prepare the model's input."""

    folder: Path
    model_type: str
    model: Any
    tokenizer: Any
    preprocessing: dict[str, Any]
    sha256: str

    @property
    def dimension(self) -> int:
        """The size of the space both towers project into."""
        return int(self.model.config.projection_dim)

    def provenance(self, **more: Any) -> dict[str, Any]:
        """Everything an embedding depends on, ready for JSON."""
        versions = {library: importlib.metadata.version(library) for library in ("torch", "transformers")}
        return {
            "model_type": self.model_type,
            "weights_sha256": self.sha256,
            "preprocessing": self.preprocessing,
            "dtype": "float32",
            "versions": versions,
            **more,
        }

    def text(self, prompts: Sequence[str], *, batch_size: int) -> Float32[np.ndarray, "prompt feature"]:
        """One unit vector a sentence."""
        if not prompts:
            return np.zeros((0, self.dimension), np.float32)
        length = min(LONGEST_PROMPT, self.tokenizer.model_max_length)
        tokens = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        )
        rows = torch.stack([tokens["input_ids"], tokens["attention_mask"]], dim=1)

        def encode(batch: Tensor) -> Tensor:
            ids, attended = batch.unbind(dim=1)
            return pooled(self.model.get_text_features(input_ids=ids, attention_mask=attended))

        return unit_rows(in_fixed_batches(encode, rows, batch_size=batch_size).numpy())


def load(source: str, model_type: str) -> Pretrained:
    """Load a model from a folder or by its hub id; EncoderError says what is wrong with it."""
    folder = find(source)
    config = read_json(folder / "config.json")
    if config.get("model_type") != model_type:
        raise EncoderError(
            f"holds a {config.get('model_type')!r} model where {model_type!r} was asked for",
            fix="name another folder or another kind of encoder",
            file=folder / "config.json",
        )
    weights = sorted(folder.glob("model*.safetensors"))
    if not weights:
        raise EncoderError(f"no model.safetensors in {folder}; pickled weights are not read", fix=BRING_A_FOLDER)
    return Pretrained(
        folder=folder,
        model_type=model_type,
        model=_whole_model(folder, ARCHITECTURES[model_type]),
        tokenizer=_tokenizer(folder),
        preprocessing=_preprocessing(folder),
        sha256=sha256(weights),
    )


def find(source: str) -> Path:
    """The folder of a model: the one named, the hub's cache, or a download of the few files needed."""
    folder = Path(source).expanduser()
    if source and folder.is_dir():
        return folder
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", source):
        raise EncoderError(f"no folder {source!r}", fix=BRING_A_FOLDER)
    from huggingface_hub import snapshot_download

    try:
        with quiet():
            cached = Path(snapshot_download(source, allow_patterns=FILES, local_files_only=True))
            if any(cached.glob("model*.safetensors")):
                return cached
    except (OSError, ValueError):
        pass  # not in the cache: ask the hub
    try:
        with quiet():
            return Path(snapshot_download(source, allow_patterns=FILES))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"{source!r} is no folder here, is not in the hub's cache, and the hub did not give it"
            f" ({type(error).__name__})",
            fix=f"{BRING_A_FOLDER}, or try again with a network",
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or an error that names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EncoderError(f"no {path.name} in {path.parent}", fix=BRING_A_FOLDER) from None
    except (OSError, ValueError) as error:
        raise EncoderError(f"cannot be read as JSON ({error})", fix="copy the file again", file=path) from None
    if not isinstance(value, dict):
        raise EncoderError("is not a JSON object", fix="copy the file again", file=path)
    return value


def sha256(files: Iterable[Path]) -> str:
    """The hash of the files' bytes, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def in_fixed_batches(
    encode: Callable[[Tensor], Tensor], rows: Iterable[Tensor], *, batch_size: int
) -> Float[Tensor, "row feature"]:
    """Encode rows in batches of one fixed shape, the last one filled up with copies of its last row.

    A matrix product may add in another order for another shape; with one shape, the same row gives the same bytes
    whatever its neighbours are and however many.
    """
    left, vectors = iter(rows), []
    with torch.inference_mode():
        while batch := list(islice(left, batch_size)):
            filling = [batch[-1]] * (batch_size - len(batch))
            vectors.append(encode(torch.stack(batch + filling))[: len(batch)])
    return torch.cat(vectors)


def pooled(output: Any) -> Tensor:
    """The projected vectors of `get_*_features`: a tensor in older releases of the library, now an object."""
    vectors: Tensor = getattr(output, "pooler_output", output)
    return vectors


def unit_rows(vectors: Float32[np.ndarray, "row feature"]) -> Float32[np.ndarray, "row feature"]:
    """Rows of length one; a row of zeros stays one.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1).astype(np.float32)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the library's logs, bars and warnings while it loads: what matters is checked and raised here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging

        level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()


def _whole_model(folder: Path, architecture: str) -> Any:
    from safetensors import SafetensorError

    try:
        with quiet():
            import transformers

            model, report = getattr(transformers, architecture).from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EncoderError(f"the weights in {folder} cannot be loaded ({reason})", fix=BRING_A_FOLDER) from None
    for kind in ("missing", "unexpected", "mismatched"):
        names = sorted(str(name) for name in report[f"{kind}_keys"] if not str(name).endswith(COMPUTED))
        if names:
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            raise EncoderError(f"{len(names)} {kind} tensors in {folder}: {shown}", fix=BRING_A_FOLDER)
    return model.eval().requires_grad_(False)


def _tokenizer(folder: Path) -> Any:
    try:
        with quiet():
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EncoderError(f"no tokenizer can be loaded from {folder} ({reason})", fix=BRING_A_FOLDER) from None


def _preprocessing(folder: Path) -> dict[str, Any]:
    """The preprocessor's settings, from the file of their own or from the newer one that holds the processor's."""
    if (folder / "preprocessor_config.json").exists():
        return read_json(folder / "preprocessor_config.json")
    if not (folder / "processor_config.json").exists():
        raise EncoderError(f"no preprocessor_config.json in {folder}", fix=BRING_A_FOLDER)
    whole = read_json(folder / "processor_config.json")
    part: dict[str, Any] = whole.get("image_processor") or whole.get("feature_extractor") or {}
    return part
