"""A full disk, a forbidden folder: the job stops with one clear line, and goes on when that is corrected."""

import errno
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.stages.killing import PRETENCE, data, held, job, with_media
from vaplan import stages
from vaplan.annotations.media_files import MediaFolder
from vaplan.errors import Exit, MachineError, UsageError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def pretence(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "world" not in request.fixturenames:
        for setting in PRETENCE:
            monkeypatch.setattr(*setting)


def failing(function: Callable[..., Any], at: int, number: int) -> Callable[..., Any]:
    """The function, which the system refuses from some call on."""
    calls = iter(range(10**6))

    def call(*arguments: Any, **options: Any) -> Any:
        if next(calls) >= at:
            raise OSError(number, os.strerror(number))
        return function(*arguments, **options)

    return call


def stopped(root: Path) -> str:
    """Run the job; return the error that stopped it, or nothing."""
    try:
        job(root)
    except MachineError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("name", "calls"), [("fsync", 20), ("replace", 10), ("pwrite", 4)]
)
def test_a_disk_that_is_full_at_any_moment_stops_the_job_which_can_be_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, calls: int
) -> None:
    job(with_media(tmp_path / "unbroken"))
    whole = held(tmp_path / "unbroken")
    for at in range(calls):
        root = with_media(tmp_path / str(at))
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing(getattr(os, name), at, errno.ENOSPC))
            message = stopped(root)
        assert re.match(
            rf"{root / 'store'}.*: No space left on device. Fix: free ", message
        )
        assert not held(root)["leftovers"]
        job(root)
        assert held(root) == whole


def test_the_command_ends_with_code_5_and_one_line_when_the_disk_is_full(
    world: World, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "vaplan",
        "features",
        f"table:{world.table}",
        "--media",
        str(world.folder),
    ]
    command += ["--store", str(tmp_path), "--limit", "4", "--workers", "1"]

    def little_room() -> None:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (6_000, 6_000)
        )  # the store's cards fit, features do not

    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=little_room
    )
    assert done.returncode == Exit.MACHINE, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert os.strerror(errno.EFBIG) in line
    assert "Fix: free" in line
    assert "Traceback" not in done.stderr
    assert [
        path.name for path in tmp_path.glob("*/*.p*")
    ] == []  # no shard, and no part of one
    few = world.data.select_videos(world.data.ids[:4])
    assert (
        stages.features(
            few,
            world.folder,
            tmp_path,
            encoders=(("embedded",), ("embedded",)),
            workers=1,
        ).done
        == 4
    )


def test_a_store_in_a_place_that_cannot_be_written_stops_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (with_media(tmp_path) / "store").write_text("a file where the store should be")
    with pytest.raises(
        MachineError,
        match=r"the store cannot be written: .* Fix: free space there, or correct",
    ) as caught:
        job(tmp_path)
    assert caught.value.exit == Exit.MACHINE


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_media_folder_that_cannot_be_read_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "scandir", failing(os.scandir, 0, number))
    with pytest.raises(
        MachineError,
        match=rf"media: the media folder cannot be read: {os.strerror(number)}",
    ):
        job(with_media(tmp_path))


def test_a_missing_media_folder_is_a_wrong_argument(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        job(tmp_path)
    assert not (tmp_path / "store").exists()


def test_a_file_without_permission_is_reported_when_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = MediaFolder(tmp_path, table=tmp_path / "t.csv")
    (video, *_) = data().videos
    monkeypatch.setattr(Path, "stat", failing(Path.stat, 0, errno.EACCES))
    assert (
        folder.find(type(video)("x", path="hidden/x.mp4"))
        == tmp_path / "hidden" / "x.mp4"
    )
