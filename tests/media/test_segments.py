import json
import os
import struct
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from time import monotonic

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.films import (
    FAST,
    KINDS,
    REAL,
    Film,
    assert_each_second_in_its_segment,
    grey,
    greys,
    loud,
    make,
    noise,
    shifted,
    shots,
)
from vaplan import media
from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import MediaError
from vaplan.media import Limits, Sampling, audio, decoding
from vaplan.media.decoding import TimedFrame


@pytest.mark.parametrize(("name", "film"), KINDS.values(), ids=KINDS.keys())
def test_frames_and_audio_of_every_second_are_in_its_segment(tmp_path, name, film):
    found = media.segments(make(tmp_path / name, film))
    assert_each_second_in_its_segment(found, range(round(film.seconds)))
    assert found.mask.all()
    assert not found.warnings
    assert found.frames[0].shape == (1, film.size[1], film.size[0], 3)
    assert found.waveform.shape == (round(film.seconds) * 48_000,)


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_a_real_video_is_read_whole(path):
    found = media.segments(path)
    assert found.mask.all()
    assert not found.warnings
    assert len(found) == round(found.seconds.declared)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("late", [VISUAL, AUDIO])
def test_a_track_that_starts_late_is_missing_before_and_on_time_after(
    tmp_path, name, late
):
    film = Film(video_starts=2.0) if late == VISUAL else Film(audio_starts=2.0)
    found = media.segments(make(tmp_path / name, film))
    assert found.mask[:, late].tolist() == [False, False, True, True, True]
    assert found.mask[:, 1 - late].all()
    assert_each_second_in_its_segment(found, range(5))
    assert any("missing in 2 of 5 segments" in warning for warning in found.warnings)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_time_zero_is_the_start_of_the_container(tmp_path, name):
    found = media.segments(
        make(tmp_path / name, Film(video_starts=1.0, audio_starts=1.0))
    )
    assert_each_second_in_its_segment(found, [1, 2, 3, 4])
    assert found.mask.all()


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.flv"])
def test_a_file_may_begin_anywhere_on_its_own_clock(tmp_path, name):
    found = media.segments(shifted(make(tmp_path / "source.mp4"), tmp_path / name, 7.3))
    assert_each_second_in_its_segment(found, range(5))
    assert found.mask.all()
    assert not found.warnings


def test_an_edit_list_that_starts_later_hides_what_is_before(tmp_path):
    source = make(tmp_path / "source.mp4")
    found = media.segments(
        shifted(source, tmp_path / "a.mp4", -1.0, avoid_negative_ts="disabled")
    )
    assert_each_second_in_its_segment(found, [1, 2, 3, 4])
    assert found.mask.all()
    assert not found.warnings


