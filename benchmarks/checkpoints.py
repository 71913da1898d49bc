"""Make full-size checkpoints with random weights, as fast and large as real ones, without a download.

`make_clip(folder)` and `make_clap(folder)` write a CLIP ViT-B/32 and a CLAP HTSAT (unfused) of 0.6 GB each, and
`make_large_clip(folder)` a CLIP ViT-L/14 of 1.7 GB, unless the folder already has one, and return the folder;
`clip:FOLDER` and `clap:FOLDER` load them. The bytes are the same every time. The small ones are for trials.
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
TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
TINY_AUDIO = {
    "hidden_size": 64,
    "patch_embeds_hidden_size": 16,
    "depths": [1, 1, 1],
    "num_attention_heads": [2, 4, 8],
    "num_hidden_layers": 3,
    "window_size": 4,
    "spec_size": 64,
    "num_mel_bins": 32,
}


def make_clip(folder: Path) -> Path:
    """Make a CLIPModel with the default size of transformers, that of ViT-B/32."""
    return _made(
        folder, CLIPModel, CLIPConfig(text_config=TEXT), CLIPImageProcessorPil()
    )


def make_large_clip(folder: Path) -> Path:
    """Make a CLIPModel with the size of `openai/clip-vit-large-patch14`."""
    text = {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_attention_heads": 12,
        "projection_dim": 768,
    }
    vision = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
        "projection_dim": 768,
    }
    config = CLIPConfig(
        text_config=TEXT | text, vision_config=vision, projection_dim=768
    )
    return _made(folder, CLIPModel, config, CLIPImageProcessorPil())


def make_small_clip(folder: Path) -> Path:
    """Make a CLIPModel of one layer."""
    config = CLIPConfig(text_config=TEXT | TINY, vision_config=TINY, projection_dim=32)
    return _made(folder, CLIPModel, config, CLIPImageProcessorPil())


def make_clap(folder: Path) -> Path:
    """Make a ClapModel with the default size of transformers, that of `laion/clap-htsat-unfused`."""
    return _made(
        folder,
        ClapModel,
        ClapConfig(text_config=TEXT),
        ClapFeatureExtractor(truncation="rand_trunc"),
    )


def make_small_clap(folder: Path) -> Path:
    """Make a ClapModel of three layers, with a window of one second."""
    config = ClapConfig(
        text_config=TEXT | TINY, audio_config=TINY_AUDIO, projection_dim=32
    )
    extractor = ClapFeatureExtractor(
        feature_size=32, max_length_s=1, truncation="rand_trunc"
    )
    return _made(folder, ClapModel, config, extractor)


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
