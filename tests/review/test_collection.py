"""Sources of a review: a table, or a folder of timelines."""

import json
from pathlib import Path

import pytest

from vaplan.errors import AnnotationError, UsageError
from vaplan.exports import export, output_path
from vaplan.exports.plain import segment_scores_csv
from vaplan.review.collection import read_collection, read_score_curves, reviewed_path
from vaplan.timeline import Event, SegmentScores, Timeline

DOG = Event("audio", "Dog", 1.0, 3.0, 0.75)
CAT = Event("visual", "Cat", 0.0, 2.0, 0.5)


def test_scores_of_a_video_with_a_long_name_are_found(tmp_path: Path) -> None:
    name = "é" * 200  # `vaplan parse` shortens the names of its files
    file = output_path(tmp_path, name, "json")
    file.write_text(json.dumps({"video": name, "events": []}))
    (video,) = read_collection(tmp_path).videos
    assert video.scores is None
    scores = output_path(tmp_path, name, "scores.csv")
    scores.write_text("modality,onset,offset,Dog\naudio,0,1,0.5\n")
    (video,) = read_collection(tmp_path).videos
    assert video.scores == scores


def test_rows_of_one_second_become_one_event(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "video,modality,class,onset,offset,score\n"
        "a,audio,Dog,0,1,0.5\na,audio,Dog,1,2,0.7\nb,,,,,\n"
    )
    collection = read_collection(table)
    assert [video.name for video in collection.videos] == ["a", "b"]
    assert collection.videos[0].events == (Event("audio", "Dog", 0.0, 2.0, 0.6),)
    assert collection.videos[1].events == ()
    assert not collection.is_closed


def test_a_taxonomy_file_closes_the_list_of_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("video,class\na,Dog\n")
    (tmp_path / "t.taxonomy.yaml").write_text("classes: [Dog, Rain]\n")
    collection = read_collection(tmp_path / "t.csv")
    assert collection.is_closed
    assert collection.classes == ("Dog", "Rain")
    assert collection.videos[0].video.tags == ("Dog",)


def test_timelines_come_back_as_they_were_exported(tmp_path: Path) -> None:
    missing = (("audio", 4.0, 5.0),)
    timeline = Timeline("2019/a", 5.0, (CAT, DOG), missing, ("audio: damaged",))
    (tmp_path / "2019").mkdir()
    export(timeline, tmp_path / "2019" / "a.json")
    export(Timeline("b", 2.0), tmp_path / "b.csv")
    (tmp_path / "b.scores.csv").write_text("modality,onset,offset,Dog\naudio,0,1,0.5\n")
    collection = read_collection(tmp_path)
    (first, second) = collection.videos
    assert (first.name, first.seconds, first.events) == ("2019/a", 5.0, (CAT, DOG))
    assert (first.missing, first.warnings) == (missing, ("audio: damaged",))
    assert (second.name, second.events) == ("b", ())
    assert second.scores == tmp_path / "b.scores.csv"
    assert collection.problems == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": "../../etc/passwd"}, "cannot be used"),
        ({"video": None}, "`video` or `events` is missing"),
        ({"seconds": 1e9}, "expected seconds from 0 to"),
        ({"missing": 3}, "missing is no list"),
        ({"events": [7]}, "7 is no event"),
        ({"events": [{"modality": "smell"}]}, "unknown modality 'smell'"),
        (
            {"events": [{"modality": "audio", "onset": 3, "offset": 3}]},
            "onset 3.0 s must come before offset 3.0 s",
        ),
        (
            {"events": [{"modality": "audio", "onset": 0, "offset": 3, "class": ""}]},
            "expected a name",
        ),
    ],
)
def test_a_bad_file_is_a_problem_and_the_others_are_read(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    export(Timeline("a", 5.0, (DOG,)), tmp_path / "a.json")
    export(Timeline("b", 5.0, (DOG,)), tmp_path / "b.json")
    document = json.loads((tmp_path / "b.json").read_text()) | change
    (tmp_path / "b.json").write_text(json.dumps(document))
    collection = read_collection(tmp_path)
    assert [video.name for video in collection.videos] == ["a"]
    (problem,) = collection.problems
    assert message in problem
    assert "b.json" in problem


def test_two_files_of_one_video_and_two_spellings_are_problems(tmp_path: Path) -> None:
    lower = Event("audio", "dog", 0.0, 1.0)
    export(Timeline("a", 5.0, (DOG,)), tmp_path / "a.json")
    export(Timeline("a", 5.0, (DOG,)), tmp_path / "b.json")
    export(Timeline("c", 5.0, (lower,)), tmp_path / "c.json")
    problems = read_collection(tmp_path).problems
    assert "is in a.json, too" in problems[0]
    assert "'dog' is written 'Dog'" in problems[1]


def test_a_folder_without_timelines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(AnnotationError, match="contains no timeline"):
        read_collection(tmp_path)


def test_the_result_of_a_review_is_not_reviewed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is the result of a review"):
        read_collection(tmp_path / "labels.reviewed.csv")


def test_files_of_a_review_stand_beside_the_source(tmp_path: Path) -> None:
    folder = tmp_path / "run.1"
    folder.mkdir()
    assert reviewed_path(folder, ".jsonl") == tmp_path / "run.1.reviewed.jsonl"
    table = tmp_path / "a.parquet"
    assert reviewed_path(table) == tmp_path / "a.reviewed.csv"


def test_score_curves_are_those_that_were_exported(tmp_path: Path) -> None:
    import numpy as np

    values = np.zeros((2, 2, 1))
    values[:, 0, 0] = 0.25, 0.75
    mask = np.array([[True, True], [True, False]])
    scores = SegmentScores(values, mask, ("Dog",))
    path = tmp_path / "a.scores.csv"
    path.write_text(segment_scores_csv(Timeline("a", 2.0, scores=scores)))
    assert read_score_curves(path) == {
        "classes": ["Dog"],
        "audio": [[0.0, 1.0, 0.25], [1.0, 2.0, 0.75]],
        "visual": [[0.0, 1.0, 0.0]],
    }


def test_other_tables_are_no_score_curves(tmp_path: Path) -> None:
    path = tmp_path / "a.scores.csv"
    path.write_text("video,class\na,Dog\n")
    with pytest.raises(AnnotationError, match="expected modality, onset, offset"):
        read_score_curves(path)
