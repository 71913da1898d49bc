"""Opening of media files, which are untrusted input.

Only regular files with containers and codecs on the allow-lists are opened. A file cannot make
vaplan open another file or a socket. Messages of the decoder are collected, because FFmpeg does
not report all damage by errors.
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
HEAD_BYTES = 1 << 20  # as many as FFmpeg reads to recognise a container
ESTIMATED = "duration from bitrate"  # message of FFmpeg if no header has a duration
# A resampler or a text field raises ValueError.
DECODER_ERRORS = (FFmpegError, OSError, EOFError, ValueError)

Kind: TypeAlias = Literal["video", "audio"]
Stream: TypeAlias = VideoStream | AudioStream


@dataclass(frozen=True)
class Limits:
    """Limits of the memory and time that one file may cost.

    Attributes:
        max_pixels: Pixels of one frame; checked before the frame is allocated.
        max_seconds: Length of a track; a longer declared duration is ignored.
        max_bytes: Bytes of frames and audio in memory at one time.
        max_short_side: Short side of a frame in memory, in pixels; larger frames are scaled
            down.
        read_seconds: Seconds for opening a file, and for reading its next packet.
    """

    max_pixels: int = 8192 * 4320
    max_seconds: float = 14_400.0
    max_bytes: int = 2**31
    max_short_side: int = 1080
    read_seconds: float = 30.0


@dataclass
class MemoryBudget:
    """Bytes of frames and audio in memory, and their limit.

    Attributes:
        limit: Largest number of bytes.
        used: Number of bytes in memory.
    """

    limit: int
    used: int = 0

    def reserve(self, size: int) -> None:
        """Count more bytes.

        Args:
            size: Number of bytes.

        Raises:
            MediaError: The limit is exceeded.
        """
        self.used += size
        if self.used > self.limit:
            raise MediaError(
                f"its frames and audio need more than {self.limit:,} bytes at one time",
                fix="cut it into shorter files or scale it down",
            )


def check_regular_file(path: Path | str) -> Path:
    """Return the path of a file that can be read to its end.

    The file is not opened: a pipe can hang, and a device can be endless.

    Args:
        path: Path of a media file.

    Raises:
        MediaError: It is no regular file, it is empty, or it cannot be read.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        raise MediaError(
            _describe_unreachable(path, error), file=path, fix="check the path"
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


def _describe_unreachable(path: Path | str, error: OSError | ValueError) -> str:
    is_link = os.path.islink(path)  # noqa: PTH114 - the path may be bytes-like text
    if isinstance(error, FileNotFoundError) and is_link:
        return "a link to a file that does not exist"
    if isinstance(error, OSError):
        return (error.strerror or "cannot be reached").lower()
    return "a path cannot hold a NUL character"


@contextmanager
def open_media(file: Path, limits: Limits) -> Iterator[InputContainer]:
    """Open a media file for reading, with the allow-lists and the pixel limit.

    Args:
        file: Path of the file.
        limits: Limits of its cost.

    Raises:
        MediaError: It is no media file, or its container or codec is not on the lists.
    """
    if _begins_with_zeros(file):  # the decoder would search all of it for a frame
        raise MediaError(
            f"not a media file vaplan reads (its first {HEAD_BYTES:,} bytes are zeros)",
            file=file,
            fix="download or copy it again",
        )
    allowed = {
        "format_whitelist": FORMATS,
        "codec_whitelist": ",".join(sorted(CODECS)),
        "protocol_whitelist": "file",
    }
    try:
        container = av.open(
            f"file:{os.path.abspath(file)}",  # noqa: PTH100  # a link stays; `pipe:0.mp4` is a name
            container_options=allowed,
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


def _begins_with_zeros(file: Path) -> bool:
    """Return whether there is nothing by which a container can be recognised."""
    try:
        with file.open("rb") as content:
            head = content.read(HEAD_BYTES)
    except OSError:  # the decoder reports the reason
        return False
    return len(head) == HEAD_BYTES and not head.lstrip(b"\0")


def list_tracks(container: InputContainer, kind: Kind) -> Sequence[Stream]:
    """List the tracks of a kind, without cover pictures.

    Args:
        container: Open file.
        kind: `video` or `audio`.
    """
    streams = container.streams.video if kind == "video" else container.streams.audio
    return [one for one in streams if not one.disposition & Disposition.attached_pic]


def main_track(container: InputContainer, kind: Kind) -> Stream | None:
    """Return the main track of a kind, of those with a codec on the list.

    Args:
        container: Open file.
        kind: `video` or `audio`.
    """
    known = [one for one in list_tracks(container, kind) if codec_name(one) in CODECS]
    best = container.streams.best(kind)
    preferred = [one for one in known if one is best]
    return next(iter([*preferred, *known]), None)


def codec_name(stream: Stream) -> str:
    """Return the name of a track's decoder; empty if there is none.

    Args:
        stream: Track of a file.
    """
    return stream.codec_context.name if stream.codec_context else ""


@contextmanager
def capture_messages() -> Iterator[list[str]]:
    """Collect the messages of FFmpeg that mean loss: errors and a few warnings.

    Decoding is single-threaded, so the messages of this thread are about this thread's file.

    Yields:
        A list, which is filled at the end of the context.
    """
    messages: list[str] = []
    level = av.logging.get_level()
    skips_repeated = av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.WARNING)
    # By default FFmpeg drops a message that equals the one before it, even of another file.
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as logs:
            yield messages
        messages.extend(
            f"{name}: {text.strip()}"
            for message_level, name, text in logs
            if _means_loss(message_level, text)
        )
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips_repeated)


def _means_loss(level: int, text: str) -> bool:
    """Return whether a message of FFmpeg means that a part of a track is lost.

    A refused decoder of a track that is not needed, such as subtitles, is no loss; a refused
    audio or video track has a note of its own.
    """
    if "whitelist" in text:
        return False
    return level <= av.logging.ERROR or "prematurely" in text or ESTIMATED in text
