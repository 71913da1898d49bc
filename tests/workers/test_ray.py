"""Two nodes of a Ray cluster on this machine: the same results and the same supervision as local processes."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.stages import killing
from tests.workers import ray_work, test_workers
from tests.workers.fake_encoder import There, slowly
from tests.workers.ray_work import OnRay
from vaplan.errors import MachineError, MediaError, MissingExtra, UsageError
from vaplan.workers import MAX_CONSECUTIVE_FAILURES, run_supervised
from vaplan.workers.faults import Failed
from vaplan.workers.processes import DEATHS, TIME_OUTS
from vaplan.workers.ray import RayEngine

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of Ray's own files
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None,
        reason="Ray is not installed: pip install 'vaplan[ray]'",
    ),
]

NODE = {
    "num_cpus": 1,
    "object_store_memory": 80 * 1024**2,
}
SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback
    "RAY_memory_monitor_refresh_ms": "0",  # other programs of this machine use memory too
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a second node, with a core each."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        import ray  # reads the settings
        from ray.cluster_utils import Cluster

        cluster = Cluster(
            initialize_head=True,
            head_node_args=NODE | {"include_dashboard": False},
        )
        cluster.add_node(**NODE)
        cluster.wait_for_nodes()
        yield cluster
        ray.shutdown()
        cluster.shutdown()


@pytest.fixture(scope="module")
def engine(cluster: Any) -> RayEngine:
    return RayEngine(cluster.address)


def test_a_cluster_that_does_not_answer_is_an_error_of_the_machine() -> None:
    with pytest.raises(MachineError, match=r"127\.0\.0\.1:1: nothing answers there"):
        RayEngine("127.0.0.1:1").count_cores()


def by_item(results: Iterator[tuple[Any, Any]]) -> dict[Any, Any]:
    pairs = list(results)
    assert len({item for item, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_every_item_gets_its_result_or_its_reason_as_with_local_processes(
    engine: RayEngine,
) -> None:
    items = ["a", "die", "b", "fault", "hang", "bug", "c"]
    results = by_item(
        run_supervised(test_workers.work, items, workers=2, seconds=2.0, engine=engine)
    )
    assert list(results)[-1] == "die"  # it was tried again after all others
    died = results.pop("die")
    assert died.machine == DEATHS
    assert died.reason.startswith("its worker process on ")
    assert results == {
        "a": "A",
        "b": "B",
        "c": "C",
        "fault": Failed("x.mp4: not a film. Fix: convert it."),
        "hang": Failed("gave no result within 2 s", TIME_OUTS, is_final=True),
        "bug": Failed("ValueError: two lines"),
    }


def test_the_workers_are_on_both_nodes_and_keep_their_preparation(
    engine: RayEngine,
) -> None:
    assert engine.count_cores() == 2
    results = run_supervised(
        ray_work.count_up,
        range(20),
        workers=2,
        prepare=ray_work.start_count,
        engine=engine,
    )
    highest = dict[str, int]()
    for _, (node, count) in results:
        highest[node] = max(count, highest.get(node, 0))
    assert len(highest) == 2
    assert sum(highest.values()) == 20


def test_reports_arrive_and_the_time_limit_starts_anew_at_each(
    engine: RayEngine,
) -> None:
    seen = list[tuple[str, int]]()
    results = run_supervised(
        ray_work.report_often,
        ["long", "short"],
        workers=2,
        seconds=20.0,
        engine=engine,
        watch=lambda item, value: seen.append((item, value)),
    )
    assert by_item(results) == {"long": "long", "short": "short"}
    values = [value for item, value in seen if item == "long"]
    assert values == sorted(values)
    assert len(values) >= 5


def test_an_item_that_exceeds_the_memory_of_a_worker_fails(engine: RayEngine) -> None:
    gigabyte = 1024**3
    items = [1000, 3 * gigabyte, 2000]
    results = by_item(
        run_supervised(
            test_workers.allocate,
            items,
            workers=1,
            memory=2 * gigabyte,
            engine=engine,
        )
    )
    assert (results[1000], results[2000]) == (1000, 2000)
    assert results[3 * gigabyte].machine == "out of memory"


def test_ten_equal_faults_of_the_machine_in_a_row_stop_the_work(
    engine: RayEngine, tmp_path: Path
) -> None:
    items = [tmp_path / str(number) for number in range(40)]
    results = run_supervised(ray_work.fill_disk, items, workers=2, engine=engine)
    with pytest.raises(
        MachineError,
        match=rf"{MAX_CONSECUTIVE_FAILURES} failures in a row \(No space left",
    ):
        list(results)
    assert len(list(tmp_path.iterdir())) == 10


def test_an_error_of_the_preparation_stops_the_work(engine: RayEngine) -> None:
    with pytest.raises(MediaError, match="no such encoder"):
        list(
            run_supervised(
                str, ["a", "b"], workers=2, prepare=ray_work.refuse, engine=engine
            )
        )


def test_workers_that_cannot_start_stop_the_work(engine: RayEngine) -> None:
    with pytest.raises(MachineError, match="no worker could start on the Ray cluster"):
        list(
            run_supervised(
                str, "ab", workers=2, prepare=os._exit, arguments=[3], engine=engine
            )
        )


def test_no_worker_is_left_when_the_caller_stops_early(engine: RayEngine) -> None:
    for _ in run_supervised(str, range(100), workers=2, engine=engine):
        break
    results = run_supervised(str, range(4), workers=2, engine=engine)
    assert by_item(results) == {
        n: str(n) for n in range(4)
    }  # both cores are free again


def test_items_wait_until_the_caller_takes_results(
    engine: RayEngine, tmp_path: Path
) -> None:
    items = [tmp_path / str(number) for number in range(60)]
    results = run_supervised(Path.touch, items, workers=2, engine=engine)
    next(results)
    time.sleep(1.0)
    assert len(list(tmp_path.iterdir())) <= 6


@pytest.fixture
def fake_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in killing.PRETENCE:
        monkeypatch.setattr(module, name, value)


def test_the_store_has_the_same_content_also_if_workers_are_killed(
    engine: RayEngine, fake_encoders: None, tmp_path: Path
) -> None:
    contents = list[list[str]]()
    dying = ray_work.DyingForTwo(tmp_path / "killed")
    for name, one in {
        "local": There(),
        "cluster": OnRay(engine, slowly),
        "killed": OnRay(engine, dying),
    }.items():
        root = killing.with_media(tmp_path / name)
        outcome = killing.job(root, engine=one, workers=2)
        assert outcome.failed == ()
        contents.append(killing.held(root)["hashes"])
    assert contents[0] == contents[1] == contents[2]


def test_the_work_of_a_node_that_dies_goes_to_the_others(
    engine: RayEngine, cluster: Any
) -> None:
    dying = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    items = range(150)
    results = dict[int, str]()
    for item, result in run_supervised(
        ray_work.find_node, items, workers=3, engine=engine
    ):
        if result == dying.node_id and dying in cluster.worker_nodes:
            cluster.remove_node(dying, allow_graceful=False)
        results[item] = result
    assert list(results) != list(items)
    assert sorted(results) == list(items)
    nodes = list(results.values())
    assert len(set(nodes)) == 3  # and no failure
    assert dying.node_id not in nodes[-50:]


DRIVER = """
import sys
from pathlib import Path
from tests.stages import killing
from tests.workers.fake_encoder import slowly
from tests.workers.ray_work import OnRay
from vaplan.workers.ray import RayEngine
for setting in killing.PRETENCE:
    setattr(*setting)
