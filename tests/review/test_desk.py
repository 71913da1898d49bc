"""The content of a review."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.review.serving import DOOR, TABLE, write_sources
from vaplan.review.desk import Sources, open_desk
from vaplan.timeline import Event

HEADER = "video,modality,class,onset,offset,score\n"


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    (tmp_path / "media").mkdir()
    for name in ("a.mp4", "b.avi"):
        (tmp_path / "media" / name).touch()
    table = tmp_path / "labels.csv"
    table.write_text(TABLE)
    return Sources(table, tmp_path)


def test_the_session_and_the_list_are_described(sources: Sources) -> None:
    with open_desk(sources, person="Ada") as desk:
        session = desk.describe_session()
        assert session == {
            "source": str(sources.source),
            "table": str(sources.source.with_suffix(".reviewed.csv")),
            "person": "Ada",
            "classes": ["Cat", "Dog"],
            "is_closed": False,
            "problems": [],
            "methods": [],
            "has_run": False,
        }
        entries = desk.list_videos()
        assert [entry["name"] for entry in entries] == ["a", "b", "c"]
        assert [entry["has_media"] for entry in entries] == [True, True, False]
        assert entries[1]["reasons"] == ["no events"]
        assert entries[1]["score"] is None
        assert json.loads(json.dumps(entries[0])) == {
            "index": 0,
            "name": "a",
            "split": "test",
            "tags": ["Cat", "Dog"],
            "events": 2,
            "state": "untouched",
            "version": 0,
            "urgency": entries[0]["urgency"],
            "reasons": entries[0]["reasons"],
            "score": 0.75,
            "has_media": True,
            "seconds": None,
        }


def test_a_video_has_its_events_now_and_before(sources: Sources) -> None:
    with open_desk(sources) as desk:
        video = desk.videos[0]
        desk.session.change(video, [DOOR], version=0, state="in work", action="edit")
        value = desk.describe_video(0)
        assert value["events"] == [DOOR]
        assert [event["class"] for event in value["first_events"]] == ["Dog", "Cat"]
        assert (value["version"], value["state"]) == (1, "in work")
        assert desk.list_videos()[0]["events"] == 1
        assert desk.describe_video(2)["media"]["message"].startswith("no file for 'c'")


def test_other_methods_are_lanes_with_the_names_of_their_files(
    sources: Sources, tmp_path: Path
) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ours.csv").write_text(HEADER + "a,audio,Dog,4,5,\n")
    (tmp_path / "truth.csv").write_text(HEADER + "a,visual,Cat,1,3,\n")
    compare = [tmp_path / "x" / "ours.csv", tmp_path / "y" / "ours.csv"]
    given = replace(sources, compare=compare, reference=tmp_path / "truth.csv")
    with open_desk(given) as desk:
        names = ["reference", *map(str, compare)]
        assert desk.describe_session()["methods"] == names
        lanes = {lane["method"]: lane for lane in desk.describe_video(0)["lanes"]}
        assert list(lanes) == names
        assert [e["class"] for e in lanes["reference"]["events"]] == ["Cat"]
        assert desk.describe_video(1)["lanes"][0]["events"] == []
        assert any("disagree" in reason for reason in desk.list_videos()[0]["reasons"])


def test_a_folder_of_timelines_is_a_source_and_a_lane(
    sources: Sources, tmp_path: Path
) -> None:
    folder = tmp_path / "timelines"
    folder.mkdir()
    timeline = {
        "video": "a",
        "seconds": 5.0,
        "events": [DOOR],
        "missing": [{"modality": "visual", "onset": 3.0, "offset": 5.0}],
        "warnings": ["2 s are lost"],
    }
    (folder / "a.json").write_text(json.dumps(timeline))
    (folder / "bad.json").write_text("{")
    (folder / "a.scores.csv").write_text("modality,onset,offset,Door\naudio,0,1,0.5\n")
    with open_desk(Sources(folder, tmp_path, compare=[folder])) as desk:
        assert desk.session.table == tmp_path / "timelines.reviewed.csv"
        assert len(desk.describe_session()["problems"]) == 1
        value = desk.describe_video(0)
        assert value["seconds"] == 5.0
        assert value["missing"] == timeline["missing"]
        assert value["warnings"] == timeline["warnings"]
        assert value["scores"]["state"] == "ready"
        assert value["lanes"] == [{"method": "timelines", "events": [DOOR]}]


def test_the_commands_that_continue_name_the_reviewed_table(sources: Sources) -> None:
    with open_desk(sources) as desk:
        table = desk.session.table
        fit, export = desk.commands
        assert fit.startswith("vaplan fit tags.csv --media ")
        assert fit.endswith(f" --corrections {table}")
        assert export.startswith(f"vaplan export {table} --format elan")


def test_events_of_a_method_are_joined_as_everywhere(
    sources: Sources, tmp_path: Path
) -> None:
    rows = "a,audio,Dog,0,1,\na,audio,Dog,1,2,\n"
    (tmp_path / "segments.csv").write_text(HEADER + rows)
    with open_desk(replace(sources, compare=[tmp_path / "segments.csv"])) as desk:
        expected = (Event("audio", "Dog", 0.0, 2.0),)
        assert desk.lanes["segments.csv"]["a"] == expected


def test_sources_of_the_tests_play(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "desk")
    with open_desk(sources) as desk:
        desk.preparation.start(0, seconds=60.0)
        assert desk.describe_video(0)["seconds"] == pytest.approx(2.0, abs=0.1)
