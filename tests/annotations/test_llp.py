"""The official files of LLP, with their quirks."""

from collections import Counter
from pathlib import Path

import pytest

from tests.official import LLP, REAL, write_llp
from vaplan.annotations import llp, merge_rows
from vaplan.annotations.issues import find_issues
from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import AnnotationError, UsageError
from vaplan.timeline import Event

EVENTS = "filename onset offset event_labels\n"
TAGS = "filename event_labels\n"


def test_ids_are_whole_whatever_they_start_with_and_keep_their_fractions(
    tmp_path: Path,
) -> None:
    data = merge_rows(llp.read(write_llp(tmp_path)))
    assert data.select("train").ids == ("-DSNfC2EJhU_30_40", "AKVyIQoSyBA_131.8_141.8")
    assert data.videos[0].tags == ("Speech", "Dog")


def test_val_and_test_are_densely_labelled_also_without_events(
    tmp_path: Path,
) -> None:
    data = merge_rows(llp.read(write_llp(tmp_path)))
    assert data.select("train").labelled_ids() == []
    assert data.events["JfZEqeLZqWk_30_40"] == ()
    assert data.events["8DF2PxdT5tE_390_400"] == (Event("audio", "Dog", 1.0, 3.0),)


def test_events_are_painted_second_by_second_and_merged(tmp_path: Path) -> None:
    data = merge_rows(llp.read(write_llp(tmp_path))).select("val")
    assert data.segments == 10
    cheering = data.reference(10)[0, :, AUDIO, data.taxonomy.index("Cheering")]
    assert cheering.tolist() == [True] * 8 + [False] * 2
    assert not data.reference(10)[0, :, VISUAL].any()


def test_every_issue_is_listed_with_its_line(tmp_path: Path) -> None:
    found = {
        (issue.kind, issue.file.name, issue.line)
        for issue in find_issues(llp.read(write_llp(tmp_path)))
    }
    audio, test = "AVVP_eval_audio.csv", "AVVP_test_pd.csv"
    assert found == {
        ("fractional id", "AVVP_train.csv", 3),
        ("unknown id", audio, 10),
        ("backward event", audio, 5),
        ("zero-length event", audio, 6),
        ("class outside the tags", audio, 7),
        ("duplicate event", audio, 9),
        ("repeated tag", test, 3),
        ("touching events", audio, 3),
        ("self-overlap", audio, 4),
        ("tag without an event", "AVVP_val_pd.csv", 2),
        ("tag without an event", test, 2),
        ("tag without an event", test, 4),
    }


def test_the_full_list_is_compared_with_the_splits(tmp_path: Path) -> None:
    folder = write_llp(tmp_path)
    listed = [
        row.split()[0] for name in list(LLP)[:3] for row in LLP[name].splitlines()[1:]
    ]
    listed[0] = "a_stranger__30_40"
    text = "\n".join(
        ["filename\tevent_labels", *(f"{video}\tSpeech" for video in listed)]
    )
    (folder / "AVVP_dataset_full.csv").write_text(text)
    found = {
        (f.kind, f.video) for f in llp.read(folder).issues if f.kind != "fractional id"
    }
    assert found == {
        ("in no split", "a_stranger__30_40"),
        ("not in the full list", "-DSNfC2EJhU_30_40"),
    }


def test_clips_of_one_recording_in_two_splits_are_a_leak(tmp_path: Path) -> None:
    changed = LLP["AVVP_val_pd.csv"].replace("4O9rI-FpqLg_10_20", "-DSNfC2EJhU_90_100")
    found = find_issues(llp.read(write_llp(tmp_path, AVVP_val_pd=changed)))
    (leak,) = [issue for issue in found if issue.kind.startswith("leak")]
    assert leak.kind == "leak between train and val"
    assert (
        leak.what
        == "-DSNfC2EJhU: -DSNfC2EJhU_30_40 is in train and -DSNfC2EJhU_90_100 in val"
    )


def test_line_ends_do_not_change_the_version_and_one_field_does(tmp_path: Path) -> None:
    audio = write_llp(tmp_path) / "AVVP_eval_audio.csv"
    before = llp.digest(audio)
    audio.write_bytes(audio.read_bytes().replace(b"\n", b"\r\n"))
    assert llp.digest(audio) == before
    assert llp.version(audio).startswith("unknown (")
    audio.write_bytes(audio.read_bytes().replace(b"9\t0", b"0\t9"))
    assert llp.digest(audio) != before


