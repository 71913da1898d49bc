"""Databases of events in untrimmed videos."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import merge_rows, read_data
from vaplan.annotations.activitynet import read
from vaplan.annotations.issues import find_issues
from vaplan.errors import AnnotationError, UsageError
from vaplan.timeline import Event


def entry(
    *events: tuple[str, float, float], subset: str = "train", duration: float = 50
) -> dict[str, Any]:
    """One video of a database."""
    annotations = [
        {"segment": [onset, offset], "label": name} for name, onset, offset in events
    ]
    return {"duration": duration, "annotations": annotations, "subset": subset}


def write(folder: Path, database: object, version: str = "unav100") -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps({"version": version, "database": database}))
    return path


def test_events_of_unav_are_audible_and_visible(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "72f67ednp7w": entry(("skateboarding", 13.01, 15.78)),
            "8WSesSOfBrE": entry(("sailing", 0, 39), subset="test", duration=39),
            "TOEwQXeyNe8": entry(("sailing", 3, 4), subset="validation"),
        },
    )
    data = read_data(f"activitynet:{path}")
    assert data.events["72f67ednp7w"] == (
        Event("audio", "skateboarding", 13.01, 15.78),
        Event("visual", "skateboarding", 13.01, 15.78),
    )
    assert {video.video: video.split for video in data.videos} == {
        "72f67ednp7w": "train",
        "8WSesSOfBrE": "test",
        "TOEwQXeyNe8": "val",
    }
    assert data.taxonomy.classes == ("sailing", "skateboarding")
    assert data.version == "unav100, events in both"
    assert find_issues(read(path)) == ()


@pytest.mark.parametrize(
    ("version", "annotations", "modalities"),
    [
        ("VERSION 1.3", "", {"visual"}),
        ("VERSION 1.3", "both", {"audio", "visual"}),
        ("UnAV100", "audio", {"audio"}),
    ],
)
def test_the_modality_follows_the_version_or_the_option(
    tmp_path: Path, version: str, annotations: str, modalities: set[str]
) -> None:
    path = write(tmp_path, {"a": entry(("Dog", 1, 2))}, version)
    data = merge_rows(read(path, annotations=annotations))
    assert {event.modality for event in data.events["a"]} == modalities
    kinds = {issue.kind for issue in find_issues(read(path, annotations=annotations))}
    only = {"audio": "audio only", "visual": "visual only"}
    assert kinds == {only[m] for m in modalities if len(modalities) == 1}


def test_a_subset_without_labels_is_left_out_and_an_empty_video_is_not(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path,
        {
            "a": entry(("Dog", 1, 2), subset="training"),
            "b": entry(subset="training"),
            "c": entry(subset="testing"),
        },
    )
    rows = read(path)
    assert merge_rows(rows).ids == ("a", "b")
    assert merge_rows(rows).events["b"] == ()
    (issue,) = find_issues(rows)
    assert issue.what.startswith("none of the 1 videos of subset testing has an event")


def test_an_event_that_exceeds_its_video_or_marks_nothing_is_an_issue(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path, {"a": entry(("Dog", 1, 60), ("Dog", 3, 2), ("Cat", 0, 50.001))}
    )
    issues = find_issues(read(path))
    assert [issue.kind for issue in issues] == ["event past the end", "backward event"]
    assert issues[0].what == (
        "database['a'].annotations[0] (Dog) ends at 60 s, the video at 50 s"
    )


GOOD = {"segment": [0, 1], "label": "Dog"}


@pytest.mark.parametrize(
    ("database", "message"),
    [
        ([], r"json: database is \[\], expected an object"),
        ({"": entry()}, "a row without a video id"),
        ({"a": 1}, r"database\['a'\] is 1, expected an object"),
        ({"a": {}}, r"database\['a'\] has no key 'subset'; keys: none"),
        ({"a": {"subset": 1}}, r"\['a'\]\.subset is 1, expected a text"),
        ({"a": {"subset": "all"}}, r"subset is 'all', expected train, val or test"),
        ({"a": entry(duration=-1)}, r"\.duration is -1, expected a number of seconds"),
        ({"a": entry() | {"annotations": 1}}, r"\.annotations is 1, expected a list"),
        (
            {"a": entry(("Dog", 0, 1e9))},
            r"annotations\[0\]\.segment\[1\] is 1000000000",
        ),
        ({"a": entry(("", 0, 1))}, r"annotations\[0\]\.label is empty"),
        ({"a": entry(("nan", 0, 1))}, r"annotations\[0\]\.label is 'nan'"),
        ({"a": entry(("Dog", 0, True))}, r"segment\[1\] is True, expected a number"),
        (
            {"a": entry() | {"annotations": [GOOD, GOOD | {"segment": [1]}]}},
            r"annotations\[1\]\.segment has 1 values, expected start and end",
        ),
        (
            {"a": entry() | {"annotations": [{"segment": [0, 1]}]}},
            r"annotations\[0\] has no key 'label'; keys: 'segment'",
        ),
        ({"a": entry()}, "no class occurs in it"),
        ({}, "no class occurs in it"),
    ],
)
def test_a_fault_names_the_value_and_its_place(
    tmp_path: Path, database: object, message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        read(write(tmp_path, database))


def test_a_file_without_a_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    with pytest.raises(AnnotationError, match="the document has no key 'database'"):
        read(path)
    path.write_text('{"database":\n')
    with pytest.raises(AnnotationError, match=r"a\.json:2: not JSON"):
        read(path)
    with pytest.raises(AnnotationError, match="No such file"):
        read(tmp_path / "none.json")
    with pytest.raises(UsageError, match="unknown modality 'sound'"):
        read(path, annotations="sound")


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["subset", "duration", "annotations", "segment", "label"]),
            inner,
        )
    ),
    max_leaves=8,
)


@given(
    database=st.dictionaries(st.text(max_size=5), values | st.just(entry()), max_size=3)
)
def test_any_document_is_read_or_gives_one_error(
    tmp_path_factory: pytest.TempPathFactory, database: dict[str, Any]
) -> None:
    good = {"a": entry(("Dog", 0, 1))}
    path = write(tmp_path_factory.mktemp("activitynet"), database | good)
    try:
        data = merge_rows(read(path))
    except AnnotationError:
        return
    assert "a" in data.ids
