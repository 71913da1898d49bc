"""A folder has one writer."""

from pathlib import Path

import pytest

from vaplan.errors import Exit, MachineError
from vaplan.locks import lock_folder


def test_a_locked_folder_is_refused_until_the_block_ends(tmp_path: Path) -> None:
    with lock_folder(tmp_path, kind="store"):
        refused = pytest.raises(MachineError, match="the run folder is locked by pid")
        with refused as caught, lock_folder(tmp_path, kind="run folder"):
            pass
    assert caught.value.exit == Exit.MACHINE
    with lock_folder(tmp_path, kind="run folder"):
        pass


def test_a_block_within_another_may_lock_its_folder_again(tmp_path: Path) -> None:
    with lock_folder(tmp_path, kind="run folder"):
        with lock_folder(tmp_path / "." / "", kind="run folder", again=True):
            pass
        refused = pytest.raises(MachineError, match="locked by pid")
        with refused, lock_folder(tmp_path, kind="run folder"):  # the inner frees none
            pass
    with lock_folder(tmp_path, kind="run folder", again=True):
        pass
