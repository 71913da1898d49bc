"""Two-tower models of the transformers library, loaded completely or not at all.

Only safetensors and JSON are read. The library fills a missing tensor with random numbers, and
reads a pickle if there is no safetensors file; here both are errors.
"""

import importlib.metadata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from vaplan.encoders import catalogue, folders, hub
from vaplan.encoders.compute import OPENVINO, PLAIN, Compute
from vaplan.encoders.folders import BRING_A_FOLDER
from vaplan.encoders.openvino import OpenVINORunner
from vaplan.encoders.silence import silence_transformers
from vaplan.errors import EncoderError, MachineError

# Buffers without learned values, which some checkpoints contain.
CONSTANT_BUFFERS = ("position_ids", "token_type_ids")
# Second copies of the settings of a tower, which versions 4.24 and older wrote.
OLD_SETTINGS = ("text_config_dict", "vision_config_dict", "audio_config_dict")
# As in CLIP. Prompts are padded to a fixed length, so that a prompt has one embedding.
MAX_PROMPT_TOKENS = 77
SIGLIP_PROMPT_TOKENS = 64  # SigLIP was trained to read the padding too
Encode = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A pretrained model with both towers, its tokenizer and its preprocessing.

    Attributes:
        folder: Folder of the model.
        model_type: Type of the model in config.json, such as `clip`.
        model: Model of the library.
        tokenizer: Tokenizer of the library.
        preprocessing: Content of preprocessor_config.json.
        sha256: Hash of the weights.
        compute: Device and precision.
        openvino: Runs the audio or image tower, if OpenVINO does.
    """

    folder: Path
    model_type: str
    model: Any
    tokenizer: Any
    preprocessing: dict[str, Any]
    sha256: str
    compute: Compute = PLAIN
    openvino: OpenVINORunner | None = None

    @property
    def dimension(self) -> int:
        """Return the size of a vector."""
        config = self.model.config
        if self.model_type == "siglip":
            return int(config.vision_config.hidden_size)
        return int(config.projection_dim)

    def provenance(self, **more: Any) -> dict[str, Any]:
        """Return everything that an embedding depends on, as JSON values.

        Args:
            more: Further entries.
        """
        libraries = ["torch", "transformers", *([OPENVINO] if self.openvino else [])]
        versions = {
            library: importlib.metadata.version(library) for library in libraries
        }
        return {
            "model_type": self.model_type,
            "weights_sha256": self.sha256,
            "preprocessing": self.preprocessing,
            "dtype": "float32",
            "versions": versions,
            **folders.hub_commit(self.folder),
            **self.compute.provenance,
            **more,
        }

    def run(self, encode: Encode, batch: Tensor) -> Tensor:
        """Run a part of the model on its device and in its precision.

        Args:
            encode: Part of the model.
            batch: Inputs.
        """
        return self.run_on_device(encode, batch).cpu()

    def run_on_device(self, encode: Encode, batch: Tensor) -> Tensor:
        """Run a part of the model like `run`, and leave the result on the device.

        Args:
            encode: Part of the model.
            batch: Inputs.
        """
        if self.openvino:
            return self.openvino(encode, batch)
        with torch.inference_mode(), self.compute.autocast():
            return encode(self.compute.to_device(batch)).float()

    def vectors(
        self, encode: Encode, rows: Iterable[Tensor], *, batch_size: int
    ) -> Float32[np.ndarray, "row feature"]:
        """Encode rows as unit vectors, in batches of one shape.

        Args:
            encode: Part of the model.
            rows: Inputs.
            batch_size: Number of rows in a batch.
        """
        run = partial(self.run, encode)
        vectors = encode_in_fixed_batches(run, rows, batch_size=batch_size)
        return unit_rows(vectors.numpy())

    def text(
        self, prompts: Sequence[str], *, batch_size: int
    ) -> Float32[np.ndarray, "prompt feature"]:
        """Embed prompts as unit vectors, always in fp32.

        Args:
            prompts: Sentences.
            batch_size: Number of prompts in a batch.

        Raises:
            EncoderError: The tokenizer does not fit the model.
        """
        if not prompts:
            return np.zeros((0, self.dimension), np.float32)

        def encode(batch: Tensor) -> Tensor:
            ids, is_token = self.compute.to_device(batch).unbind(dim=1)
            inputs = {"input_ids": ids}
            if self.model_type != "siglip":
                inputs["attention_mask"] = is_token
            output = self.model.get_text_features(**inputs)
            return projected_vectors(output).cpu()

        with folders.errors_of(self.folder):
            tokens = self._tokens(prompts)
            vectors = encode_in_fixed_batches(encode, tokens, batch_size=batch_size)
        return unit_rows(vectors.numpy())

    def _tokens(self, prompts: Sequence[str]) -> Tensor:
        """Return the tokens of prompts and their mask, stacked: "prompt 2 token"."""
        texts = list(prompts)
        length = min(MAX_PROMPT_TOKENS, self.tokenizer.model_max_length)
        if self.model_type == "siglip":
            texts = [prompt.lower() for prompt in prompts]
            length = min(length, SIGLIP_PROMPT_TOKENS)
        tokens = self.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=length,
            return_attention_mask=True,
            return_tensors="pt",
        )
        return torch.stack([tokens["input_ids"], tokens["attention_mask"]], dim=1)


def load(source: str, kind: str, *, compute: Compute = PLAIN) -> Pretrained:
    """Load a model from a folder or by its Hub id.

    Args:
        source: Folder, Hub id, or short name in `catalogue`.
        kind: `clip` or `clap`; `hub.KINDS` lists the model types of each.
        compute: Device and precision.

    Raises:
        EncoderError: The model does not exist, is of another kind, or is incomplete.
    """
    compute = compute.resolve()
    name = f"{kind}:{source}"
    source = catalogue.hub_source(name)
    folder = folders.find(source) or _fetch(name, source)
    config = folders.read_json(folder / "config.json")
    folders.check_sizes(config, folder / "config.json")
    model_type = str(config.get("model_type"))
    if model_type not in hub.KINDS[kind]:
        raise EncoderError(
            f"it is a {model_type!r} model, expected {kind!r}",
            fix="name another folder or another kind of encoder",
            file=folder / "config.json",
        )
    weights = folders.weight_files(folder)
    sha256 = folders.sha256(weights)
    _check_pin(name, sha256, folder)
    return Pretrained(
        folder=folder,
        model_type=model_type,
        model=compute.prepare(_load_model(folder, hub.KINDS[kind][model_type])),
        tokenizer=_load_tokenizer(folder),
        preprocessing=folders.read_preprocessing(folder),
        sha256=sha256,
        compute=compute,
        openvino=OpenVINORunner(compute.precision)
        if compute.device == OPENVINO
        else None,
    )


def _check_pin(name: str, sha256: str, folder: Path) -> None:
    """Raise if the weights of a short name are not the pinned ones."""
    entry = catalogue.CATALOGUE.get(name)
    if entry and entry.sha256 and entry.sha256 != sha256:
        raise EncoderError(
            f"{name} has weights with SHA-256 {sha256}, expected {entry.sha256}",
            file=folder,
            fix="delete the folder and fetch it again",
        )


def _fetch(name: str, source: str) -> Path:
    """Fetch a model from the Hub that is neither a folder nor in the cache."""
    kind = name.partition(":")[0]
    try:
        return hub.fetch(source, kind)
    except MachineError as error:
        raise EncoderError(
            f"{name} is no folder, is not in the Hub's cache, and cannot be downloaded",
            fix=f"with a network run `vaplan models fetch {name}`; without one, run "
            f"`vaplan models fetch {name} --to FOLDER` on another machine, bring the "
            f"folder here, and give it as {kind}:FOLDER",
        ) from error


def encode_in_fixed_batches(
    encode: Callable[[Tensor], Tensor], rows: Iterable[Tensor], *, batch_size: int
) -> Float[Tensor, "row feature"]:
    """Encode rows in batches of one fixed shape.

    The last batch is filled with copies of its last row. A matrix product may add in another
    order for another shape; with one shape, a row gives the same bytes with any neighbours.

    Args:
        encode: Encodes a batch.
        rows: Inputs.
        batch_size: Number of rows in a batch.
    """
    iterator = iter(rows)
    vectors = list[Tensor]()
    with torch.inference_mode():
        while batch := list(islice(iterator, batch_size)):
            padding = [batch[-1]] * (batch_size - len(batch))
            output = encode(torch.stack(batch + padding))
            vectors.append(output[: len(batch)])
    return torch.cat(vectors)


def projected_vectors(output: Any) -> Tensor:
    """Return the projected vectors of `get_*_features`.

    Args:
        output: A tensor in older releases of the library, an object in newer ones.
    """
    vectors: Tensor = getattr(output, "pooler_output", output)
    return vectors


def unit_rows(
    vectors: Float32[np.ndarray, "row feature"],
) -> Float32[np.ndarray, "row feature"]:
    """Normalise rows to length one; a row of zeros stays zero.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1).astype(np.float32)


