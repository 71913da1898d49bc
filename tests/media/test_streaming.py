"""Chunks, frame skipping and published samplings give the segments of the file."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.films import FAST, KINDS, Film, make, shots
from tests.oracles import pictures as oracle
from vaplan import encoders, media
from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import MediaError, UsageError
from vaplan.media import Limits, Sampling, frame_skipping
from vaplan.media.sampling import PUBLISHED

UNEVEN = (0.0, 0.1, 0.2, 0.9, 1.0, 1.4, 4.0, 4.6)
CASES = {
    **{name: film for name, film in KINDS.items() if name != "61 s"},
    "variable frame rate": ("a.mp4", Film(times=UNEVEN)),
    "variable frame rate in Matroska": ("a.mkv", Film(times=UNEVEN)),
    "pictures start late": ("a.mp4", Film(video_starts=2.0)),
    "both start late in a transport stream": (
        "a.ts",
        Film(video_starts=1.0, audio_starts=1.0),
    ),
    "turned": ("a.mp4", Film(rotation=90)),
    "HEVC": ("a.mp4", Film(video="libx265", size=(96, 80))),
    "a tail": ("a.mp4", Film(seconds=4.3)),
    "groups that are not closed": (
        "a.mkv",
        Film(
            fps=25,
            coding=(("preset", "medium"), ("x264-params", "open-gop=1:keyint=20")),
        ),
    ),
    "groups that are not closed, in HEVC": (
        "a.mp4",
        Film(
            fps=25,
            video="libx265",
            size=(96, 80),
            coding=(("x265-params", "open-gop=1:keyint=20:log-level=none"),),
        ),
    ),
    "pictures refreshed in stripes, no key frames": (
        "a.mkv",
        Film(
            fps=25,
            coding=(("preset", "medium"), ("x264-params", "intra-refresh=1:keyint=20")),
        ),
    ),
}


def grainy(film: Film) -> Film:
    """Give every frame of a film other noise, so that a wrong frame is detected."""
    return replace(film, grain=20)


def joined(chunks: Iterator[media.Segments]) -> media.Segments:
    parts = list(chunks)
    assert [part.first for part in parts] == np.cumsum([0, *map(len, parts)]).tolist()[
        :-1
    ]
    assert not any(part.warnings for part in parts[:-1])
    return media.Segments(
        frames=tuple(frame for part in parts for frame in part.frames),
        waveform=np.concatenate([part.waveform for part in parts]),
        rate_hz=parts[0].rate_hz,
        mask=np.concatenate([part.mask for part in parts]),
        seconds=parts[-1].seconds,
        warnings=parts[-1].warnings,
        segment_seconds=parts[0].segment_seconds,
    )


def assert_same(one: media.Segments, other: media.Segments) -> None:
    assert np.array_equal(one.waveform, other.waveform)
    assert np.array_equal(one.mask, other.mask)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(one.frames, other.frames, strict=True)
        if a is not None
    )
    assert [a is None for a in one.frames] == [b is None for b in other.frames]


@pytest.fixture
def shortcut(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the result of each attempt to skip frames."""
    ended, attempt = list[str](), frame_skipping.frames_at

    def watched(*args: object, **options: object) -> Iterator[object]:
        try:
            yield from attempt(*args, **options)
        except frame_skipping.CannotSkip:
            ended.append("gave up")
            raise
        ended.append("done")

    monkeypatch.setattr(frame_skipping, "frames_at", watched)
    return ended


@pytest.mark.parametrize("every_frame", [True, False], ids=["all decoded", "sparingly"])
@pytest.mark.parametrize(("name", "film"), CASES.values(), ids=CASES.keys())
def test_the_frames_are_those_of_a_reader_that_keeps_every_frame(
    tmp_path, name, film, every_frame
):
    path = make(tmp_path / name, grainy(film))
    found = media.segments(
        path, Sampling(frames_per_segment=3, every_frame=every_frame)
    )
    times = [t + (part + 0.5) / 3 for t in range(len(found)) for part in range(3)]
    expected, end = oracle.on_screen(path, times), oracle.ends(path)[1]
    for t, pictures in enumerate(found.frames):
        for part in range(3):
            i = 3 * t + part
            if expected[i] is not None and times[i] <= end and pictures is not None:
                assert np.array_equal(pictures[part], expected[i])
        assert (pictures is None) == all(
            expected[i] is None or times[i] > end + 1e-6
            for i in range(3 * t, 3 * t + 3)
        )


