"""What encoding a second costs, beside the library's own preprocessing: `python benchmarks/bench_encoders.py [ENC…]`.

CPU milliseconds a segment on one thread, medians of interleaved rounds, over noise at the sizes of real media. ENC is
`embedded` (both), `clip:FOLDER` or `clap:FOLDER`. The last column is the largest difference of our preprocessing from
the library's: grey levels for pictures, decibels for sounds.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from transformers import ClapFeatureExtractor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from vaplan import encoders
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.encoders import clap, clip, spectrogram
from vaplan.media import Seconds, Segments

Work = Callable[[], Tensor]
ROUNDS, SECONDS, HEIGHT, WIDTH = 7, 10, 360, 640


def noise(rate_hz: int) -> Segments:
    """A video in which nothing repeats."""
    rng, length = np.random.default_rng(0), float(SECONDS)
    return Segments(
        frames=tuple(rng.integers(0, 256, size=(SECONDS, 1, HEIGHT, WIDTH, 3), dtype=np.uint8)),
        waveform=rng.normal(0, 0.1, size=SECONDS * rate_hz).astype(np.float32),
        rate_hz=rate_hz,
        mask=np.ones((SECONDS, len(MODALITIES)), dtype=bool),
        seconds=Seconds(length, length, length),
    )


def preparing(encoder: encoders.Encoder, video: Segments) -> tuple[Work, Work, float]:
    """Our preprocessing, the library's, and how far apart they are."""
    settings = {key: value for key, value in encoder.provenance["preprocessing"].items() if not key.endswith("_type")}
    if isinstance(encoder, clip.ClipEncoder):
        images = CLIPImageProcessorPil(**settings)
        ours, theirs = partial(our_pixels, encoder, video), partial(their_pixels, images, video)
        levels = 255 * torch.tensor(images.image_std)[:, None, None]
        return ours, theirs, float(((ours() - theirs()) * levels).abs().max())
    extractor = ClapFeatureExtractor(**settings)
    ours, theirs = partial(our_mels, encoder, video), partial(their_mels, extractor, video)
    return ours, theirs, float((ours() - theirs()).abs().max())


def our_pixels(encoder: clip.ClipEncoder, video: Segments) -> Tensor:
    return torch.cat([clip.preprocess(frames, encoder.preprocessing) for frames in video.frames])


def their_pixels(processor: CLIPImageProcessorPil, video: Segments) -> Tensor:
    return processor(images=[frames[0] for frames in video.frames], return_tensors="pt")["pixel_values"]


def our_mels(encoder: clap.ClapEncoder, video: Segments) -> Tensor:
    sounds = (torch.from_numpy(video.sound(t))[None] for t in range(len(video)))
    return torch.cat([spectrogram.log_mel(sound, encoder.preprocessing, encoder.bank) for sound in sounds])


def their_mels(extractor: ClapFeatureExtractor, video: Segments) -> Tensor:
    sounds = [video.sound(t) for t in range(len(video))]
    return extractor(sounds, sampling_rate=extractor.sampling_rate, return_tensors="pt")["input_features"][:, 0]


def cpu_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start) / SECONDS


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    print("| encoder | modality | library's preprocessing | ours | ratio | whole embedding | largest difference |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        for modality in (AUDIO, VISUAL) if name == "embedded" else (AUDIO if name.startswith("clap") else VISUAL,):
            encoder = encoders.load(name, modality)
            video = noise(encoder.rate_hz or 8_000)
            ours, theirs, apart = preparing(encoder, video)
            works = [theirs, ours, partial(encoder.embed, video)]
            rounds = [[cpu_ms(work) for work in works] for _ in range(ROUNDS)]
            library, own, whole = np.median(rounds, axis=0)
            numbers = f"{library:.2f} | {own:.2f} | {own / library:.2f} | {whole:.2f} | {apart:.1e}"
            print(f"| {name} | {MODALITIES[modality]} | {numbers} |")


if __name__ == "__main__":
    main(sys.argv[1:] or ["embedded"])
