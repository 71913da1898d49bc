"""Compute the next item of an iterator in a thread while the current one is in use."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def read_ahead(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Yield the same items, each computed while the caller works on the one before it.

    At most one item waits. An exception of `items` is raised where its item would come.
    When the caller stops early, `items` is closed after the item that it works on.

    >>> list(read_ahead(number**2 for number in range(4)))
    [0, 1, 4, 9]

    Args:
        items: Generator that runs in another thread, from its first item on.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        try:
            future = thread.submit(next, items, end)
            while (item := future.result()) is not end:
                future = thread.submit(next, items, end)
                yield item  # type: ignore[misc]  # `end` has been excluded
        finally:
            thread.submit(items.close)