@pytest.mark.parametrize(("name", "film"), CASES.values(), ids=CASES.keys())
def test_skipping_unsampled_frames_changes_nothing(tmp_path, shortcut, name, film):
    path = make(tmp_path / name, grainy(film))
    whole, spared = (
        media.segments(path),
        media.segments(path, Sampling(every_frame=False)),
    )
    assert_same(whole, spared)
    assert whole.warnings == spared.warnings
    assert whole.seconds == spared.seconds
    assert shortcut == ["done" if film.video in ("libx264", "libx265") else "gave up"]


def test_frames_that_no_other_frame_references_are_skipped(tmp_path, monkeypatch):
    path = make(tmp_path / "a.mp4", grainy(Film(fps=25)))
    decoded = list[float]()
    attempt = frame_skipping.decode

    def counted(*args: object, **options: object) -> Iterator[object]:
        for timed in attempt(*args, **options):
            decoded.append(timed.start)
            yield timed

    monkeypatch.setattr(frame_skipping, "decode", counted)
    media.segments(path, Sampling(every_frame=False))
    assert 5 < len(decoded) < 0.7 * 5 * 25  # two of three frames are B-frames


@pytest.mark.parametrize(
    ("video", "size"), [("libx264", (64, 48)), ("libx265", (96, 80))]
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_nothing_is_decoded_between_a_sampled_frame_and_the_next_key_frame(
    tmp_path, monkeypatch, name, video, size
):
    every_second = (
        ("x265-params", "open-gop=0:keyint=25:min-keyint=25:scenecut=0:log-level=none"),
    )
    coding = every_second if video == "libx265" else (("bf", "0"),)
    path = make(
        tmp_path / name, grainy(Film(fps=25, video=video, size=size, coding=coding))
    )
    given, attempt = list[int](), frame_skipping.decode

    def counted(
        *args: object, packets: Iterator[av.Packet], **options: object
    ) -> Iterator[object]:
        def through() -> Iterator[av.Packet]:
            for packet in packets:
                given.append(packet.size)
                yield packet

        return attempt(*args, packets=through(), **options)

    monkeypatch.setattr(frame_skipping, "decode", counted)
    whole, spared = (
        media.segments(path),
        media.segments(path, Sampling(every_frame=False)),
    )
    assert_same(whole, spared)
    assert (
        5 * 12 < len(given) < 5 * 20
    )  # the second half of each second is not needed; some B-frames come early


PARAMETERS, IDR, OTHER = (
    {"h264": b"\x67", "hevc": b"\x40"},
    {"h264": b"\x65", "hevc": b"\x26"},
    {"h264": b"\x41", "hevc": b"\x2a"},
)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_only_an_idr_frame_is_a_new_start(codec):
    header = b"\1" + b"\3" * 30  # four bytes a length
    parameters, idr, other = (
        b"\0\0\0\2" + kind[codec] + b"\0" for kind in (PARAMETERS, IDR, OTHER)
    )
    assert frame_skipping.is_idr(parameters + parameters + idr + other, codec, header)
    assert not frame_skipping.is_idr(
        parameters + other + idr, codec, header
    )  # for example an open group's first
    assert not frame_skipping.is_idr(parameters, codec, header)
    assert not frame_skipping.is_idr(b"\0\0\0\1" + idr, codec, b"\0\0\0\1")


@given(
    st.binary(max_size=60), st.sampled_from(["h264", "hevc"]), st.binary(max_size=40)
)
def test_a_packet_may_declare_false_lengths(packet, codec, header):
    assert frame_skipping.is_idr(packet, codec, header) in (True, False)


@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_file_is_decoded_whole_with_any_sampling(tmp_path, shortcut, seed):
    path = make(tmp_path / "a.mp4", Film(seconds=12, audio="", options=FAST, grain=20))
    content = bytearray(path.read_bytes())
    place = len(content) * (4 + seed) // 12
    content[place : place + 4000] = np.random.default_rng(seed).bytes(4000)
    path.write_bytes(content)
    whole = media.segments(path)
    for chunk in (1, 5, None):
        spared = joined(media.stream(path, Sampling(every_frame=False), chunk=chunk))
        assert_same(whole, spared)
    assert whole.warnings
    assert "gave up" in shortcut


@pytest.mark.slow
def test_chunks_joined_are_the_whole(tmp_path):
    for number, (name, film) in enumerate(CASES.values()):
        path = make(tmp_path / f"{number}{name}", film)
        for cut in (
            Sampling(),
            Sampling(
                rate_hz=16_000,
                frames_per_segment=2,
                segment_seconds=0.3,
                every_frame=False,
            ),
        ):
            whole = media.segments(path, cut)
            for chunk in (1, 2, 5, 100):
                parts = joined(media.stream(path, cut, chunk=chunk))
                assert_same(whole, parts)
                assert (whole.seconds, whole.warnings) == (
                    parts.seconds,
                    parts.warnings,
                )
                for t in (0, len(whole) - 1):
                    assert np.array_equal(whole.audio(t), parts.audio(t))


def test_a_segment_of_a_chunk_has_its_own_audio(tmp_path):
    path, cut = (
        make(tmp_path / "a.mp4"),
        Sampling(rate_hz=44_100, segment_seconds=1 / 3),
    )
    whole = media.segments(path, cut)
    for part in media.stream(path, cut, chunk=4):
        for t in range(len(part)):
            assert np.array_equal(part.audio(t), whole.audio(part.first + t))


@pytest.mark.parametrize("chunk", [1, 3, 4])
def test_lost_seconds_are_missing_in_chunks_too(tmp_path, chunk):
    path = make(tmp_path / "a.mp4", Film(seconds=10, options=FAST))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    whole, parts = media.segments(path), joined(media.stream(path, chunk=chunk))
    assert_same(whole, parts)
    assert whole.warnings == parts.warnings
    assert len(parts) == 10
    assert any("missing in" in warning for warning in parts.warnings)


@pytest.mark.slow
def test_a_long_film_needs_no_more_memory_than_a_short_one(tmp_path):
    peaks = []
    for seconds in (45, 180):
        path = make(
            tmp_path / f"{seconds}.mp4", Film(seconds=seconds, fps=2, size=(320, 240))
        )
        tracemalloc.start()
        count = sum(len(part) for part in media.stream(path, chunk=10))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == seconds
    assert peaks[1] < 1.2 * peaks[0]


def test_the_limit_of_bytes_applies_to_the_memory_at_one_time(tmp_path):
    second = 64 * 48 * 3 + 48_000 * 4
    path, limits = (
        make(tmp_path / "a.mp4", Film(seconds=12)),
        Limits(max_bytes=6 * second),
    )
    assert sum(len(part) for part in media.stream(path, chunk=3, limits=limits)) == 12
    with pytest.raises(MediaError, match="bytes at one time"):
        media.segments(path, limits=limits)


def test_an_abandoned_stream_closes_its_file(tmp_path):
    parts = media.stream(make(tmp_path / "a.mp4", Film(seconds=8)), chunk=2)
    assert len(next(parts)) == 2
    parts.close()
    assert list(parts) == []


def test_vectors_do_not_depend_on_chunks(tmp_path, monkeypatch):
    path = make(tmp_path / "a.mp4", Film(seconds=7, video_starts=3.0, grain=20))
    listeners = [
        encoders.load("embedded", AUDIO),
        encoders.load("embedded", VISUAL, frames_per_segment=2),
    ]
    whole = media.segments(path, Sampling(listeners[0].rate_hz, 2))
    monkeypatch.setattr(encoders, "stream", lambda *args: media.stream(*args, chunk=2))
    encoded = encoders.encode(path, listeners)
    assert np.array_equal(encoded.mask, whole.mask)
    assert encoded.warnings == whole.warnings
    for vectors, encoder in zip(encoded.vectors, listeners, strict=True):
        assert np.array_equal(vectors, encoder.embed(whole))


# Published samplings


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("seconds", [10.0, 10.125, 3.0, 30.0])
@pytest.mark.parametrize("sampling", list(PUBLISHED))
def test_a_published_sampling_takes_its_frames(tmp_path, name, seconds, sampling):
    path = make(tmp_path / name, grainy(Film(seconds=seconds, fps=16)))
    groups, each = PUBLISHED[sampling].groups, PUBLISHED[sampling].frames
    begin, end = oracle.ends(path)
    there = round((end - begin) * 8)
    numbers = np.round(np.linspace(0, there - 1, groups * each))
    expected = oracle.on_screen(path, [begin + number / 8 for number in numbers])
    for every_frame in (True, False):
        found = media.segments(path, Sampling(rule=sampling, every_frame=every_frame))
        assert len(found) == groups
        assert np.array_equal(np.concatenate(found.frames), np.stack(expected))


def test_valor_on_ten_seconds_takes_the_published_indices():
    assert [round(8 * time) for time in PUBLISHED["valor"].times(0.0, 10.0)] == [
        0,
        9,
        18,
        26,
        35,
        44,
        53,
        61,
        70,
        79,
    ]
    assert [round(8 * time) for time in PUBLISHED["valor"].times(0.0, 10.125)] == [
        0,
        9,
        18,
        27,
        36,
        44,
        53,
        62,
        71,
        80,
    ]


def test_with_a_published_sampling_audio_beyond_the_last_group_is_reported(tmp_path):
    short, long = (make(tmp_path / f"{s}.mp4", Film(seconds=s)) for s in (10, 15))
    assert media.segments(short, Sampling(rule="valor")).warnings == ()
    assert any(
        "leaves out" in warning
        for warning in media.segments(long, Sampling(rule="valor")).warnings
    )


def test_an_unknown_sampling_is_named(tmp_path):
    with pytest.raises(
        UsageError, match="unknown sampling 'valour'; did you mean 'valor'"
    ):
        Sampling(rule="valour")


# Shapes of frames and tracks


def test_wide_pixels_become_square_before_cropping(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=10)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        track.sample_aspect_ratio = Fraction(2, 1)
        for frame in shots(Film(seconds=1)):
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    found = media.segments(path)
    assert found.frames[0].shape == (1, 48, 128, 3)


def test_interlaced_frames_are_counted_as_frames_and_not_as_fields(tmp_path):
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as container:
        track = container.add_stream(
            "libx264", rate=10, options={"flags": "+ilme+ildct", "x264-params": "tff=1"}
        )
        track.width, track.height, track.pix_fmt = 64, 64, "yuv420p"
        for frame in shots(Film(seconds=4, size=(64, 64), grain=20)):
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    with av.open(str(path)) as container:
        assert any(frame.interlaced_frame for frame in container.decode(video=0))
    whole, spared = (
        media.segments(path),
        media.segments(path, Sampling(every_frame=False)),
    )
    assert len(whole) == 4
    assert whole.mask[:, VISUAL].all()
    assert whole.warnings == ("no audio",)
    assert_same(whole, spared)
    expected = oracle.on_screen(path, [t + 0.5 for t in range(4)])
    assert np.array_equal(np.concatenate(whole.frames), np.stack(expected))


def test_of_several_tracks_one_of_each_kind_is_read(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        tracks = [
            container.add_stream("pcm_s16le", rate=8_000, layout="mono")
            for _ in range(2)
        ]
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        packets = [
            packet
            for frame in [*shots(Film(seconds=3)), None]
            for packet in video.encode(frame)
        ]
        for level, track in zip((0.5, 0.25), tracks, strict=True):
            samples = np.full((1, 3 * 8_000), round(level * 2**15), np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = 8_000, Fraction(1, 8_000), 0
            packets += [*track.encode(frame), *track.encode(None)]
        container.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    found = media.segments(path, Sampling(rate_hz=8_000))
    assert found.mask.all()
    assert set(np.round(found.waveform, 3)) == {0.5}  # the first, not a mix of both


def test_a_probe_continues_over_chunks(tmp_path):
    path = make(
        tmp_path / "a.mp4",
        Film(seconds=media.CHUNK + 5, fps=2, video_starts=media.CHUNK + 2.0),
    )
    seen = media.probe(path)
    assert seen["segments"] == len(seen["audio"]["rms"]) == media.CHUNK + 5
    assert [luma is None for luma in seen["video"]["luma"]] == [True] * (
        media.CHUNK + 2
    ) + [False] * 3
    assert (seen["video"]["height"], seen["video"]["width"]) == (48, 64)
    assert seen["seconds"]["audio"] == pytest.approx(media.CHUNK + 5, abs=0.05)
    assert any(
        f"missing in {media.CHUNK + 2} of" in warning for warning in seen["warnings"]
    )
