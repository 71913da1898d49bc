"""A file while it is decoded: both tracks side by side, segment by segment, and what is known of
it so far."""

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
from vaplan.media.audio import AudioTrack, Heard
from vaplan.media.container import CONVERT, GUESSED, Kept, Limits, listening, opened
from vaplan.media.decoding import LOST, declared_seconds, lost
from vaplan.media.sampling import Cut
from vaplan.media.video import Pictures, VideoTrack
from vaplan.modalities import AUDIO, MODALITIES, VISUAL

ROUNDING = 0.002  # seconds; containers round times to a millisecond
BEYOND = 1.0  # seconds of which a file may hold more than it says

Row: TypeAlias = tuple[Pictures | None, Heard | None]  # one segment
Tracks: TypeAlias = tuple[Iterator[Pictures | None], Iterator[Heard]]


@dataclass(frozen=True)
class Seconds:
    """How long the file says it is, and how much of each track was decoded (None: there is no
    such track)."""

    declared: float | None
    video: float | None
    audio: float | None


@dataclass(frozen=True)
class Segments:
    """Consecutive segments of one video, of equal length.

    Attributes:
        frames: Per segment its pictures: upright RGB, square pixels, else as large as in the
            file; None: nothing seen.
        waveform: Mono at `rate_hz`, full scale 1; zeros where nothing was heard.
        mask: Which segments hold something in which modality.
        seconds: Of the file up to here.
        warnings: What is odd, absent or damaged in the file, in words and numbers; known with the
            last segment.
        first: The number of the first one in the file.
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

    def sound(self, t: int) -> Float32[np.ndarray, " sample"]:
        """The waveform of segment `t` of these."""
        numbers = self.first, self.first + t, self.first + t + 1
        zero, start, stop = (
            round(i * self.segment_seconds * self.rate_hz) for i in numbers
        )
        return self.waveform[start - zero : stop - zero]


@dataclass
class Messages:
    """What the decoder said: how often, and one saying, the same whatever the order of decoding."""

    count: int = 0
    example: str = ""
    guessed: bool = False  # whether the declared duration is only an estimate

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count what is said meanwhile."""
        with listening() as said:
            yield
        self.guessed = self.guessed or any(GUESSED in text for text in said)
        told = [text for text in said if GUESSED not in text]
        self.example = min(filter(None, [self.example, *told]), default="")
        self.count += len(told)

    def warnings(self) -> list[str]:
        """One message and how many more there were."""
        more = f" (and {self.count - 1} more messages)" if self.count > 1 else ""
        return [f"decoder: {self.example}{more}"] if self.count else []


