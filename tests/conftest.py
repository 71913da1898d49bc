"""Small synthetic data that the tests of the stages share; made once in a test process."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from vaplan import stages, synthetic
from vaplan.annotations import Annotations
from vaplan.bench import run
from vaplan.encoders import LATE_IMPORTS
from vaplan.workers.processes import share_imports

settings.register_profile("same every time", derandomize=True, deadline=None)
settings.load_profile("same every time")
# The first workers of a test process may not need the encoders, but later ones do.
share_imports(["vaplan.stages.fit", *LATE_IMPORTS])

EMBEDDED = (("embedded",), ("embedded",))
COUNTS = {"train": 16, "val": 4, "test": 6}
SMALL = (
    "model.settings={hidden: 16, feedforward: 16}",
    "training.epochs=2",
    "training.batch_size=8",
)


@dataclass(frozen=True)
class World:
    """Synthetic data with features and pseudo labels."""

    folder: Path
    table: Path
    data: Annotations
    store: Path
    labels: Path

    @property
    def changes(self) -> list[str]:
        """Changes that make a recipe small and select these files."""
        return [*SMALL, f"data=table:{self.table}", f"store={self.store}"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Render, encode and label synthetic videos."""
    folder = tmp_path_factory.mktemp("world")
    table = synthetic.render(synthetic.plan_clips(COUNTS, seed=77), folder, workers=1)
    data = stages.read_data(f"table:{table}")
    stages.features(data, folder, folder / "store", encoders=EMBEDDED, workers=1)
    stages.label(data, folder / "store", folder / "labels.csv", encoders=EMBEDDED)
    return World(folder, table, data, folder / "store", folder / "labels.csv")


@pytest.fixture(scope="session")
def ave_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Render, encode and label synthetic videos for localisation."""
    folder = tmp_path_factory.mktemp("ave_world")
    table = synthetic.render(
        synthetic.plan_ave_clips(COUNTS, seed=5), folder, workers=1, audio_visual=True
    )
    data = stages.read_data(f"table:{table}")
    stages.features(data, folder, folder / "store", encoders=EMBEDDED, workers=1)
    stages.label(data, folder / "store", folder / "labels.csv", encoders=EMBEDDED)
    return World(folder, table, data, folder / "store", folder / "labels.csv")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Use one thread, because two test processes share two cores."""
    torch.set_num_threads(1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 256 kB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if subprocess.run(options, capture_output=True, check=False).returncode:
        pytest.skip("this user cannot mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the figures of a bench, because drawing takes longer than small trainings."""
    monkeypatch.setattr(run, "figures", lambda _: {})