root = killing.with_media(Path(sys.argv[1]))
def progress(done, total, problem):
    print(done, flush=True)
    if done == 4:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
killing.job(root, engine=OnRay(RayEngine(sys.argv[2]), slowly), workers=2, progress=progress)
"""


def test_a_new_driver_does_only_what_the_dead_one_did_not_finish(
    engine: RayEngine, cluster: Any, fake_encoders: None, tmp_path: Path
) -> None:
    root = tmp_path / "job"
    driver = subprocess.run(
        [sys.executable, "-c", DRIVER, str(root), cluster.address],
        capture_output=True,
        timeout=240,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert driver.returncode == -9, driver.stderr
    acknowledged = len(killing.held(root)["rows"])
    assert acknowledged == 4 * len(killing.PAIRS)
    outcome = killing.job(
        root,
        engine=OnRay(engine, slowly),
        workers=2,
    )
    assert (outcome.done, outcome.already) == (3, 4)
    plain = killing.with_media(tmp_path / "plain")
    killing.job(plain)
    assert killing.held(root)["hashes"] == killing.held(plain)["hashes"]


def test_every_engine_ends_with_the_same_content_whatever_fails(
    cluster: Any, tmp_path: Path
) -> None:
    third = cluster.add_node(**NODE)
    cluster.wait_for_nodes()
    (raylet,) = third.all_processes["raylet"]
    arguments = f"Path({str(tmp_path)!r}), {cluster.address!r}, {raylet.process.pid}"
    program = (
        "from pathlib import Path; from tests.workers import faulty_job; "
        f"faulty_job.main({arguments})"  # `-m` would import the program in every worker
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    cluster.remove_node(third, allow_graceful=False)
    assert done.returncode == 0, done.stderr
    lines = [
        text for text in done.stdout.splitlines() if text.startswith("{")
    ]  # not Ray's
    jobs = {line["engine"]: line for line in map(json.loads, lines)}
    assert set(jobs) == {"loop", "local", "parts", "ray"}
    for name, job in jobs.items():
        assert job["codes"] == [-9, 0], (name, done.stderr)
        assert job["problems"] == [], name
        assert job["kept"] > 0, name
        assert sorted(job["rows"]) == sorted(jobs["loop"]["rows"]), name
        assert job["hashes"] == jobs["loop"]["hashes"], name
    assert not psutil.pid_exists(raylet.process.pid)


LOCAL = """
import signal
from contextlib import suppress
from vaplan.workers import run_supervised
from vaplan.workers.ray import RayEngine
handler = signal.getsignal(signal.SIGTERM)
engine = RayEngine()
print(sorted(r for _, r in run_supervised(abs, [-1, -2, -3], workers=2, engine=engine)))
assert signal.getsignal(signal.SIGTERM) is handler
import psutil
processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
addresses = set()
for process in processes:
    with suppress(psutil.Error):  # a killed worker
        sockets = process.net_connections()
        addresses |= {one.laddr.ip for one in sockets if one.status == "LISTEN"}
print(*addresses)
engine.close()
"""


def test_a_cluster_of_this_machine_listens_on_the_loopback_interface_only() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    output = subprocess.run(
        [sys.executable, "-c", LOCAL],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ).stdout.splitlines()
    assert output[0] == "[1, 2, 3]"
    assert set(output[1].split()) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "head", ":6379"])
def test_an_address_that_is_no_host_and_port_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        RayEngine(address)


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"vaplan\[ray\]"):
        RayEngine()