def test_a_transport_stream_whose_clock_begins_again_goes_on(tmp_path):
    wrap = 2**33 / 90_000  # 33 bits of ticks, after 26.5 hours
    found = media.segments(
        shifted(make(tmp_path / "source.mp4"), tmp_path / "a.ts", wrap - 3.4)
    )
    assert_each_second_in_its_segment(found, range(5))
    assert found.mask.all()
    assert not found.warnings


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_one_frame_in_five_seconds_stays_that_long(tmp_path, name):
    found = media.segments(
        make(tmp_path / name, Film(seconds=20, times=(0.0, 5.0, 10.0, 15.0)))
    )
    assert [
        abs(g - grey(5 * (t // 5))) < 4 for t, g in enumerate(greys(found)[:15])
    ] == [True] * 15
    assert found.mask[:15].all()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_with_a_variable_frame_rate_the_visible_frame_counts(tmp_path, name):
    film = Film(times=(0.0, 0.1, 0.2, 0.9, 1.0, 1.4, 4.0, 4.6))
    found = media.segments(make(tmp_path / name, film))
    expected = [max(time for time in film.times if time <= t + 0.5) for t in range(5)]
    assert [round(g, -1) for g in greys(found)] == [
        grey(int(time)) for time in expected
    ]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_rotated_video_becomes_upright(tmp_path, rotation):
    picture = media.segments(
        make(tmp_path / "a.mp4", Film(seconds=1, rotation=rotation, audio=""))
    ).frames[0][0]
    white = np.argwhere(picture[..., 0] > 200)
    top_left = white.min(axis=0).tolist()
    # FFmpeg's angle turns against the clock; the white half was the upper one
    assert picture.shape[:2] == ((48, 64) if rotation == 180 else (64, 48))
    assert {90: top_left == [0, 0], 180: top_left[0] > 20, 270: top_left[1] > 20}[
        rotation
    ]


def test_a_file_without_audio_has_missing_audio_and_not_silence(tmp_path):
    found = media.segments(make(tmp_path / "a.mp4", Film(audio="")))
    assert found.mask.tolist() == [[False, True]] * 5
    assert found.seconds.audio is None
    assert found.warnings == ("no audio",)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_f32le"),
        ("a.mp3", "libmp3lame"),
        ("a.m4a", "aac"),
        ("a.aac", "aac"),
    ],
)
def test_a_file_without_video_has_no_frames(tmp_path, name, codec):
    found = media.segments(
        make(tmp_path / name, Film(video="", audio=codec, bitrate=128_000))
    )
    assert found.mask.tolist() == [[True, False]] * 5
    assert found.frames == (None,) * 5
    assert found.seconds.video is None
    assert found.warnings == ("no video",)
    assert_each_second_in_its_segment(found, range(5))


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        film = Film(seconds=2)
        packets = [
            *cover.encode(next(shots(film))),
            *cover.encode(None),
            *audio.encode(noise(film)),
            *audio.encode(None),
        ]
        for packet in packets:
            container.mux(packet)
    assert media.segments(path).warnings == ("no video",)


@pytest.mark.parametrize(
    ("seconds", "segments"),
    [(0.3, 1), (0.4, 1), (1.4, 1), (1.5, 2), (1.6, 2), (3.0, 3), (9.4, 9), (9.6, 10)],
)
def test_a_tail_shorter_than_half_a_segment_is_dropped(tmp_path, seconds, segments):
    found = media.segments(make(tmp_path / "a.mp4", Film(seconds=seconds)))
    assert len(found) == segments
    assert found.mask.all()
    assert not found.warnings


def test_the_longer_track_decides_how_many_segments_there_are(tmp_path):
    times = tuple(i / 10 for i in range(20))
    found = media.segments(make(tmp_path / "a.mp4", Film(seconds=5, times=times)))
    assert found.mask.tolist() == [[True, True]] * 2 + [[True, False]] * 3


def test_several_frames_a_segment_are_the_centres_of_its_equal_parts(tmp_path):
    film = Film(seconds=2, fps=20, audio="")
    single = media.segments(
        make(tmp_path / "a.mp4", film), Sampling(segment_seconds=0.25)
    )
    several = media.segments(tmp_path / "a.mp4", Sampling(frames_per_segment=4))
    assert [picture.shape for picture in several.frames] == [(4, 48, 64, 3)] * 2
    assert np.array_equal(np.concatenate(several.frames), np.concatenate(single.frames))


def test_a_segment_with_few_frames_repeats_the_nearest_one(tmp_path):
    found = media.segments(
        make(tmp_path / "a.mp4", Film(seconds=2, times=(0.0, 0.1, 0.2))),
        Sampling(frames_per_segment=4),
    )
    assert found.frames[0].shape[0] == 4
    assert found.frames[1] is None


def test_reading_twice_gives_the_same_bytes(tmp_path):
    path = make(tmp_path / "a.mp4", Film(rate_hz=44_100, layout="stereo"))
    first, second = media.segments(path), media.segments(path)
    assert np.array_equal(first.waveform, second.waveform)
    assert np.array_equal(np.stack(first.frames), np.stack(second.frames))


def test_audio_keeps_its_level_with_any_channels_and_rate(tmp_path):
    mono = media.segments(
        make(tmp_path / "a.mkv", Film(audio="pcm_s16le", bitrate=0))
    ).waveform
    for layout, rate_hz in (("stereo", 48_000), ("5.1", 44_100)):
        film = Film(audio="pcm_s16le", bitrate=0, layout=layout, rate_hz=rate_hz)
        mixed = media.segments(make(tmp_path / "b.mkv", film)).waveform
        inner = slice(4_800, -4_800)
        assert (
            np.abs(mixed[inner] - mono[inner]).mean() < 2e-3
        )  # and so aligned to the sample


# Damage


FRAGMENTS = (("movflags", "frag_keyframe+empty_moov+default_base_moof"),)


@pytest.mark.parametrize(("name", "options"), [("a.mp4", FAST), ("a.mkv", ())])
def test_a_cut_file_keeps_its_rest_and_reports_how_much_is_lost(
    tmp_path, name, options
):
    path = make(tmp_path / name, Film(seconds=10, options=options))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = media.segments(path)
    assert_each_second_in_its_segment(
        found, range(10), within=0.1
    )  # the cut is within a second
    assert found.mask[:4].all()
    assert not found.mask[6:].any()
    assert not found.waveform[6 * 48_000 :].any()
    assert any("s lost: declared 10.0" in warning for warning in found.warnings)
    assert any("missing in" in warning for warning in found.warnings)


def test_a_cut_fragmented_file_warns(tmp_path):
    path = make(tmp_path / "a.mp4", Film(seconds=10, options=FRAGMENTS))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = media.segments(path)
    assert found.warnings
    assert_each_second_in_its_segment(found, range(len(found)), within=0.2)


def test_seconds_in_a_destroyed_stretch_are_missing_and_the_others_are_kept(tmp_path):
    path = make(tmp_path / "a.mp4", Film(seconds=10, options=FAST))
    content = bytearray(path.read_bytes())
    start, stop = len(content) // 2, len(content) // 2 + len(content) // 5
    content[start:stop] = np.random.default_rng(0).bytes(stop - start)
    path.write_bytes(content)
    found = media.segments(path)
    assert_each_second_in_its_segment(found, range(10), within=0.2)
    assert found.mask[:4].all()
    assert found.mask[8:].all()
    assert not found.mask[5:7].all()
    assert any("cannot be decoded" in warning for warning in found.warnings)


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_are_always_reported(tmp_path, seed):
    path = make(tmp_path / "a.mp4", Film(seconds=4, options=FAST))
    content = bytearray(path.read_bytes())
    generator = np.random.default_rng(seed)
    body = content.index(b"mdat") + 4
    for place in generator.integers(body, len(content), size=40):
        content[place] ^= 1 << int(generator.integers(8))
    path.write_bytes(content)
    found = media.segments(path)
    assert len(found) == 4
    assert found.warnings
    assert np.isfinite(found.waveform).all()


def test_samples_that_are_not_finite_are_missing_and_reported(tmp_path):
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_f32le", rate=48_000, layout="mono")
        wave = np.full((1, 3 * 48_000), 0.25, np.float32)
        wave[0, 48_000:80_000] = np.nan
        frame = av.AudioFrame.from_ndarray(wave, format="flt", layout="mono")
        frame.sample_rate = 48_000
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)
    found = media.segments(path)
    assert found.mask[:, AUDIO].tolist() == [True, False, True]
    assert not found.audio(1).any()
    assert "audio: samples that are not numbers: 32000" in found.warnings


