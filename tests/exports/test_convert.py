"""From timelines and tables to files of other tools, and back to a table."""

import json
import re
from pathlib import Path

import pytest

from tests.exports.timelines import EMPTY, EXAMPLE, write
from vaplan.annotations import read_rows
from vaplan.annotations.rows import Row
from vaplan.annotations.table import write_rows
from vaplan.errors import AnnotationError, UsageError
from vaplan.exports.convert import Converted, export_timelines, import_table
from vaplan.timeline import Timeline

TABLE = [
    Row("beach/dog", "audio", "Dog_barking", 0.0, 2.5, 0.5, path="films/dog.mp4"),
    Row("beach/dog", "both", "Rain", 1.0, 10.0, path="films/dog.mp4"),
    Row("quiet"),
]
# Formats from which a table comes back as it was, with its scores.
WHOLE = [
    *("csv", "parquet", "webvtt-metadata", "elan", "textgrid", "audacity"),
    *("label-studio", "activitynet"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for timeline in (EXAMPLE, EMPTY):
        write(timeline, "json", tmp_path / "timelines")
    return tmp_path / "timelines"


@pytest.mark.parametrize("name", WHOLE)
def test_a_table_comes_back(tmp_path, name):
    table = write_rows(tmp_path / "a.csv", TABLE)
    assert export_timelines(table, tmp_path / "out", format=name) == Converted(2, ())
    back = tmp_path / "b.csv"
    assert import_table(tmp_path / "out", back, format=name) == Converted(2, ())

    def events(path):
        rows = read_rows(path, may_be_empty=True).rows
        return {
            (row.video, modality, row.class_name, row.onset, row.offset, row.score)
            for row in rows
            for modality in row.modalities
        }

    assert events(back) == events(table)
    assert len(events(back)) == 4


def test_each_video_has_a_file_or_all_have_one(folder, tmp_path):
    export_timelines(folder, tmp_path / "vtt", format="webvtt")
    assert sorted(
        p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.vtt")
    ) == [
        *("vtt/beach/dog.vtt", "vtt/quiet.vtt"),
    ]
    export_timelines(folder, tmp_path / "net", format="activitynet")
    database = json.loads((tmp_path / "net" / "activitynet.json").read_text())[
        "database"
    ]
    assert [*database] == ["beach/dog", "quiet"]


def test_media_files_are_linked_by_the_folder_or_by_the_path_in_the_table(tmp_path):
    media = tmp_path / "media" / "films" / "dog.mp4"
    media.parent.mkdir(parents=True)
    media.touch()
    table = write_rows(tmp_path / "a.csv", TABLE[:1])
    export_timelines(table, tmp_path / "hf", format="huggingface")
    line = json.loads((tmp_path / "hf" / "metadata.jsonl").read_text())
    assert line["file_name"] == "films/dog.mp4"
    export_timelines(
        table, tmp_path / "one", format="fiftyone", media=tmp_path / "media"
    )
    paths = json.loads((tmp_path / "one" / "data.json").read_text())
    assert paths == {"beach/dog": str(media)}


def test_a_video_that_fails_does_not_stop_the_others(folder, tmp_path):
    (folder / "broken.json").write_text('{"video": "x"}')
    write(Timeline("again", 1.0), "json", folder)
    (folder / "copy.json").write_bytes((folder / "again.json").read_bytes())
    steps = []
    outcome = export_timelines(
        folder,
        tmp_path / "out",
        format="rttm",
        progress=lambda *step: steps.append(step),
    )
    assert outcome.done == 3
    (broken, broken_reason), (copy, copy_reason) = outcome.failed
    assert Path(broken).name == "broken.json"
    assert re.search(r"broken\.json: .* has no key 'seconds'", broken_reason)
    assert Path(copy).name == "copy.json"
    assert "'again' has a timeline already" in copy_reason
    assert [step[:2] for step in steps] == [(n, 5) for n in range(1, 6)]


@pytest.mark.parametrize("name", ["huggingface", "fiftyone", "sed-scores"])
def test_nothing_is_written_if_no_video_fits_a_joint_format(folder, tmp_path, name):
    outcome = export_timelines(folder, tmp_path / "out", format=name)
    assert outcome.done == 0
    assert len(outcome.failed) == 2
    assert not list((tmp_path / "out").iterdir())


def test_a_frame_rate_is_for_frames_only(folder, tmp_path):
    export_timelines(folder, tmp_path / "out", format="label-studio", frame_rate=10.0)
    tasks = json.loads((tmp_path / "out" / "label_studio.json").read_text())
    assert [task["data"]["fps"] for task in tasks] == [10.0, 10.0]
    with pytest.raises(UsageError, match="times of format srt are no frames"):
        export_timelines(folder, tmp_path / "out", format="srt", frame_rate=10.0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing", "neither a table nor a folder"),
        ("empty", r"contains no \.json file"),
        ("tags.csv", "the table has no event"),
        ("nothing.csv", "cannot read"),
    ],
)
def test_a_source_without_timelines_is_an_error(tmp_path, source, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "tags.csv").write_text("video,modality,class,onset,offset\na,,Dog,,\n")
    with pytest.raises((UsageError, AnnotationError), match=message):
        export_timelines(tmp_path / source, tmp_path / "out", format="srt")


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path):
    (tmp_path / "a.txt").write_text("0\t1\taudio:Dog\n")
    (tmp_path / "b.txt").write_text("0\tone\taudio:Dog\n")
    (tmp_path / "c.txt").write_text("")
    out = tmp_path / "events.csv"
    outcome = import_table(tmp_path, out, format="audacity")
    assert outcome.done == 2
    ((file, reason),) = outcome.failed
    assert file.endswith("b.txt")
    assert "b.txt:1: offset is 'one'" in reason
    rows = [(r.video, r.class_name) for r in read_rows(out).rows]
    assert rows == [("a", "Dog"), ("c", "")]


def test_the_table_is_not_written_if_no_file_can_be_read(tmp_path):
    (tmp_path / "b.txt").write_text("0\tone\taudio:Dog\n")
    outcome = import_table(tmp_path, tmp_path / "events.csv", format="audacity")
    assert (outcome.done, len(outcome.failed)) == (0, 1)
    assert not (tmp_path / "events.csv").exists()
    with pytest.raises(UsageError, match="cannot end with"):
        import_table(tmp_path, tmp_path / "events.txt", format="audacity")
