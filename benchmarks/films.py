"""Rendered films for measurements."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def film(
    path: Path,
    codec: str,
    sides: tuple[int, int],
    frames: Iterable[np.ndarray],
    rate: int,
) -> Path:
    """Write a film of these frames with the default settings of the codec, and soft noise as its audio."""
    generator = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        video = container.add_stream(codec, rate=rate, options=options)
        video.width, video.height = sides
        video.pix_fmt, video.codec_context.thread_count = "yuv420p", 2
        audio = container.add_stream("aac", rate=44_100, layout="stereo")
        for number, pixels in enumerate(frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels)))
            noise = generator.normal(0, 0.05, (2, 44_100 // rate)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base = 44_100, Fraction(1, 44_100)
            frame.pts = number * noise.shape[1]
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def moving(width: int, height: int, count: int) -> Iterator[np.ndarray]:
    """Yield frames of a coarse drifting pattern with grain."""
    generator = np.random.default_rng(1)
    coarse = generator.integers(
        0, 256, (height // 16 + 1, width // 8 + 1, 3), dtype=np.uint8
    )
    pattern = coarse.repeat(16, axis=0).repeat(16, axis=1)
    for number in range(count):
        left = number * 4 % width
        part = pattern[:height, left : left + width].astype(np.int16)
        grain = generator.integers(-6, 7, part.shape)
        yield np.clip(part + grain, 0, 255).astype(np.uint8)


def still(count: int) -> Iterator[np.ndarray]:
    """Yield small frames of one grey level each."""
    for number in range(count):
        yield np.full((240, 320, 3), number % 256, np.uint8)
