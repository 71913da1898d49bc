"""Spectrograms for the eye: place in time and frequency, resolutions, flat memory."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.films import Film, make
from vaplan.encoders.spectrogram import AudioPreprocessing
from vaplan.encoders.spectrogram import mel_bank as encoder_bank
from vaplan.errors import MediaError
from vaplan.media.spectrogram import (
    BANDS,
    COARSER,
    FEWEST,
    FRAMES_HZ,
    HEADER,
    RATE_HZ,
    WINDOW,
    mel_bank,
    spectrogram_levels,
    write_spectrogram,
)

TONE = 1000.0  # Hz


def write_wave(path: Path, samples: np.ndarray) -> Path:
    """Write mono samples of 16 bits."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        values = (samples * 32767).round().astype(np.int16)
        frame = av.AudioFrame.from_ndarray(values[None], "s16", "mono")
        frame.sample_rate = RATE_HZ
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def tone(seconds: float, start: float, end: float) -> np.ndarray:
    """A sine of full scale between two times, silence around it."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    is_on = (times >= start) & (times < end)
    return np.sin(2 * np.pi * TONE * times) * is_on


def read_resolutions(path: Path) -> list[np.ndarray]:
    content = path.read_bytes()
    header = np.frombuffer(content[: 4 * HEADER], "<u4")
    counts = header[header > 0]
    levels = np.frombuffer(content[4 * HEADER :], np.uint8).reshape(-1, BANDS)
    assert len(levels) == counts.sum()
    return np.split(levels, np.cumsum(counts)[:-1])


def test_the_bands_are_those_of_the_encoders() -> None:
    settings = AudioPreprocessing(
        rate_hz=RATE_HZ,
        window=WINDOW,
        bands=BANDS,
        highest_hz=RATE_HZ / 2,
        fused=True,  # selects the HTK scale
    )
    assert mel_bank() == pytest.approx(encoder_bank(settings).numpy(), abs=1e-9)


def test_a_tone_lies_at_its_time_and_in_its_band(tmp_path: Path) -> None:
    wave = write_wave(tmp_path / "a.wav", tone(4, 1.5, 2.5))
    levels = np.concatenate([*spectrogram_levels(wave)])
    assert levels.shape == (4 * FRAMES_HZ, BANDS)
    corners = mel_bank().argmax(axis=0) * RATE_HZ / WINDOW
    band = int(np.abs(corners - TONE).argmin())
    inside = levels[round(1.6 * FRAMES_HZ) : round(2.4 * FRAMES_HZ)]
    assert set(inside.argmax(axis=1)) == {band}
    assert inside[:, band].min() >= 250  # full scale
    outside = np.concatenate(
        [levels[: round(1.4 * FRAMES_HZ)], levels[round(2.6 * FRAMES_HZ) :]]
    )
    assert outside.max() == 0


def test_the_edges_of_seconds_leave_no_trace(tmp_path: Path) -> None:
    wave = write_wave(tmp_path / "a.wav", tone(4, 0, 4))
    levels = np.concatenate([*spectrogram_levels(wave)])
    steady = levels[FRAMES_HZ // 2 : -FRAMES_HZ // 2].astype(int)
    loud = steady[:, steady[0] > 100]  # rounding of samples is all there is below
    assert np.ptp(loud, axis=0).max() <= 1


def test_a_frame_of_a_coarser_resolution_has_the_highest_of_four(
    tmp_path: Path,
) -> None:
    wave = write_wave(tmp_path / "a.wav", tone(43.3, 20.0, 20.1))
    write_spectrogram(wave, tmp_path / "a.spectrogram")
    resolutions = read_resolutions(tmp_path / "a.spectrogram")
    assert [len(one) for one in resolutions] == [2200, 550, 138]
    finest = np.concatenate([*spectrogram_levels(wave)])
    assert (resolutions[0] == finest).all()
    for fine, coarse in pairwise(resolutions):
        for place, frame in enumerate(coarse):
            piece = fine[place * COARSER : (place + 1) * COARSER]
            assert (frame == piece.max(axis=0)).all()


def test_short_audio_has_one_resolution_and_none_has_none(tmp_path: Path) -> None:
    film = make(tmp_path / "a.mp4", Film(seconds=2.0))
    write_spectrogram(film, tmp_path / "a.spectrogram")
    (levels,) = read_resolutions(tmp_path / "a.spectrogram")
    assert 2 * FRAMES_HZ <= len(levels) <= FEWEST
    silent = make(tmp_path / "b.mp4", Film(seconds=2.0, audio=""))
    write_spectrogram(silent, tmp_path / "b.spectrogram")
    assert (tmp_path / "b.spectrogram").read_bytes() == bytes(4 * HEADER)


def test_progress_is_reported_in_seconds(tmp_path: Path) -> None:
    wave = write_wave(tmp_path / "a.wav", tone(3, 0, 1))
    seconds = list[float]()
    write_spectrogram(wave, tmp_path / "a.spectrogram", advance=seconds.append)
    assert seconds == [1.0, 2.0, 3.0]


def test_what_is_no_media_leaves_no_file(tmp_path: Path) -> None:
    text = tmp_path / "a.mp4"
    text.write_text("no film")
    with pytest.raises(MediaError):
        write_spectrogram(text, tmp_path / "a.spectrogram")
    assert [*tmp_path.iterdir()] == [text]


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    peaks = list[int]()
    for seconds in (20, 320):
        wave = write_wave(tmp_path / "a.wav", tone(seconds, 0, 1))
        tracemalloc.start()
        write_spectrogram(wave, tmp_path / "a.spectrogram")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000  # the longer result has 1,200,000 more
