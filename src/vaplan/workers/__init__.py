"""Run a function over many items in processes that may die, on a machine that may fail."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from vaplan.errors import MachineError
from vaplan.workers.faults import Failed, Item, Result
from vaplan.workers.processes import Work, in_order

__all__ = ["Engine", "Failed", "Progress", "supervised"]

Progress = Callable[[int, int, str], None]  # done, total, problem of the last item

SECONDS_PER_ITEM = 600.0
IN_A_ROW = 10  # failures that look alike and may be the machine's, after which that is found out
ELSEWHERE = 3  # items that are tried for it where none has succeeded yet


@runtime_checkable
class Engine(Protocol):
    """Whatever does work in processes of its own: `in_order` here, or a cluster.

    Every call starts new workers, `count` at most. Each item is yielded once, with its result or with a `Failed`; a
    worker that dies costs the item that it had, and no other. Items may come in any order.
    """

    def __call__(
        self, work: Work, items: Sequence[Any], *, count: int, seconds: float
    ) -> Iterator[tuple[Any, Any | Failed]]:
        """Do the work on every item, on each in so many seconds at most; MachineError where no worker can start."""


def supervised(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    prepare: Callable[..., None] | None = None,
    arguments: Sequence[Any] = (),
    seconds: float = SECONDS_PER_ITEM,
    engine: Engine = in_order,
) -> Iterator[tuple[Item, Result | Failed]]:
    """Yield every item with its result or its failure, in the engine's order.

    Where the machine may be at fault, an item is tried once more after all others: alone, in a new process.

    Args:
        workers: How many processes; by default one a core.
        prepare: Called once in every new worker, with `arguments`.
        seconds: An item that takes longer is given up and its worker is killed.

    Raises: MachineError, instead of yielding the last of `IN_A_ROW` failures in a row that are the machine's.
    """
    work, again = Work(function, prepare, arguments), list[Item]()

    def alone(item: Item) -> Result | Failed:
        ((_, result),) = engine(work, [item], count=1, seconds=seconds)
        return result

    watch = _Watch(alone, items)
    for item, result in watch(
        engine(work, items, count=workers or os.cpu_count() or 1, seconds=seconds)
    ):
        if isinstance(result, Failed) and result.machine:
            again.append(item)
        else:
            yield item, result
    yield from watch((item, alone(item)) for item in again)


@dataclass
class _Watch:
    """Sees failures in a row, and finds out whose they are.

    They are the items' own if the last fails again, alone, while the machine can still do what it did before.
    """

    alone: Callable[[Any], Any]
    items: Sequence[Any]
    row: list[str] = field(default_factory=list)  # faults, all alike
    good: list[Any] = field(default_factory=list)  # the item that succeeded last

    def __call__(self, results: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        for number, (item, result) in enumerate(results, start=1):
            fault = result.machine if isinstance(result, Failed) else ""
            self.row = (
                [*self.row, fault]
                if fault and {*self.row} <= {fault}
                else [fault] * bool(fault)
            )
            if not isinstance(result, Failed):
                self.good = [item]
            if len(self.row) == IN_A_ROW:
                self._find_out(item, result, self.items[number:])
                self.row.clear()
            yield item, result

    def _find_out(self, item: Any, failed: Failed, later: Sequence[Any]) -> None:
        if not isinstance(self.alone(item), Failed):
            why = "and alone it succeeds"
        elif all(
            isinstance(self.alone(other), Failed)
            for other in self.good or _spread(later)
        ):
            why = "and nothing else succeeds"
        else:
            return
        what = f"{IN_A_ROW} failures in a row ({failed.machine}), {why}, so the machine is at fault; the last: "
        fix = "mend that, or take fewer workers, and run the same command again, which tries what is not done"
        raise MachineError(what + failed.reason, fix=fix)


def _spread(items: Sequence[Any]) -> Sequence[Any]:
    """A few items from all over the rest."""
    return items[:: len(items) // ELSEWHERE + 1]
