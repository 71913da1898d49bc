"""Run a function over many items in processes that may die, on a machine that may fail."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from vaplan.errors import MachineError
from vaplan.stages.faults import Failed, Item, Result
from vaplan.stages.processes import Work, in_order

__all__ = ["Engine", "Failed", "supervised"]

SECONDS_PER_ITEM = 600.0
IN_A_ROW = 10  # failures that look alike and are the machine's: the next would look the same


class Engine(Protocol):
    """Whatever runs a function over items: `supervised` here, or a cluster."""

    def __call__(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        workers: int | None = None,
        prepare: Callable[..., None] | None = None,
        arguments: Sequence[Any] = (),
    ) -> Iterator[tuple[Item, Result | Failed]]:
        """Yield every item once, with its result or its failure; MachineError where going on makes no sense."""


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

    Where the machine may be at fault, an item is tried once more after all others: alone, in a new process.

    Args:
        workers: How many processes; by default one a core.
        prepare: Called once in every new worker, with `arguments`.
        seconds: An item that takes longer is given up and its worker is killed.

    Raises: MachineError after `IN_A_ROW` failures of the machine, which are not yielded.
    """
    work, again = Work(function, prepare, arguments), list[Item]()
    results = in_order(work, items, count=workers or os.cpu_count() or 1, seconds=seconds)
    for item, result in _unless_in_a_row(results):
        if isinstance(result, Failed) and result.machine:
            again.append(item)
        else:
            yield item, result
    for item in again:
        yield from in_order(work, [item], count=1, seconds=seconds)


def _unless_in_a_row(results: Iterator[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    faults = list[str]()
    for item, result in results:
        fault = result.machine if isinstance(result, Failed) else ""
        faults = [*faults, fault] if fault and {*faults} <= {fault} else [fault]
        if fault and len(faults) == IN_A_ROW:
            what = f"{IN_A_ROW} failures in a row ({fault}), so the machine is at fault; the last: {result.reason}"
            raise MachineError(what, fix="mend that and run the same command again, which tries what is not done")
        yield item, result
