"""Run a function over many items in worker processes and report failures per item."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from vaplan.errors import MachineError
from vaplan.workers.faults import Failed, Item, Result
from vaplan.workers.processes import TimeLimit, Watch, Work, report, run_in_order

__all__ = [
    "Engine",
    "Failed",
    "FileProgress",
    "Progress",
    "TimeLimit",
    "Watch",
    "report",
    "run_supervised",
]

SECONDS_PER_ITEM = 600.0
MAX_CONSECUTIVE_FAILURES = 10  # alike and perhaps the machine's, before it is checked
MEMORY_SHARE = 0.9  # of the machine's, for all workers together
MIN_MEMORY = 4 * 1024**3  # room for the libraries and the encoders of one worker
CHECK_ITEMS = 3  # items that the check tries where none has succeeded yet


@runtime_checkable
class Progress(Protocol):
    """Callback of every function that takes long; it is called after each item.

    Items are videos, files or epochs; the function that takes `progress=` says which.

    >>> def show(done: int, total: int, problem: str) -> None:
    ...     print(f"{done} of {total} {problem}")
    >>> show(2, 3, "b.mp4: empty file")
    2 of 3 b.mp4: empty file
    """

    def __call__(self, done: int, total: int, problem: str, /) -> None:
        """Report one more finished item.

        Args:
            done: Number of finished items, failed ones included.
            total: Number of all items; 0 where it is not known.
            problem: The failure of the item in one line; empty where it succeeded.
        """


@runtime_checkable
class FileProgress(Protocol):
    """Callback for the progress within files that take long."""

    def __call__(self, file: str, done: int, total: int, /) -> None:
        """Report the progress within one file.

        Args:
            file: Name of the file or video.
            done: Number of finished segments.
            total: Number of all segments; equal to `done` when the file is finished or has
                failed, and only then.
        """


@runtime_checkable
class Engine(Protocol):
    """Run work on items in processes: `run_in_order` on this machine, or a cluster.

    Every call starts new workers. Each item is yielded once, with its result or with a
    `Failed`, in any order. A worker that dies costs only the item that it works on. An engine
    of several machines has a method `count_cores`, which returns the number of all cores.
    """

    def __call__(
        self,
        work: Work,
        items: Sequence[Any],
        *,
        count: int,
        seconds: TimeLimit,
        watch: Watch | None = None,
    ) -> Iterator[tuple[Any, Any | Failed]]:
        """Yield every item with its result or its failure.

        Args:
            work: The function that runs on every item, and its preparation.
            items: The arguments of the function, one a call.
            count: The largest number of workers.
            seconds: The time limit of one item, or a function of the item that
                returns it.
            watch: Called with an item and each value that its worker reports. An engine
                that cannot carry reports never calls it.

        Raises:
            MachineError: No worker can start.
        """


def run_supervised(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    prepare: Callable[..., None] | None = None,
    arguments: Sequence[Any] = (),
    seconds: TimeLimit = SECONDS_PER_ITEM,
    memory: int | None = None,
    imports: Sequence[str] = (),
    engine: Engine = run_in_order,
    watch: Watch | None = None,
) -> Iterator[tuple[Item, Result | Failed]]:
    """Yield every item with its result or its failure, in the engine's order.

    An item that may have failed because of the machine is retried after all the others,
    in a new process and with no other item at the same time.

    Args:
        function: The function that runs on every item; it must be picklable.
        items: The arguments of `function`, one a call.
        workers: The number of processes; by default one a core of the engine's machines.
        prepare: A function that every new worker calls once, before its first item.
        arguments: The arguments of `prepare`.
        seconds: The time limit of one item, or a function of the item that returns it.
            The worker of an item that takes longer without a report is killed; such an
            item is not retried.
        memory: Bytes that each worker may allocate; by default an equal share of 90 % of
            the machine's memory, at least 4 GiB.
        imports: Names of modules that the functions import late; workers of this machine
            share them.
        engine: The implementation that starts the workers.
        watch: Called with an item and each value that `function` reports about it by
            `report`.

    Raises:
        MachineError: The last `MAX_CONSECUTIVE_FAILURES` items failed alike, and the
            machine is the cause; the last of these items is not yielded.
    """
    count = workers or _count_cores(engine)
    share = memory or _memory_share(count)
    work = Work(function, prepare, arguments, share, imports)
    work_alone = replace(work, memory=memory or _memory_share(1))
    retries = list[Item]()

    def run_one(item: Item) -> Result | Failed:
        ((_, result),) = engine(
            work_alone, [item], count=1, seconds=seconds, watch=watch
        )
        return result

    supervise = _FailureWatch(run_one, items)
    results = engine(work, items, count=count, seconds=seconds, watch=watch)

    for item, result in supervise(results):
        if isinstance(result, Failed) and result.machine and not result.is_final:
            retries.append(item)
        else:
            yield item, result

    yield from supervise((item, run_one(item)) for item in retries)


def _count_cores(engine: Engine) -> int:
    count_cores: Callable[[], int | None]
    count_cores = getattr(engine, "count_cores", os.cpu_count)
    return count_cores() or 1


def _memory_share(count: int) -> int:
    """Return the bytes that each of some workers may allocate."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(MIN_MEMORY, int(MEMORY_SHARE * total) // count)


@dataclass
class _FailureWatch:
    """Count consecutive failures and check whether the items or the machine cause them.

    The items are the cause if the last one fails again in a process of its own while an
    item that succeeded earlier still succeeds.
    """

    run_one: Callable[[Any], Any]
    items: Sequence[Any]
    faults: list[str] = field(default_factory=list)  # consecutive and equal
    succeeded: list[Any] = field(default_factory=list)  # the last item with a result

    def __call__(self, results: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        for number, (item, result) in enumerate(results, start=1):
            if isinstance(result, Failed):
                self._count(result.machine)
            else:
                self.faults = []
                self.succeeded = [item]
            if len(self.faults) == MAX_CONSECUTIVE_FAILURES:
                self._check_machine(item, result, self.items[number:])
                self.faults = []
            yield item, result

    def _count(self, fault: str) -> None:
        if not fault:
            self.faults = []
        elif self.faults and self.faults[-1] != fault:
            self.faults = [fault]
        else:
            self.faults.append(fault)

    def _check_machine(self, item: Any, failure: Failed, rest: Sequence[Any]) -> None:
        if not isinstance(self.run_one(item), Failed):
            reason = "and alone it succeeds"
        elif self._all_fail(self.succeeded or _spread(rest)):
            reason = "and nothing else succeeds"
        else:
            return
        problem = (
            f"{MAX_CONSECUTIVE_FAILURES} failures in a row ({failure.machine}), {reason}, "
            f"so the machine is at fault; the last: {failure.reason}"
        )
        fix = (
            "repair that, or use fewer workers, and run the same command again; "
            "it continues with the items that are not done"
        )
        raise MachineError(problem, fix=fix)

    def _all_fail(self, items: Sequence[Any]) -> bool:
        return all(isinstance(self.run_one(item), Failed) for item in items)


def _spread(items: Sequence[Any]) -> Sequence[Any]:
    """Take a few items at equal distances from a sequence."""
    return items[:: len(items) // CHECK_ITEMS + 1]
