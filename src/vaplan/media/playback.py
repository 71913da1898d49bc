"""Playback in a browser: whether it can play a file, and the waveform of its audio."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from vaplan.media.audio import AudioTrack
from vaplan.media.container import (
    Limits,
    MemoryBudget,
    check_regular_file,
    codec_name,
    list_tracks,
    main_track,
    open_media,
)
from vaplan.media.decoding import declared_seconds, start_seconds
from vaplan.media.sampling import Sampling

LIMITS = Limits()
PEAKS_HZ = 50  # peaks of the waveform a second
WAVEFORM_HZ = 8_000  # sample rate that the peaks are taken from
MAX_START = 0.01  # seconds; browsers do not agree on the zero of files that start later
# Codecs and pixels that the common browsers decode, by the container's name in FFmpeg.
VIDEO_CODECS = {
    "mov,mp4,m4a,3gp,3g2,mj2": {"h264", "av1", "libdav1d"},
    "matroska,webm": {"vp8", "libvpx", "vp9", "libvpx-vp9", "av1", "libdav1d"},
}
AUDIO_CODECS = {
    "mov,mp4,m4a,3gp,3g2,mj2": {"aac", "mp3", "mp3float", "flac"},
    "matroska,webm": {"opus", "libopus", "vorbis"},
    "ogg": {"opus", "libopus", "vorbis", "flac"},
    "mp3": {"mp3", "mp3float"},
    "wav": {"pcm_s16le", "pcm_u8"},
    "flac": {"flac"},
}
PIXELS = {"yuv420p", "yuvj420p"}
Advance = Callable[[float], None]  # takes the seconds of the file that are done


@dataclass(frozen=True)
class Playback:
    """How a file plays in a browser.

    Attributes:
        seconds: Declared length; None if no header has it.
        frame_rate: Mean number of frames a second; None without video.
        has_video: Whether it has a video track.
        has_audio: Whether it has an audio track.
        obstacle: Why a browser cannot play it, or not on vaplan's clock; empty if it can.
    """

    seconds: float | None
    frame_rate: float | None
    has_video: bool
    has_audio: bool
    obstacle: str


def describe_playback(path: Path | str, *, limits: Limits = LIMITS) -> Playback:
    """Read the headers of a file and decide whether a browser can play it.

    Args:
        path: Media file.
        limits: Limits of the file's cost.

    Raises:
        MediaError: It is no media file.
    """
    with open_media(check_regular_file(path), limits) as container:
        video = main_track(container, "video")
        rate = video.average_rate if isinstance(video, VideoStream) else None
        seconds = declared_seconds(container)
        is_long = seconds is not None and seconds > limits.max_seconds
        return Playback(
            None if is_long else seconds,
            float(rate) if rate else None,
            video is not None,
            main_track(container, "audio") is not None,
            _find_obstacle(container),
        )


def _find_obstacle(container: InputContainer) -> str:
    kind = container.format.name
    if kind not in AUDIO_CODECS:
        return f"container {kind}"
    start = start_seconds(container)
    if abs(start) > MAX_START:
        return f"its clock starts at {start:.2f} s"
    for stream in list_tracks(container, "video"):
        name = codec_name(stream)
        if name not in VIDEO_CODECS.get(kind, ()):
            return f"video codec {name or 'unknown'}"
        pixels = (
            stream.codec_context.format if isinstance(stream, VideoStream) else None
        )
        if pixels is None or pixels.name not in PIXELS:
            return f"pixel format {pixels.name if pixels else 'unknown'}"
    for stream in list_tracks(container, "audio"):
        if codec_name(stream) not in AUDIO_CODECS[kind]:
            return f"audio codec {codec_name(stream) or 'unknown'}"
    for track in ("video", "audio"):
        count = len(list_tracks(container, track))
        if count > 1:
            return f"{count} {track} tracks"
    return ""


def waveform_peaks(
    path: Path | str, *, advance: Advance | None = None, limits: Limits = LIMITS
) -> bytes:
    """Return the largest amplitude of every 1/50 of a second, as bytes from 0 to 255.

    Time zero is the container's start. Spans without audio are zero.

    Args:
        path: Media file.
        advance: Called after every second of audio.
        limits: Limits of the file's cost.

    Raises:
        MediaError: It is no media file, or it exceeds a limit.
    """
    budget = MemoryBudget(limits.max_bytes)
    peaks = bytearray()
    with open_media(check_regular_file(path), limits) as container:
        track = AudioTrack(container, Sampling(rate_hz=WAVEFORM_HZ), limits, budget)
        for segment in track.segments():
            samples = np.abs(segment.waveform).reshape(PEAKS_HZ, -1)
            levels = np.minimum(samples.max(axis=1), 1.0) * 255
            peaks += levels.round().astype(np.uint8).tobytes()
            budget.used = 0  # the segment is not kept
            if advance:
                advance(len(peaks) / PEAKS_HZ)
    return bytes(peaks)
