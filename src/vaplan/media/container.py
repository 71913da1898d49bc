"""Which files may be opened, and how: everything that comes through this door is untrusted.

Only regular files of known containers and codecs; no other file and no socket is opened on a
file's word. What a decoder says while it works is kept, because damage is otherwise silent.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from vaplan.errors import MediaError

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,ogg,mp3,wav,flac,aac"
)
CODECS = frozenset(
    "h264 hevc vp8 libvpx vp9 libvpx-vp9 av1 libdav1d mpeg4 mpeg2video mpeg1video "
    "mpegvideo msmpeg4 msmpeg4v2 "
    "h263 flv vp6f theora mjpeg prores dvvideo ffv1 rawvideo "
    "aac mp3 mp3float mp2 mp2float opus libopus vorbis flac alac ac3 eac3 amrnb amrwb speex "
    "pcm_u8 pcm_s8 pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be "
    "pcm_f32le pcm_f32be pcm_f64le "
    "pcm_alaw pcm_mulaw adpcm_ms adpcm_ima_wav adpcm_swf".split()
)
CONVERT = "convert it with a video tool, for example to H.264 and AAC in .mp4"
GUESSED = "duration from bitrate"  # FFmpeg says so when no header declares a duration
DECODER_ERRORS = (
    FFmpegError,
    OSError,
    EOFError,
    ValueError,
)  # a resampler or a text field raises ValueError

Kind: TypeAlias = Literal["video", "audio"]
Stream: TypeAlias = VideoStream | AudioStream


@dataclass(frozen=True)
class Limits:
    """What one file may cost."""

    max_pixels: int = 8192 * 4320  # of one picture, asked before it is allocated
    max_seconds: float = (
        14_400.0  # of a track; also the longest duration a header is believed
    )
    max_bytes: int = 2**31  # of the pictures and the sound kept at once
    max_short_side: int = (
        1080  # in pixels, of a frame that is kept; larger ones are scaled
    )
    read_seconds: float = 30.0  # for opening a file, and for finding its next packet


@dataclass
class Kept:
    """How many bytes of pictures and sound are kept, and how many may be."""

    limit: int
    held: int = 0

    def add(self, size: int) -> None:
        """Count some more.

        Raises: MediaError if they are too many.
        """
        self.held += size
        if self.held > self.limit:
            what = f"its pictures and sound need more than {self.limit:,} bytes at once"
            raise MediaError(what, fix="cut it into shorter files or scale it down")


def regular_file(path: Path | str) -> Path:
    """The path of a file that can be read to its end.

    Raises: MediaError naming the cause; nothing is opened that could hang (FIFO) or never end
    (device).
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        raise MediaError(
            _unreachable(path, error), file=path, fix="check the path"
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError("is a directory", file=path, fix="name a media file")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(
            "not a regular file but a pipe, socket or device",
            file=path,
            fix="name a media file",
        )
    if status.st_size == 0:
        raise MediaError("empty file", file=path, fix="download or record it again")
    if not os.access(path, os.R_OK):
        raise MediaError(
            "no permission to read it", file=path, fix="change the file's permissions"
        )
    return Path(path)


def _unreachable(path: Path | str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError) and os.path.islink(path):  # noqa: PTH114  # may be bytes-like text
        return "a link to a file that does not exist"
    if isinstance(error, OSError):
        return (error.strerror or "cannot be reached").lower()
    return "a path cannot hold a NUL character"


@contextmanager
def opened(file: Path, limits: Limits) -> Iterator[InputContainer]:
    """Open a media file for reading, with the allow-lists and the pixel limit in force from the
    first byte."""
    safe = {
        "format_whitelist": FORMATS,
        "codec_whitelist": ",".join(sorted(CODECS)),
        "protocol_whitelist": "file",
    }
    try:
        container = av.open(
            f"file:{os.path.abspath(file)}",  # noqa: PTH100  # a link stays; `pipe:0.mp4` is a name
            container_options=safe,
            options={"max_pixels": str(limits.max_pixels)},
            metadata_errors="replace",
            timeout=limits.read_seconds,
        )
    except DECODER_ERRORS as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"not a media file vaplan reads ({reason})", file=file, fix=CONVERT
        ) from error
    with closing(container):
        yield container


def tracks(container: InputContainer, kind: Kind) -> Sequence[Stream]:
    """All tracks of a kind but cover pictures."""
    every = container.streams.video if kind == "video" else container.streams.audio
    return [
        track for track in every if not track.disposition & Disposition.attached_pic
    ]


def track(container: InputContainer, kind: Kind) -> Stream | None:
    """The file's main track of a kind, of those with a codec on the list."""
    usable = [track for track in tracks(container, kind) if codec(track) in CODECS]
    best = container.streams.best(kind)
    return next(
        (track for track in usable if track is best), usable[0] if usable else None
    )


def codec(stream: Stream) -> str:
    """The decoder's name; empty where there is none."""
    return stream.codec_context.name if stream.codec_context else ""


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what FFmpeg says at the level of an error, and its few warnings that mean loss.

    Decoding is single-threaded, so what this thread hears is about this thread's file.
    """
    messages: list[str] = []
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(
        False
    )  # else a message equal to the last file's last one is swallowed
    try:
        with av.logging.Capture() as logs:
            yield messages
        messages.extend(
            f"{name}: {text.strip()}"
            for level, name, text in logs
            if _means_loss(level, text)
        )
    finally:
        av.logging.set_level(before[0])
        av.logging.set_skip_repeated(before[1])


def _means_loss(level: int, text: str) -> bool:
    """Return whether a message of FFmpeg means that something of a track is lost.

    A refused decoder of a track that is not needed, such as subtitles, is no loss; a refused
    audio or video track has a note of its own.
    """
    if "whitelist" in text:
        return False
    return level <= av.logging.ERROR or "prematurely" in text or GUESSED in text
