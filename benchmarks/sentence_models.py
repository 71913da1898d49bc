"""Make small checkpoints with given vectors of prompts, so that `clip:` and `clap:` can label simulated features.

`make_clip(folder, prompts, vectors)` and `make_clap(…)` write a CLIPModel or a ClapModel with random weights. The last
text layer is the solution of a linear system, so that each prompt has the direction of its vector. The vectors of
other sentences, of frames and of audio are random.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from checkpoints import LONGEST, TEXT, letter_tokenizer
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
AUDIO_TOWER = {
    "patch_embeds_hidden_size": 32,
    "window_size": 4,
    "num_hidden_layers": 3,
    "spec_size": 64,
}
AUDIO_TOWER |= {
    "hidden_size": 128,
    "depths": [1, 1, 1],
    "num_attention_heads": [2, 4, 8],
    "num_mel_bins": 64,
}


def make_clip(
    folder: Path, prompts: Sequence[str], vectors: Float[np.ndarray, "prompt feature"]
) -> Path:
    """Make a CLIPModel that returns `vectors` for `prompts`."""
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text = TEXT | SMALL | {"max_position_embeddings": LONGEST}
        vision = SMALL | {"image_size": 32, "patch_size": 16}
        model = CLIPModel(
            CLIPConfig(
                text_config=text, vision_config=vision, projection_dim=vectors.shape[1]
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
    """Make a ClapModel that returns `vectors` for `prompts`."""
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text = (
            TEXT | SMALL | {"max_position_embeddings": LONGEST + 4}
        )  # RoBERTa counts positions from the padding token's number on
        config = ClapConfig(
            text_config=text, audio_config=AUDIO_TOWER, projection_dim=vectors.shape[1]
        )
        model = ClapModel(config).eval()
        parts = (model, ClapFeatureExtractor(feature_size=64, truncation="rand_trunc"))
        return _saved(folder, parts, model.text_projection.linear2, (prompts, vectors))


def _saved(
    folder: Path,
    parts: tuple[Any, Any],
    last: torch.nn.Linear,
    targets: tuple[Sequence[str], Float[np.ndarray, "prompt feature"]],
) -> Path:
    """Solve for the last text layer and save the checkpoint."""
    model, tokenizer = parts[0], letter_tokenizer()
    prompts, vectors = targets
    before = list[Tensor]()
    hook = last.register_forward_pre_hook(
        lambda _, layer_inputs: before.append(layer_inputs[0])
    )
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
