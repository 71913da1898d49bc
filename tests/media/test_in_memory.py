"""Frames and waveforms in memory are cut as the file that they come from."""

import re
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media.films import Film, make
from vaplan import media
from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import UsageError
from vaplan.media import CENTRE, MediaArrays, Sampling, Segments

LOSSLESS = Film(audio="flac", rate_hz=44_100, layout="stereo", bitrate=0)
FILMS = {
    "10 frames a second, 44.1 kHz stereo": LOSSLESS,
    "six channels": Film(audio="pcm_s16le", layout="5.1", bitrate=0),
    "8 kHz": Film(audio="pcm_s16le", rate_hz=8_000, bitrate=0),
    "one frame a second": Film(audio="flac", bitrate=0, fps=1),
    "a tail of half a second": Film(audio="flac", bitrate=0, seconds=3.5),
    "a shorter tail": Film(audio="flac", bitrate=0, seconds=3.4),
    "frames from second 2 on": Film(audio="flac", bitrate=0, video_starts=2.0),
    "no sound": Film(audio=""),
    "no frames": Film(video="", audio="flac", bitrate=0),
    "longer than a chunk": Film(audio="flac", bitrate=0, seconds=43, fps=2),
}
CUTS = {
    "48 kHz": Sampling(),
    "16 kHz, three frames a segment": Sampling(16_000, 3),
    "segments of half a second": Sampling(segment_seconds=0.5),
    "HAN": Sampling(rule="han"),
    "VALOR": Sampling(rule="valor"),
}


def decode(path: Path) -> MediaArrays:
    """Decode a whole file into arrays."""
    frames, times, blocks = [], [], []
    with av.open(str(path)) as container:
        start = (container.start_time or 0) / av.time_base
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                frames.append(frame.to_ndarray(format="rgb24"))
                times.append(frame.time - start)
            else:
                blocks.append(as_float_channels(frame))
                rate_hz = frame.sample_rate
    tracks: dict[str, Any] = {}
    if frames:
        tracks |= {"frames": np.stack(frames), "times": np.array(times)}
    if blocks:
        tracks |= {"waveform": np.concatenate(blocks, axis=1), "rate_hz": rate_hz}
    return MediaArrays(**tracks)


def as_float_channels(frame: av.AudioFrame) -> np.ndarray:
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 2**15
    return samples.astype(np.float32) / (2**31 if samples.dtype == np.int32 else 1)


def assert_equal(arrays: Segments, file: Segments) -> None:
    assert np.array_equal(arrays.mask, file.mask)
    np.testing.assert_allclose(arrays.waveform, file.waveform, atol=1e-6)
    for ours, theirs in zip(arrays.frames, file.frames, strict=True):
        assert np.array_equal(ours, theirs) if ours is not None else theirs is None


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("film", FILMS)
def test_the_arrays_of_a_decoded_file_give_the_segments_of_the_file(
    tmp_path: Path, film: str, cut: str
) -> None:
    path = make(tmp_path / "a.mkv", FILMS[film])
    file = [*media.stream(path, CUTS[cut])]
    arrays = [*media.stream(decode(path), CUTS[cut])]
    assert [len(chunk) for chunk in arrays] == [len(chunk) for chunk in file]
    for ours, theirs in zip(arrays, file, strict=True):
        assert_equal(ours, theirs)
    assert arrays[-1].warnings == file[-1].warnings


def test_large_frames_are_scaled_down_like_those_of_a_file(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mkv", Film(seconds=2, fps=2, size=(2400, 1200), audio=""))
    (file,) = media.stream(path, Sampling())
    (arrays,) = media.stream(decode(path), Sampling())
    for ours, theirs in zip(arrays.frames, file.frames, strict=True):
        assert ours is not None
        assert theirs is not None
        assert ours.shape == theirs.shape == (1, 1080, 2160, 3)
        difference = ours.astype(int) - theirs.astype(int)
        assert np.abs(difference).max() <= 2  # scaled after the conversion to RGB


def frames(count: int = 4) -> np.ndarray:
    """Frames whose grey level is ten times their number."""
    levels = 10 * np.arange(count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, 6, 8, 3)).copy()


