"""The videos of a data set that have features in a store."""

from dataclasses import replace
from pathlib import Path

import pytest

from vaplan.annotations import read_table
from vaplan.annotations.table import find_line
from vaplan.dataset import dense_labels
from vaplan.errors import AnnotationError
from vaplan.ragged import Lengths
from vaplan.timeline import Event

HEADER = "video,modality,class,onset,offset\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    rows = "a,audio,Dog,0,2\na,visual,Dog,5,9\nb,visual,Cat,4,4.5\n"
    path.write_text(HEADER + rows)
    return path


def test_dense_labels_lie_end_to_end(table: Path) -> None:
    labels = dense_labels(read_table(table), Lengths.of([6, 5]))
    cells = labels.values.nonzero().tolist()  # segment, modality, class (Cat, Dog)
    assert cells == [[0, 0, 1], [1, 0, 1], [5, 1, 1], [10, 1, 0]]


def test_an_event_that_begins_after_the_end_is_an_error_with_its_line(
    table: Path,
) -> None:
    with pytest.raises(AnnotationError, match="'Cat' begins at 4 s") as caught:
        dense_labels(read_table(table), Lengths.of([6, 4]))
    assert "'b' ends at 4 s" in str(caught.value)
    assert (caught.value.file, caught.value.line) == (table, 4)


def test_data_sets_of_a_fixed_length_have_events_after_the_end_of_a_short_video(
    table: Path,
) -> None:
    data = replace(read_table(table), segments=10)
    assert dense_labels(data, Lengths.of([6, 4])).values.sum() == 3


def test_a_file_that_is_no_table_has_no_line_of_an_event(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text("{}")
    assert find_line(path, "a", read_event(tmp_path)) is None


def read_event(folder: Path) -> Event:
    path = folder / "one.csv"
    path.write_text(f"{HEADER}a,audio,Dog,0,2\n")
    (event,) = read_table(path).events["a"]
    assert find_line(path, "a", event) == 2
    assert find_line(path, "b", event) is None
    return event
