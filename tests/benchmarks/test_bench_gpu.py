"""The GPU script works on a CPU at a small size, and no part loses the numbers of another."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_gpu.py"
GOOD = {
    "encoders": {"clip_large_share": 0.6, "clip_base_share": 0.4},
    "features": {"features_share_of_decoding": 0.9},
    "training": {"training_s": 30.0},
}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_gpu", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_gpu", module)
    spec.loader.exec_module(module)
    return module


def results(**numbers: dict[str, float]) -> dict[str, object]:
    parts = {
        part: {"status": "done", "seconds": 1.0, "numbers": of_part}
        for part, of_part in numbers.items()
    }
    return {"device": "cuda", "small": False, "seconds": 60.0, "parts": parts}


def is_running(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_numbers_that_reach_every_target_have_no_shortfall(bench: ModuleType) -> None:
    assert bench.shortfalls(results(**GOOD)) == []
    assert "- nothing" in bench.page(results(**GOOD))


def test_a_shortfall_names_the_number_and_the_target(bench: ModuleType) -> None:
    slow = GOOD | {"training": {"training_s": 75.0}}
    expected = "training at LLP's size, s: 75, expected below 60"
    assert bench.shortfalls(results(**slow)) == [expected]


def test_numbers_that_were_not_measured_stay_empty_and_are_named(
    bench: ModuleType,
) -> None:
    page = bench.page(results(machine={"card": "NVIDIA T4"}))
    assert page.startswith("# GPU: NVIDIA T4\n")
    assert "| seconds of all epochs |  |" in page
    assert "training at LLP's size, s: not measured, expected below 60" in page


def test_a_slow_part_keeps_its_numbers_and_leaves_no_process(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import json, subprocess, sys, time\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "with open(sys.argv[4], 'w') as file:\n"
        "    json.dump({'videos': 7, 'child': child.pid}, file)\n"
        "time.sleep(300)\n"
    )
    monkeypatch.setattr(bench, "SCRIPT", slow)
    result = bench.run_part("training", [], tmp_path, 3.0)
    assert result["status"] == "ended after 3 s"
    assert result["numbers"]["videos"] == 7
    for _ in range(50):
        if not is_running(result["numbers"]["child"]):
            break
        time.sleep(0.1)
    assert not is_running(result["numbers"]["child"])


def test_a_part_that_fails_gives_the_error_and_the_next_one_runs(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import json, sys\n"
        "assert sys.argv[2] != 'machine', 'the card is gone'\n"
        "with open(sys.argv[4], 'w') as file:\n"
        "    json.dump({'videos': 7}, file)\n"
    )
    monkeypatch.setattr(bench, "SCRIPT", script)
    options = bench.argparse.Namespace(
        device="cpu",
        small=True,
        out=tmp_path / "out",
        folder=tmp_path,
        parts=["machine", "training"],
        patience=1.0,
    )
    parts = bench.run_all(options)["parts"]
    assert parts["machine"]["status"] == "failed: AssertionError: the card is gone"
    assert parts["training"]["status"] == "done"
    written = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert written["parts"]["training"]["numbers"] == {"videos": 7}


@pytest.mark.slow
def test_every_part_works_on_a_cpu_at_a_small_size(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--small", "--device", "cpu"]
    command += ["--patience", "6", "--out", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False
    )
    assert run.returncode == 0, run.stderr

    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    statuses = {name: part["status"] for name, part in parts.items()}
    names = ("machine", "encoders", "features", "training", "agreement", "memory")
    assert statuses == dict.fromkeys(names, "done")
    assert parts["encoders"]["numbers"]["clip_large_share"] > 0
    assert parts["features"]["numbers"]["features_done"] == 6
    assert parts["training"]["numbers"]["epochs_done"] == 2
    assert parts["agreement"]["numbers"]["clip_base_fp32_difference"] == 0
    assert parts["memory"]["numbers"]["two_processes_per_s"] > 0
    assert "| card |  |" in (tmp_path / "gpu.md").read_text()
