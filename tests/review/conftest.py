"""The server has threads, which a fork would not survive."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _started_anew(new_workers: None) -> None:
    """Fork no worker."""
