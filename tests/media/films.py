"""Small rendered films with known content in every second."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vaplan import media
from vaplan.arrays import AUDIO, VISUAL

REAL = sorted(
    (Path(__file__).parents[3] / "shared" / "media").glob("*.mp4")
)  # if there are any


@dataclass(frozen=True)
class Film:
    """A test film: in second k the frames have grey level `grey(k)` and the audio has the level `loud(k)`."""

    seconds: float = 5.0
    fps: int = 10
    size: tuple[int, int] = (64, 48)
    video: str = "libx264"
    pixels: str = "yuv420p"
    audio: str = "aac"
    rate_hz: int = 48_000
    layout: str = "mono"
    video_starts: float = 0.0
    audio_starts: float = 0.0
    times: tuple[float, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    rotation: int = 0
    bitrate: int = 128_000
    grain: int = 0  # grey levels of noise that differs between frames
    coding: tuple[tuple[str, str], ...] = ()  # options of the video codec


def grey(second: int) -> int:
    return 40 + 10 * (second % 16)


def loud(second: int) -> float:
    return 0.1 + 0.1 * (second % 6)


def make(path: Path, film: Film = Film()) -> Path:
    with av.open(str(path), "w", options=dict(film.options)) as container:
        video = container.add_stream(film.video, rate=film.fps) if film.video else None
        audio = (
            container.add_stream(film.audio, rate=film.rate_hz, layout=film.layout)
            if film.audio
            else None
        )
        if video:
            video.width, video.height, video.pix_fmt = *film.size, film.pixels
            video.codec_context.thread_count = 1
            video.codec_context.time_base = Fraction(1, 1000)
            if film.video == "libx264":
                video.options = {
                    "preset": "ultrafast",
                    "crf": "18",
                    "bf": "2",
                    "g": str(film.fps),
                }
            video.options = {**video.options, **dict(film.coding)}
            if film.rotation:
                video.set_display_rotation(film.rotation)
        if audio and film.bitrate:
            audio.bit_rate = film.bitrate
        packets: list[Any] = []
        if video:
            for frame in shots(film):
                packets += video.encode(frame)
            packets += video.encode(None)
        if audio:
            packets += audio.encode(noise(film))
            packets += audio.encode(None)
        container.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path


def shifted(path: Path, to: Path, seconds: float, **options: str) -> Path:
    """Copy the packets of a film to another file with all times shifted."""
    with av.open(str(path)) as source, av.open(str(to), "w", options=options) as target:
        copies = {
            stream.index: target.add_stream_from_template(stream)
            for stream in source.streams
        }
        for packet in source.demux():
            if packet.dts is not None and packet.pts is not None:
                ticks = round(seconds / packet.time_base)
                packet.pts, packet.dts, packet.stream = (
                    packet.pts + ticks,
                    packet.dts + ticks,
                    copies[packet.stream.index],
                )
                target.mux(packet)
    return to


def shots(film: Film) -> Iterator[av.VideoFrame]:
    count = round((film.seconds - film.video_starts) * film.fps)
    for time in film.times or [film.video_starts + i / film.fps for i in range(count)]:
        picture = np.full(
            (film.size[1], film.size[0], 3), grey(math.floor(time + 1e-6)), np.uint8
        )
        if film.grain:
            noisy = picture + np.random.default_rng(round(time * 1000)).integers(
                -film.grain, film.grain, picture.shape
            )
            picture = noisy.astype(np.uint8)
        if film.rotation:
            picture[: film.size[1] // 2] = 255  # the upper half is white
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
        yield frame


def tone(film: Film) -> np.ndarray:
    time = (
        np.arange(
            round(film.audio_starts * film.rate_hz), round(film.seconds * film.rate_hz)
        )
        / film.rate_hz
    )
    level = np.array([loud(second) for second in range(math.ceil(film.seconds) + 1)])[
        time.astype(int)
    ]
    return (level * math.sqrt(2) * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def noise(film: Film) -> av.AudioFrame:
    channels = av.AudioLayout(film.layout).nb_channels
    planes = np.repeat(tone(film)[np.newaxis], channels, axis=0)
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(planes), format="fltp", layout=film.layout
    )
    frame.sample_rate, frame.time_base = film.rate_hz, Fraction(1, film.rate_hz)
    frame.pts = round(film.audio_starts * film.rate_hz)
    return frame


def greys(found: media.Segments) -> list[int | None]:
    return [
        None if picture is None else round(float(picture.mean()))
        for picture in found.frames
    ]


def levels(found: media.Segments) -> list[float]:
    return [
        float(np.sqrt(np.mean(np.square(found.audio(t))))) for t in range(len(found))
    ]


def assert_each_second_in_its_segment(
    found: media.Segments, seconds: Sequence[int], *, within: float = 0.08
) -> None:
    """Check frames and audio of every second; coding changes a grey level by 3 and an audio level by 8 %."""
    assert len(found) == len(seconds)
    for t, second in enumerate(seconds):
        picture = found.frames[t]
        if found.mask[t, VISUAL]:
            assert picture is not None
            assert abs(float(picture.mean()) - grey(second)) < 4
        if found.mask[t, AUDIO]:
            level = float(np.sqrt(np.mean(np.square(found.audio(t)))))
            assert level == pytest.approx(loud(second), rel=within)


KINDS = {
    "mp4": ("a.mp4", Film()),
    "a clip in QuickTime with raw sound": ("a.mov", Film(audio="pcm_s16le", bitrate=0)),
    "Matroska with 44.1 kHz stereo": (
        "a.mkv",
        Film(audio="flac", rate_hz=44_100, layout="stereo", bitrate=0),
    ),
    "six channels": ("a.mkv", Film(audio="pcm_s16le", layout="5.1", bitrate=0)),
    "8 kHz": ("a.mkv", Film(audio="pcm_s16le", rate_hz=8_000, bitrate=0)),
    "96 kHz": ("a.mkv", Film(audio="pcm_s16le", rate_hz=96_000, bitrate=0)),
    "WebM": ("a.webm", Film(video="libvpx", audio="libopus")),
    "a transport stream, which starts at 1.4 s": ("a.ts", Film()),
    "Flash": ("a.flv", Film(rate_hz=44_100)),
    "AVI": ("a.avi", Film(video="mpeg4", audio="libmp3lame")),
    "odd sizes": ("a.mp4", Film(size=(65, 49), pixels="yuv444p")),
    "10 bit": ("a.mp4", Film(pixels="yuv420p10le")),
    "one frame a second": ("a.mp4", Film(fps=1)),
    "200 frames a second": ("a.mp4", Film(fps=200, seconds=3)),
    "61 s": ("a.mp4", Film(seconds=61, fps=2)),
}
FAST = (("movflags", "faststart"),)
