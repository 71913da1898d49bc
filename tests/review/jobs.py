"""Work of the child processes of the tests; modules that load quickly."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from vaplan.errors import MachineError, MediaError
from vaplan.workers.child import REPORT_SECONDS, Advance


def double(argument: int, *, advance: Advance) -> int:
    del advance
    return 2 * argument


def process_id(argument: Any, *, advance: Advance) -> int:
    del advance
    return os.getpid()


def report_half(path: Path, *, advance: Advance) -> None:
    """Report 5, then wait until a file is there."""
    advance(5.0)
    while not path.exists():
        time.sleep(REPORT_SECONDS)
        advance(5.0)


def fail(text: str, *, advance: Advance) -> None:
    del advance
    raise MediaError(text)


def crash(argument: Any, *, advance: Advance) -> None:
    del advance
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(argument: Any, *, advance: Advance) -> None:
    del advance
    time.sleep(600)


def need_file(path: Path, *, advance: Advance) -> str:
    """Fail as a full disk does, until a file is there."""
    del advance
    if not path.exists():
        raise MachineError("disk full")
    return "written"
