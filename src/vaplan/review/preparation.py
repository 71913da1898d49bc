"""Waveforms, spectrograms, playable copies and scores, made in the background and kept.

They lie in a folder. A file of it is named by the media file that it was made from, so a
changed media file gets new ones. Each has a side file with its hash; a damaged file is made again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaplan.errors import MediaError, VaplanError
from vaplan.media import time_limit
from vaplan.media.playback import Advance, Playback, describe_playback, waveform_peaks
from vaplan.media.proxy import write_proxy
from vaplan.media.spectrogram import write_spectrogram
from vaplan.reading import json_object
from vaplan.review.background import ABSENT, WAITING, Background, Job, JobState, Status
from vaplan.review.files import identify, open_regular
from vaplan.review.parsing import write_scores
from vaplan.writing import sha256, write_bytes, write_json

FOLDER = ".review-cache"
KINDS = ("playback", "peaks", "spectrogram", "copy", "scores")
PLAYBACK, PEAKS, SPECTROGRAM, COPY, SCORES = KINDS
FORMAT = 1  # to be raised whenever the content of a file would change
COPY_MEDIA_TYPE = "video/mp4"


@dataclass(frozen=True)
class Task:
    """A file to make.

    Attributes:
        media: Media file that it is made from.
        out: File to make.
        run: Run folder of the parser, for scores.
    """

    media: Path
    out: Path
    run: Path | None = None


@dataclass(frozen=True)
class MediaSource:
    """The media file of a video.

    Attributes:
        path: The file; None if there is none.
        problem: Why there is none.
        scores: Existing file with the scores of every segment.
    """

    path: Path | None
    problem: str = ""
    scores: Path | None = None


def cache_folder(source: Path) -> Path:
    """Name the folder of the prepared files, beside the source.

    >>> cache_folder(Path("data/labels.csv")).as_posix()
    'data/labels.review-cache'

    Args:
        source: Table or folder that is reviewed.
    """
    resolved = source.resolve()
    stem = resolved.name if resolved.is_dir() else resolved.stem
    return source.parent / (stem + FOLDER)


class Preparation:
    """The prepared files of all videos.

    Attributes:
        sources: Media files in the order of the videos.
        folder: Folder of the prepared files.
        run: Run folder of the parser that scores segments, if there is one.
    """

    def __init__(
        self,
        sources: Sequence[MediaSource],
        folder: Path,
        *,
        run: Path | None = None,
        background: Background | None = None,
    ) -> None:
        self.sources = tuple(sources)
        self.folder = folder
        self.run = run
        self._run_id = _identify_run(run) if run else ""
        self._background = background or Background(KINDS)
        self._ids = dict[int, str]()  # of the media files, when a person last asked
        self._problems = dict[int, str]()  # of media files that cannot be opened
        self._playbacks = dict[str, Playback]()

    def warm_up(self) -> None:
        """Start the processes that every video needs, before the first one is asked for."""
        for kind in (PLAYBACK, PEAKS):
            self._background.start(Job((kind, ""), load_decoder, None))

    def start(self, index: int, *, seconds: float = 0.0) -> None:
        """Begin to prepare a video.

        Args:
            index: Place of the video in the collection.
            seconds: Longest time to wait for the headers of its file.
        """
        path = self.sources[index].path
        if path is None:
            return
        try:
            with open_regular(path) as file:
                identity = identify(file)
        except MediaError as error:
            self._problems[index] = error.what
            return
        self._problems.pop(index, None)
        self._ids[index] = identity

        def continue_with(playback: Playback) -> None:
            self._playbacks[identity] = playback
            self._start_peaks_and_copy(path, identity, playback)

        if (playback := self._playbacks.get(identity)) is not None:
            continue_with(playback)
        key = (PLAYBACK, identity)
        self._background.start(Job(key, read_playback, path, then=continue_with))
        self._start_scores(index, identity)
        if seconds:
            self._background.wait(key, seconds=seconds)

    def playback(self, index: int) -> Playback | None:
        """Return how the file of a video plays; None while that is not known.

        Args:
            index: Place of the video in the collection.
        """
        return self._playbacks.get(self._ids.get(index, ""))

    def media(self, index: int) -> Status:
        """Return the state of the file that a browser plays.

        Args:
            index: Place of the video in the collection.
        """
        unusable = self._unusable(index)
        if unusable is not None:
            return unusable
        playback = self._playbacks[self._ids[index]]
        if not playback.obstacle:
            return Status(JobState.READY, 1.0)
        status = self._background.status((COPY, self._ids[index]))
        if status.state is JobState.FAILED:
            return status
        reason = f"a copy for the browser, because of {playback.obstacle}"
        return Status(status.state, status.progress, reason)

    def media_file(self, index: int) -> tuple[Path, str] | None:
        """Return the file that a browser plays and its media type; None while there is none.

        Args:
            index: Place of the video in the collection.
        """
        path = self.sources[index].path
        if path is None or self.media(index).state is not JobState.READY:
            return None
        playback = self._playbacks[self._ids[index]]
        if playback.obstacle:
            return self._out(self._ids[index], COPY), COPY_MEDIA_TYPE
        return path, _media_type(path, playback)

    def peaks(self, index: int) -> Status:
        """Return the state of the waveform.

        Args:
            index: Place of the video in the collection.
        """
        return self._audio_status(index, PEAKS)

    def peaks_file(self, index: int) -> Path | None:
        """Return the file with the waveform; None while there is none.

        Args:
            index: Place of the video in the collection.
        """
        if self.peaks(index).state is not JobState.READY:
            return None
        return self._out(self._ids[index], PEAKS)

    def start_spectrogram(self, index: int) -> Status:
        """Begin to make the spectrogram of a video that was started, and return its state.

        Args:
            index: Place of the video in the collection.
        """
        status = self.spectrogram(index)
        path = self.sources[index].path
        identity = self._ids.get(index, "")
        if path is None or not self._has_audio(identity):
            return status
        task = Task(path, self._out(identity, SPECTROGRAM))
        total = self._playbacks[identity].seconds
        self._make(Job((SPECTROGRAM, identity), make_spectrogram, task, total))
        return self.spectrogram(index)

    def spectrogram(self, index: int) -> Status:
        """Return the state of the spectrogram.

        Args:
            index: Place of the video in the collection.
        """
        return self._audio_status(index, SPECTROGRAM)

    def spectrogram_file(self, index: int) -> Path | None:
        """Return the file with the spectrogram; None while there is none.

        Args:
            index: Place of the video in the collection.
        """
        if self.spectrogram(index).state is not JobState.READY:
            return None
        return self._out(self._ids[index], SPECTROGRAM)

    def scores(self, index: int) -> Status:
        """Return the state of the scores of every segment.

        Args:
            index: Place of the video in the collection.
        """
        source = self.sources[index]
        if source.scores is not None:
            return Status(JobState.READY, 1.0)
        if self.run is None:
            return Status(JobState.ABSENT, None, "no run was given")
        if source.path is None or index in self._problems:
            return self._unusable(index) or ABSENT
        identity = self._ids.get(index, "")
        return self._background.status((SCORES, identity))

    def scores_file(self, index: int) -> Path | None:
        """Return the file with the scores of every segment; None while there is none.

        Args:
            index: Place of the video in the collection.
        """
        if self.scores(index).state is not JobState.READY:
            return None
        existing = self.sources[index].scores
        return existing or self._scores_out(self._ids[index])

    def close(self) -> None:
        """Stop the jobs."""
        self._background.close()

    def _start_peaks_and_copy(
        self, media: Path, identity: str, playback: Playback
    ) -> None:
        total = playback.seconds
        if playback.has_audio:
            task = Task(media, self._out(identity, PEAKS))
            self._make(Job((PEAKS, identity), make_peaks, task, total))
        if playback.obstacle:
            task = Task(media, self._out(identity, COPY))
            self._make(Job((COPY, identity), make_copy, task, total))

    def _start_scores(self, index: int, identity: str) -> None:
        source = self.sources[index]
        if self.run is None or source.scores is not None or source.path is None:
            return
        task = Task(source.path, self._scores_out(identity), self.run)
        limit = time_limit(source.path)
        self._make(Job((SCORES, identity), make_scores, task, seconds=limit))

    def _make(self, job: Job) -> None:
        """Start the job that makes a file; a person may have deleted the file."""
        if not job.argument.out.exists():
            self._background.forget(job.key)
        self._background.start(job)

    def _has_audio(self, identity: str) -> bool:
        playback = self._playbacks.get(identity)
        return playback is not None and playback.has_audio

    def _audio_status(self, index: int, kind: str) -> Status:
        unusable = self._unusable(index)
        if unusable is not None:
            return unusable
        identity = self._ids[index]
        if not self._has_audio(identity):
            return Status(JobState.ABSENT, None, "the file has no audio")
        return self._background.status((kind, identity))

    def _unusable(self, index: int) -> Status | None:
        """Return the state of a video before its headers are read."""
        source = self.sources[index]
        if source.path is None:
            return Status(JobState.ABSENT, None, source.problem)
        if index in self._problems:
            return Status(JobState.FAILED, None, self._problems[index])
        identity = self._ids.get(index)
        if identity is None:
            return ABSENT
        if identity in self._playbacks:
            return None
        status = self._background.status((PLAYBACK, identity))
        return status if status.state is JobState.FAILED else WAITING

    def _out(self, identity: str, kind: str) -> Path:
        return self.folder / f"{identity}.{kind}"

    def _scores_out(self, identity: str) -> Path:
        return self.folder / f"{identity}-{self._run_id}.{SCORES}"


def load_decoder(argument: None, *, advance: Advance) -> None:
    """Do nothing in a process that has loaded this module, and the decoder with it.

    Args:
        argument: None.
        advance: Not called.
    """
    del argument, advance


def read_playback(media: Path, *, advance: Advance) -> Playback:
    """Read the headers of a file; see `describe_playback`.

    Args:
        media: Media file.
        advance: Not called.
    """
    del advance
    return describe_playback(media)


def make_peaks(task: Task, *, advance: Advance) -> None:
    """Write the waveform of a file, unless it is there.

    Args:
        task: File to make.
        advance: Called with the seconds that are done.
    """
    if not is_intact(task.out):
        write_bytes(task.out, waveform_peaks(task.media, advance=advance))
        seal(task.out)


def make_spectrogram(task: Task, *, advance: Advance) -> None:
    """Write the spectrogram of a file, unless it is there.

    Args:
        task: File to make.
        advance: Called with the seconds that are done.
    """
    if not is_intact(task.out):
        write_spectrogram(task.media, task.out, advance=advance)
        seal(task.out)


def make_copy(task: Task, *, advance: Advance) -> None:
    """Write a copy of a file that every browser plays, unless it is there.

    Args:
        task: File to make.
        advance: Called with the seconds that are done.
    """
    if not is_intact(task.out):
        write_proxy(task.media, task.out, advance=advance)
        seal(task.out)


def make_scores(task: Task, *, advance: Advance) -> None:
    """Write the scores of every segment of a file, unless they are there.

    Args:
        task: File to make.
        advance: Not called.
    """
    del advance
    if task.run is not None and not is_intact(task.out):
        write_scores(task.run, task.media, task.out)
        seal(task.out)


def seal(path: Path) -> None:
    """Write the hash of a complete file next to the file.

    Args:
        path: File to seal.
    """
    write_json(_side_file(path), _seal_of(path))


def is_intact(path: Path) -> bool:
    """Return whether a file has the content that it was sealed with.

    Args:
        path: File that may be damaged or absent.
    """
    try:
        sealed = json_object(_side_file(path), what="a seal", fix="", error=MediaError)
        return sealed == _seal_of(path)
    except (OSError, VaplanError):
        return False


def _side_file(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _seal_of(path: Path) -> dict[str, Any]:
    return {"format": FORMAT, "bytes": path.stat().st_size, "sha256": sha256(path)}


def _identify_run(run: Path) -> str:
    return hashlib.sha256((run / "run.json").read_bytes()).hexdigest()[:16]


def _media_type(path: Path, playback: Playback) -> str:
    """Return the fixed type of a file that browsers play, by what is in it."""
    kind = "video" if playback.has_video else "audio"
    return f"{kind}/{_SUBTYPES.get(path.suffix.lower(), 'mp4')}"


_SUBTYPES = {
    ".webm": "webm",
    ".mkv": "webm",
    ".ogg": "ogg",
    ".oga": "ogg",
    ".opus": "ogg",
    ".ogv": "ogg",
    ".mp3": "mpeg",
    ".wav": "wav",
    ".flac": "flac",
}