def _load_model(folder: Path, architecture: str) -> Any:
    with silence_transformers():
        import transformers

        model_class = getattr(transformers, architecture)
        with folders.errors_of(folder):
            model, report = model_class.from_pretrained(
                folder,
                config=_read_config(folder, model_class.config_class),
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
    for state in ("missing", "unexpected", "mismatched"):
        names = sorted(map(str, report[f"{state}_keys"]))
        names = [name for name in names if not name.endswith(CONSTANT_BUFFERS)]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise EncoderError(
                f"{len(names)} {state} tensors: {', '.join(names[:3])}{more}",
                file=folder,
                fix=BRING_A_FOLDER,
            )
    return model.eval().requires_grad_(False)


def _read_config(folder: Path, config_class: Any) -> Any:
    """Read the configuration of a model without second copies of its settings.

    The library prefers the copy, and fills it with defaults of its own that differ from
    those of the version that wrote it, such as the number of the last token.
    """
    settings = folders.read_json(folder / "config.json")
    for key in OLD_SETTINGS:
        if settings.get(key.removesuffix("_dict")):
            settings.pop(key, None)
    return config_class.from_dict(settings)


def _load_tokenizer(folder: Path) -> Any:
    with silence_transformers():
        from transformers import AutoTokenizer

        with folders.errors_of(folder / "tokenizer.json"):
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            tokenizer(["a"])  # some faults of the file show when it is used
            return tokenizer
