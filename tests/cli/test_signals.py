"""Signals and memory: finished work is kept, and the exit code names the reason."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.conftest import World
from vaplan import stages
from vaplan.errors import Exit
from vaplan.store import find_stores
from vaplan.writing import delay_interruptions


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, Exit.INTERRUPTED), (signal.SIGTERM, Exit.TERMINATED)],
)
def test_an_interrupted_job_keeps_every_encoded_video(
    call: Call,
    world: World,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    features: Callable[..., Any] = stages.features

    def interrupted(*arguments: Any, **options: Any) -> Any:
        def progress(done: int, _total: int, _problem: str) -> None:
            if done == 3:
                os.kill(os.getpid(), number)

        return features(*arguments, **(options | {"progress": progress}))

    monkeypatch.setattr(stages, "features", interrupted)
    command = ["features", f"table:{world.table}", "--media", world.folder]
    options = ["--store", tmp_path, "--limit", 6, "--workers", 1]
    ended, _, err = call(*command, *options)
    assert ended == code
    assert "the same command continues where it stopped" in err
    for store in find_stores(tmp_path).values():
        assert len(store.read_statuses()) == 3
    monkeypatch.setattr(stages, "features", features)
    assert call(*command, *options)[0] == 0
    for store in find_stores(tmp_path).values():
        assert store.verify() == []


def test_an_interruption_waits_for_the_end_of_a_write() -> None:
    steps = list[str]()

    def write() -> None:
        with delay_interruptions():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("written")
        steps.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert steps == ["written"]


def test_a_machine_without_memory_is_exit_code_5(world: World, tmp_path: Any) -> None:
    def limit_memory() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (700_000_000, 700_000_000))

    command = [sys.executable, "-m", "vaplan", "label", f"table:{world.table}"]
    options = ["--store", str(world.store), "--out", str(tmp_path / "labels.csv")]
    ended = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit_memory,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == Exit.MACHINE, ended.stderr
    assert "a bug" not in ended.stderr
