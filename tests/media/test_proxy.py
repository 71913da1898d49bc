"""Playable copies: frames and audio of each second are those of the film."""

from pathlib import Path

import av
import pytest

from tests.media.films import Film, greys, levels, make, shifted
from vaplan import media
from vaplan.arrays import AUDIO
from vaplan.errors import MediaError
from vaplan.media.playback import describe_playback
from vaplan.media.proxy import write_proxy


def frame_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        begin = (container.start_time or 0) / av.time_base
        return [float(f.time or 0) - begin for f in container.decode(video=0)]


def assert_same(copy: Path, original: Path) -> None:
    """Check that every segment is similar; coding changes a grey level by 3 and an audio level by 8 %."""
    here, there = media.segments(copy), media.segments(original)
    assert len(here) == len(there)
    assert greys(here) == pytest.approx(greys(there), abs=4)
    for t in range(len(there)):
        if there.mask[t, AUDIO]:
            assert levels(here)[t] == pytest.approx(levels(there)[t], rel=0.1)
        else:
            assert levels(here)[t] < 0.02


@pytest.mark.parametrize(
    ("name", "film"),
    [
        ("a.avi", Film(video="mpeg4", audio="mp3")),
        ("a.mkv", Film(fps=25, size=(65, 49), pixels="yuv444p")),
        ("a.mov", Film(video="prores_ks", pixels="yuv422p10le", audio="pcm_s16le")),
        ("a.mkv", Film(audio_starts=2.0)),
        ("a.mkv", Film(times=(0.0, 0.1, 0.9, 1.3, 2.05, 3.2, 4.7))),
    ],
)
def test_each_second_of_a_copy_is_that_of_the_film(
    tmp_path: Path, name: str, film: Film
) -> None:
    original = make(tmp_path / name, film)
    copy = write_proxy(original, tmp_path / "copy.mp4")
    assert describe_playback(copy).obstacle == ""
    times = frame_times(original)
    assert frame_times(copy) == pytest.approx(times, abs=1e-3)
    assert_same(copy, original)


def test_a_film_that_starts_late_starts_at_zero(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mkv", Film(coding=(("bf", "0"),)))
    late = shifted(film, tmp_path / "late.mkv", 7.0)
    copy = write_proxy(late, tmp_path / "copy.mp4")
    assert describe_playback(copy).obstacle == ""
    assert_same(copy, late)


def test_before_the_first_frame_the_copy_is_black(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mkv", Film(video_starts=2.0))
    copy = write_proxy(film, tmp_path / "copy.mp4")
    assert frame_times(copy)[:2] == pytest.approx([0.0, 2.0], abs=1e-3)
    found = media.segments(copy)
    assert found.frames[0] is not None
    assert found.frames[0].mean() < 5
    assert found.frames[3] is not None
    assert found.frames[3].mean() == pytest.approx(70, abs=4)


def test_a_large_film_becomes_small(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mkv", Film(seconds=1.0, size=(1920, 1080)))
    with av.open(str(write_proxy(film, tmp_path / "copy.mp4"))) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == (854, 480)


@pytest.mark.parametrize("absent", ["video", "audio"])
def test_a_film_may_lack_a_track(tmp_path: Path, absent: str) -> None:
    film = Film(audio="") if absent == "audio" else Film(video="")
    original = make(tmp_path / "a.mkv", film)
    playback = describe_playback(write_proxy(original, tmp_path / "copy.mp4"))
    assert playback.has_video == (absent == "audio")
    assert playback.has_audio == (absent == "video")


def test_progress_is_in_seconds(tmp_path: Path) -> None:
    seconds = list[float]()
    film = make(tmp_path / "a.mkv", Film(seconds=3.0))
    write_proxy(film, tmp_path / "copy.mp4", advance=seconds.append)
    assert [round(one) for one in seconds[:3]] == [0, 1, 2]


def test_nothing_is_left_of_a_failed_copy(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"text")
    with pytest.raises(MediaError):
        write_proxy(tmp_path / "a.mp4", tmp_path / "copy.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
