"""Prepared files: their content, when they are made again, and their states."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.media.films import Film, make
from vaplan.media.playback import PEAKS_HZ, describe_playback, waveform_peaks
from vaplan.media.spectrogram import write_spectrogram
from vaplan.review.background import ABSENT, Background, JobState, Status
from vaplan.review.preparation import (
    COPY,
    KINDS,
    PEAKS,
    PLAYBACK,
    SPECTROGRAM,
    MediaSource,
    Preparation,
    cache_folder,
    is_intact,
    seal,
)

LONG = 60.0
SHORT = Film(seconds=2.0)
AVI = Film(seconds=2.0, video="mpeg4", audio="mp3")


@contextmanager
def preparing(
    folder: Path, sources: Sequence[MediaSource]
) -> Iterator[tuple[Preparation, Background]]:
    background = Background(KINDS)
    preparation = Preparation(sources, folder / "cache", background=background)
    try:
        yield preparation, background
    finally:
        preparation.close()


def finish(
    preparation: Preparation, background: Background, index: int = 0
) -> dict[str, Status]:
    """Prepare a video to the end; return the states of its files."""
    preparation.start(index, seconds=LONG)
    identity = preparation._ids[index]
    for kind in (PLAYBACK, PEAKS, COPY):
        background.wait((kind, identity), seconds=LONG)
    return {"media": preparation.media(index), "peaks": preparation.peaks(index)}


def times(folder: Path) -> dict[str, int]:
    files = (folder / "cache").iterdir()
    return {path.name: path.stat().st_mtime_ns for path in files}


def test_a_file_that_plays_is_served_itself_and_has_a_waveform(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mp4", SHORT)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        ready = Status(JobState.READY, 1.0)
        states = finish(preparation, background)
        assert states == {"media": ready, "peaks": ready}
        assert preparation.media_file(0) == (film, "video/mp4")
        assert preparation.playback(0) == describe_playback(film)
        peaks = preparation.peaks_file(0)
        assert peaks is not None
        assert peaks.read_bytes() == waveform_peaks(film)
        assert len(peaks.read_bytes()) >= 2 * PEAKS_HZ


def test_processes_that_were_started_before_the_first_video_serve_it(
    tmp_path: Path,
) -> None:
    film = make(tmp_path / "a.mp4", SHORT)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        preparation.warm_up()
        for kind in (PLAYBACK, PEAKS):
            assert background.wait((kind, ""), seconds=LONG).state is JobState.READY
        assert finish(preparation, background)["peaks"].state is JobState.READY
        assert not (tmp_path / "cache" / ".peaks").exists()


def test_a_file_that_is_not_playable_gets_a_playable_copy(tmp_path: Path) -> None:
    film = make(tmp_path / "a.avi", AVI)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        assert preparation.media_file(0) is None
        states = finish(preparation, background)
        assert states["media"].state is JobState.READY
        assert "because of container avi" in states["media"].message
        served = preparation.media_file(0)
        assert served is not None
        copy, kind = served
        assert kind == "video/mp4"
        assert describe_playback(copy).obstacle == ""


def test_a_file_without_audio_has_no_waveform(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mp4", Film(seconds=2.0, audio=""))
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        states = finish(preparation, background)
        assert states["peaks"] == Status(JobState.ABSENT, None, "the file has no audio")
        assert preparation.peaks_file(0) is None


def test_the_next_review_makes_nothing_again(tmp_path: Path) -> None:
    film = make(tmp_path / "a.avi", AVI)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        finish(preparation, background)
    first = times(tmp_path)
    assert len(first) == 4  # the waveform, the copy, and their seals
    renamed = film.rename(tmp_path / "b.avi")
    with preparing(tmp_path, [MediaSource(renamed)]) as (preparation, background):
        finish(preparation, background)
    assert times(tmp_path) == first


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def tear_seal(path: Path) -> None:
    path.with_name(path.name + ".json").write_text("{")


def remove_seal(path: Path) -> None:
    path.with_name(path.name + ".json").unlink()


@pytest.mark.parametrize("damage", [cut, flip, tear_seal, remove_seal, Path.unlink])
def test_a_damaged_file_is_made_again(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    film = make(tmp_path / "a.mp4", SHORT)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        finish(preparation, background)
        peaks = preparation.peaks_file(0)
    assert peaks is not None
    damage(peaks)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        assert finish(preparation, background)["peaks"].state is JobState.READY
    assert peaks.read_bytes() == waveform_peaks(film)
    assert is_intact(peaks)


def test_a_spectrogram_is_made_when_it_is_asked_for(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mp4", SHORT)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        finish(preparation, background)
        assert preparation.spectrogram(0).state is JobState.ABSENT
        assert preparation.spectrogram_file(0) is None
        assert not preparation.start_spectrogram(0).is_over
        background.wait((SPECTROGRAM, preparation._ids[0]), seconds=LONG)
        made = preparation.spectrogram_file(0)
        assert made is not None
        write_spectrogram(film, tmp_path / "expected")
        assert made.read_bytes() == (tmp_path / "expected").read_bytes()
        assert is_intact(made)
        assert preparation.start_spectrogram(0).state is JobState.READY
    first = times(tmp_path)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        finish(preparation, background)
        preparation.start_spectrogram(0)
        background.wait((SPECTROGRAM, preparation._ids[0]), seconds=LONG)
    assert times(tmp_path) == first


def test_media_without_sound_get_no_spectrogram(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mp4", Film(seconds=2.0, audio=""))
    sources = [MediaSource(film), MediaSource(None, "no file for b")]
    with preparing(tmp_path, sources) as (preparation, background):
        assert preparation.start_spectrogram(0) == ABSENT  # before its headers
        finish(preparation, background)
        silent = Status(JobState.ABSENT, None, "the file has no audio")
        absent = Status(JobState.ABSENT, None, "no file for b")
        assert preparation.start_spectrogram(0) == silent
        assert preparation.start_spectrogram(1) == absent


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    film = make(tmp_path / "a.avi", AVI)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        finish(preparation, background)
        first = set(times(tmp_path))
        shutil.rmtree(tmp_path / "cache")
        finish(preparation, background)
        assert set(times(tmp_path)) == first


def test_a_media_file_that_changes_is_prepared_anew(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mp4", SHORT)
    with preparing(tmp_path, [MediaSource(film)]) as (preparation, background):
        finish(preparation, background)
        first = preparation.peaks_file(0)
        make(film, Film(seconds=3.0))
        finish(preparation, background)
        second = preparation.peaks_file(0)
        assert second is not None
        assert second != first
        assert second.read_bytes() == waveform_peaks(film)


def test_a_file_that_is_no_media_fails_with_its_reason(tmp_path: Path) -> None:
    text = tmp_path / "a.mp4"
    text.write_text("no film")
    pipe = tmp_path / "b.mp4"
    os.mkfifo(pipe)
    sources = [MediaSource(text), MediaSource(pipe), MediaSource(None, "no file for c")]
    with preparing(tmp_path, sources) as (preparation, background):
        states = finish(preparation, background)
        assert states["media"].state is JobState.FAILED
        assert "a.mp4" in states["media"].message
        assert states["media"] == states["peaks"]
        for index in (1, 2):
            preparation.start(index, seconds=LONG)
        failed = Status(JobState.FAILED, None, "not a regular file")
        assert preparation.media(1) == preparation.peaks(1) == failed
        absent = Status(JobState.ABSENT, None, "no file for c")
        assert preparation.media(2) == preparation.peaks(2) == absent


def test_scores_of_a_file_are_those_that_were_written_before(tmp_path: Path) -> None:
    scores = tmp_path / "a.scores.csv"
    source = MediaSource(None, "no file", scores)
    with preparing(tmp_path, [source, MediaSource(None)]) as (preparation, _):
        assert preparation.scores_file(0) == scores
        assert preparation.scores(1) == Status(
            JobState.ABSENT, None, "no run was given"
        )
        assert preparation.scores_file(1) is None


def test_a_seal_holds_for_one_content(tmp_path: Path) -> None:
    path = tmp_path / "a.peaks"
    assert not is_intact(path)
    path.write_bytes(b"abc")
    assert not is_intact(path)
    seal(path)
    assert is_intact(path)
    path.write_bytes(b"xyz")
    assert not is_intact(path)


def test_the_cache_lies_beside_the_source(tmp_path: Path) -> None:
    (tmp_path / "timelines.v2").mkdir()
    assert cache_folder(tmp_path / "a.csv") == tmp_path / "a.review-cache"
    folder = cache_folder(tmp_path / "timelines.v2")
    assert folder == tmp_path / "timelines.v2.review-cache"