class Film:
    """A file while it is decoded, and what is known of it so far."""

    def __init__(self, file: Path, cut: Cut, limits: Limits) -> None:
        self.file, self.cut, self.limits = file, cut, limits
        self.messages = Messages()
        self.missing = np.zeros(len(MODALITIES), dtype=int)  # segments
        self.declared: float | None = None
        self.kept = Kept(limits.max_bytes)
        self.video = VideoTrack(partial(opened, file, limits), cut, limits, self.kept)

    def chunks(self, size: int | None) -> Iterator[Segments]:
        """Decode the file and yield so many segments at a time (None: all); only the last ones
        have warnings.

        Two segments more than a chunk are looked at: if there is the second one, the first cannot
        be a tail to be dropped, and so the chunk is not the last.
        """
        size = None if self.cut.groups else size  # so few segments are one chunk
        with ExitStack() as stack:
            with self.messages.listening():
                self.open_tracks(stack)
            tracks = self.video.segments(), self.audio.segments()
            held, given = (
                self._decoded(tracks, self.cut.groups or (size and size + 2)),
                0,
            )
            while size and len(held) == size + 2:
                yield self._segments(held[:size], given)
                self.kept.held, given = 0, given + size
                held = held[size:] + self._decoded(tracks, size)
            with self.messages.listening():
                deque(
                    chain(*tracks), maxlen=0
                )  # what a fixed number of segments leaves over counts for the warnings
        yield from self._last(held, given, size)

    def open_tracks(self, stack: ExitStack) -> None:
        """Open the file until `stack` ends, and set the declared length and the audio track."""
        container = stack.enter_context(opened(self.file, self.limits))
        self.declared = declared_seconds(container)
        self.audio = AudioTrack(container, self.cut, self.limits, self.kept)

    def _decoded(self, tracks: Tracks, number: int | None) -> list[Row]:
        """So many segments of one track after the other: in turn, they would take the processor's
        cache each time."""
        with self.messages.listening():
            video, audio = tracks
            pictures = list(islice(video, number))
            return list(zip_longest(pictures, islice(audio, number)))

    def _last(
        self, held: list[Row], given: int, size: int | None
    ) -> Iterator[Segments]:
        self._refuse_nothing()
        if self.messages.guessed:
            self.declared = None
        ends = math.floor((self.length + ROUNDING) / self.cut.segment_seconds + 0.5)
        total = self.cut.groups or max(given + 1, ends)
        left = (held + [(None, None)] * total)[: total - given]
        for start in range(0, len(left), size or total):
            found = self._segments(
                left[start:][:size], given + start, length=self.length
            )
            last = found.first + len(found) == total
            yield replace(found, warnings=self._warnings(total)) if last else found

    def _refuse_nothing(self) -> None:
        tallies = self.video.tally, self.audio.tally
        if not any(tally.frames for tally in tallies):
            there = any(tally.exists for tally in tallies)
            what = (
                "nothing in it can be decoded"
                if there
                else "it has no video and no audio"
            )
            notes = [note for tally in tallies for note in tally.notes]
            raise MediaError(
                "; ".join(filter(None, [what, *notes, self.messages.example])),
                fix=CONVERT,
            )

    @property
    def decoded(self) -> float:
        """Where the longer track ends."""
        return max(self.video.tally.end, self.audio.tally.end)

    @property
    def length(self) -> float:
        """Where the longer track ends or, if the header can be believed, should have ended."""
        declared = self.declared or 0.0
        return (
            declared
            if self.decoded + LOST < declared <= self.limits.max_seconds
            else self.decoded
        )

    def _segments(
        self, rows: Sequence[Row], first: int, *, length: float = math.inf
    ) -> Segments:
        """Put segments together; of the file's last one only what there is can be heard."""
        edges = [self.cut.edge(t) for t in range(first, first + len(rows) + 1)]
        waveform = np.zeros(edges[-1] - edges[0], np.float32)
        mask = np.zeros((len(rows), len(MODALITIES)), dtype=bool)
        for t, (pictures, heard) in enumerate(rows):
            start, stop = edges[t : t + 2]
            there = min(stop, max(length * self.cut.rate_hz, 1)) - start
            mask[t, VISUAL] = pictures is not None
            if (
                heard
                and heard.decoded
                and heard.decoded >= there / 2 - 0.01 * (stop - start)
            ):
                mask[t, AUDIO] = True
                waveform[start - edges[0] : stop - edges[0]] = heard.waveform
        self.missing += np.count_nonzero(~mask, axis=0)
        return Segments(
            frames=tuple(pictures for pictures, _ in rows),
            waveform=waveform,
            rate_hz=self.cut.rate_hz,
            mask=mask,
            seconds=Seconds(
                self.declared, self.video.tally.seconds, self.audio.tally.seconds
            ),
            segment_seconds=self.cut.segment_seconds,
            first=first,
        )

    def _warnings(self, total: int) -> tuple[str, ...]:
        video, audio = self.video.tally, self.audio.tally
        warnings = []
        for tally, modality in ((video, VISUAL), (audio, AUDIO)):
            warnings += tally.warnings()
            if tally.exists and self.missing[modality]:
                warnings.append(
                    f"{tally.kind}: missing in {self.missing[modality]} of {total} segments"
                )
        if self.declared and self.declared > self.limits.max_seconds:
            warnings.append(f"declared {self.declared:g} s are not believed")
        elif self.declared and self.decoded > self.declared + BEYOND:
            warnings.append(
                f"decodes to {self.decoded:.2f} s, declared {self.declared:.2f} s"
            )
        elif self.length > self.decoded and video.declared is audio.declared is None:
            warnings.append(lost(self.decoded, self.length))
        if self.cut.groups and audio.end > (total + 0.5) * self.cut.segment_seconds:
            warnings.append(
                f"audio: sampling {self.cut.sampling} leaves out what is heard "
                f"after segment {total}"
            )
        return (*warnings, *self.messages.warnings())
