"""Make full-size checkpoints with random weights, as fast and large as real ones, without a download.

`make_clip(folder)` and `make_clap(folder)` write a CLIP ViT-B/32 and a CLAP HTSAT (unfused) of 0.6 GB each, unless the
folder already has one, and return the folder; `clip:FOLDER` and `clap:FOLDER` load them. The bytes are the same every
time.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from vaplan.encoders.silence import silence_transformers

SPECIAL = ["[BOS]", "[PAD]", "[UNK]", "[EOS]"]
NAMED = {
    "bos_token": "[BOS]",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "eos_token": "[EOS]",
}
TEXT = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 3}
LONGEST = 77  # tokens


def make_clip(folder: Path) -> Path:
    """Make a CLIPModel with the default size of transformers, that of ViT-B/32."""
    return _made(
        folder, CLIPModel, CLIPConfig(text_config=TEXT), CLIPImageProcessorPil()
    )


def make_clap(folder: Path) -> Path:
    """Make a ClapModel with the default size of transformers, that of `laion/clap-htsat-unfused`."""
    return _made(
        folder,
        ClapModel,
        ClapConfig(text_config=TEXT),
        ClapFeatureExtractor(truncation="rand_trunc"),
    )


def _made(folder: Path, architecture: Any, config: Any, preprocessor: Any) -> Path:
    if (folder / "tokenizer.json").is_file():  # written last
        return folder
    with silence_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for part in (architecture(config), preprocessor, letter_tokenizer()):
            part.save_pretrained(folder)
    return folder


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer with one token per letter; the meaning of a sentence does not matter here."""
    letters = [*SPECIAL, *map(chr, range(ord("!"), ord("~")))]
    letterwise = Tokenizer(
        models.WordLevel(
            {token: k for k, token in enumerate(letters)}, unk_token="[UNK]"
        )
    )
    letterwise.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    letterwise.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 0), ("[EOS]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=letterwise, model_max_length=LONGEST, **NAMED
    )