# Refused files


def _text(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def _photo(path: Path) -> None:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        track = container.add_stream("mjpeg", rate=1)
        track.width, track.height, track.pix_fmt = 64, 48, "yuvj420p"
        container.mux([*track.encode(next(shots(Film()))), *track.encode(None)])


def _halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD = {
    "text": (_text("hello world " * 100), "not a media file"),
    "no byte": (_text(""), "empty file"),
    "a folder": (lambda path: path.mkdir(), "is a directory"),
    "a pipe": (os.mkfifo, "not a regular file"),
    "nothing": (lambda path: None, "no such file"),
    "a link to nothing": (
        lambda path: path.symlink_to(path.with_name("gone")),
        "a link to a file that does not",
    ),
    "a link to itself": (lambda path: path.symlink_to(path), "symbolic links"),
    "noise": (
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(20_000)),
        "not a media file",
    ),
    "subtitles": (
        _text("1\n00:00:00,000 --> 00:00:05,000\nhello\n"),
        "not a media file",
    ),
    "a session description": (
        _text("v=0\nm=audio 5004 RTP/AVP 0\nc=IN IP4 127.0.0.1\n"),
        "not a media file",
    ),
    "coloured text": (_text("\x1b[31mred\x1b[0m" * 200), "not a media file"),
    "a photo": (_photo, "not a media file"),
    "a film whose index is lost": (
        lambda path: _halved(make(path)),
        "not a media file",
    ),
    "a link to a device": (
        lambda path: path.symlink_to("/dev/zero"),
        "not a regular file",
    ),
    "a playlist of other machines": (
        _text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/b.ts\n"),
        "not a media file",
    ),
    "a playlist": (
        _text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nb.mp4\n#EXT-X-ENDLIST\n"),
        "not a media file",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_a_file_that_is_no_media_is_refused_with_its_cause(tmp_path, spoil, message):
    path = tmp_path / "a.mp4"
    spoil(path)
    with pytest.raises(MediaError, match=message) as caught:
        media.segments(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.fix


def test_a_codec_off_the_list_is_not_decoded(tmp_path):
    path = make(
        tmp_path / "a.avi",
        Film(video="magicyuv", pixels="yuv420p", audio="", seconds=1),
    )
    with pytest.raises(MediaError, match="codec magicyuv is not one vaplan decodes"):
        media.segments(path)


def test_a_script_named_mp4_cannot_open_another_file(tmp_path):
    secret = make(tmp_path / "b.mp4", Film(seconds=1))
    script = tmp_path / "a.mp4"
    script.write_text(f"ffconcat version 1.0\nfile {secret.name}\nfile {secret.name}\n")
    with pytest.raises(MediaError, match="not a media file"):
        media.segments(script)


def test_an_unreadable_file_is_a_permission_error(tmp_path, monkeypatch):
    path = make(tmp_path / "a.mp4", Film(seconds=1))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    with pytest.raises(MediaError, match="permission"):
        media.segments(path)


def test_a_path_with_a_nul_is_an_error_not_a_crash():
    with pytest.raises(MediaError, match="NUL"):
        media.segments("a\0b.mp4")


@pytest.mark.parametrize(
    "name", ["pipe:0.mp4", "concat:a.mp4", "-i.mp4", "100% of it?.mp4"]
)
def test_no_file_name_is_read_as_a_protocol_or_an_option(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "b.mp4", Film(seconds=1)).rename(tmp_path / name)
    assert len(media.segments(name)) == 1


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_pixels=1000), "64 x 48 pixels"),
        (Limits(max_bytes=10_000), "10,000 bytes"),
    ],
)
def test_a_file_that_exceeds_a_limit_is_refused(tmp_path, limits, message):
    with pytest.raises(MediaError, match=message):
        media.segments(make(tmp_path / "a.mp4"), limits=limits)


