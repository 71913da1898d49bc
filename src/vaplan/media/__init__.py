"""Media files as segments: the frames and the audio of each, on one clock.

Time zero is the container's start. Only this package uses the codec library (PyAV).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np
from jaxtyping import Float32, UInt8

from vaplan.errors import MediaError
from vaplan.media.container import (
    CONVERT,
    Kind,
    Limits,
    capture_messages,
    check_regular_file,
    open_media,
)
from vaplan.media.decoding import declared_seconds, decode, select_track
from vaplan.media.in_memory import ArraySegmenter, MediaArrays
from vaplan.media.sampling import CENTRE, Sampling
from vaplan.media.segmenter import Seconds, Segmenter, Segments
from vaplan.modalities import AUDIO
from vaplan.workers import SECONDS_PER_ITEM, Failed, TimeLimit, run_supervised

__all__ = [
    "CENTRE",
    "Limits",
    "Media",
    "MediaArrays",
    "Sampling",
    "Seconds",
    "Segments",
    "check_decodable",
    "probe",
    "probes",
    "segments",
    "stream",
    "time_limit",
]

CHUNK = 20  # segments: 120 MB of 1080p frames; a multiple of the encoders' batches
SAMPLING = Sampling()
LIMITS = Limits()
Media: TypeAlias = Path | str | MediaArrays
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def segments(
    path: Path | str, sampling: Sampling = SAMPLING, *, limits: Limits = LIMITS
) -> Segments:
    """Decode a file and cut it into segments.

    The frames of a segment are those visible at its sampling times. A segment has video if it
    has a frame, and audio if at least half of its samples were decoded. The longer track decides
    the number of segments, which is at least one; a tail shorter than half a segment is dropped.
    Seconds that the file declares but does not contain are missing segments.

    Args:
        path: Media file.
        sampling: Sampling of frames and waveform.
        limits: Limits of the file's cost.

    Raises:
        MediaError: The file cannot be decoded or exceeds a limit.
    """
    return next(stream(path, sampling, chunk=None, limits=limits))


def stream(
    media: Media,
    sampling: Sampling = SAMPLING,
    *,
    chunk: int | None = CHUNK,
    limits: Limits = LIMITS,
) -> Iterator[Segments]:
    """Yield the same segments in chunks, which are decoded as they are read.

    Memory does not grow with the length of the file; the limit of bytes holds for each chunk.
    Only the last chunk has warnings and the seconds of the whole file.

    Args:
        media: A file, or arrays in memory.
        sampling: Sampling of frames and waveform.
        chunk: Number of segments a chunk; None for all.
        limits: Limits of the cost of a file.

    Raises:
        MediaError: The file cannot be decoded, raised before the first chunk, or it exceeds a
            limit, raised at that chunk.
    """
    if isinstance(media, MediaArrays):
        yield from ArraySegmenter(media, sampling).chunks(chunk)
        return

    try:
        file = check_regular_file(media)
        yield from Segmenter(file, sampling, limits).chunks(chunk)
    except MediaError as error:
        raise MediaError(error.what, fix=error.fix, file=media) from error


def check_decodable(path: Path | str, *, limits: Limits = LIMITS) -> float | None:
    """Decode the first frame of a file and return the declared end.

    It is fast, and it finds the files from which nothing can be decoded.

    Args:
        path: Media file.
        limits: Limits of the file's cost.

    Returns:
        Seconds from the start of the file to its declared end; None if it declares none.

    Raises:
        MediaError: Nothing can be decoded.
    """
    file = check_regular_file(path)
    for kind in get_args(Kind):
        with capture_messages(), open_media(file, limits) as container:
            stream, stats = select_track(container, kind, limits)
            if stream is None:
                continue
            frames = decode(container, stream, stats, limits=limits)
            if next(frames, None) is not None:
                return declared_seconds(container)
    raise MediaError("nothing in it can be decoded", file=path, fix=CONVERT)


def probe(path: Path | str) -> dict[str, Any]:
    """Describe the segments of a file as JSON values.

    A file that cannot be decoded has an `error`.

    Args:
        path: Media file.
    """
    document = _empty_document(path)
    try:
        for chunk in stream(path):
            _add_chunk(document, chunk)
    except MediaError as error:
        document["error"] = str(error)
    return document


def _add_chunk(document: dict[str, Any], chunk: Segments) -> None:
    """Add the next segments of a file to its document."""
    video = document["video"]
    video["luma"] += map(_mean_luma, chunk.frames)
    sizes = [frames.shape[1:3] for frames in chunk.frames if frames is not None]
    if sizes:
        video["height"], video["width"] = sizes[0]

    rms = document["audio"]["rms"]
    for t, has_audio in enumerate(chunk.mask[:, AUDIO]):
        rms.append(_rms(chunk.audio(t)) if has_audio else None)

    document["segments"] = len(video["luma"])
    document["seconds"] = asdict(chunk.seconds)
    document["warnings"] = list(chunk.warnings)


def time_limit(path: Path | str) -> float:
    """Return the seconds that decoding a file may take: ten minutes, and one second per MB.

    Args:
        path: Media file.
    """
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
    """Probe files in another process, so that a crash of the decoder costs one file only.

    A file whose process died comes last, because it is tried twice.

    Args:
        paths: Media files.
        look: Probes one file.
        seconds: Time limit of one file, or a function of the path that returns it.
    """
    for path, document in run_supervised(look, paths, workers=1, seconds=seconds):
        if isinstance(document, Failed):
            error = MediaError(document.reason, file=path, fix=CONVERT)
            yield _empty_document(path) | {"error": str(error)}
        else:
            yield document


def _empty_document(path: Path | str) -> dict[str, Any]:
    return {
        "file": str(path),
        "segments": 0,
        "seconds": {"declared": None, "video": None, "audio": None},
        "video": {"luma": [], "height": None, "width": None},
        "audio": {"rms": []},
        "warnings": [],
        "error": None,
    }


def _mean_luma(
    frames: UInt8[np.ndarray, "frame height width 3"] | None,
) -> float | None:
    return None if frames is None else round(float((frames @ LUMA).mean()), 3)


def _rms(waveform: Float32[np.ndarray, " sample"]) -> float:
    return round(float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))), 6)