def sound(seconds: float) -> np.ndarray:
    return np.full(round(seconds * 48_000), 0.5, np.float32)


def cut(**arrays: Any) -> Segments:
    (segments,) = media.stream(MediaArrays(**arrays), Sampling())
    return segments


def levels(segments: Segments) -> list[int | None]:
    return [None if f is None else int(f[0, 0, 0, 0]) for f in segments.frames]


def test_a_frame_stays_until_the_next_one_and_the_last_as_long_as_the_one_before() -> (
    None
):
    assert levels(cut(frames=frames(), times=[0.0, 0.4, 2.0, 4.0])) == (
        [10, 10, 20, 20, 30, 30]
    )


def test_a_single_frame_stays_for_one_segment() -> None:
    assert levels(cut(frames=frames(1), times=[2.0])) == [None, None, 0]


def test_a_length_cuts_both_tracks() -> None:
    both = cut(
        frames=frames(),
        times=[0.5, 1.5, 2.5, 3.5],
        waveform=sound(9.0),
        rate_hz=48_000,
        seconds=3.0,
    )
    assert both.mask.tolist() == [[True, True]] * 3
    assert levels(both) == [0, 10, 20]
    assert len(both.waveform) == 3 * 48_000


def test_the_rest_of_the_length_is_missing() -> None:
    long = cut(waveform=sound(2.0), rate_hz=48_000, seconds=4.0)
    assert long.mask[:, AUDIO].tolist() == [True, True, False, False]
    assert not long.mask[:, VISUAL].any()


def test_a_length_before_the_first_frame_leaves_no_visual_segment() -> None:
    early = cut(
        frames=frames(1), times=[8.0], waveform=sound(2.0), rate_hz=48_000, seconds=2.0
    )
    assert early.mask.tolist() == [[True, False]] * 2


def test_channels_are_mixed_to_mono() -> None:
    left_only = np.stack([sound(1.0), np.zeros(48_000, np.float32)])
    mixed = cut(waveform=left_only, rate_hz=48_000)
    assert np.allclose(mixed.waveform, 0.25, atol=1e-6)


def test_views_and_read_only_arrays_are_frames_too() -> None:
    blue_first = frames()[..., ::-1]
    blue_first.flags.writeable = False
    for frame in cut(frames=blue_first, times=[0.0, 1.0, 2.0, 3.0]).frames:
        assert frame is not None
        assert frame.flags.c_contiguous
        assert frame.flags.writeable


def test_lists_integers_and_double_precision_are_taken_as_numbers() -> None:
    arrays = MediaArrays(
        frames=frames(), times=np.arange(4), waveform=sound(4.0).astype(np.float64),
        rate_hz=48_000, name="dog",
    )  # fmt: skip
    assert levels(next(media.stream(arrays, Sampling()))) == [0, 10, 20, 30]
    assert repr(arrays) == ("MediaArrays 'dog': 4 frames of 8 x 6 pixels, 4 s of audio")