def test_large_frames_are_scaled_down_as_they_are_decoded(tmp_path):
    path = make(tmp_path / "large.mp4", Film(size=(640, 480), seconds=3.0, audio=""))
    small = media.segments(path, limits=Limits(max_short_side=48, max_bytes=300_000))
    assert {frames.shape for frames in small.frames} == {(1, 48, 64, 3)}
    whole = media.segments(path)
    assert {frames.shape for frames in whole.frames} == {(1, 480, 640, 3)}
    for scaled, original in zip(small.frames, whole.frames, strict=True):
        assert abs(scaled.mean() - original.mean()) <= 2


@pytest.mark.parametrize("ending", ["mp3", "mkv", "mpg", "aac"])
def test_a_large_file_of_zeros_is_refused_without_reading_it(
    tmp_path, monkeypatch, ending
):
    path = tmp_path / f"sparse.{ending}"
    path.touch()
    os.truncate(path, 10 * 1024**3)
    monkeypatch.setattr(av, "open", None)  # the decoder does not get it
    with pytest.raises(MediaError, match="its first 1,048,576 bytes are zeros"):
        media.segments(path)


def test_a_file_that_is_empty_after_its_start_is_given_up_after_the_limit_of_a_read(
    tmp_path,
):
    path = make(tmp_path / "a.mp3", Film(video="", audio="libmp3lame"))
    os.truncate(path, 20 * 1024**3)
    begin = monotonic()
    cut = media.segments(path, limits=Limits(read_seconds=2.0))
    assert monotonic() - begin < 30
    assert len(cut) == 5
    assert any("packets that cannot be decoded" in text for text in cut.warnings)


