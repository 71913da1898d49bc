"""A media file as segments: what is seen and heard in each, on one clock, and what is missing.

Time zero is the container's start. The only user of the codec library (PyAV).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.errors import MediaError
from vaplan.media import pictures, sound
from vaplan.media.decoding import LOST, Tally, declared_seconds, decoded, lost, tallied
from vaplan.media.door import CONVERT, GUESSED, Kind, Limits, listening, opened, regular_file

__all__ = ["Limits", "Seconds", "Segments", "glance", "probe", "segments"]

ROUNDING = 0.002  # seconds; containers round times to a millisecond
BEYOND = 1.0  # seconds of which a file may hold more than it says
LIMITS = Limits()
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Seconds:
    """How long the file says it is, and how much of each track was decoded (None: there is no such track)."""

    declared: float | None
    video: float | None
    audio: float | None


@dataclass(frozen=True)
class Segments:
    """One video cut into segments of equal length.

    Attributes:
        frames: Per segment its pictures, upright RGB of the file's own size; None where nothing was seen.
        waveform: Mono at `rate_hz`, full scale 1; zeros where nothing was heard.
        mask: Which segments hold something in which modality.
        warnings: What is odd, absent or damaged, in words and numbers.
    """

    frames: tuple[UInt8[np.ndarray, "frame height width channel"] | None, ...]
    waveform: Float32[np.ndarray, " sample"]
    rate_hz: int
    mask: Bool[np.ndarray, "time modality"]
    seconds: Seconds
    warnings: tuple[str, ...] = ()
    segment_seconds: float = 1.0

    def __len__(self) -> int:
        return len(self.mask)

    def sound(self, t: int) -> Float32[np.ndarray, " sample"]:
        """The waveform of segment `t`."""
        start, stop = (round(i * self.segment_seconds * self.rate_hz) for i in (t, t + 1))
        return self.waveform[start:stop]


def segments(
    path: Path | str,
    *,
    rate_hz: int = 48_000,
    frames_per_segment: int = 1,
    segment_seconds: float = 1.0,
    limits: Limits = LIMITS,
) -> Segments:
    """Decode a file, once for pictures and once for sound, and cut it into segments.

    A picture is the one on the screen at the sampling time: the segment's centre, or the centres of
    `frames_per_segment` equal parts of it. A segment is seen if it has a picture, heard if at least half of
    it was decoded. A tail shorter than half a segment is dropped; there is always one segment; the longer
    track decides how many, and seconds that the file declares but does not give count as missing.

    Raises: MediaError.
    """
    times = _sampling_times(segment_seconds, frames_per_segment)
    try:
        film = _decode(regular_file(path), times, rate_hz=rate_hz, hold=segment_seconds / 2, limits=limits)
    except MediaError as error:
        raise MediaError(error.what, fix=error.fix, file=path) from error
    total = max(1, math.floor((film.length + ROUNDING) / segment_seconds + 0.5))
    edges = [round(t * segment_seconds * rate_hz) for t in range(total + 1)]
    frames = _by_segment(film.shown, frames_per_segment, total)
    waveform, decoded = sound.laid_out(film.stretches, edges[-1], rate_hz)
    mask = np.zeros((total, len(MODALITIES)), dtype=bool)
    mask[:, VISUAL] = [picture is not None for picture in frames]
    mask[:, AUDIO] = _heard(decoded, edges, round(film.length * rate_hz))
    for t in np.flatnonzero(~mask[:, AUDIO]):
        waveform[edges[t] : edges[t + 1]] = 0
    seconds = Seconds(film.declared, film.video.seconds, film.audio.seconds)
    return Segments(frames, waveform, rate_hz, mask, seconds, _warnings(film, mask), segment_seconds)


@dataclass(frozen=True)
class _Film:
    """Everything decoding gave, before it is cut into segments."""

    declared: float | None
    shown: Sequence[pictures.Picture | None]
    video: Tally
    stretches: Sequence[sound.Stretch]
    audio: Tally
    messages: Sequence[str]
    longest: float

    @property
    def decoded(self) -> float:
        """Where the longer track ends."""
        return max(self.video.end, self.audio.end)

    @property
    def length(self) -> float:
        """Where the longer track ends or, if the header can be believed, should have ended."""
        declared = self.declared or 0.0
        return declared if self.decoded + LOST < declared <= self.longest else self.decoded


def _decode(file: Path, times: Iterable[float], *, rate_hz: int, hold: float, limits: Limits) -> _Film:
    with listening() as said:
        with opened(file, limits) as container:
            declared = declared_seconds(container)
            shown, video = pictures.read(container, times, hold=hold, limits=limits)
        with opened(file, limits) as container:
            stretches, audio = sound.read(container, rate_hz=rate_hz, limits=limits)
    if not (video.frames or audio.frames):
        what = "nothing in it can be decoded" if video.exists or audio.exists else "it has no video and no audio"
        raise MediaError("; ".join([what, *video.notes, *audio.notes, *said[:1]]), fix=CONVERT)
    guessed = any(GUESSED in text for text in said)
    messages = [text for text in said if GUESSED not in text]
    return _Film(None if guessed else declared, shown, video, stretches, audio, messages, limits.max_seconds)


def _sampling_times(segment_seconds: float, frames_per_segment: int) -> Iterator[float]:
    for t in count():
        for part in range(frames_per_segment):
            yield (t + (part + 0.5) / frames_per_segment) * segment_seconds


def _by_segment(
    shown: Sequence[pictures.Picture | None], parts: int, total: int
) -> tuple[UInt8[np.ndarray, "frame height width channel"] | None, ...]:
    """Group pictures by segment; where only part of a segment was seen its nearest picture is repeated."""
    grouped = []
    for t in range(total):
        there = [(i, p) for i, p in enumerate(shown[t * parts : (t + 1) * parts]) if p is not None]
        nearest = [min(there, key=lambda near: abs(near[0] - i))[1] for i in range(parts) if there]
        grouped.append(_stacked(nearest) if nearest else None)
    return tuple(grouped)


def _stacked(there: Sequence[pictures.Picture]) -> UInt8[np.ndarray, "frame height width channel"]:
    return there[0][np.newaxis] if len(there) == 1 else np.stack(there)  # a view: one picture may fill minutes


def _heard(decoded: Bool[np.ndarray, " sample"], edges: Sequence[int], length: int) -> Bool[np.ndarray, " time"]:
    """Which segments were decoded at least by half; of a last one, half of what there is."""
    start, stop = np.array(edges[:-1]), np.minimum(edges[1:], max(length, 1))
    amount = np.add.reduceat(decoded, start, dtype=np.int64)
    enough: Bool[np.ndarray, " time"] = (amount > 0) & (amount >= (stop - start) / 2 - 0.01 * np.diff(edges))
    return enough


def _warnings(film: _Film, mask: Bool[np.ndarray, "time modality"]) -> tuple[str, ...]:
    warnings = []
    for tally, modality in ((film.video, VISUAL), (film.audio, AUDIO)):
        missing = np.count_nonzero(~mask[:, modality])
        warnings += tally.warnings()
        if tally.exists and missing:
            warnings.append(f"{tally.kind}: missing in {missing} of {len(mask)} segments")
    if film.declared and film.declared > film.longest:
        warnings.append(f"declared {film.declared:g} s are not believed")
    elif film.declared and film.decoded > film.declared + BEYOND:
        warnings.append(f"decodes to {film.decoded:.2f} s, declared {film.declared:.2f} s")
    elif film.length > film.decoded and film.video.declared is film.audio.declared is None:
        warnings.append(lost(film.decoded, film.length))
    if film.messages:
        more = f" (and {len(film.messages) - 1} more messages)" if len(film.messages) > 1 else ""
        warnings.append(f"decoder: {film.messages[0]}{more}")
    return tuple(warnings)


def glance(path: Path | str, *, limits: Limits = LIMITS) -> None:
    """Decode the first frame of a file: quick, and enough to tell whether anything in it can be read.

    Raises: MediaError.
    """
    file = regular_file(path)
    for kind in get_args(Kind):
        with listening(), opened(file, limits) as container:
            stream, tally = tallied(container, kind, limits)
            if stream is not None and next(decoded(container, stream, tally, limits=limits), None) is not None:
                return
    raise MediaError("nothing in it can be decoded", file=path, fix=CONVERT)


def probe(path: Path | str) -> dict[str, Any]:
    """What vaplan sees in a file, as plain JSON values; a file that cannot be read has an `error`."""
    nothing = {"declared": None, "video": None, "audio": None}
    document: dict[str, Any] = {"file": str(path), "segments": 0, "seconds": nothing}
    document |= {"video": {"luma": []}, "audio": {"rms": []}, "warnings": [], "error": None}
    try:
        found = segments(path)
    except MediaError as error:
        return document | {"error": str(error)}
    luma = [None if f is None else round(float((f @ LUMA).mean()), 3) for f in found.frames]
    rms = [
        round(float(np.sqrt(np.mean(np.square(found.sound(t), dtype=np.float64)))), 6) if heard else None
        for t, heard in enumerate(found.mask[:, AUDIO])
    ]
    size = next((f.shape[1:3] for f in found.frames if f is not None), (None, None))
    return document | {
        "segments": len(found),
        "seconds": asdict(found.seconds),
        "video": {"luma": luma, "height": size[0], "width": size[1]},
        "audio": {"rms": rms},
        "warnings": list(found.warnings),
    }
