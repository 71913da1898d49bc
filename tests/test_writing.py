"""A file is written completely or not at all, with the mode of the umask, and leaves no temporary file."""

import errno
import os
from pathlib import Path

import pytest

from vaplan.errors import Exit, MachineError
from vaplan.writing import (
    check_file_writable,
    check_writable,
    remove_leftovers,
    replace_together,
    write_atomically,
    write_bytes,
    write_text,
)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_file_has_the_mode_of_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        one = write_bytes(tmp_path / "one", b"1")
        two = write_text(tmp_path / "two", "2")
        with replace_together(tmp_path / "run", last="last") as folder:
            write_text(folder / "last", "3")
    finally:
        os.umask(before)
    for path in (one, two, tmp_path / "run" / "last"):
        assert path.stat().st_mode & 0o777 == mode


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path,
) -> None:
    path = write_text(tmp_path / "a.csv", "old")

    def fill_the_disk(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(MachineError) as caught:
        write_atomically(path, fill_the_disk, size=1234)
    assert str(caught.value).startswith(f"{path}: cannot write: No space left")
    assert "free 1,234 bytes or more" in str(caught.value)
    assert caught.value.exit == Exit.MACHINE
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_text() == "old"


def test_the_rest_of_a_killed_writer_is_removed_by_the_next_one(tmp_path: Path) -> None:
    (tmp_path / ".a.csv.part").write_text("half")
    (tmp_path / ".new.part").mkdir()
    (tmp_path / "b.part").write_text("a file of the user")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.part"]


def test_a_write_test_leaves_no_file(tmp_path: Path) -> None:
    check_writable(tmp_path / "new")
    path = write_text(tmp_path / "a.csv", "old")
    assert check_file_writable(path).read_text() == "old"
    assert [*(tmp_path / "new").iterdir()] == []
    for taken, reason in (
        (path / "b.csv", "cannot write: "),
        (tmp_path / "new", "it is a folder"),
    ):
        with pytest.raises(MachineError, match=reason):
            check_file_writable(taken)
