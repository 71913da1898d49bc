"""Worker processes that run a function on items.

Every worker has its own pipe, so the death of a worker is noticed and costs one item.
"""

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, runtime_checkable

from vaplan.errors import MachineError, VaplanError
from vaplan.workers.faults import Failed, Guarded

MAX_AHEAD = 4  # items a worker that may be finished before their turn
MAX_FAILED_STARTS = 3  # consecutive workers that may die before they are ready
# A fork of this process would inherit the locks of torch's threads. Workers are forks of a
# server without threads, which imports what they need once and shares its memory with them.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([])  # by default it is the script that uses vaplan
START_SECONDS = 600.0  # time limit in which a worker must be ready
REPORT_SECONDS = 2.0  # between two reports of the progress of one item
TimeLimit = float | Callable[[Any], float]  # in seconds
Watch = Callable[[Any, Any], None]  # takes an item and what its worker reports
DEATHS = "deaths of worker processes"
TIME_OUTS = "time-outs"


@dataclass(frozen=True)
class Work:
    """The work of one worker.

    Attributes:
        function: The function that runs on every item.
        prepare: A function that runs once, before the first item.
        arguments: The arguments of `prepare`.
        memory: Bytes that a worker may allocate; None for no limit.
        imports: Names of modules that `prepare` or the function imports late.
    """

    function: Callable[[Any], Any]
    prepare: Callable[..., None] | None = None
    arguments: Sequence[Any] = ()
    memory: int | None = None
    imports: Sequence[str] = ()


@dataclass(frozen=True)
class Report:
    """A value that a worker sends before its item is finished."""

    value: Any


_SHARED_IMPORTS = set[str]()  # names of modules


@runtime_checkable
class Pipe(Protocol):
    """What carries reports to the process that handed out an item."""

    def send(self, value: Report, /) -> None:
        """Send a report."""


_PIPES: list[Pipe] = []  # of a worker process, to its starter


def send_reports_to(pipe: Pipe) -> None:
    """Send the reports of this process through a pipe from now on.

    Args:
        pipe: End of the pipe in this process, or another carrier.
    """
    _PIPES[:] = [pipe]


def report(value: Any) -> None:
    """Send a value about the current item to the process that handed it out.

    The time limit of the item starts anew, because the item makes progress. Outside a worker
    process nothing happens.

    Args:
        value: Picklable value for the `watch` of the engine.
    """
    for pipe in _PIPES:
        pipe.send(Report(value))


@dataclass
class ProgressReporter:
    """Reports the progress of work that takes longer than an interval.

    Attributes:
        interval: Seconds between two reports, and before the first one.
        last: Time of the last report, in seconds of the monotonic clock.
    """

    interval: float = REPORT_SECONDS
    last: float = field(default_factory=time.monotonic)

    def __call__(self, *values: int | float) -> None:
        """Report the progress, unless the last report was less than an interval ago.

        Args:
            values: Finished units and, if it is known, all units. The report is this tuple.
        """
        now = time.monotonic()
        if now - self.last >= self.interval:
            self.last = now
            report(values)


