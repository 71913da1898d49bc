"""Segments of a file: both tracks decoded side by side, segment by segment."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from vaplan.errors import MediaError
from vaplan.media.audio import AudioTrack, SegmentAudio
from vaplan.media.container import (
    CONVERT,
    ESTIMATED,
    Limits,
    MemoryBudget,
    capture_messages,
    open_media,
)
from vaplan.media.decoding import END_TOLERANCE, declared_seconds, describe_loss
from vaplan.media.sampling import Sampling
from vaplan.media.video import Frames, VideoTrack
from vaplan.modalities import AUDIO, MODALITIES, VISUAL

ROUNDING = 0.002  # seconds; containers round times to a millisecond
EXCESS = 1.0  # seconds by which a file may exceed its declared length without a warning

Content: TypeAlias = tuple[Frames | None, SegmentAudio | None]  # of one segment
Tracks: TypeAlias = tuple[Iterator[Frames | None], Iterator[SegmentAudio]]


@dataclass(frozen=True)
class Seconds:
    """Declared length of a file and decoded length of its tracks, in seconds.

    Attributes:
        declared: Declared length; None if the file declares none.
        video: Decoded length of the video track; None if there is no such track.
        audio: Decoded length of the audio track; None if there is no such track.
    """

    declared: float | None
    video: float | None
    audio: float | None


@dataclass(frozen=True)
class Segments:
    """Consecutive segments of one video, of equal length.

    Attributes:
        frames: Frames of each segment: upright RGB with square pixels; None if the segment has
            no video.
        waveform: Mono audio at `rate_hz` with full scale 1; zeros where there is none.
        rate_hz: Sample rate of the waveform.
        mask: Whether a segment has content in a modality.
        seconds: Declared and decoded lengths up to here.
        warnings: Damage and absent content of the file; known with the last segment.
        segment_seconds: Length of a segment.
        first: Index of the first of these segments in the file.
    """

    frames: tuple[UInt8[np.ndarray, "frame height width channel"] | None, ...]
    waveform: Float32[np.ndarray, " sample"]
    rate_hz: int
    mask: Bool[np.ndarray, "time modality"]
    seconds: Seconds
    warnings: tuple[str, ...] = ()
    segment_seconds: float = 1.0
    first: int = 0

    def __len__(self) -> int:
        return len(self.mask)

    def audio(self, t: int) -> Float32[np.ndarray, " sample"]:
        """Return the waveform of one segment.

        Args:
            t: Index among these segments.
        """
        origin = self._edge(self.first)
        start = self._edge(self.first + t) - origin
        stop = self._edge(self.first + t + 1) - origin
        return self.waveform[start:stop]

    def _edge(self, index: int) -> int:
        return round(index * self.segment_seconds * self.rate_hz)


@dataclass
class DecoderMessages:
    """Messages of the decoder about one file.

    Attributes:
        count: Number of messages.
        example: The first message in alphabetical order, so that it does not depend on the
            order of decoding.
        is_estimated: Whether the declared length is an estimate from the bit rate.
    """

    count: int = 0
    example: str = ""
    is_estimated: bool = False

    @contextmanager
    def capture(self) -> Iterator[None]:
        """Collect the messages that come inside the context."""
        with capture_messages() as messages:
            yield
        if any(ESTIMATED in text for text in messages):
            self.is_estimated = True
        losses = [text for text in messages if ESTIMATED not in text]
        self.example = min(filter(None, [self.example, *losses]), default="")
        self.count += len(losses)

    def warnings(self) -> list[str]:
        """Return one message and the number of others."""
        if not self.count:
            return []
        more = f" (and {self.count - 1} more messages)" if self.count > 1 else ""
        return [f"decoder: {self.example}{more}"]


class Segmenter:
    """Decodes a file and cuts it into segments.

    Args:
        file: Path of the file.
        sampling: Sampling of frames and waveform.
        limits: Limits of the file's cost.
    """

    def __init__(self, file: Path, sampling: Sampling, limits: Limits) -> None:
        self.file = file
        self.sampling = sampling
        self.limits = limits
        self.messages = DecoderMessages()
        self.missing_segments = np.zeros(len(MODALITIES), dtype=int)
        self.declared: float | None = None
        self.budget = MemoryBudget(limits.max_bytes)
        self.video = VideoTrack(
            partial(open_media, file, limits), sampling, limits, self.budget
        )

    def chunks(self, size: int | None) -> Iterator[Segments]:
        """Yield the segments of the file in chunks; only the last chunk has warnings.

        Two segments more than a chunk are decoded in advance. If the second one exists, the
        first one is no short tail that is dropped, and so the chunk is not the last.

        Args:
            size: Number of segments a chunk; None for all.

        Raises:
            MediaError: Nothing can be decoded, or the file exceeds a limit.
        """
        if self.sampling.groups:  # a fixed number of segments is one chunk
            size = None

        with ExitStack() as stack:
            with self.messages.capture():
                self.open_tracks(stack)
            tracks = self.video.segments(), self.audio.segments()
            ahead = size + 2 if size else None
            pending = self._decode(tracks, self.sampling.groups or ahead)
            first = 0
            while size and len(pending) == size + 2:
                yield self._join(pending[:size], first)
                self.budget.used = 0
                first += size
                pending = pending[size:] + self._decode(tracks, size)
            with self.messages.capture():
                # The rest after a fixed number of segments counts for the warnings.
                deque(chain(*tracks), maxlen=0)

        yield from self._last_chunks(pending, first, size)

    def open_tracks(self, stack: ExitStack) -> None:
        """Open the file and set the declared length and the audio track.

        Args:
            stack: Closes the file at its end.
        """
        container = stack.enter_context(open_media(self.file, self.limits))
        self.declared = declared_seconds(container)
        self.audio = AudioTrack(container, self.sampling, self.limits, self.budget)

    def _decode(self, tracks: Tracks, count: int | None) -> list[Content]:
        """Decode segments of one track, then of the other.

        To alternate between the tracks would be slower: each would evict the other from the
        processor's cache.
        """
        with self.messages.capture():
            video, audio = tracks
            frames = list(islice(video, count))
            return list(zip_longest(frames, islice(audio, count)))

    def _last_chunks(
        self, pending: list[Content], first: int, size: int | None
    ) -> Iterator[Segments]:
        self._check_content()
        if self.messages.is_estimated:
            self.declared = None
        segment_seconds = self.sampling.segment_seconds
        ends = math.floor((self.length + ROUNDING) / segment_seconds + 0.5)
        total = self.sampling.groups or max(first + 1, ends)
        padded = pending + [(None, None)] * total
        rest = padded[: total - first]
        for start in range(0, len(rest), size or total):
            content = rest[start:][:size]
            segments = self._join(content, first + start, length=self.length)
            if segments.first + len(segments) == total:
                segments = replace(segments, warnings=self._warnings(total))
            yield segments

    def _check_content(self) -> None:
        tracks = self.video.stats, self.audio.stats
        if any(stats.frames for stats in tracks):
            return
        problem = "it has no video and no audio"
        if any(stats.exists for stats in tracks):
            problem = "nothing in it can be decoded"
        notes = [note for stats in tracks for note in stats.notes]
        parts = [problem, *notes, self.messages.example]
        raise MediaError("; ".join(filter(None, parts)), fix=CONVERT)

    @property
    def decoded_end(self) -> float:
        """Return the decoded end of the longer track in seconds."""
        return max(self.video.stats.end, self.audio.stats.end)

    @property
    def length(self) -> float:
        """Return the length in seconds: the declared one if it is longer and within limits."""
        declared = self.declared or 0.0
        if self.decoded_end + END_TOLERANCE < declared <= self.limits.max_seconds:
            return declared
        return self.decoded_end

    def _join(
        self, content: Sequence[Content], first: int, *, length: float = math.inf
    ) -> Segments:
        """Join segments; a segment has audio if at least half of it is decoded.

        The part of a segment behind the end of the file does not count.
        """
        edges = [self.sampling.edge(first + t) for t in range(len(content) + 1)]
        waveform = np.zeros(edges[-1] - edges[0], np.float32)
        mask = np.zeros((len(content), len(MODALITIES)), dtype=bool)
        file_end = max(length * self.sampling.rate_hz, 1)
        for t, (frames, audio) in enumerate(content):
            mask[t, VISUAL] = frames is not None
            start, stop = edges[t : t + 2]
            expected = min(stop, file_end) - start
            required = expected / 2 - 0.01 * (stop - start)
            if audio and audio.decoded and audio.decoded >= required:
                mask[t, AUDIO] = True
                waveform[start - edges[0] : stop - edges[0]] = audio.waveform
        self.missing_segments += np.count_nonzero(~mask, axis=0)
        seconds = Seconds(
            self.declared, self.video.stats.seconds, self.audio.stats.seconds
        )
        return Segments(
            frames=tuple(frames for frames, _ in content),
            waveform=waveform,
            rate_hz=self.sampling.rate_hz,
            mask=mask,
            seconds=seconds,
            segment_seconds=self.sampling.segment_seconds,
            first=first,
        )

    def _warnings(self, total: int) -> tuple[str, ...]:
        video = self.video.stats
        audio = self.audio.stats
        warnings = list[str]()
        for stats, modality in ((video, VISUAL), (audio, AUDIO)):
            warnings += stats.warnings()
            missing = self.missing_segments[modality]
            if stats.exists and missing:
                warnings.append(
                    f"{stats.kind}: missing in {missing} of {total} segments"
                )
        declared = self.declared
        if declared and declared > self.limits.max_seconds:
            warnings.append(f"declared length of {declared:g} s is ignored")
        elif declared and self.decoded_end > declared + EXCESS:
            warnings.append(
                f"decodes to {self.decoded_end:.2f} s, declared {declared:.2f} s"
            )
        elif (
            self.length > self.decoded_end and video.declared is audio.declared is None
        ):
            warnings.append(describe_loss(self.decoded_end, self.length))
        sampled_end = (total + 0.5) * self.sampling.segment_seconds
        if self.sampling.groups and audio.end > sampled_end:
            warnings.append(
                f"audio: sampling {self.sampling.rule} leaves out the audio after segment {total}"
            )
        return (*warnings, *self.messages.warnings())
