"""A media file as segments: what is seen and heard in each, on one clock, and what is missing.

Time zero is the container's start. The only user of the codec library (PyAV).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np
from jaxtyping import Float32

from vaplan.errors import MediaError
from vaplan.media.container import (
    CONVERT,
    Kind,
    Limits,
    listening,
    opened,
    regular_file,
)
from vaplan.media.decoding import decoded, tallied
from vaplan.media.in_memory import ArraySegmenter, MediaArrays
from vaplan.media.sampling import CENTRE, Cut
from vaplan.media.segmenter import Film, Seconds, Segments
from vaplan.modalities import AUDIO
from vaplan.workers import SECONDS_PER_ITEM, Failed, TimeLimit, run_supervised

__all__ = [
    "CENTRE",
    "Cut",
    "Limits",
    "Media",
    "MediaArrays",
    "Seconds",
    "Segments",
    "glance",
    "probe",
    "probes",
    "segments",
    "stream",
    "time_limit",
]

CHUNK = 20  # segments: 120 MB of 1080p pictures; a multiple of the encoders' batches
CUT = Cut()
LIMITS = Limits()
Media: TypeAlias = Path | str | MediaArrays
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def segments(path: Path | str, cut: Cut = CUT, *, limits: Limits = LIMITS) -> Segments:
    """Decode a file, once for pictures and once for sound, and cut it into segments.

    A picture is the one on the screen at the sampling time: the segment's centre, or the centres
    of equal parts of it, or as a published sampling says. A segment is seen if it has a picture,
    heard if at least half of it was decoded. A tail shorter than half a segment is dropped; there
    is always one segment; the longer track decides how many, and seconds that the file declares
    but does not give count as missing.

    Raises: MediaError.
    """
    return next(stream(path, cut, chunk=None, limits=limits))


def stream(
    media: Media,
    cut: Cut = CUT,
    *,
    chunk: int | None = CHUNK,
    limits: Limits = LIMITS,
) -> Iterator[Segments]:
    """The same segments, some at a time, decoded while they are asked for: memory does not grow
    with length.

    The limit of bytes then is of one chunk. Only the last one has warnings, and its seconds are
    the file's.

    Args:
        media: A file, or arrays in memory, which have no limits.
        chunk: How many segments at a time; None: all at once.

    Raises: MediaError, before the first chunk or, of a file that costs too much, later.
    """
    if isinstance(media, MediaArrays):
        yield from ArraySegmenter(media, cut).chunks(chunk)
        return
    try:
        yield from Film(regular_file(media), cut, limits).chunks(chunk)
    except MediaError as error:
        raise MediaError(error.what, fix=error.fix, file=media) from error


def glance(path: Path | str, *, limits: Limits = LIMITS) -> None:
    """Decode the first frame of a file: quick, and enough to tell whether anything in it can be
    read.

    Raises: MediaError.
    """
    file = regular_file(path)
    for kind in get_args(Kind):
        with listening(), opened(file, limits) as container:
            stream, tally = tallied(container, kind, limits)
            if (
                stream is not None
                and next(decoded(container, stream, tally, limits=limits), None)
                is not None
            ):
                return
    raise MediaError("nothing in it can be decoded", file=path, fix=CONVERT)


def probe(path: Path | str) -> dict[str, Any]:
    """What vaplan sees in a file, as plain JSON values; a file that cannot be read has an
    `error`."""
    document = _unseen(path)
    video, audio = document["video"], document["audio"]
    try:
        for found in stream(path):
            video["luma"] += [
                None if f is None else round(float((f @ LUMA).mean()), 3)
                for f in found.frames
            ]
            audio["rms"] += [
                _rms(found.sound(t)) if heard else None
                for t, heard in enumerate(found.mask[:, AUDIO])
            ]
            size = next((f.shape[1:3] for f in found.frames if f is not None), None)
            video["height"], video["width"] = (
                (video["height"], video["width"]) if size is None else size
            )
            document |= {
                "segments": len(video["luma"]),
                "seconds": asdict(found.seconds),
            }
            document |= {"warnings": list(found.warnings)}
    except MediaError as error:
        document["error"] = str(error)
    return document


def time_limit(path: Path | str) -> float:
    """Return the seconds that decoding a file may take: ten minutes, and one second per MB."""
    try:
        size = Path(path).stat().st_size
    except OSError:  # the decoder reports the reason
        size = 0
    return SECONDS_PER_ITEM + size / 1e6


def probes(
    paths: Sequence[Path],
    *,
    look: Callable[[Path], dict[str, Any]] = probe,
    seconds: TimeLimit = time_limit,
) -> Iterator[dict[str, Any]]:
    """Probe every file in another process: one that crashes or hangs the decoder costs that file
    only.

    A file whose process died comes last, as it is tried twice.

    Args:
        paths: Media files.
        look: What probes one file.
        seconds: Time limit of one file, or a function of the path that returns it.
    """
    for path, seen in run_supervised(look, paths, workers=1, seconds=seconds):
        if isinstance(seen, Failed):
            yield _unseen(path) | {
                "error": str(MediaError(seen.reason, file=path, fix=CONVERT))
            }
        else:
            yield seen


def _unseen(path: Path | str) -> dict[str, Any]:
    nothing = {"declared": None, "video": None, "audio": None}
    document: dict[str, Any] = {"file": str(path), "segments": 0, "seconds": nothing}
    document |= {
        "video": {"luma": [], "height": None, "width": None},
        "audio": {"rms": []},
    }
    return document | {"warnings": [], "error": None}


def _rms(sound: Float32[np.ndarray, " sample"]) -> float:
    return round(float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))), 6)
