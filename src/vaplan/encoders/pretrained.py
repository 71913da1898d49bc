"""A two-tower model of the transformers library, loaded whole or not at all.

Only safetensors and JSON are read. The library itself fills a missing tensor with random numbers,
and reads a pickle where there is no safetensors file, both without a word; here both are errors.
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

from vaplan.encoders import folders, hub
from vaplan.encoders.compute import OPENVINO, PLAIN, Compute
from vaplan.encoders.folders import BRING_A_FOLDER
from vaplan.encoders.openvino import Converted
from vaplan.encoders.quiet import quiet
from vaplan.errors import EncoderError, MachineError

COMPUTED = (
    "position_ids",
    "token_type_ids",
)  # buffers that some checkpoints store; they hold nothing learned
# tokens, as in CLIP; prompts are padded to a fixed length so that a sentence has one
# embedding
LONGEST_PROMPT = 77
SIGLIP_PROMPT = 64  # tokens; SigLIP was trained to read the padding too
Encode = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A pretrained model of a folder: both towers, the tokenizer and the preprocessing."""

    folder: Path
    model_type: str
    model: Any
    tokenizer: Any
    preprocessing: dict[str, Any]
    sha256: str
    compute: Compute = PLAIN
    converted: Converted | None = None

    @property
    def dimension(self) -> int:
        """The size of the space both towers project into."""
        config = self.model.config
        return int(
            config.vision_config.hidden_size
            if self.model_type == "siglip"
            else config.projection_dim
        )

    def provenance(self, **more: Any) -> dict[str, Any]:
        """Everything an embedding depends on, ready for JSON."""
        libraries = ["torch", "transformers", *([OPENVINO] if self.converted else [])]
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
            **more,
        }

    def ran(self, encode: Encode, batch: Tensor) -> Tensor:
        """A batch through a part of the model, on its device and in its precision."""
        if self.converted:
            return self.converted(encode, batch)
        with torch.inference_mode(), self.compute.products():
            return encode(self.compute.placed(batch)).float().cpu()

    def vectors(
        self, encode: Encode, rows: Iterable[Tensor], *, batch_size: int
    ) -> Float32[np.ndarray, "row feature"]:
        """One unit vector a row, in batches of one shape."""
        return unit_rows(
            in_fixed_batches(
                partial(self.ran, encode), rows, batch_size=batch_size
            ).numpy()
        )

    def text(
        self, prompts: Sequence[str], *, batch_size: int
    ) -> Float32[np.ndarray, "prompt feature"]:
        """One unit vector a sentence; always in fp32, as sentences are few."""
        if not prompts:
            return np.zeros((0, self.dimension), np.float32)

        def encode(batch: Tensor) -> Tensor:
            ids, attended = self.compute.placed(batch).unbind(dim=1)
            masked = {} if self.model_type == "siglip" else {"attention_mask": attended}
            return pooled(self.model.get_text_features(input_ids=ids, **masked)).cpu()

        return unit_rows(
            in_fixed_batches(
                encode, self._tokens(prompts), batch_size=batch_size
            ).numpy()
        )

    def _tokens(self, prompts: Sequence[str]) -> Tensor:
        """Token numbers and which of them count, stacked: "prompt 2 token"."""
        length, texts = (
            min(LONGEST_PROMPT, self.tokenizer.model_max_length),
            list(prompts),
        )
        if self.model_type == "siglip":
            length, texts = (
                min(length, SIGLIP_PROMPT),
                [prompt.lower() for prompt in prompts],
            )
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
    """Load a model from a folder or a Hub id; EncoderError describes faults.

    Args:
        kind: `clip` or `clap`; which of the library's models are meant by it is in `hub.KINDS`.
    """
    compute = compute.settled()
    folder = folders.find(source) or _fetched(source, kind)
    model_type = str(folders.read_json(folder / "config.json").get("model_type"))
    if model_type not in hub.KINDS[kind]:
        raise EncoderError(
            f"holds a {model_type!r} model where {kind!r} was asked for",
            fix="name another folder or another kind of encoder",
            file=folder / "config.json",
        )
    weights = folders.weight_files(folder)
    return Pretrained(
        folder=folder,
        model_type=model_type,
        model=compute.prepared(_whole_model(folder, hub.KINDS[kind][model_type])),
        tokenizer=_tokenizer(folder),
        preprocessing=folders.read_preprocessing(folder),
        sha256=folders.sha256(weights),
        compute=compute,
        converted=Converted(compute.precision) if compute.device == OPENVINO else None,
    )


def _fetched(source: str, kind: str) -> Path:
    """Fetch a model from the Hub that is neither a folder nor in the cache."""
    try:
        return hub.fetch(source)
    except MachineError as error:
        raise EncoderError(
            f"{source!r} is no folder here, is not in the hub's cache, and the hub did not give it",
            fix=f"with a network run `vaplan models fetch {kind}:{source}`; without one, {BRING_A_FOLDER}",
        ) from error


def in_fixed_batches(
    encode: Callable[[Tensor], Tensor], rows: Iterable[Tensor], *, batch_size: int
) -> Float[Tensor, "row feature"]:
    """Encode rows in batches of one fixed shape, the last one filled up with copies of its last
    row.

    A matrix product may add in another order for another shape; with one shape, the same row
    gives the same bytes whatever its neighbours are and however many.
    """
    iterator, vectors = iter(rows), []
    with torch.inference_mode():
        while batch := list(islice(iterator, batch_size)):
            filling = [batch[-1]] * (batch_size - len(batch))
            vectors.append(encode(torch.stack(batch + filling))[: len(batch)])
    return torch.cat(vectors)


def pooled(output: Any) -> Tensor:
    """The projected vectors of `get_*_features`: a tensor in older releases of the library, now
    an object."""
    vectors: Tensor = getattr(output, "pooler_output", output)
    return vectors


def unit_rows(
    vectors: Float32[np.ndarray, "row feature"],
) -> Float32[np.ndarray, "row feature"]:
    """Rows of length one; a row of zeros stays one.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1).astype(np.float32)


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
        raise EncoderError(
            f"the weights in {folder} cannot be loaded ({reason})", fix=BRING_A_FOLDER
        ) from None
    for state in ("missing", "unexpected", "mismatched"):
        names = sorted(
            str(name)
            for name in report[f"{state}_keys"]
            if not str(name).endswith(COMPUTED)
        )
        if names:
            shown = ", ".join(names[:3]) + (
                f" and {len(names) - 3} more" if len(names) > 3 else ""
            )
            raise EncoderError(
                f"{len(names)} {state} tensors in {folder}: {shown}", fix=BRING_A_FOLDER
            )
    return model.eval().requires_grad_(False)


def _tokenizer(folder: Path) -> Any:
    try:
        with quiet():
            from transformers import AutoTokenizer

            return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EncoderError(
            f"no tokenizer can be loaded from {folder} ({reason})", fix=BRING_A_FOLDER
        ) from None