NAN = np.array([0.0, np.nan, np.inf], np.float32)
GOOD: dict[str, Any] = {
    "frames": frames(),
    "times": np.arange(4.0),
    "waveform": sound(1.0),
    "rate_hz": 48_000,
}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": (dict.fromkeys(GOOD), "no frames and no waveform. Fix: give frames"),
    "no times": ({"times": None}, "frames without times. Fix: give times too"),
    "no frames": ({"frames": None}, "times without frames. Fix: give frames too"),
    "no rate": ({"rate_hz": None}, "waveform without rate_hz. Fix: give rate_hz too"),
    "grey frames": (
        {"frames": np.zeros((4, 6, 8), np.uint8)},
        "frames have shape (4, 6, 8). Fix: give RGB frames of shape (frame, height, ",
    ),
    "channels first": (
        {"frames": np.zeros((4, 3, 6, 8), np.uint8)},
        "frames have shape (4, 3, 6, 8). Fix: put the channel last: frames.transpose",
    ),
    "alpha": (
        {"frames": np.zeros((4, 6, 8, 4), np.uint8)},
        "frames have shape (4, 6, 8, 4). Fix: give RGB frames",
    ),
    "no frame": (
        {"frames": np.zeros((0, 6, 8, 3), np.uint8), "times": np.zeros(0)},
        "frames have shape (0, 6, 8, 3). Fix: give at least one frame",
    ),
    "float frames": (
        {"frames": frames().astype(np.float32) / 255},
        "frames are float32. Fix: give uint8 values from 0 to 255",
    ),
    "huge frames": (
        {"frames": np.broadcast_to(np.uint8(0), (4, 9000, 9000, 3))},
        "frames of 9000 x 9000 pixels are more than the limit of 35,389,440",
    ),
    "too few times": (
        {"times": np.arange(3.0)},
        "times have shape (3,), and there are 4 frames. Fix: give one time in seconds",
    ),
    "times as text": (
        {"times": np.array(["0", "1", "2", "3"])},
        "times are <U1. Fix: give num",
    ),
    "times that jump back": (
        {"times": np.array([0.0, 2.0, 1.0, 3.0])},
        "times[2] is 1 after 2. Fix: sort the frames by time",
    ),
    "equal times": ({"times": np.array([0.0, 0.0, 1.0, 2.0])}, "times[1] is 0 after 0"),
    "a negative time": (
        {"times": np.array([-0.5, 0.0, 1.0, 2.0])},
        "times[0] is -0.5. Fix: give seconds from 0 to below 14400",
    ),
    "a time that is no number": (
        {"times": np.array([0.0, 1.0, np.nan, 2.0])},
        "times[2] is nan",
    ),
    "milliseconds since 1970": ({"times": 1.7e12 + np.arange(4.0)}, "times[0] is 1.7e"),
    "integers": (
        {"waveform": np.zeros(9, np.int16)},
        "waveform is int16. Fix: give floats with full scale 1; divide 16-bit",
    ),
    "integers as floats": (
        {"waveform": np.array([0.0, -20_000.0], np.float32)},
        "waveform reaches 20000, and full scale is 1. Fix: divide it",
    ),
    "channels last": (
        {"waveform": np.zeros((48_000, 2), np.float32)},
        "waveform has shape (48000, 2): 48000 channels. Fix: put the channels first: wav",
    ),
    "nine channels": (
        {"waveform": np.zeros((9, 100), np.float32)},
        "waveform has shape (9, 100): 9 channels. Fix: mix it to mono",
    ),
    "three axes": (
        {"waveform": np.zeros((1, 1, 9), np.float32)},
        "waveform has shape (1, 1, 9). Fix: give shape (sample,) or (channel, sample)",
    ),
    "no sample": (
        {"waveform": np.zeros(0, np.float32)},
        "waveform has shape (0,). Fix: give at least one sample",
    ),
    "not finite": ({"waveform": NAN}, "waveform has 2 samples that are not finite"),
    "a rate of 0": (
        {"rate_hz": 0},
        "rate_hz is 0. Fix: give a whole number of samples",
    ),
    "a rate in kHz": ({"rate_hz": 48}, "rate_hz is 48. Fix: give a whole number of"),
    "half a hertz": ({"rate_hz": 44_100.5}, "rate_hz is 44100.5"),
    "an endless rate": ({"rate_hz": float("inf")}, "rate_hz is inf"),
    "no length": ({"seconds": 0.0}, "seconds is 0. Fix: give a length above 0"),
    "a length before the first frame": (
        {
            "times": np.arange(3.0, 7.0),
            "waveform": None,
            "rate_hz": None,
            "seconds": 2.0,
        },
        "no frame appears before the end: seconds is 2.0. Fix: give a greater length",
    ),
    "a length that is no number": ({"seconds": float("nan")}, "seconds is nan"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_error_names_the_value_and_what_is_expected(case: str) -> None:
    changes, message = BAD[case]
    with pytest.raises(UsageError, match=re.escape(message)):
        MediaArrays(**{**GOOD, **changes})


def test_valid_arrays_give_no_error() -> None:
    assert MediaArrays(**GOOD).name == "arrays"
    assert Sampling().rule == CENTRE
