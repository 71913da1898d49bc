"""Complete folders of small untrained models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import (
    SiglipImageProcessorPil,
)

from vaplan.encoders.silence import silence_transformers
from vaplan.media import Seconds, Segments

WORDS = ["[BOS]", "[PAD]", "[UNK]", "[EOS]", "a", "dog", "bell", "photo", "of"]
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
TEXT = {**SIZES, "vocab_size": len(WORDS), "max_position_embeddings": 20}
TEXT |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 3}
VISION = {**SIZES, "image_size": 32, "patch_size": 8}
SIGLIP_TEXT = {**TEXT, "max_position_embeddings": 64, "projection_size": 32}


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_clip(tmp_path_factory.mktemp("clip"), CLIPConfig, CLIPModel)


def saved_clip(folder: Path, config_type: Any, model_type: Any) -> Path:
    """A model of CLIP's form in a folder."""
    config = config_type(text_config=TEXT, vision_config=VISION, projection_dim=24)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    return saved(folder, model_type(config), processor)


def saved_siglip(folder: Path, tokenizer: Any = None, **text: int) -> Path:
    """A SigLIP model in a folder, whose vectors have 32 numbers.

    Args:
        folder: Folder to write.
        tokenizer: Its tokenizer; by default that of the other models.
        text: Changes of the text tower.
    """
    config = SiglipConfig(text_config={**SIGLIP_TEXT, **text}, vision_config=VISION)
    processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    if tokenizer is None:
        return saved(folder, SiglipModel(config), processor)
    return save_parts(folder, SiglipModel(config), processor, tokenizer)


@pytest.fixture(scope="session")
def clap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    audio = {
        "patch_embeds_hidden_size": 16,
        "hidden_size": 64,
        "window_size": 4,
        "spec_size": 64,
    }
    audio |= {
        "num_mel_bins": 32,
        "depths": [1, 1, 1],
        "num_attention_heads": [2, 4, 8],
        "num_hidden_layers": 3,
    }
    torch.manual_seed(0)
    config = ClapConfig(text_config=TEXT, audio_config=audio, projection_dim=24)
    extractor = ClapFeatureExtractor(
        feature_size=32, max_length_s=1, truncation="rand_trunc"
    )
    return saved(tmp_path_factory.mktemp("clap"), ClapModel(config), extractor)


def saved(folder: Path, *parts: Any) -> Path:
    words = Tokenizer(
        models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 0), ("[EOS]", 3)]
    )
    names = {
        "bos_token": "[BOS]",
        "eos_token": "[EOS]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
    }
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, model_max_length=16, **names
    )
    return save_parts(folder, *parts, tokenizer)


def save_parts(folder: Path, *parts: Any) -> Path:
    with silence_transformers():
        for part in parts:
            part.save_pretrained(folder)
    return folder


def pixels_of(video: Segments, processor: Any) -> torch.Tensor:
    """Preprocess the frames of a video by the processor of transformers."""
    frames = [frame for group in video.frames if group is not None for frame in group]
    pixels: torch.Tensor = processor(images=frames, return_tensors="pt")["pixel_values"]
    return pixels


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Use one thread, like every worker that encodes: with more, sums depend on the thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def video(
    frames: np.ndarray,
    waveform: np.ndarray,
    *,
    rate_hz: int = 48_000,
    mask: np.ndarray | None = None,
) -> Segments:
    """Make segments from frames "time frame height width channel" and a waveform of as many seconds."""
    mask = np.ones((len(frames), 2), dtype=bool) if mask is None else mask
    return Segments(
        frames=tuple(
            f if seen else None for f, seen in zip(frames, mask[:, 1], strict=True)
        ),
        waveform=waveform.astype(np.float32),
        rate_hz=rate_hz,
        mask=mask,
        seconds=Seconds(float(len(frames)), float(len(frames)), float(len(frames))),
    )


def noise(
    time: int, *, frames: int = 1, side: tuple[int, int] = (48, 64), seed: int = 0
) -> Segments:
    """Make a video of noise, in which all segments differ."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, size=(time, frames, *side, 3), dtype=np.uint8)
    return video(pictures, rng.uniform(-0.5, 0.5, size=time * 48_000))
