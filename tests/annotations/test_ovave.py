"""The files of OV-AVEBench."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import merge_rows, read_data
from vaplan.annotations.issues import find_issues
from vaplan.annotations.ovave import read
from vaplan.errors import AnnotationError, UsageError
from vaplan.timeline import Event

META = """split,cls_name,cls_type,vid_name
train,people burping,close,EpxQKLhAP0s
val,people burping,close,G_ggrRDR0n0
test,people clapping,open,HaQNEB6XGss
"""


def labels(**changes: Any) -> dict[str, Any]:
    """The labels of the clips; a change replaces those of a clip."""
    return {
        "EpxQKLhAP0s": clip("people burping", [0, 1, 1, 1, 0, 0, 0, 1, 0, 0]),
        "G_ggrRDR0n0": clip("people burping", [0] * 10),
        "HaQNEB6XGss": clip("people clapping", [1] * 10),
    } | changes


def clip(name: str, marks: list[int]) -> dict[str, str]:
    """One clip of the labels: a list in a text."""
    return {"category": name, "label": str(marks)}


def write(folder: Path, meta: str = META, document: object = None) -> Path:
    (folder / "ovave_dataset_meta.csv").write_text(meta)
    text = json.dumps(labels() if document is None else document)
    (folder / "released_ovavel_dataset_anno.json").write_text(text)
    return folder


def test_marked_seconds_are_audible_and_visible_and_the_rest_is_background(
    tmp_path: Path,
) -> None:
    data = read_data(f"ovave:{write(tmp_path)}")
    assert data.events["EpxQKLhAP0s"] == (
        Event("audio", "people burping", 1.0, 4.0),
        Event("visual", "people burping", 1.0, 4.0),
        Event("audio", "people burping", 7.0, 8.0),
        Event("visual", "people burping", 7.0, 8.0),
    )
    assert data.events["G_ggrRDR0n0"] == ()
    assert {video.video: (video.tags, video.split) for video in data.videos} == {
        "EpxQKLhAP0s": (("people burping",), "train"),
        "G_ggrRDR0n0": ((), "val"),
        "HaQNEB6XGss": (("people clapping",), "test"),
    }
    assert data.localisation
    assert data.segments == 10
    assert find_issues(read(tmp_path)) == ()


def test_both_names_of_the_labels_are_known(tmp_path: Path) -> None:
    write(tmp_path)
    file = tmp_path / "released_ovavel_dataset_anno.json"
    file.rename(tmp_path / "ovavel_dataset_anno.json")
    assert merge_rows(read(tmp_path)).version == "ovavel_dataset_anno.json"


def test_clips_listed_twice_or_not_at_all_are_issues(tmp_path: Path) -> None:
    meta = META + "train,people burping,close,EpxQKLhAP0s\n"
    document = labels(stranger=clip("people booing", [1] * 10))
    rows = read(write(tmp_path, meta, document))
    issues = find_issues(rows)
    assert [issue.kind for issue in issues] == ["clip listed twice", "unknown id"]
    assert "stranger" not in merge_rows(rows).ids


@pytest.mark.parametrize(
    ("meta", "changes", "message"),
    [
        ("a,b\n", {}, r"meta\.csv:1: the columns are a, b; expected split, cls_name"),
        (META + "val,Dog,close\n", {}, r"meta\.csv:5: 3 fields, expected 4: split"),
        (META + "dev,Dog,close,x\n", {}, r"meta\.csv:5: unknown split 'dev'"),
        (META + "val,Dog,shut,x\n", {}, r"meta\.csv:5: unknown cls_type 'shut'"),
        (META + "val,Dog,open,\n", {}, r"meta\.csv:5: a row without a video id"),
        (META + "val,,open,x\n", {}, r"meta\.csv:5: x has no class"),
        (META + "val,Dog,open,x\n", {}, r"meta\.csv:5: 1 of 4 clips are not in rele"),
        (META.splitlines()[0], {}, r"meta\.csv: the list has no clips"),
        (META, {"EpxQKLhAP0s": 1}, r"json: \['EpxQKLhAP0s'\] is 1, expected an obj"),
        (META, {"EpxQKLhAP0s": {}}, r"\['EpxQKLhAP0s'\] has no key 'category'"),
        (META, {"EpxQKLhAP0s": clip("Dog", [1] * 10)}, r"category is 'Dog', but ovave"),
        (META, {"x": clip("Dog", [1] * 9)}, r"\['x'\]\.label is '\[1, .*expected 10"),
        (META, {"x": clip("Dog", [2] * 10)}, r"\['x'\]\.label is '\[2, .*0 or 1"),
        (META, {"x": {"category": "Dog", "label": [1]}}, r"label is \[1\], expected a"),
        (META, {"": clip("Dog", [1] * 10)}, "a row without a video id"),
    ],
)
def test_a_fault_names_the_value_and_its_place(
    tmp_path: Path, meta: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        read(write(tmp_path, meta, labels(**changes)))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"neither released_ovavel.* is there"):
        read(tmp_path)
    with pytest.raises(UsageError, match="OV-AVEBench has one version"):
        read(tmp_path, annotations="old")
    write(tmp_path, document=[])
    with pytest.raises(AnnotationError, match=r"the document is \[\], expected an obj"):
        read(tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["category", "label"]), inner)
    ),
    max_leaves=6,
)
good = st.builds(
    clip,
    st.sampled_from(["Dog", "people burping", "", "nan"]),
    st.lists(st.integers(0, 2), min_size=9, max_size=11),
)


@given(changes=st.dictionaries(st.text(max_size=5), values | good, max_size=3))
def test_any_labels_are_read_or_give_one_error(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> None:
    folder = write(tmp_path_factory.mktemp("ovave"), document=labels(**changes))
    try:
        rows = read(folder)
        find_issues(rows)
    except AnnotationError:
        return
    assert len(merge_rows(rows).ids) == 3
