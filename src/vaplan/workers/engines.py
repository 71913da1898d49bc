"""Engines by name: processes of this machine, or a Ray cluster."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from vaplan.errors import UsageError, unknown
from vaplan.workers import Engine
from vaplan.workers.processes import run_in_order
from vaplan.workers.ray import RayEngine

ENGINES = ("auto", "local", "ray")
ADDRESS_VARIABLE = "RAY_ADDRESS"


@contextmanager
def open_engine(name: str, address: str | None = None) -> Iterator[Engine]:
    """Yield an engine, and leave its cluster at the end.

    Args:
        name: "local" for processes of this machine; "ray" for a Ray cluster, which is started
            on this machine if there is no address; "auto" for a Ray cluster if there is an
            address, else processes.
        address: `HOST:PORT` of a running Ray cluster; by default the variable RAY_ADDRESS of
            the environment.

    Raises:
        UsageError: The engine is unknown, or local processes got an address.
        MissingExtra: Ray is not installed.
    """
    if name not in ENGINES:
        raise UsageError(unknown("engine", name, ENGINES))
    if name == "local" and address:
        raise UsageError(
            f"address {address!r} of a cluster beside --engine local",
            fix="use --engine ray, or leave the address out",
        )
    address = address or os.environ.get(ADDRESS_VARIABLE, "")
    if name == "local" or (name == "auto" and not address):
        yield run_in_order
        return
    with closing(RayEngine(address)) as engine:
        yield engine
