"""Films that a browser can play, and waveforms."""

from pathlib import Path

import numpy as np
import pytest

from tests.media.films import Film, loud, make, shifted
from vaplan.errors import MediaError
from vaplan.media.playback import PEAKS_HZ, describe_playback, waveform_peaks


def test_an_ordinary_film_is_playable(tmp_path: Path) -> None:
    playback = describe_playback(make(tmp_path / "a.mp4"))
    assert playback.obstacle == ""
    assert playback.seconds == pytest.approx(5.0, abs=0.1)
    assert playback.frame_rate == pytest.approx(10.0)
    assert (playback.has_video, playback.has_audio) == (True, True)


@pytest.mark.parametrize(
    ("name", "film", "obstacle"),
    [
        ("a.avi", Film(video="mpeg4", audio="mp3"), "container avi"),
        ("a.mp4", Film(video="mpeg4"), "video codec mpeg4"),
        ("a.mp4", Film(pixels="yuv444p"), "pixel format yuv444p"),
        ("a.mp4", Film(audio="ac3"), "audio codec ac3"),
        ("a.mkv", Film(), "video codec h264"),
    ],
)
def test_other_films_name_the_obstacle(
    tmp_path: Path, name: str, film: Film, obstacle: str
) -> None:
    assert describe_playback(make(tmp_path / name, film)).obstacle == obstacle


def test_a_film_whose_clock_starts_late_is_not_playable(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mkv", Film(video="libvpx", audio="libopus"))
    assert describe_playback(film).obstacle == ""
    late = shifted(film, tmp_path / "late.mkv", 3.0)
    assert describe_playback(late).obstacle.startswith("its clock starts at 3.0")


def test_a_film_without_audio_has_no_peaks(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mp4", Film(audio=""))
    assert not describe_playback(film).has_audio
    assert waveform_peaks(film) == b""


def test_a_text_file_is_not_playable(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(MediaError, match="not a media file"):
        describe_playback(tmp_path / "a.mp4")


def test_peaks_have_the_level_of_their_second(tmp_path: Path) -> None:
    seconds = list[float]()
    film = make(tmp_path / "a.mp4", Film(seconds=4.0, audio_starts=1.0))
    peaks = np.frombuffer(waveform_peaks(film, advance=seconds.append), np.uint8)
    by_second = peaks.reshape(-1, PEAKS_HZ)[:4] / 255
    assert by_second[0][:-5].max() == 0
    for second in (1, 2, 3):
        middle = by_second[second][5:-5]
        assert middle.mean() == pytest.approx(loud(second) * 2**0.5, rel=0.1)
    assert seconds[:3] == [1.0, 2.0, 3.0]