def run_in_order(
    work: Work,
    items: Sequence[Any],
    *,
    count: int,
    seconds: TimeLimit,
    watch: Watch | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield every item with its result or its failure, in the order of the items.

    Args:
        work: The function that runs on every item, and its preparation.
        items: The arguments of the function, one a call.
        count: The largest number of processes.
        seconds: The time limit of one item, or a function of the item that returns it.
        watch: Called with an item and each value that its worker reports.

    Raises:
        MachineError: No worker can start.
        VaplanError: `work.prepare` raised it in a worker.
    """
    queue = deque(enumerate(items))
    finished = dict[int, Any]()
    crew = _Crew(work, count, seconds, watch)
    try:
        for turn, item in enumerate(items):
            while turn not in finished:
                crew.hand_out(queue, end=turn + MAX_AHEAD * count)
                finished.update(crew.collect())
            yield item, finished.pop(turn)
    finally:
        for worker in crew.workers:
            worker.stop()


@dataclass
class _Worker:
    process: BaseProcess
    pipe: "Connection[Any, Any]"
    deadline: float
    limit: float = START_SECONDS  # seconds until the deadline, for the error
    ready: bool = False
    turn: int | None = None  # index of its item; None if it has none
    item: Any = None

    def give(self, turn: int, item: Any, limit: float) -> None:
        self.turn = turn
        self.item = item
        self.limit = limit
        self.deadline = time.monotonic() + limit
        with suppress(OSError):  # of a dead worker, which `collect` finds at its pipe
            self.pipe.send(item)

    def stop(self) -> int:
        """Kill the process and return its exit code."""
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return self.process.exitcode or 0


@dataclass
class _Crew:
    work: Work
    count: int
    seconds: TimeLimit
    watch: Watch | None = None
    workers: list[_Worker] = field(default_factory=list)
    failed_starts: int = 0

    def hand_out(self, queue: deque[tuple[int, Any]], *, end: int) -> None:
        """Replace dead workers and give an item to every idle one.

        Args:
            queue: The index and the value of every item that has no worker yet.
            end: The first index that is too early to start.
        """
        busy = sum(worker.turn is not None for worker in self.workers)
        while len(self.workers) < min(self.count, busy + len(queue)):
            self.workers.append(_start_worker(self.work))
        for worker in self.workers:
            is_idle = worker.ready and worker.turn is None
            if is_idle and queue and queue[0][0] < end:
                turn, item = queue.popleft()
                limit = self.seconds(item) if callable(self.seconds) else self.seconds
                worker.give(turn, item, limit)

    def collect(self) -> Iterator[tuple[int, Any]]:
        """Wait for results, deaths or a time limit, and yield the finished items."""
        deadline = min(worker.deadline for worker in self.workers)
        seconds_left = max(0.0, deadline - time.monotonic())
        timeout = None if seconds_left == float("inf") else seconds_left
        readable = wait([worker.pipe for worker in self.workers], timeout)

        for worker in [*self.workers]:
            if worker.pipe in readable:
                yield from self._receive(worker)
            elif worker.deadline < time.monotonic():
                reason = f"gave no result within {worker.limit:g} s"
                failure = Failed(reason, TIME_OUTS, is_final=True)
                yield from self._remove(worker, failure)

    def _receive(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):  # the latter in the middle of a message
            worker.process.join(timeout=START_SECONDS)
            reason = f"its worker process died, {describe_exit(worker.stop())}"
            yield from self._remove(worker, Failed(reason, DEATHS))
            return
        if isinstance(message, Report):
            worker.deadline = time.monotonic() + worker.limit
            if self.watch:
                self.watch(worker.item, message.value)
            return
        if worker.turn is not None:
            yield worker.turn, message
        elif message is not None:
            raise message
        self.failed_starts = 0
        worker.ready = True
        worker.turn = None
        worker.deadline = float("inf")

    def _remove(self, worker: _Worker, failure: Failed) -> Iterator[tuple[int, Failed]]:
        self.workers.remove(worker)
        worker.stop()
        if worker.turn is not None:
            yield worker.turn, failure
            return
        if not worker.ready:
            self.failed_starts += 1
        if self.failed_starts == MAX_FAILED_STARTS:
            fix = (
                "in a script, call it below `if __name__ == '__main__':`; "
                "otherwise check which other programs use the memory"
            )
            raise MachineError(
                f"no worker process could start: {failure.reason}", fix=fix
            )


def _start_worker(work: Work) -> _Worker:
    share_imports([_module(work.function), *work.imports])
    process, pipe = start_process(_serve, work)
    return _Worker(process, pipe, time.monotonic() + START_SECONDS)


def share_imports(modules: Iterable[str]) -> None:
    """Import modules once for all workers, if none has been started yet.

    Args:
        modules: Names of modules; a name that does not exist is ignored.
    """
    _SHARED_IMPORTS.update(modules)
    CONTEXT.set_forkserver_preload(sorted(_SHARED_IMPORTS))


def _module(function: Callable[..., Any]) -> str:
    """Return the name of the module of a function, which may be partly applied."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__module__", __name__)


def start_process(
    function: Callable[..., object], *arguments: Any
) -> "tuple[BaseProcess, Connection[Any, Any]]":
    """Start a process that ignores interruptions; the parent process stops it.

    Args:
        function: The function of the process; its first argument is its end of a pipe.
        arguments: The other arguments of the function.

    Returns:
        The process, and the parent's end of the pipe.
    """
    parent_end, process_end = CONTEXT.Pipe()
    resource_tracker.ensure_running()  # its start unblocks interruptions, so it is first
    signals_before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM}
    )
    try:
        process = CONTEXT.Process(
            target=function, args=(process_end, *arguments), daemon=True
        )
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals_before)
        process_end.close()  # so that the pipe ends when the process does
    return process, parent_end


def _serve(pipe: "Connection[Any, Any]", work: Work) -> None:
    """Prepare, report it, then answer every item with its result until the pipe ends."""
    die_with_parent()
    if work.memory is not None:
        limit_memory(work.memory)
    with suppress(EOFError, BrokenPipeError):  # the parent has closed its end
        try:
            if work.prepare:
                work.prepare(*work.arguments)
        except VaplanError as error:
            return pipe.send(error)
        pipe.send(None)
        send_reports_to(pipe)
        function = Guarded(work.function)
        while True:
            item = pipe.recv()
            pipe.send(function(item))
    return None


def limit_memory(size: int) -> None:
    """Let allocations fail beyond a size, before the kernel kills any process.

    The limit is of private writable memory. Address space that a GPU driver only reserves
    does not count.

    Args:
        size: Bytes that this process may allocate.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def die_with_parent(last_act: Callable[[], object] | None = None) -> None:
    """End this process when its parent process ends.

    Args:
        last_act: Called before the end.
    """
    arguments = (last_act,)
    threading.Thread(target=_wait_for_parent, args=arguments, daemon=True).start()


def _wait_for_parent(last_act: Callable[[], object] | None) -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        if last_act:
            last_act()
        os._exit(1)


def describe_exit(code: int) -> str:
    """Describe the exit code of a process, which is negative if a signal ended it."""
    if code < 0:
        return f"signal {-code} ({signal.Signals(-code).name})"
    return f"exit code {code}"
