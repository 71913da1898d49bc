"""Run a function over many items in worker processes that may die: each death costs its own item only."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Expired
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from vaplan.errors import MachineError, VaplanError

Item = TypeVar("Item")
Result = TypeVar("Result")
SECONDS_PER_ITEM = 600.0
AHEAD = 4  # items a worker that are handed out before their turn


@dataclass(frozen=True)
class Failed:
    """An item that gave no result, and why, in one line."""

    reason: str


@dataclass(frozen=True)
class Guarded(Generic[Item, Result]):
    """`function`, with whatever it raises turned into a value."""

    function: Callable[[Item], Result]

    def __call__(self, item: Item) -> Result | Failed:
        try:
            return self.function(item)
        except VaplanError as error:
            return Failed(str(error))
        except Exception as error:  # noqa: BLE001 - the one boundary where anything a decoder throws becomes a row
            return Failed(f"{type(error).__name__}: {' '.join(str(error).split())}")


def supervised(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    prepare: Callable[..., None] | None = None,
    arguments: Sequence[Any] = (),
    seconds: float = SECONDS_PER_ITEM,
) -> Iterator[tuple[Item, Result | Failed]]:
    """Yield every item with its result or its failure, in order.

    Args:
        workers: How many processes; by default one a core.
        prepare: Called once in every new worker, with `arguments`.
        seconds: An item that takes longer is given up and its worker is killed.
    """
    if not items:
        return
    count = min(workers or os.cpu_count() or 1, len(items))
    context = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()  # its own start would let interruptions through again
    source, pending = iter(items), deque[tuple[Item, Future[Any]]]()
    with ProcessPool(count, context=context, initializer=prepare, initargs=list(arguments)) as pool:
        try:
            while True:
                with _uninterrupted():
                    for item in islice(source, AHEAD * count - len(pending)):
                        pending.append((item, pool.schedule(Guarded(function), args=[item], timeout=seconds)))
                if not pending:
                    return
                item, future = pending.popleft()
                yield item, _result(future, seconds)
        finally:
            pool.stop()  # type: ignore[no-untyped-call]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Start processes and threads that an interruption of the keyboard does not reach; ours is told, and stops them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _result(future: Future[Any], seconds: float) -> Any:
    try:
        return future.result()
    except ProcessExpired as error:
        return Failed(f"the worker died, exit code {error.exitcode}")
    except Expired:
        return Failed(f"gave no result within {seconds:g} s")
    except BrokenProcessPool:
        fix = "in a script, call it below `if __name__ == '__main__':`"
        raise MachineError("no worker process could start", fix=fix) from None
