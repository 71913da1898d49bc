"""Synthetic videos: plans, frames, audio and files."""

import csv
import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaplan import read_table, synthetic, timeline
from vaplan.arrays import MODALITIES
from vaplan.synthetic import RATE_HZ, SIZE, TAXONOMY, Clip
from vaplan.timeline import Event

CLIPS = synthetic.plan_clips({"train": 500}, seed=11)


def alone(name: str, modality: str, *, seed: int = 4) -> tuple[Clip, Clip]:
    """A clip with one event in its middle, and the same clip without."""
    clip = replace(synthetic.plan_clips({"look": 1}, seed=seed)[0], tags=(name,))
    return replace(clip, events=(Event(modality, name, 3.0, 7.0),)), replace(
        clip, events=()
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_small_plan_is_the_beginning_of_a_large_one():
    small = synthetic.plan_clips({"train": 20, "test": 5}, seed=1)
    large = synthetic.plan_clips({"train": 200, "test": 50}, seed=1)
    assert small == large[:20] + large[200:205]


def test_no_two_clips_share_a_name_or_a_seed():
    clips = [
        c
        for seed in (1, 2)
        for c in synthetic.plan_clips({"train": 30, "val": 30}, seed=seed)
    ]
    assert len({c.video for c in clips}) == len({c.seed for c in clips}) == len(clips)


@given(seed=st.integers(0, 2**32), varied=st.booleans())
@settings(max_examples=50, deadline=None)
def test_events_lie_inside_the_clip_and_are_those_of_the_tags(seed, varied):
    for clip in synthetic.plan_clips({"any": 4}, seed=seed, varied=varied):
        assert {e.class_name for e in clip.events} == set(clip.tags)
        assert 1 <= len(clip.tags) <= 3
        for event in clip.events:
            assert 0 <= event.onset < event.offset <= clip.seconds
            assert event.offset - event.onset >= 1 - 1e-9
            assert clip.has_audio if event.modality == "audio" else clip.has_video
        assert set(timeline.merge(clip.events)) == set(clip.events)


def test_every_event_marks_a_segment():
    for clip in CLIPS:
        for event in clip.events:
            assert timeline.to_grid([event], TAXONOMY, 10).any()


def test_about_a_third_of_the_tagged_classes_miss_one_modality():
    tagged = [
        {e.modality for e in clip.events if e.class_name == tag}
        for clip in CLIPS
        for tag in clip.tags
    ]
    share = {m: sum(found == {m} for found in tagged) / len(tagged) for m in MODALITIES}
    assert 0.28 < sum(share.values()) < 0.42
    assert share["audio"] > share["visual"] > 0.08


def test_proportions_are_like_those_of_llp():
    tags = Counter(len(clip.tags) for clip in CLIPS)
    assert tags[2] > tags[1] > tags[3] > 0.05 * len(CLIPS)
    counts = Counter(tag for clip in CLIPS for tag in clip.tags)
    assert set(counts) == set(TAXONOMY.classes)
    assert counts["Engine"] > 1.5 * np.median(list(counts.values()))
    spans = [(e.modality, e.offset - e.onset) for clip in CLIPS for e in clip.events]
    whole = {
        m: np.mean([length == 10 for kind, length in spans if kind == m])
        for m in MODALITIES
    }
    assert 0.15 < whole["audio"] < whole["visual"] < 0.6
    assert np.mean([length < 3 for _, length in spans]) > 0.2


def test_audible_and_visible_spans_overlap_without_being_equal():
    overlaps = []
    for clip in CLIPS:
        audible, visible = timeline.to_grid(clip.events, TAXONOMY, 10).transpose(
            1, 2, 0
        )
        both = audible.any(axis=1) & visible.any(axis=1)
        overlaps += list(
            (audible & visible)[both].sum(axis=1)
            / (audible | visible)[both].sum(axis=1)
        )
    assert 0.5 < np.mean(overlaps) < 0.9
    assert 0.2 < np.mean(np.array(overlaps) == 1) < 0.7


def test_varied_clips_have_many_lengths_and_may_lack_a_track():
    clips = synthetic.plan_clips({"train": 200}, seed=2, varied=True)
    lengths = [clip.seconds for clip in clips]
    assert 3 <= min(lengths) < 5
    assert 20 < max(lengths) <= 30
    tracks = Counter((clip.has_audio, clip.has_video) for clip in clips)
    assert set(tracks) == {(True, True), (True, False), (False, True)}


def test_rendering_twice_gives_equal_arrays():
    clip = CLIPS[3]
    assert np.array_equal(synthetic.frames(clip), synthetic.frames(clip))
    assert np.array_equal(synthetic.waveform(clip), synthetic.waveform(clip))


def test_a_frame_does_not_depend_on_the_other_frames_asked_for():
    clip, film = CLIPS[5], synthetic.frames(CLIPS[5])
    assert film.shape == (100, SIZE, SIZE, 3)
    assert np.array_equal(synthetic.frames(clip, times=[0.5, 8.5]), film[[5, 85]])


@pytest.mark.parametrize("name", TAXONOMY.classes)
def test_a_visible_event_changes_the_frames_only_while_it_lasts(name):
    present, absent = alone(name, "visual")
    moments = [1.5, 2.9, 3.0, 5.0, 6.9, 7.0, 9.5]
    changed = synthetic.frames(present, times=moments) != synthetic.frames(
        absent, times=moments
    )
    share = changed.any(axis=3).mean(axis=(1, 2))
    assert not share[[0, 1, 6]].any()
    assert (share[2:5] > 0.003).all()


@pytest.mark.parametrize("name", TAXONOMY.classes)
def test_an_audible_event_adds_energy_only_while_it_lasts(name):
    present, absent = alone(name, "audio")
    event = synthetic.waveform(present) - synthetic.waveform(absent)
    assert not event[: 3 * RATE_HZ].any()
    assert not event[7 * RATE_HZ :].any()
    energy = (
        np.square(event[3 * RATE_HZ : 7 * RATE_HZ]).reshape(4, RATE_HZ).mean(axis=1)
    )
    assert (energy > 1e-7).all()


def test_instances_of_a_class_differ_in_look_and_sound():
    clips = [alone("Bell", "visual", seed=seed)[0] for seed in range(6)]
    assert len({synthetic.frames(clip, times=[5.0]).tobytes() for clip in clips}) == 6
    clips = [alone("Bell", "audio", seed=seed)[0] for seed in range(6)]
    spectra = [
        np.abs(np.fft.rfft(synthetic.waveform(c)[4 * RATE_HZ : 5 * RATE_HZ]))[300:4000]
        for c in clips
    ]
    assert len({int(spectrum.argmax()) for spectrum in spectra}) >= 5


def test_waveforms_are_finite_within_range_and_of_the_asked_length():
    for clip in synthetic.plan_clips({"train": 6}, seed=9, varied=True):
        sound = synthetic.waveform(clip, rate_hz=16_000)
        assert len(sound) == round(clip.seconds * 16_000)
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() <= 1


def test_a_written_file_decodes_to_what_was_rendered(tmp_path):
    clip = CLIPS[7]
    path = synthetic.write(clip, tmp_path / "clip.mp4")
    with av.open(str(path)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    assert len(pictures) == 100
    assert abs(len(sound) / RATE_HZ - 10) < 0.05
    error = np.abs(np.array(pictures).astype(float) - synthetic.frames(clip)).mean(
        axis=(1, 2, 3)
    )
    assert error.max() < 12
    truth = synthetic.waveform(clip)
    assert np.corrcoef(sound[: len(truth)], truth[: len(sound)])[0, 1] > 0.95


def test_writing_twice_gives_the_same_bytes_and_no_litter(tmp_path):
    first = synthetic.write(CLIPS[1], tmp_path / "a.mp4").read_bytes()
    assert first == synthetic.write(CLIPS[1], tmp_path / "b.mp4").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "b.mp4"}


@pytest.mark.parametrize(
    ("missing", "remaining"), [("has_audio", "video"), ("has_video", "audio")]
)
def test_a_missing_track_is_missing_from_the_file(tmp_path, missing, remaining):
    clip = replace(CLIPS[0], seconds=3.0, events=(), **{missing: False})
    with av.open(str(synthetic.write(clip, tmp_path / "x.mp4"))) as container:
        assert [stream.type for stream in container.streams] == [remaining]
        assert container.duration == pytest.approx(3e6, abs=1e5)


def short_world() -> list[Clip]:
    clips = synthetic.plan_clips({"train": 3, "val": 1, "test": 2}, seed=6)
    return [
        replace(clip, seconds=1.0, events=(Event("audio", clip.tags[0], 0.0, 1.0),))
        for clip in clips
    ]


def test_the_tables_keep_the_dense_truth_of_train_apart(tmp_path):
    clips = short_world()
    table = rows(synthetic.render(clips, tmp_path, workers=1))
    dense = [row for row in table if row["modality"]]
    assert {row["split"] for row in dense} == {"val", "test"}
    weak = Counter(row["video"] for row in table if not row["modality"])
    assert weak == {clip.video: len(clip.tags) for clip in clips}
    assert all((tmp_path / row["path"]).is_file() for row in table)
    truth = rows(tmp_path / "train_truth.csv")
    assert {row["video"] for row in truth} == {
        clip.video for clip in clips if clip.split == "train"
    }
    assert all(row["modality"] and row["split"] == "train" for row in truth)


def test_rendering_continues_after_an_interruption(tmp_path):
    clips, counted = short_world(), []
    synthetic.render(clips[:2], tmp_path, workers=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "media").iterdir()}
    synthetic.render(
        clips, tmp_path, workers=2, progress=lambda *step: counted.append(step)
    )
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert counted == [(done, 6, "") for done in (3, 4, 5, 6)]
    assert len(list((tmp_path / "media").iterdir())) == len(clips)


