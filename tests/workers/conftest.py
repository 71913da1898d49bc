"""What workers are is tested on those that the commands start."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _started_anew(new_workers: None) -> None:
    """Fork no worker."""
