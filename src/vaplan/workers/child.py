"""One worker process for functions that take long and report how far they are."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from vaplan.workers.faults import Failed, Guarded
from vaplan.workers.processes import (
    DEATHS,
    TIME_OUTS,
    ProgressReporter,
    Report,
    describe_exit,
    die_with_parent,
    send_reports_to,
    start_process,
)

REPORT_SECONDS = 0.2  # between two reports
STOPPED = Failed("the work was stopped")
Advance = Callable[[float], None]  # takes how far the work is
LongWork = Callable[..., Any]  # takes an argument, and `advance` as a keyword


class Child:
    """A process that starts with its first work, and again after it died.

    A crash of the process costs the work that it does. One thread at a time calls `run`;
    any thread may call `stop`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection[Any, Any] | None = None
        self._is_stopped = False

    def run(
        self, function: LongWork, argument: Any, *, advance: Advance, seconds: float
    ) -> Any | Failed:
        """Return the result of a function, or its failure.

        Args:
            function: Takes the argument, and `advance` as a keyword; it must be picklable.
            argument: Argument of the function.
            advance: Called in this process with what the function reports.
            seconds: Longest time without a report, after which the process is killed.
        """
        pipe = self._start()
        if pipe is None:
            return STOPPED
        with suppress(OSError):  # of a dead process, which the pipe shows below
            pipe.send((function, argument))
        try:
            while pipe.poll(seconds):
                message = pipe.recv()
                if not isinstance(message, Report):
                    return message
                advance(*message.value)
        except (EOFError, OSError):  # the latter in the middle of a message
            code = self._end()
            if self._is_stopped:
                return STOPPED
            return Failed(f"its worker process died, {describe_exit(code)}", DEATHS)
        self._end()
        reason = f"gave no sign of progress within {seconds:g} s"
        return Failed(reason, TIME_OUTS, is_final=True)

    def stop(self) -> None:
        """Kill the process; the work that it does fails, and no other work starts."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> "Connection[Any, Any] | None":
        with self._lock:
            if self._is_stopped:
                return None
            if self._process is None or not self._process.is_alive():
                self._process, self._pipe = start_process(_serve)
            return self._pipe

    def _end(self) -> int:
        with self._lock:
            process, pipe = self._process, self._pipe
            self._process = None
            self._pipe = None
        if process is None or pipe is None:
            return 0
        process.kill()
        process.join()
        pipe.close()
        return process.exitcode or 0


def _serve(pipe: "Connection[Any, Any]") -> None:
    """Run every function that comes through the pipe, until the pipe ends."""
    die_with_parent()
    send_reports_to(pipe)
    while True:
        try:
            function, argument = pipe.recv()
        except EOFError:
            return
        work = partial(function, advance=ProgressReporter(REPORT_SECONDS))
        pipe.send(Guarded(work)(argument))
