"""Ids of files and paths; ids, texts and times in tables are in test_table.py."""

import pytest

from vaplan.annotations.fields import id_of_file, id_of_path


@pytest.mark.parametrize(
    ("path", "of_path", "of_file"),
    [
        ("a/b.mp4", "a/b", "a/b"),
        ("../x/./a.WAV", "x/a", "x/a"),
        ("/a.b.mkv", "a.b", "a.b"),
        ("v_1.8_11.8", "v_1.8_11", "v_1.8_11.8"),
        ("..", "", ""),
        ("/", "", ""),
        ("", "", ""),
    ],
)
def test_an_id_has_no_ending_and_no_root(path: str, of_path: str, of_file: str) -> None:
    assert (id_of_path(path), id_of_file(path)) == (of_path, of_file)
