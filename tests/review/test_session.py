"""Versions, states, the reviewed table and the log; also after a killed server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import read_table
from vaplan.errors import AnnotationError, MachineError
from vaplan.review import session as sessions
from vaplan.review.edits import EditError, as_json
from vaplan.review.history import State
from vaplan.review.session import (
    ConflictError,
    Session,
    finished_videos,
    open_session,
)
from vaplan.timeline import Event

TABLE = """video,modality,class,onset,offset,score,path,split
a,audio,Dog,0,2,0.75,media/a.mp4,test
a,visual,Cat,1,3,0.5,media/a.mp4,test
b,,,,,,media/b.mp4,val
"""
DOG = Event("audio", "Dog", 0.0, 2.0, 0.75)
CAT = Event("visual", "Cat", 1.0, 3.0, 0.5)
DOOR = Event("audio", "Door", 4.0, 5.0)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(TABLE)
    return path


@pytest.fixture
def session(table: Path) -> Iterator[Session]:
    with open_session(table, person="Ada") as opened:
        yield opened


def change(session: Session, index: int = 0, **changes: Any) -> Any:
    video = session.collection.videos[index]
    events = changes.pop("events", [DOG, DOOR])
    sent = [as_json(event) for event in events]
    values = {"version": 0, "state": "in work", "action": "edit"} | changes
    return session.change(video, sent, **values)


def log_of(table: Path) -> list[dict[str, Any]]:
    lines = table.with_suffix(".reviewed.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_review_begins_untouched(session: Session) -> None:
    (a, b) = session.collection.videos
    assert session.revision(a).events == (DOG, CAT)
    assert session.revision(b).events == ()
    assert {session.revision(v).state for v in (a, b)} == {State.UNTOUCHED}
    assert not session.table.exists()


def test_a_change_is_in_the_table_and_in_the_log(session: Session, table: Path) -> None:
    revision = change(session)
    assert (revision.version, revision.state) == (1, State.IN_WORK)
    assert session.table.read_text() == (
        "video,modality,class,onset,offset,score,path,split\n"
        "a,audio,Dog,0,2,0.75,media/a.mp4,test\n"
        "a,audio,Door,4,5,,media/a.mp4,test\n"
    )
    (entry,) = log_of(table)
    assert (entry["who"], entry["video"], entry["action"]) == ("Ada", "a", "edit")
    assert entry["when"].endswith("+00:00")
    assert table.read_text() == TABLE
    assert session.classes == ("Cat", "Dog", "Door")


def test_a_finished_video_has_no_scores(session: Session) -> None:
    revision = change(session, state="done", events=[DOG, CAT])
    assert [event.score for event in revision.events] == [None, None]
    revision = change(session, 1, state="done", events=[])
    data = read_table(session.table)
    assert data.events == {
        "a": (Event("audio", "Dog", 0.0, 2.0), Event("visual", "Cat", 1.0, 3.0)),
        "b": (),
    }


def test_finished_videos_are_listed(table: Path) -> None:
    with open_session(table) as session:
        change(session, 0)
        change(session, 1, state="done", events=[])
    assert finished_videos(session.table) == ["b"]
    assert finished_videos(table) is None


def test_an_undone_video_leaves_the_table(session: Session) -> None:
    change(session)
    revision = change(session, version=1, state="untouched", events=[CAT, DOG])
    assert (revision.version, revision.state) == (2, State.UNTOUCHED)
    assert session.table.read_text() == "video,modality,class,onset,offset,score\n"
    with pytest.raises(EditError, match="has its first events"):
        change(session, version=2, state="untouched", events=[DOG])


def test_of_two_changes_of_one_version_the_second_is_refused_and_kept(
    session: Session, table: Path
) -> None:
    change(session, events=[DOG])
    with pytest.raises(ConflictError) as conflict:
        change(session, events=[DOOR], person="Grace")
    assert conflict.value.current.version == 1
    assert session.revision(session.collection.videos[0]).events == (DOG,)
    (first, second) = log_of(table)
    assert [event["class"] for event in first["events"]] == ["Dog"]
    assert [event["class"] for event in second["events"]] == ["Door"]
    assert (second["conflict"], second["who"]) == (True, "Grace")
    assert "Door" not in session.table.read_text()


def test_the_same_change_again_is_no_conflict(session: Session, table: Path) -> None:
    first = change(session, events=[DOG, DOOR])
    assert change(session, events=[DOOR, DOG]) == first
    assert len(log_of(table)) == 1
    with pytest.raises(ConflictError):
        change(session, events=[DOOR, DOG], state="done")


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "finished"},
        {"action": "x" * 101},
        {"person": "a\nb"},
        {"events": [Event("audio", "dog", 0.0, 1.0)]},
    ],
)
def test_a_bad_change_changes_nothing(
    session: Session, table: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(EditError):
        change(session, **changes)
    assert log_of(table) == []
    assert not session.table.exists()


def test_a_review_continues_where_it_was_left(table: Path) -> None:
    with open_session(table) as session:
        change(session)
        change(session, version=1, state="done")
    with open_session(table) as session:
        revision = session.revision(session.collection.videos[0])
        assert (revision.version, revision.state) == (2, State.DONE)
        assert "Door" in session.classes


def test_a_review_of_videos_without_events_continues(table: Path) -> None:
    with open_session(table) as session:
        change(session, 1, events=[], state="done")
    with open_session(table) as session:
        assert session.revision(session.collection.videos[1]).state is State.DONE


def test_one_table_has_one_review_at_a_time(session: Session, table: Path) -> None:
    with pytest.raises(MachineError, match="another review"), open_session(table):
        pass


def test_after_a_failed_write_nothing_has_changed(
    session: Session, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(session, events=[DOG])
    before = session.table.read_text(), log_of(table)

    def fail(path: Path, rows: Any) -> None:
        raise MachineError("cannot write: No space left on device", file=path)

    monkeypatch.setattr(sessions, "write_rows", fail)
    with pytest.raises(MachineError):
        change(session, version=1)
    monkeypatch.undo()
    assert (session.table.read_text(), log_of(table)) == before
    assert change(session, version=1).version == 2


def test_an_unfinished_line_was_never_saved(table: Path) -> None:
    with open_session(table) as session:
        change(session)
    log = table.with_suffix(".reviewed.jsonl")
    whole = log.read_bytes()
    log.write_bytes(whole + whole[: len(whole) // 2])
    with open_session(table) as session:
        assert session.revision(session.collection.videos[0]).version == 1
    assert log.read_bytes() == whole


@pytest.mark.parametrize("missing", [1, 3])
def test_a_table_that_lacks_the_last_changes_is_written_again(
    table: Path, missing: int
) -> None:
    """One after a kill between the two files, some after a power cut."""
    with open_session(table) as session:
        change(session, events=[DOG])
        older = session.table.read_bytes()
        for version in range(1, missing + 1):
            later = Event("audio", "Door", float(version), float(version + 1))
            change(session, version=version, events=[later])
        newer = session.table.read_bytes()
    session.table.write_bytes(older)
    with open_session(table):
        assert session.table.read_bytes() == newer
    session.table.unlink()
    with open_session(table):
        assert session.table.read_bytes() == newer


def test_a_table_that_another_program_changed_is_not_overwritten(table: Path) -> None:
    with open_session(table) as session:
        change(session)
    session.table.write_text("video,modality,class,onset,offset\na,audio,Dog,7,8\n")
    with (
        pytest.raises(AnnotationError, match="changed by another program"),
        open_session(table),
    ):
        pass
    table.with_suffix(".reviewed.jsonl").unlink()
    with open_session(table) as session:
        revision = session.revision(session.collection.videos[0])
        assert revision.events == (Event("audio", "Dog", 7.0, 8.0),)
        assert revision.state is State.IN_WORK


@pytest.mark.parametrize(
    "line", ["{}", "[]", "{", '{"video": "../x"}', "\udcff", '{"video": "a"}']
)
def test_a_damaged_line_names_the_log_and_the_line(table: Path, line: str) -> None:
    with open_session(table) as session:
        change(session)
    log = table.with_suffix(".reviewed.jsonl")
    with log.open("ab") as file:
        file.write(line.encode("utf-8", "surrogateescape") + b"\n")
    with (
        pytest.raises(AnnotationError, match=r"jsonl:2: ") as error,
        open_session(table),
    ):
        pass
    assert "restore the log" in error.value.fix


def test_videos_that_left_the_table_keep_their_rows(table: Path) -> None:
    with open_session(table) as session:
        change(session)
    table.write_text("video,modality,class,onset,offset\nc,audio,Dog,0,1\n")
    with open_session(table) as session:
        change(session, events=[DOOR])
        videos = [row.video for row in session.rows()]
    assert videos == ["c", "a", "a"]


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([DOG, CAT, DOOR]))))
def test_the_log_alone_gives_the_table(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, Event]]
) -> None:
    table = tmp_path_factory.mktemp("review") / "labels.csv"
    table.write_text(TABLE)
    with open_session(table) as session:
        for index, event in changes:
            version = session.revision(session.collection.videos[index]).version
            change(session, index, version=version, events=[event])
        content = session.table.read_bytes() if changes else b""
    session.table.unlink(missing_ok=True)
    with open_session(table):
        again = session.table.read_bytes() if changes else b""
    assert again == content
