"""Write tiny CLIP and CLAP checkpoints as an old version of transformers wrote them, for the tests.

    python3.11 -m venv old
    old/bin/pip install 'transformers==4.24.0' 'torch==2.13.0' 'numpy<2' safetensors pillow
    old/bin/python tools/write_old_checkpoints.py tests/data/old_checkpoints

and once more with transformers 4.27.4, the first version with CLAP. A folder gets the config, the preprocessor and the
tokenizer as that version saves them, its whole state dict as safetensors, and `expected.json`: the inputs' vectors as
that version computes them. vaplan is not imported. The folders have buffers and keys that newer versions do not
write: `position_ids`, `token_type_ids`, `relative_position_index`, `text_config_dict`, `feature_extractor_type`,
`size: 32` as a number.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

PROMPTS = ["a dog", "a bell", "a photo of a dog"]
SEGMENTS, SIDE, RATE_HZ = 3, 32, 48_000
LARGE = (48, 64)  # height and width of the frames that are resized
LETTERS = "abcdefghijklmnopqrstuvwxyz"
LONGEST = 16  # tokens
SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def frames(height: int, width: int) -> np.ndarray:
    """Make frames without random numbers, so that any version of numpy makes the same."""
    t, row, column, channel = np.indices((SEGMENTS, height, width, 3))
    value = 7 * row + 13 * column * (t + 1) + row * column // 3 + 61 * channel + 97 * t
    return (value % 256).astype(np.uint8)


def waveform() -> np.ndarray:
    """Make a chirp that gets louder, one second for each segment."""
    time = np.arange(SEGMENTS * RATE_HZ) / RATE_HZ
    phase = 2 * np.pi * (300 * time + 900 * time**2)
    return (np.sin(phase) * (0.1 + 0.2 * time)).astype(np.float32)


def spread(model: Any) -> Any:
    """Enlarge the random weights, so that different inputs have different vectors."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "logit_scale" not in name:
                noise = torch.randn(weight.shape, generator=generator)
                weight.add_(0.2 * noise)
    return model.eval()


def save(folder: Path, model: Any, *parts: Any) -> None:
    """Save a model with its whole state dict, and other parts."""
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    for part in parts:
        part.save_pretrained(folder)


def write_expected(folder: Path, **vectors: torch.Tensor) -> None:
    """Write the normalised vectors with the version that computed them."""
    document: dict[str, Any] = {
        "transformers": transformers.__version__,
        "prompts": PROMPTS,
    }
    for name, rows in vectors.items():
        unit = torch.nn.functional.normalize(rows.double(), dim=-1)
        document[name] = [[round(x, 7) for x in row] for row in unit.tolist()]
    text = json.dumps(document).replace("]], ", "]],\n")
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")


def clip_tokenizer(folder: Path) -> Any:
    """Make CLIP's tokenizer with the letters and two merges."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "do", "dog</w>"]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = "#version: 0.2\nd o\ndo g</w>\n"
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    return transformers.CLIPTokenizerFast(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        model_max_length=LONGEST,
    )


def write_clip(folder: Path) -> None:
    """Write a CLIP checkpoint and its vectors."""
    tokenizer = clip_tokenizer(folder)
    text = {**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": LONGEST}
    vision = {**SIZES, "image_size": SIDE, "patch_size": 8}
    config = transformers.CLIPConfig(
        text_config_dict=text, vision_config_dict=vision, projection_dim=12
    )
    torch.manual_seed(0)
    model = spread(transformers.CLIPModel(config))
    old = not hasattr(transformers, "CLIPImageProcessor")
    kind = transformers.CLIPFeatureExtractor if old else transformers.CLIPImageProcessor
    images = kind(size=SIDE, crop_size=SIDE)
    save(folder, model, images, tokenizer)

    def embed(pictures: np.ndarray) -> torch.Tensor:
        pixels = images([*pictures], return_tensors="pt")["pixel_values"]
        return model.get_image_features(pixel_values=pixels)

    with torch.no_grad():
        tokens = tokenizer(PROMPTS, padding=True, return_tensors="pt")
        write_expected(
            folder,
            frames=embed(frames(SIDE, SIDE)),
            large_frames=embed(frames(*LARGE)),
            text=model.get_text_features(**tokens),
        )


def clap_tokenizer(folder: Path) -> Any:
    """Make RoBERTa's tokenizer with the letters, the space and two merges."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *LETTERS, "Ġ", "do", "dog", "<mask>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = "#version: 0.2\nd o\ndo g\n"
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    return transformers.RobertaTokenizerFast(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        model_max_length=LONGEST,
    )


def write_clap(folder: Path) -> None:
    """Write a CLAP checkpoint and its vectors."""
    tokenizer = clap_tokenizer(folder)
    text = {**SIZES, "vocab_size": len(tokenizer)}
    text["max_position_embeddings"] = LONGEST + 2
    audio = {
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [1, 2],
        "num_hidden_layers": 2,
        "window_size": 4,
        "spec_size": 64,
        "num_mel_bins": 32,
    }
    config = transformers.ClapConfig(
        text_config=text, audio_config=audio, projection_dim=12
    )
    torch.manual_seed(0)
    model = spread(transformers.ClapModel(config))
    sounds = transformers.ClapFeatureExtractor(
        feature_size=32, max_length_s=1, truncation="rand_trunc"
    )
    save(folder, model, sounds, tokenizer)

    with torch.no_grad():
        parts = [*waveform().reshape(SEGMENTS, RATE_HZ)]
        inputs = sounds(parts, sampling_rate=RATE_HZ, return_tensors="pt")
        tokens = tokenizer(PROMPTS, padding=True, return_tensors="pt")
        write_expected(
            folder,
            audio=model.get_audio_features(**inputs),
            text=model.get_text_features(**tokens),
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder of the checkpoints")
    out = parser.parse_args().out
    version = ".".join(transformers.__version__.split(".")[:2])
    if int(version.partition(".")[0]) >= 5:
        sys.exit("run this in an environment with an old version of transformers")
    write_clip(out / f"clip-{version}")
    if hasattr(transformers, "ClapModel"):
        write_clap(out / f"clap-{version}")


if __name__ == "__main__":
    main()
