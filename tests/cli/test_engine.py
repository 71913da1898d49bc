"""`--engine ray` on this machine: the same features, from relative paths too."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import EMBEDDED, World
from vaplan import stages
from vaplan.annotations.table import read_rows, write_rows
from vaplan.store import Store

pytestmark = pytest.mark.slow


@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None,
    reason="Ray is not installed: pip install 'vaplan[ray]'",
)
def test_features_on_ray_have_the_content_of_local_ones(
    world: World, tmp_path: Path
) -> None:
    data = world.data.select_videos(world.data.ids[:4])
    rows = [row for row in read_rows(world.table).rows if row.video in data.ids]
    write_rows(tmp_path / "few.csv", rows)
    stages.features(
        data, world.folder, tmp_path / "local", encoders=EMBEDDED, workers=1
    )
    media = os.path.relpath(world.folder, tmp_path)
    command = "features table:few.csv --store ray --engine ray --workers 2".split()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "vaplan", *command, "--media", media],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "4 encoded" in done.stderr
    for name in ("audio:embedded", "visual:embedded"):
        one, other = (Store.open(tmp_path / root, name) for root in ("local", "ray"))
        assert one.content_hash() == other.content_hash()
