"""The official files of AVE."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.official import AVE, REAL, write_ave
from vaplan.annotations import ave, merge_rows
from vaplan.annotations.issues import find_issues
from vaplan.errors import AnnotationError, UsageError
from vaplan.timeline import Event


def write_h5(path: Path, key: str, values: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file[key] = values


def test_a_clip_is_known_by_its_line_because_recordings_occur_in_several(
    tmp_path: Path,
) -> None:
    data = merge_rows(ave.read(write_ave(tmp_path)))
    assert data.ids == (
        "RUhOCu3LNXM@0",
        "MH3m4AwEcRY@1",
        "RUhOCu3LNXM@2",
        "2An2JMGMbbs@3",
    )
    assert [video.split for video in data.videos] == ["train", "val", "test", "train"]
    assert data.videos[1].tags == ("Male speech, man speaking",)
    assert data.localisation


def test_an_event_is_audible_and_visible_and_the_rest_is_background(
    tmp_path: Path,
) -> None:
    data = merge_rows(ave.read(write_ave(tmp_path)))
    assert data.events["RUhOCu3LNXM@2"] == (
        Event("audio", "Bark", 2.0, 5.0),
        Event("visual", "Bark", 2.0, 5.0),
    )
    assert data.events["2An2JMGMbbs@3"] == ()
    assert data.reference(10).any(axis=(2, 3)).sum(axis=1).tolist() == [10, 2, 3, 0]


def test_issues_are_listed_with_their_lines(tmp_path: Path) -> None:
    found = {
        (issue.kind, issue.line) for issue in find_issues(ave.read(write_ave(tmp_path)))
    }
    assert found == {
        ("recording in several clips", 1),
        ("leak between test and train", 3),
        ("zero-length event", 4),
        ("tag without an event", 4),
    }


def test_the_published_orders_are_read_and_have_priority_over_text(
    tmp_path: Path,
) -> None:
    folder = write_ave(tmp_path)
    for split, text in (("train", "1 0"), ("val", "3"), ("test", "2")):
        write_h5(
            folder / f"{split}_order.h5",
            "order",
            np.array(text.split(), dtype=np.int64),
        )
    assert [video.split for video in merge_rows(ave.read(folder)).videos] == [
        "train",
        "train",
        "test",
        "val",
    ]


def test_background_clips_exist_if_one_of_their_files_exists(tmp_path: Path) -> None:
    folder = write_ave(tmp_path)
    write_h5(
        folder / "labels_noisy.h5", "avadataset", np.zeros((2, 29), dtype=np.float32)
    )
    data = merge_rows(ave.read(folder))
    assert data.ids[-2:] == ("background@0", "background@1")
    assert data.videos[-1].split == "train"
    assert not data.weak_label()[-2:].any()
    assert data.events["background@1"] == ()
    assert not [f for f in find_issues(ave.read(folder)) if "background" in f.what]


@pytest.mark.parametrize(
    ("annotations", "orders", "message"),
    [
        ("Bark&x&good&0\n", {}, r"Annotations\.txt:1: 4 fields, expected 5"),
        (
            "Barc&x&good&0&10\n",
            {},
            r"Annotations\.txt:1: unknown class 'Barc'; did you mean 'Bark'",
        ),
        ("Bark&x&good&0&ten\n", {}, r"Annotations\.txt:1: offset is 'ten'"),
        (
            AVE,
            {"val": "1\n2\n"},
            r"test_order\.txt: entry 1, line 2, belongs to val already",
        ),
        (
            AVE,
            {"val": "7\n"},
            r"val_order\.txt: entry 1 is 7, but Annotations\.txt has 4 lines",
        ),
        (AVE, {"val": "one\n"}, r"val_order\.txt:1: 'one' is no line number"),
        (AVE, {"train": "0\n"}, "line 4 belongs to no split"),
    ],
)
def test_a_fault_names_file_line_and_value(
    tmp_path: Path, annotations: str, orders: dict[str, str], message: str
) -> None:
    small = {"train": "0\n", "val": "", "test": ""} if annotations is not AVE else {}
    with pytest.raises(AnnotationError) as fault:
        ave.read(write_ave(tmp_path, annotations, **(small | orders)))
    assert fault.match(message)


def test_missing_files_and_unknown_versions_are_errors(tmp_path: Path) -> None:
    folder = write_ave(tmp_path)
    with pytest.raises(UsageError, match="AVE has one version"):
        ave.read(folder, annotations="legacy")
    (folder / "val_order.txt").unlink()
    with pytest.raises(
        AnnotationError, match=r"neither val_order\.h5 nor val_order\.txt"
    ):
        ave.read(folder)
    write_h5(folder / "val_order.h5", "else", np.zeros(1))
    with pytest.raises(AnnotationError, match=r"val_order\.h5: no dataset 'order'"):
        ave.read(folder)


@pytest.mark.parametrize(
    "folder",
    [path for path in (REAL / "ave",) if path.is_dir()],
    ids=lambda path: path.name,
)
def test_the_official_files_have_the_known_contents(folder: Path) -> None:
    sheet = ave.read(folder)
    data = merge_rows(sheet)
    assert sheet.version == "official"
    assert Counter(issue.kind for issue in find_issues(sheet)) == {
        "recording in several clips": 45,
        "leak between test and train": 8,
        "leak between train and val": 10,
        "zero-length event": 1,
        "tag without an event": 1,
    }
    assert Counter(video.split for video in data.videos) == {
        "train": 3339,
        "val": 402,
        "test": 402,
    }
    background = {
        split: ~part.reference(10).any(axis=(2, 3))
        for split, part in data.by_split().items()
    }
    assert {
        split: round(100 * float(cells.mean()), 1)
        for split, cells in background.items()
    } == {
        "train": 16.9,
        "val": 18.2,
        "test": 17.8,
    }
    assert tuple(data.taxonomy.classes) == tuple(
        dict.fromkeys(video.tags[0] for video in data.videos)
    )