def test_a_subtitle_track_is_no_warning(tmp_path):
    plain = make(tmp_path / "plain.mp4")
    path = tmp_path / "subtitles.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        streams = {
            stream.index: target.add_stream_from_template(stream)
            for stream in source.streams
        }
        subtitles = target.add_mux_stream("subrip")
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
        text = av.Packet(b"hello")
        text.pts = text.dts = 0
        text.duration = 1000
        text.time_base = Fraction(1, 1000)
        text.stream = subtitles
        target.mux(text)
    assert all(len(warning) < 120 for warning in media.segments(path).warnings)
    assert not any("whitelist" in text for text in media.segments(path).warnings)


def test_content_beyond_the_limit_is_not_read_and_reported(tmp_path):
    found = media.segments(
        make(tmp_path / "a.mp4", Film(audio="")), limits=Limits(max_seconds=2.0)
    )
    assert len(found) == 2
    assert "video: longer than 2 s: the rest is not read" in found.warnings


def test_frame_times_stretched_a_thousandfold_are_reported_and_need_no_time(tmp_path):
    content = bytearray(
        make(tmp_path / "a.mp4", Film(seconds=2, audio="")).read_bytes()
    )
    scale = content.index(b"mdhd") + 16  # ticks a second of the track
    content[scale : scale + 4] = (
        int.from_bytes(content[scale : scale + 4]) // 1000
    ).to_bytes(4)
    (tmp_path / "a.mp4").write_bytes(content)
    found = media.segments(tmp_path / "a.mp4", limits=Limits(max_seconds=100.0))
    assert len(found) <= 101
    assert any("declared 2.00 s" in w for w in found.warnings) or any(
        "longer than" in w for w in found.warnings
    )


@pytest.mark.parametrize("every_frame", [True, False])
def test_a_last_frame_of_days_is_cut_at_the_limit(tmp_path, every_frame):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=10, options={"bf": "0"})
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        packets = [
            packet
            for frame in [*shots(Film(seconds=2)), None]
            for packet in track.encode(frame)
        ]
        packets[-1].duration = round(100_000 / packets[-1].time_base)
        container.mux(packets)
    found = media.segments(
        path, Sampling(every_frame=every_frame), limits=Limits(max_seconds=100.0)
    )
    assert len(found) == 100
    assert "video: longer than 100 s: the rest is not read" in found.warnings


@pytest.mark.parametrize("every_frame", [True, False])
def test_a_frame_in_the_far_future_needs_no_time(tmp_path, every_frame):
    path = make(
        tmp_path / "a.mkv",
        Film(seconds=2, audio="", times=(0.0, 0.1, 1.0, 2_000_000.0)),
    )
    found = media.segments(
        path, Sampling(every_frame=every_frame), limits=Limits(max_seconds=100.0)
    )
    assert len(found) <= 100
    assert any("longer than 100 s" in warning for warning in found.warnings)


def test_a_track_of_one_sample_a_second_is_no_audio(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1)
        file.writeframes(bytes(2 * 60))
    found = media.segments(tmp_path / "a.wav")
    assert not found.mask.any()
    assert any(
        "1 samples a second are no audio" in warning for warning in found.warnings
    )


def test_a_declared_length_of_a_century_is_ignored(tmp_path):
    path = make(tmp_path / "a.mkv", Film(seconds=2))
    content = bytearray(path.read_bytes())
    place = (
        content.index(b"\x44\x89\x88") + 3
    )  # Matroska's Duration, a double in milliseconds
    content[place : place + 8] = struct.pack(">d", 136 * 365 * 86_400e3)
    path.write_bytes(content)
    found = media.segments(path)
    assert len(found) == 2
    assert any("is ignored" in warning for warning in found.warnings)


