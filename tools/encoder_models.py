"""The embedded encoders before training: a small CLIPModel, a small ClapModel, their tokenizer and processors."""

from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from vaplan import synthetic
from vaplan.encoders import pretrained
from vaplan.taxonomy import display_name

CLASSES = [display_name(name) for name in synthetic.TAXONOMY.classes]
SPECIAL = ["[BOS]", "[PAD]", "[UNK]", "[EOS]"]
FILLERS = """a an the this that these in on of from with and is are there you can one we hear see heard seen shows
    contains containing photo picture image frame video scene clip sound audio recording noise something someone
    being made by makes making near far loud quiet small large""".split()
LONGEST = 16  # tokens
SIDE, PATCH, BANDS, DIMENSION = (
    64,
    8,
    64,
    64,
)  # pixels, pixels, mel bands, size of a vector


def vocabulary() -> list[str]:
    """Return the words of the tokenizer, in the order of their token ids."""
    return [
        *SPECIAL,
        *sorted({word for name in CLASSES for word in name.split()} | set(FILLERS)),
    ]


def tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer of words in lower case; every other character is a separator."""
    words = {word: number for number, word in enumerate(vocabulary())}
    split = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    letters = normalizers.Replace(Regex("[^a-z]+"), " ")
    split.normalizer = normalizers.Sequence([normalizers.Lowercase(), letters])
    split.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("[BOS]", words["[BOS]"]), ("[EOS]", words["[EOS]"])]
    split.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=ends
    )
    names = {
        "bos_token": "[BOS]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "eos_token": "[EOS]",
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=split, model_max_length=LONGEST, **names
    )


def text_tower(*, positions: int) -> dict[str, Any]:
    """Return the settings of a small text tower for the tokenizer."""
    special = {
        "vocab_size": len(vocabulary()),
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 3,
    }
    size = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    return special | size | {"max_position_embeddings": positions}


def new_clip() -> tuple[CLIPModel, Any]:
    """Make the untrained CLIPModel and its image processor."""
    size = {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
    }
    vision = {"image_size": SIDE, "patch_size": PATCH, "hidden_act": "gelu", **size}
    text = text_tower(positions=LONGEST)
    model = CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIMENSION)
    )
    positions = model.vision_model.embeddings.position_embedding.weight
    with torch.no_grad():
        positions[1:] = waves(
            SIDE // PATCH, positions.shape[1]
        )  # neighbours have similar embeddings from the start
    square = {"height": SIDE, "width": SIDE}
    grey = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    return model, CLIPImageProcessorPil(
        size={"shortest_edge": SIDE}, crop_size=square, **grey
    )


def waves(edge: int, width: int) -> Tensor:
    """Compute embeddings of patch positions: sines and cosines of the row and the column.

    Args:
        edge: Number of patches along an edge.
        width: Size of an embedding.
    """
    rate = 20 ** -torch.linspace(0, 1, width // 4)
    position = torch.cartesian_prod(torch.arange(edge), torch.arange(edge)).float()
    angle = (position[:, :, None] * rate).flatten(1)
    return torch.cat([angle.sin(), angle.cos()], dim=1) / 2


def new_clap() -> tuple[ClapModel, Any]:
    """Make the untrained ClapModel and its feature extractor."""
    audio = {
        "patch_embeds_hidden_size": 32,
        "hidden_size": 128,
        "window_size": 4,
        "num_hidden_layers": 3,
    }
    depth = {
        "depths": [2, 2, 2],
        "num_attention_heads": [2, 4, 8],
        "spec_size": BANDS,
        "num_mel_bins": BANDS,
    }
    text = text_tower(
        positions=LONGEST + 4
    )  # RoBERTa counts positions from the padding token's number on
    model = ClapModel(
        ClapConfig(
            text_config=text, audio_config=audio | depth, projection_dim=DIMENSION
        )
    )
    sound = {
        "hop_length": 800,
        "fft_window_size": 2048,
        "max_length_s": 1,
        "truncation": "rand_trunc",
    }
    return model, ClapFeatureExtractor(feature_size=BANDS, **sound)


def frame_vectors(model: CLIPModel, frames: Tensor) -> tuple[Tensor, Tensor]:
    """Embed frames, and their patches by the same last layers."""
    output = model.vision_model(pixel_values=frames)
    patches = model.vision_model.post_layernorm(output.last_hidden_state[:, 1:])
    whole = model.visual_projection(output.pooler_output)
    return whole, model.visual_projection(patches)


def audio_vectors(model: ClapModel, spectrograms: Tensor) -> tuple[Tensor, None]:
    """Embed seconds of audio; there is no loss of patches for audio."""
    features = model.get_audio_features(input_features=spectrograms)
    return pretrained.pooled(features), None
