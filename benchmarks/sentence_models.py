"""Small checkpoints whose text towers say given vectors: what `clip:` and `clap:` need to label simulated features.

`make_clip(folder, prompts, vectors)` and `make_clap(…)` write a CLIPModel or a ClapModel with random weights, whose
last text layer is solved for, so that each prompt has the direction of its vector. Other sentences, frames and sounds
mean nothing to it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from checkpoints import LONGEST, TEXT, spelling
from jaxtyping import Float
from torch import Tensor
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    CLIPConfig,
    CLIPModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from vaplan.encoders.pretrained import projected_vectors
from vaplan.encoders.silence import silence_transformers

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
LISTENS = {
    "patch_embeds_hidden_size": 32,
    "window_size": 4,
    "num_hidden_layers": 3,
    "spec_size": 64,
}
LISTENS |= {
    "hidden_size": 128,
    "depths": [1, 1, 1],
    "num_attention_heads": [2, 4, 8],
    "num_mel_bins": 64,
}


def make_clip(
    folder: Path, prompts: Sequence[str], vectors: Float[np.ndarray, "prompt feature"]
) -> Path:
    """A CLIPModel that says `vectors`."""
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text = TEXT | SMALL | {"max_position_embeddings": LONGEST}
        seen = SMALL | {"image_size": 32, "patch_size": 16}
        model = CLIPModel(
            CLIPConfig(
                text_config=text, vision_config=seen, projection_dim=vectors.shape[1]
            )
        ).eval()
        return _saved(
            folder,
            (model, CLIPImageProcessorPil()),
            model.text_projection,
            (prompts, vectors),
        )


def make_clap(
    folder: Path, prompts: Sequence[str], vectors: Float[np.ndarray, "prompt feature"]
) -> Path:
    """A ClapModel that says `vectors`."""
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text = (
            TEXT | SMALL | {"max_position_embeddings": LONGEST + 4}
        )  # RoBERTa counts from the padding's number on
        config = ClapConfig(
            text_config=text, audio_config=LISTENS, projection_dim=vectors.shape[1]
        )
        model = ClapModel(config).eval()
        parts = (model, ClapFeatureExtractor(feature_size=64, truncation="rand_trunc"))
        return _saved(folder, parts, model.text_projection.linear2, (prompts, vectors))


def _saved(
    folder: Path,
    parts: tuple[Any, Any],
    last: torch.nn.Linear,
    wanted: tuple[Sequence[str], Float[np.ndarray, "prompt feature"]],
) -> Path:
    model, tokenizer = parts[0], spelling()
    prompts, vectors = wanted
    before = list[Tensor]()
    hook = last.register_forward_pre_hook(lambda _, given: before.append(given[0]))
    sentences = tokenizer(
        list(prompts),
        padding="max_length",
        truncation=True,
        max_length=LONGEST,
        return_tensors="pt",
    )
    tokens = {name: sentences[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        projected_vectors(model.get_text_features(**tokens))
        hook.remove()
        solved = torch.linalg.lstsq(
            before[0].double(), torch.from_numpy(vectors).double(), driver="gelsd"
        )
        last.weight.copy_(solved.solution.T)
        if last.bias is not None:
            last.bias.zero_()
    for part in (*parts, tokenizer):
        part.save_pretrained(folder)
    return folder