def test_warnings_of_one_file_do_not_depend_on_the_file_before(tmp_path):
    path = make(tmp_path / "a.mkv", Film(seconds=4))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert media.segments(path).warnings == media.segments(path).warnings


def test_a_probe_is_a_plain_json_document(tmp_path):
    path = make(tmp_path / "a.mp4", Film(video_starts=1.0, seconds=3))
    seen = json.loads(json.dumps(media.probe(path)))
    assert seen["file"] == str(path)
    assert seen["segments"] == 3
    assert seen["seconds"] == pytest.approx(
        {"declared": 3.0, "video": 2.0, "audio": 3.0}, abs=0.05
    )
    assert seen["video"]["luma"] == [
        None,
        pytest.approx(grey(1), abs=4),
        pytest.approx(grey(2), abs=4),
    ]
    assert seen["audio"]["rms"] == pytest.approx([loud(0), loud(1), loud(2)], rel=0.05)
    assert seen["error"] is None


def test_a_probe_of_a_bad_file_gives_the_reason(tmp_path):
    (tmp_path / "a.mp4").write_text("no media")
    seen = media.probe(tmp_path / "a.mp4")
    assert "not a media file" in seen["error"]
    assert seen["segments"] == 0


# Rules without files


@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=12, unique=True), st.floats(0.1, 2)
)
def test_the_visible_frame_is_the_last_one_that_began(starts, last_seconds):
    frame = av.VideoFrame(2, 2)
    ordered = sorted(starts)
    ends = [*ordered[1:], ordered[-1] + last_seconds]
    frames = [
        TimedFrame(frame, start, until)
        for start, until in zip(ordered, ends, strict=True)
    ]
    times = [t + 0.5 for t in range(30)]
    shown = list(decoding.frames_at(frames, times))
    assert [time for time, _ in shown] == times[: len(shown)]
    for time, timed in shown:
        begun = [f for f in frames if f.start <= time + decoding.TICK]
        assert timed is (begun[-1] if begun else None)
    assert len(shown) == max(
        1, sum(time <= frames[-1].end + decoding.TICK for time in times)
    )


@given(
    st.lists(st.tuples(st.integers(-20, 120), st.integers(0, 40)), max_size=6),
    st.integers(1, 130),
)
def test_audio_blocks_keep_their_positions_in_any_chunks(places, step):
    settled = [min(place for place, _ in places[i:]) for i in range(len(places))]
    blocks = [
        audio.AudioBlock(place, np.full(length, i + 1, np.float32), settled[i])
        for i, (place, length) in enumerate(places)
    ]
    expected = np.zeros(300)
    for block in blocks:
        for sample in range(max(block.place, 0), max(block.end, 0)):
            expected[sample] = block.samples[0]
    cut = list(audio.cut_blocks(blocks, range(0, 1000, step)))
    waveform = np.concatenate([np.zeros(0), *(wave for wave, _ in cut)])
    there = np.concatenate([np.zeros(0, bool), *(there for _, there in cut)])
    assert waveform.tolist() == expected[: len(waveform)].tolist()
    assert there.tolist() == (waveform > 0).tolist()
    assert not expected[len(waveform) :].any()


@pytest.mark.parametrize(
    ("rate_hz", "layout"),
    [(48_000, "mono"), (44_100, "stereo"), (8_000, "mono"), (48_000, "5.1")],
)
def test_the_size_of_audio_chunks_changes_no_sample(
    tmp_path, monkeypatch, rate_hz, layout
):
    path = make(tmp_path / "a.mp4", Film(rate_hz=rate_hz, layout=layout))
    waveforms = []
    for batch in (1, audio.BATCH, 10**6):
        monkeypatch.setattr(audio, "BATCH", batch)
        waveforms.append(media.segments(path).waveform)
    np.testing.assert_array_equal(waveforms[0], waveforms[1])
    np.testing.assert_array_equal(waveforms[1], waveforms[2])
