"""A model with two towers of the transformers library, loaded completely or not at all.

Only safetensors and JSON are read. The library itself fills a missing tensor with random
numbers, and reads a pickle where there is no safetensors file, both without a warning; here
both are errors.
"""

import importlib.metadata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from vaplan.encoders import folders, hub
from vaplan.encoders.compute import CPU_FP32, OPENVINO, Compute
from vaplan.encoders.folders import BRING_A_FOLDER
from vaplan.encoders.openvino import ConvertedParts
from vaplan.encoders.silence import silence_transformers
from vaplan.errors import EncoderError, MachineError

# buffers that some checkpoints store, without trained values
UNTRAINED_BUFFERS = ("position_ids", "token_type_ids")
# tokens, as in CLIP; prompts are padded to a fixed length so that a prompt has one vector
MAX_PROMPT_TOKENS = 77
SIGLIP_PROMPT_TOKENS = 64  # SigLIP was trained to read the padding too
MAX_NAMES = 3  # tensors in an error message
Encode = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A pretrained model with a text tower and an audio or image tower.

    Attributes:
        folder: Folder of its files.
        model_type: `clip`, `siglip` or `clap`.
        model: Model of the transformers library.
        tokenizer: Tokenizer of the transformers library.
        preprocessing: Settings of the library's preprocessor.
        sha256: Hash of the weights.
        compute: Device and precision.
        converted_parts: Parts that OpenVINO runs; None if PyTorch runs all.
    """

    folder: Path
    model_type: str
    model: Any
    tokenizer: Any
    preprocessing: dict[str, Any]
    sha256: str
    compute: Compute = CPU_FP32
    converted_parts: ConvertedParts | None = None

    @property
    def dimension(self) -> int:
        """The dimension of the space that both towers project into."""
        config = self.model.config
        if self.model_type == "siglip":
            return int(config.vision_config.hidden_size)
        return int(config.projection_dim)

    def provenance(self, **settings: Any) -> dict[str, Any]:
        """Return all that an embedding depends on, as JSON values.

        Args:
            settings: Settings of the encoder that are not known to the model.
        """
        libraries = ["torch", "transformers"]
        if self.converted_parts:
            libraries.append(OPENVINO)
        versions = {
            library: importlib.metadata.version(library) for library in libraries
        }
        return {
            "model_type": self.model_type,
            "weights_sha256": self.sha256,
            "preprocessing": self.preprocessing,
            "dtype": "float32",
            "versions": versions,
            **self.compute.provenance,
            **settings,
        }

    def run(self, encode: Encode, batch: Tensor) -> Tensor:
        """Run a part of the model on its device and in its precision.

        Args:
            encode: Part of the model, from a batch of inputs to a batch of outputs.
            batch: Inputs on the CPU.

        Returns:
            Outputs on the CPU, in fp32.
        """
        if self.converted_parts:
            return self.converted_parts(encode, batch)
        with torch.inference_mode(), self.compute.autocast():
            device_batch = self.compute.to_device(batch)
            return encode(device_batch).float().cpu()

    def embed_rows(
        self, encode: Encode, rows: Iterable[Tensor], *, batch_size: int
    ) -> Float32[np.ndarray, "row feature"]:
        """Encode rows as unit vectors, in batches of one shape.

        Args:
            encode: Part of the model, from a batch of rows to a batch of vectors.
            rows: Inputs of one shape.
            batch_size: Number of rows of a batch.
        """
        run_part = partial(self.run, encode)
        vectors = encode_in_fixed_batches(run_part, rows, batch_size=batch_size)
        return normalise_rows(vectors.numpy())

    def embed_text(
        self, prompts: Sequence[str], *, batch_size: int
    ) -> Float32[np.ndarray, "prompt feature"]:
        """Embed each prompt as a unit vector, always in fp32, as there are few prompts.

        Args:
            prompts: Sentences; those that are too long are cut.
            batch_size: Number of prompts of a batch.
        """
        if not prompts:
            return np.zeros((0, self.dimension), np.float32)
        tokens = self._tokenise(prompts)
        vectors = encode_in_fixed_batches(
            self._encode_tokens, tokens, batch_size=batch_size
        )
        return normalise_rows(vectors.numpy())

    def _encode_tokens(self, batch: Tensor) -> Tensor:
        token_ids, attention_mask = self.compute.to_device(batch).unbind(dim=1)
        options: dict[str, Tensor] = {"input_ids": token_ids}
        if self.model_type != "siglip":
            options["attention_mask"] = attention_mask
        output = self.model.get_text_features(**options)
        return unwrap_features(output).cpu()

    def _tokenise(self, prompts: Sequence[str]) -> Tensor:
        """Return token ids and attention masks, stacked as "prompt 2 token"."""
        length = min(MAX_PROMPT_TOKENS, self.tokenizer.model_max_length)
        texts = list(prompts)
        if self.model_type == "siglip":
            length = min(length, SIGLIP_PROMPT_TOKENS)
            texts = [prompt.lower() for prompt in prompts]
        tokens = self.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=length,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return torch.stack([tokens["input_ids"], tokens["attention_mask"]], dim=1)


def load(source: str, kind: str, *, compute: Compute = CPU_FP32) -> Pretrained:
    """Load a model from a folder or by its Hub id.

    Args:
        source: Folder, or Hub id with an optional `@revision`.
        kind: `clip` or `clap`; `hub.KINDS` lists the model types of each.
        compute: Device and precision.

    Raises:
        EncoderError: Files are missing, damaged or of another kind of model.
    """
    compute = compute.resolve()
    folder = folders.find_folder(source) or _fetch(source, kind)
    config_file = folder / "config.json"
    model_type = str(folders.read_json(config_file).get("model_type"))
    architectures = hub.KINDS[kind]
    if model_type not in architectures:
        raise EncoderError(
            f"names a {model_type!r} model, which is no {kind!r} encoder",
            fix="name another folder or another kind of encoder",
            file=config_file,
        )
    weight_files = folders.list_weight_files(folder)
    model = compute.prepare_model(_load_model(folder, architectures[model_type]))
    converted_parts = None
    if compute.device == OPENVINO:
        converted_parts = ConvertedParts(compute.precision)
    return Pretrained(
        folder=folder,
        model_type=model_type,
        model=model,
        tokenizer=_load_tokenizer(folder),
        preprocessing=folders.read_preprocessing(folder),
        sha256=folders.hash_files(weight_files),
        compute=compute,
        converted_parts=converted_parts,
    )


def encode_in_fixed_batches(
    encode: Callable[[Tensor], Tensor], rows: Iterable[Tensor], *, batch_size: int
) -> Float[Tensor, "row feature"]:
    """Encode rows in batches of one fixed shape.

    A matrix product may add in another order for another shape; with one shape, the same
    row gives the same bytes whatever its neighbours are.

    Args:
        encode: Function from a batch of rows to a batch of vectors.
        rows: Inputs of one shape, at least one.
        batch_size: Number of rows of a batch. The last batch is filled up with copies of
            its last row.
    """
    iterator = iter(rows)
    vectors = list[Tensor]()
    with torch.inference_mode():
        while batch := list(islice(iterator, batch_size)):
            padding = [batch[-1]] * (batch_size - len(batch))
            output = encode(torch.stack(batch + padding))
            vectors.append(output[: len(batch)])
    return torch.cat(vectors)


def unwrap_features(output: Any) -> Tensor:
    """Return the projected vectors of the library's `get_*_features`.

    Older releases of the library return a tensor, newer ones an object.
    """
    vectors: Tensor = getattr(output, "pooler_output", output)
    return vectors


def normalise_rows(
    vectors: Float32[np.ndarray, "row feature"],
) -> Float32[np.ndarray, "row feature"]:
    """Scale each row to length one; a row of zeros is unchanged.

    >>> normalise_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    divisor = np.where(length > 0, length, 1).astype(np.float32)
    return vectors / divisor


