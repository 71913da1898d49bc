"""Processes that work through items, each over a pipe of its own: the death of one is known, and costs one item."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from vaplan.errors import MachineError, VaplanError
from vaplan.workers.faults import Failed, Guarded

AHEAD = 4  # items a worker that may be finished before their turn
STILLBORN = 3  # workers in a row that may die before they are ready
START_SECONDS = 600.0  # in which a worker must be ready
DEATHS, TIME_OUTS = "deaths of worker processes", "time-outs"


@dataclass(frozen=True)
class Work:
    """What a worker does with an item, and once before the first."""

    function: Callable[[Any], Any]
    prepare: Callable[..., None] | None = None
    arguments: Sequence[Any] = ()


def in_order(
    work: Work, items: Sequence[Any], *, count: int, seconds: float
) -> Iterator[tuple[Any, Any]]:
    """Yield every item with its result, in order, from `count` processes.

    Raises: MachineError if no worker can start, and whatever error of ours `prepare` raises.
    """
    todo, finished = deque(enumerate(items)), dict[int, Any]()
    crew = _Crew(work, count, seconds)
    try:
        for turn, item in enumerate(items):
            while turn not in finished:
                crew.hand_out(todo, before=turn + AHEAD * count)
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
    ready: bool = False
    turn: int | None = None  # of the item it has

    def give(self, turn: int, item: Any, deadline: float) -> None:
        self.turn, self.deadline = turn, deadline
        with suppress(
            OSError
        ):  # it may be dead, as the next look at its pipe will show
            self.pipe.send(item)

    def stop(self) -> int:
        """End the process, and say how it ended."""
        self.process.kill()
        self.process.join()
        self.pipe.close()
        return self.process.exitcode or 0


@dataclass
class _Crew:
    work: Work
    count: int
    seconds: float
    workers: list[_Worker] = field(default_factory=list)
    stillborn: int = 0

    def hand_out(self, todo: deque[tuple[int, Any]], *, before: int) -> None:
        """Give every idle worker an item whose turn is near, and replace the workers that died."""
        busy = sum(worker.turn is not None for worker in self.workers)
        while len(self.workers) < min(self.count, busy + len(todo)):
            self.workers.append(_started(self.work))
        for worker in self.workers:
            if worker.ready and worker.turn is None and todo and todo[0][0] < before:
                worker.give(*todo.popleft(), deadline=time.monotonic() + self.seconds)

    def collect(self) -> Iterator[tuple[int, Any]]:
        """Wait until something happens; yield what is finished."""
        patience = max(
            0.0, min(worker.deadline for worker in self.workers) - time.monotonic()
        )
        heard = wait(
            [worker.pipe for worker in self.workers],
            None if patience == float("inf") else patience,
        )
        for worker in [*self.workers]:
            if worker.pipe in heard:
                yield from self._hear(worker)
            elif worker.deadline < time.monotonic():
                yield from self._lose(
                    worker,
                    Failed(f"gave no result within {self.seconds:g} s", TIME_OUTS),
                )

    def _hear(self, worker: _Worker) -> Iterator[tuple[int, Any]]:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):  # the latter in the middle of a message
            worker.process.join(timeout=START_SECONDS)
            yield from self._lose(
                worker,
                Failed(f"its worker process died, {_cause(worker.stop())}", DEATHS),
            )
            return
        if worker.turn is not None:
            yield worker.turn, message
        elif message is not None:
            raise message
        self.stillborn, worker.ready, worker.turn, worker.deadline = (
            0,
            True,
            None,
            float("inf"),
        )

    def _lose(self, worker: _Worker, failed: Failed) -> Iterator[tuple[int, Failed]]:
        self.workers.remove(worker)
        worker.stop()
        if worker.turn is not None:
            yield worker.turn, failed
            return
        self.stillborn += not worker.ready
        if self.stillborn == STILLBORN:
            fix = "in a script, call it below `if __name__ == '__main__':`; else see what else uses the memory"
            raise MachineError(
                f"no worker process could start: {failed.reason}", fix=fix
            )


def _started(work: Work) -> _Worker:
    """A new worker; an interruption of the keyboard does not reach it, as ours is told and stops it."""
    context = multiprocessing.get_context(
        "spawn"
    )  # a fork would inherit locks that torch's threads hold
    ours, its = context.Pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        resource_tracker.ensure_running()  # its own start would let interruptions through again
        process = context.Process(target=_serve, args=(its, work), daemon=True)
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        its.close()  # so that the pipe ends when the process does
    return _Worker(process, ours, time.monotonic() + START_SECONDS)


def _serve(pipe: "Connection[Any, Any]", work: Work) -> None:
    """A worker's life: prepare, say so, then an item in and its result out until the pipe ends."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        if work.prepare:
            work.prepare(*work.arguments)
    except VaplanError as error:
        return pipe.send(error)
    pipe.send(None)
    function = Guarded(work.function)
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return None
        pipe.send(function(item))


def _die_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _cause(code: int) -> str:
    return (
        f"signal {-code} ({signal.Signals(-code).name})"
        if code < 0
        else f"exit code {code}"
    )