def test_another_file_of_audio_annotations_can_be_chosen(tmp_path: Path) -> None:
    folder = write_llp(tmp_path / "llp")
    other = tmp_path / "mine.csv"
    other.write_text(
        "filename\tonset\toffset\tevent_labels\nJfZEqeLZqWk_30_40\t0\t4\tSpeech\n"
    )
    data = merge_rows(llp.read(folder, annotations=str(other)))
    assert data.events["JfZEqeLZqWk_30_40"] == (Event("audio", "Speech", 0.0, 4.0),)
    assert data.version.startswith("unknown (")
    with pytest.raises(
        UsageError, match="unknown annotations 'legcy'; did you mean 'legacy'"
    ):
        llp.read(folder, annotations="legcy")
    with pytest.raises(
        AnnotationError,
        match=r"the legacy audio annotations are not there: .*holds the unknown",
    ):
        llp.read(folder, annotations="legacy")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "AVVP_eval_audio",
            EVENTS + "x 0 4 Speach\n",
            r"audio\.csv:2: unknown class 'Speach'",
        ),
        (
            "AVVP_eval_audio",
            EVENTS + "x zero 4 Dog\n",
            r"audio\.csv:2: onset is 'zero'",
        ),
        ("AVVP_eval_audio", EVENTS + "x -1 4 Dog\n", r"audio\.csv:2: onset is '-1'"),
        ("AVVP_eval_audio", EVENTS + "x nan 4 Dog\n", r"audio\.csv:2: onset is 'nan'"),
        (
            "AVVP_eval_audio",
            EVENTS + "x 0 4\n",
            r"audio\.csv:2: 3 fields where the header has 4",
        ),
        (
            "AVVP_eval_audio",
            "filename,onset,offset,event_labels\nx,0,4,Dog\n",
            r"audio\.csv:1: the columns are .*by tabs",
        ),
        (
            "AVVP_train",
            TAGS + "x speech\n",
            r"train\.csv:2: unknown class 'speech'; did you mean 'Speech'",
        ),
        ("AVVP_train", TAGS + "x \n", r"train\.csv:2: unknown class ''"),
        (
            "AVVP_train",
            TAGS + "x Dog\nx Cat\n",
            r"train\.csv:3: video 'x' stands in line 2",
        ),
        (
            "AVVP_train",
            TAGS + "JfZEqeLZqWk_30_40 Dog\n",
            r"test_pd\.csv:4: .*line 2 of AVVP_train\.csv",
        ),
    ],
)
def test_a_fault_in_a_file_names_file_line_and_value(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(AnnotationError) as fault:
        llp.read(write_llp(tmp_path, **{name: text}))
    assert fault.match(message)


@pytest.mark.parametrize("video", ["../x", "/x", "x/", "a\\b", "none", "x" * 1_001])
@pytest.mark.parametrize("name", ["AVVP_train", "AVVP_eval_audio"])
def test_an_unusable_id_names_file_and_line(
    tmp_path: Path, name: str, video: str
) -> None:
    text = TAGS + f"x Dog\n{video} Dog\n"
    if name == "AVVP_eval_audio":
        text = EVENTS + f"x 0 4 Dog\n{video} 0 4 Dog\n"
    with pytest.raises(AnnotationError, match=rf"{name}\.csv:3: video id '") as caught:
        llp.read(write_llp(tmp_path, **{name: text}))
    assert "Fix: " in str(caught.value)


def test_an_incomplete_folder_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no such folder"):
        llp.read(tmp_path / "none")
    (write_llp(tmp_path) / "AVVP_val_pd.csv").unlink()
    with pytest.raises(AnnotationError, match=r"AVVP_val_pd\.csv: cannot read"):
        llp.read(tmp_path)


def test_events_past_the_end_are_named_and_cut(tmp_path: Path) -> None:
    text = "filename onset offset event_labels\nJfZEqeLZqWk_30_40 8 12 Baby_cry_infant_cry\n"
    sheet = llp.read(write_llp(tmp_path, AVVP_eval_audio=text))
    assert [f.what for f in find_issues(sheet) if f.kind == "event past the end"] == [
        "JfZEqeLZqWk_30_40 audio Baby_cry_infant_cry: ends at 12 s, the video at 10 s"
    ]
    assert merge_rows(sheet).select("test").reference(10)[:, :, AUDIO].sum() == 2


PRESENT = [path for path in (REAL / "llp",) if path.is_dir()]
real = pytest.mark.parametrize("folder", PRESENT, ids=lambda path: path.name)


@real
def test_the_official_files_have_the_known_contents(folder: Path) -> None:
    sheet = llp.read(folder)
    data, found = merge_rows(sheet), find_issues(sheet)
    counts = Counter((issue.kind, issue.file.name) for issue in found)
    audio, visual = "AVVP_eval_audio.csv", "AVVP_eval_visual.csv"
    assert {
        kind: count for kind, count in counts.items() if "overlap" not in kind[0]
    } == {
        ("fractional id", "AVVP_train.csv"): 5,
        ("unknown id", audio): 8,
        ("zero-length event", audio): 5,
        ("backward event", audio): 1,
        ("duplicate event", audio): 8,
        ("repeated tag", "AVVP_test_pd.csv"): 1,
        ("touching events", audio): 11,
        ("touching events", visual): 3,
        ("class outside the tags", audio): 76,
        ("class outside the tags", visual): 51,
        ("tag without an event", "AVVP_val_pd.csv"): 13,
        ("tag without an event", "AVVP_test_pd.csv"): 25,
    }
    assert counts["self-overlap", audio] == 15
    assert {f.video for f in found if f.kind == "unknown id"} == set(
        "12eWNawPekw_30_40 17iGUal2M_10_20 19jWnmYnlD8_30_400 7X3oSVoA_90_100 AkAfFL5Q4QA_30_40 CSWQ_HzQ_10_20 "
        "P7x4FV4lg_570_580 VMTJRpjbE_150_160".split()
    )
    assert Counter(video.split for video in data.videos) == {
        "train": 10000,
        "val": 649,
        "test": 1200,
    }
    assert sum(video.video.startswith("-") for video in data.videos) == 151


@pytest.mark.slow
@real
def test_the_versions_are_known_by_their_content(folder: Path) -> None:
    assert llp.read(folder).version == "corrected"
    legacy = llp.read(folder, annotations="legacy")
    assert legacy.version == "legacy"
    assert {f.video for f in find_issues(legacy) if f.kind == "unknown id"} >= {
        "Baby_cry_infant_cry",
        "KvIjsmANkxI_10_20`",
    }
    older, newer = (
        merge_rows(legacy),
        merge_rows(llp.read(folder, annotations="corrected")),
    )
    assert older.videos == newer.videos
    differ = {
        video for video in newer.events if newer.events[video] != older.events[video]
    }
    assert differ == {"JfZEqeLZqWk_30_40", "KvIjsmANkxI_10_20"}