def _fetch(source: str, kind: str) -> Path:
    """Fetch a model from the Hub that is neither a folder nor in the cache."""
    try:
        return hub.fetch(source)
    except MachineError as error:
        raise EncoderError(
            f"{source!r} is not a folder, is not in the Hub's cache, "
            "and cannot be fetched from the Hub",
            fix=f"with a network run `vaplan models fetch {kind}:{source}`; "
            f"without one, {BRING_A_FOLDER}",
        ) from error


def _load_model(folder: Path, architecture: str) -> Any:
    """Load the weights; an error if tensors are missing, unexpected or of another shape."""
    from safetensors import SafetensorError

    try:
        with silence_transformers():
            import transformers

            model_class = getattr(transformers, architecture)
            model, report = model_class.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise EncoderError(
            f"the weights in {folder} cannot be loaded ({_first_line(error)})",
            fix=BRING_A_FOLDER,
        ) from None
    _check_report(report, folder)
    return model.eval().requires_grad_(False)


def _check_report(report: Mapping[str, Iterable[object]], folder: Path) -> None:
    for state in ("missing", "unexpected", "mismatched"):
        keys = [str(key) for key in report[f"{state}_keys"]]
        names = sorted(key for key in keys if not key.endswith(UNTRAINED_BUFFERS))
        if not names:
            continue
        listing = ", ".join(names[:MAX_NAMES])
        if len(names) > MAX_NAMES:
            listing += f" and {len(names) - MAX_NAMES} more"
        raise EncoderError(
            f"{len(names)} {state} tensors in {folder}: {listing}", fix=BRING_A_FOLDER
        )


def _load_tokenizer(folder: Path) -> Any:
    try:
        with silence_transformers():
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(
            f"no tokenizer can be loaded from {folder} ({_first_line(error)})",
            fix=BRING_A_FOLDER,
        ) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
