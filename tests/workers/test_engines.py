"""The engine that a name and an address select."""

import importlib.util

import pytest

from vaplan.errors import UsageError
from vaplan.workers.engines import open_engine
from vaplan.workers.processes import run_in_order
from vaplan.workers.ray import RayEngine

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="Ray is not installed: pip install 'vaplan[ray]'",
)


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize("name", ["local", "auto"])
def test_without_an_address_the_workers_are_processes_of_this_machine(
    name: str,
) -> None:
    with open_engine(name) as engine:
        assert engine is run_in_order


@needs_ray
@pytest.mark.parametrize("name", ["ray", "auto"])
def test_an_address_selects_the_cluster(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_engine(name, "10.0.0.1:6379") as engine:
        assert engine == RayEngine("10.0.0.1:6379")
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    with open_engine(name) as engine:
        assert engine == RayEngine("10.0.0.2:6379")
    with open_engine("local") as engine:
        assert engine is run_in_order


def test_invalid_engine_names_and_addresses_are_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'ray'"), open_engine("rays"):
        pass
    with (
        pytest.raises(
            UsageError, match=r"address '10\.0\.0\.1:6379' of a cluster beside"
        ),
        open_engine("local", "10.0.0.1:6379"),
    ):
        pass
