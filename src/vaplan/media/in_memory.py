"""Frames and a waveform in memory, cut into segments by the code that cuts files."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from jaxtyping import Float, UInt8

from vaplan.errors import UsageError
from vaplan.media.audio import LOWEST_HZ, AudioBlock, AudioTrack, resample_to_mono
from vaplan.media.container import Limits, MemoryBudget
from vaplan.media.decoding import DecodeStats, FrameTime, TimedFrame, frames_at
from vaplan.media.sampling import Sampling
from vaplan.media.segmenter import Segmenter
from vaplan.media.video import FrameArray, FrameConverter, VideoTrack

MAX_AMPLITUDE = 10.0  # decoders overshoot full scale by a little; integers by 32768
HIGHEST_HZ = 768_000
BLOCK_SAMPLES = 8192  # samples that are resampled at a time
LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")  # FFmpeg's
LIMITS = Limits()


@dataclass(frozen=True, eq=False, repr=False)
class MediaArrays:
    """Frames and a waveform in memory, accepted wherever a media file is.

    Either track may be absent. The arrays of a decoded file give the segments of the file.

    >>> MediaArrays(waveform=np.zeros(96_000, np.float32), rate_hz=48_000)
    MediaArrays 'arrays': no frames, 2 s of audio

    Attributes:
        frames: UInt8 "frame height width 3": upright RGB frames with square pixels.
        times: Second at which each frame appears, ascending from 0 or later. A frame stays
            until the next one, and the last frame as long as the one before it. A single
            frame stays for one second.
        waveform: Float "sample", or "channel sample" in FFmpeg's order of channels, which
            are mixed to mono. It begins at second 0; its full scale is 1.
        rate_hz: Sample rate of the waveform.
        seconds: Length. What comes later is left out; what the tracks lack is missing. By
            default the longer track ends the video.
        name: Name of the timeline.

    Raises:
        UsageError: A value cannot be right; the error names it.
    """

    frames: np.ndarray | None = None
    times: np.ndarray | Sequence[float] | None = None
    waveform: np.ndarray | None = None
    rate_hz: int | float | None = None
    seconds: int | float | None = None
    name: str = "arrays"

    def __post_init__(self) -> None:
        if self.frames is None and self.waveform is None:
            raise UsageError(
                "no frames and no waveform",
                fix="give frames with times, or a waveform with rate_hz, or both",
            )
        _check_pair("frames", self.frames, "times", self.times)
        _check_pair("waveform", self.waveform, "rate_hz", self.rate_hz)
        if self.frames is not None:
            frames = _as_frames(self.frames)
            object.__setattr__(self, "frames", frames)
            object.__setattr__(self, "times", _as_times(self.times, len(frames)))
        if self.waveform is not None:
            object.__setattr__(self, "waveform", _as_waveform(self.waveform))
            object.__setattr__(self, "rate_hz", _as_rate(self.rate_hz))
        if self.seconds is not None and not 0 < self.seconds < LIMITS.max_seconds:
            raise UsageError(
                f"seconds is {self.seconds:g}",
                fix=f"give a length above 0 and below {LIMITS.max_seconds:g} s",
            )
        if self.waveform is None and not self.frame_times:
            raise UsageError(
                f"no frame appears before the end: seconds is {self.seconds}",
                fix="give a greater length, or times from the start of the clip",
            )

    def __repr__(self) -> str:
        tracks = ["no frames", "no audio"]
        if self.frames is not None:
            count, height, width, _ = self.frames.shape
            tracks[0] = f"{count} frames of {width} x {height} pixels"
        if self.waveform is not None and self.rate_hz is not None:
            tracks[1] = f"{self.waveform.shape[-1] / self.rate_hz:g} s of audio"
        return f"MediaArrays {self.name!r}: {', '.join(tracks)}"

    @cached_property
    def frame_times(self) -> list[FrameTime]:
        """Return the index, start and end of every frame."""
        if self.times is None:
            return []
        end = float("inf") if self.seconds is None else self.seconds
        starts = [float(time) for time in self.times if time < end]
        if not starts:
            return []
        last_duration = starts[-1] - starts[-2] if len(starts) > 1 else 1.0
        ends = [*starts[1:], min(starts[-1] + last_duration, end)]
        return [
            FrameTime(index, start, until)
            for index, (start, until) in enumerate(zip(starts, ends, strict=True))
        ]

    def channels(self) -> Float[np.ndarray, "channel sample"] | None:
        """Return the waveform up to `seconds`, channels first."""
        if self.waveform is None or self.rate_hz is None:
            return None
        samples = None
        if self.seconds is not None:
            samples = round(self.seconds * self.rate_hz)
        return np.atleast_2d(self.waveform)[:, :samples]


class ArraySegmenter(Segmenter):
    """Cuts arrays into segments as files are cut.

    Args:
        arrays: Frames and waveform.
        sampling: Sampling of frames and waveform.
    """

    def __init__(self, arrays: MediaArrays, sampling: Sampling) -> None:
        super().__init__(Path(arrays.name), sampling, LIMITS)
        self._arrays = arrays
        self.video = FrameTrack(arrays, sampling, self.budget)

    def open_tracks(self, stack: ExitStack) -> None:  # noqa: ARG002 - nothing to close
        """Set the declared length and the audio track."""
        self.declared = self._arrays.seconds
        self.audio = WaveformTrack(self._arrays, self.sampling, self.budget)


class FrameTrack(VideoTrack):
    """Frames in memory as a video track.

    Args:
        arrays: Frames and their times.
        sampling: Sampling of frames.
        budget: Counter of the bytes in memory.
    """

    def __init__(
        self, arrays: MediaArrays, sampling: Sampling, budget: MemoryBudget
    ) -> None:
        self._arrays = arrays
        self._sampling = sampling
        self._converter = FrameConverter(budget, LIMITS.max_short_side)
        self.stats = DecodeStats("video", exists=arrays.frames is not None)
        for time in arrays.frame_times:
            self.stats.add(time)

    def _frames(self) -> Iterator[FrameArray | None]:
        frames = self._arrays.frames
        if frames is None:
            return
        times = self._sampling.times((self.stats.begin, self.stats.end))
        for _, time in frames_at(self._arrays.frame_times, times):
            yield None if time is None else self._convert(frames[time.pts], time)

    def _convert(
        self, array: FrameArray, time: FrameTime
    ) -> UInt8[np.ndarray, "new_height new_width channel"]:
        """Return a contiguous writable frame, scaled down as a frame of a file is."""
        array = np.require(array, requirements=["C", "W"])  # copies if needed
        if min(array.shape[:2]) <= LIMITS.max_short_side:
            return array
        frame = VideoFrame.from_ndarray(array, format="rgb24")
        return self._converter.convert(TimedFrame(frame, time.start, time.end))


class WaveformTrack(AudioTrack):
    """A waveform in memory as an audio track.

    Args:
        arrays: Waveform and its rate.
        sampling: Sample rate of the segments.
        budget: Counter of the bytes in memory.
    """

    def __init__(
        self, arrays: MediaArrays, sampling: Sampling, budget: MemoryBudget
    ) -> None:
        self._sampling = sampling
        self._budget = budget
        self._channels = arrays.channels()
        self._rate_hz = int(arrays.rate_hz or 0)
        self.stats = DecodeStats("audio", exists=self._channels is not None)
        if self._channels is not None:
            seconds = self._channels.shape[1] / self._rate_hz
            self.stats.add(FrameTime(0, 0.0, seconds))

    def _blocks(self) -> Iterator[AudioBlock]:
        place = 0
        for _, samples in resample_to_mono(
            self._frames(), self._sampling.rate_hz, self.stats
        ):
            end = place + len(samples)
            yield AudioBlock(place, samples, final_until=end)
            place = end

    def _frames(self) -> Iterator[tuple[float, AudioFrame]]:
        """Yield the waveform in pieces, each with its start in seconds."""
        if self._channels is None:
            return
        count, total = self._channels.shape
        for start in range(0, total, BLOCK_SAMPLES):
            samples = self._channels[:, start : start + BLOCK_SAMPLES]
            frame = AudioFrame.from_ndarray(
                np.ascontiguousarray(samples, np.float32), "fltp", LAYOUTS[count - 1]
            )
            frame.sample_rate = self._rate_hz
            yield start / self._rate_hz, frame


def _check_pair(name: str, value: Any, other_name: str, other: Any) -> None:
    if (value is None) != (other is None):
        given = name if other is None else other_name
        absent = other_name if other is None else name
        raise UsageError(f"{given} without {absent}", fix=f"give {absent} too")


def _as_frames(frames: np.ndarray) -> UInt8[np.ndarray, "frame height width 3"]:
    array = np.asarray(frames)
    shape = f"frames have shape {array.shape}"
    if array.ndim == 4 and array.shape[-1] != 3 and array.shape[1] == 3:
        raise UsageError(
            shape, fix="put the channel last: frames.transpose(0, 2, 3, 1)"
        )
    if array.ndim != 4 or array.shape[-1] != 3:
        raise UsageError(
            shape, fix="give RGB frames of shape (frame, height, width, 3)"
        )
    if 0 in array.shape:
        raise UsageError(shape, fix="give at least one frame of at least one pixel")
    if array.dtype != np.uint8:
        raise UsageError(
            f"frames are {array.dtype}", fix="give uint8 values from 0 to 255"
        )
    height, width = array.shape[1:3]
    if height * width > LIMITS.max_pixels:
        raise UsageError(
            f"frames of {width} x {height} pixels are more than the limit of "
            f"{LIMITS.max_pixels:,}",
            fix="scale them down",
        )
    return array


def _as_times(times: Any, count: int) -> Float[np.ndarray, " frame"]:
    array = np.asarray(times)
    if array.shape != (count,):
        raise UsageError(
            f"times have shape {array.shape}, and there are {count} frames",
            fix=f"give one time in seconds for each frame: shape ({count},)",
        )
    if array.dtype.kind not in "iuf":
        raise UsageError(f"times are {array.dtype}", fix="give numbers in seconds")
    array = array.astype(np.float64)
    possible = np.isfinite(array) & (array >= 0) & (array < LIMITS.max_seconds)
    if not possible.all():
        index = int(np.argmin(possible))
        raise UsageError(
            f"times[{index}] is {array[index]:g}",
            fix=f"give seconds from 0 to below {LIMITS.max_seconds:g}",
        )
    ascends = np.diff(array) > 0
    if not ascends.all():
        index = int(np.argmin(ascends))
        raise UsageError(
            f"times[{index + 1}] is {array[index + 1]:g} after {array[index]:g}",
            fix="sort the frames by time, and give every frame another time",
        )
    return array


def _as_waveform(waveform: np.ndarray) -> Float[np.ndarray, "*channel sample"]:
    array = np.asarray(waveform)
    shape = f"waveform has shape {array.shape}"
    if array.dtype.kind != "f":
        raise UsageError(
            f"waveform is {array.dtype}",
            fix="give floats with full scale 1; divide 16-bit integers by 32768",
        )
    if array.ndim not in (1, 2):
        raise UsageError(shape, fix="give shape (sample,) or (channel, sample)")
    if 0 in array.shape:
        raise UsageError(shape, fix="give at least one sample")
    if array.ndim == 2 and len(array) > len(LAYOUTS):
        advice = "mix it to mono"
        if array.shape[1] <= len(LAYOUTS):
            advice = "put the channels first: waveform.T"
        raise UsageError(f"{shape}: {len(array)} channels", fix=advice)
    finite = np.isfinite(array)
    if not finite.all():
        raise UsageError(
            f"waveform has {np.count_nonzero(~finite)} samples that are not finite",
            fix="replace them, for example by 0",
        )
    peak = float(np.abs(array).max())
    if peak > MAX_AMPLITUDE:
        raise UsageError(
            f"waveform reaches {peak:g}, and full scale is 1",
            fix="divide it by its full scale, which is 32768 for 16-bit integers",
        )
    return array


def _as_rate(rate_hz: Any) -> int:
    is_whole = math.isfinite(rate_hz) and rate_hz == int(rate_hz)
    if not is_whole or not LOWEST_HZ <= rate_hz <= HIGHEST_HZ:
        raise UsageError(
            f"rate_hz is {rate_hz}",
            fix=f"give a whole number of samples a second, {LOWEST_HZ} to {HIGHEST_HZ}",
        )
    return int(rate_hz)