def plan(clips: list[Clip]) -> str:
    """Compute a hash of a plan."""
    lines = [
        f"{c.video} {c.seconds} {c.split} {c.tags} {[(e.modality, e.class_name, e.onset, e.offset) for e in c.events]}"
        f" {c.seed} {c.has_audio} {c.has_video}"
        for c in clips
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize(
    ("varied", "expected"), [(False, "c7ffc8fa592d3ee3"), (True, "316a40bff11280fd")]
)
def test_the_plans_of_published_results_do_not_change(varied, expected):
    clips = synthetic.plan_clips(
        {"train": 40, "val": 10, "test": 10}, seed=7, varied=varied
    )
    assert plan(clips).startswith(expected)


AVE = synthetic.plan_ave_clips({"train": 400}, seed=3)


def run_of(clip: Clip) -> np.ndarray:
    """Return the segments in which the class is both audible and visible."""
    return timeline.to_grid(clip.events, TAXONOMY, 10).all(axis=1)


def test_an_ave_plan_begins_with_a_smaller_one_and_shares_no_clip_with_the_other_plan():
    assert synthetic.plan_ave_clips({"train": 20}, seed=3) == AVE[:20]
    assert not {clip.seed for clip in AVE} & {
        clip.seed for clip in synthetic.plan_clips({"train": 400}, seed=3)
    }


def test_a_tagged_ave_clip_has_one_localised_event_and_an_untagged_one_has_none():
    for clip in AVE:
        marked = run_of(clip)
        assert {TAXONOMY.classes[c] for c in np.flatnonzero(marked.any(axis=0))} == set(
            clip.tags
        )
        assert len(timeline.runs(marked.any(axis=1))) == len(clip.tags) <= 1
        assert all(
            e.onset.is_integer() and 0 <= e.onset < e.offset <= clip.seconds
            for e in clip.events
        )
    assert {tag for clip in AVE for tag in clip.tags} == set(TAXONOMY.classes)
    assert 0.05 < np.mean([not clip.tags for clip in AVE]) < 0.15


@pytest.mark.parametrize("modality", [0, 1])
def test_one_modality_alone_does_not_give_the_localisation_labels(modality):
    right = []
    for clip in AVE:
        grid = timeline.to_grid(clip.events, TAXONOMY, 10)
        right.append((grid[:, modality].any(axis=1) == run_of(clip).any(axis=1)).mean())
    background = np.mean([1 - run_of(clip).any(axis=1).mean() for clip in AVE])
    assert 0.25 < background < 0.5
    assert 0.8 < np.mean(right) < 0.92


def test_ave_clips_are_written_as_rows_of_both_and_background_clips_as_empty_rows(
    tmp_path,
):
    planned = synthetic.plan_ave_clips(
        {"train": 2, "val": 1, "test": 2}, seed=6, background=0.0
    )
    noise = synthetic.plan_ave_clips({"train": 6}, seed=6, background=1.0)[-1]
    short = [
        replace(
            c,
            seconds=1.0,
            events=(Event("audio", t, 0.0, 0.8), Event("visual", t, 0.2, 1.0)),
        )
        for c in planned
        for t in c.tags
    ]
    clips = [
        *short,
        replace(noise, seconds=1.0, events=(Event("audio", "Dog", 0.0, 1.0),)),
    ]
    table = rows(synthetic.render(clips, tmp_path, workers=1, audio_visual=True))
    dense = [row for row in table if row["modality"]]
    marked = [
        (row["split"], row["modality"], row["onset"], row["offset"]) for row in dense
    ]
    assert marked == [
        (split, "both", "0.2", "0.8") for split in ("val", "test", "test")
    ]
    assert [row["video"] for row in table if not row["class"]] == [noise.video]
    hidden = rows(tmp_path / "train_truth.csv")
    known = [*((clip.video, "both") for clip in short[:2]), (noise.video, "")]
    assert [(row["video"], row["modality"]) for row in hidden] == known
    assert read_table(tmp_path / "annotations.csv").localisation
