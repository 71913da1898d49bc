"""`--metrics`: numbers of items and failures in the text format of Prometheus, while the command runs and after."""

import re
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from vaplan.cli import metrics as module
from vaplan.cli.metrics import MAX_REASONS, OTHER, open_metrics
from vaplan.errors import Exit, MachineError

SAMPLE = re.compile(r'(vaplan_\w+)\{command="features"(?:,reason="(.*)")?\} (\S+)')


def read(path: Path) -> dict[tuple[str, str], float]:
    """Return the values by name and reason; every other line is a comment."""
    lines = path.read_text().splitlines()
    matches = [SAMPLE.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(matches)
    return {(m[1], m[2] or ""): float(m[3]) for m in matches if m}


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock."""
    clock = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    return clock


def test_the_file_has_rate_and_time_left_while_the_command_runs(
    tmp_path: Path, seconds: list[float]
) -> None:
    path = tmp_path / "new" / "job.prom"
    with open_metrics(path, "features") as metrics:
        assert metrics
        assert read(path)["vaplan_done", ""] == 0
        seconds[0] += 10
        metrics.report(20, 100, "")
        values = read(path)
        assert values["vaplan_done", ""] == 20
        assert values["vaplan_total", ""] == 100
        assert values["vaplan_rate", ""] == 2
        assert values["vaplan_seconds_left", ""] == 40
        assert values["vaplan_running", ""] == 1
        metrics.report(21, 100, "")  # too early for another version
        assert read(path)["vaplan_done", ""] == 20
    values = read(path)
    assert values["vaplan_done", ""] == 21
    assert values["vaplan_running", ""] == 0
    assert [each.name for each in path.parent.iterdir()] == ["job.prom"]


def test_failures_are_counted_by_reason_and_reasons_are_few(tmp_path: Path) -> None:
    path = tmp_path / "job.prom"
    with open_metrics(path, "features") as metrics:
        assert metrics
        for name in ("a", "b"):
            metrics.report(1, 9, f'media/{name}.mp4: no "moov"\\. Fix: copy it again.')
        for number in range(2 * MAX_REASONS):
            metrics.report(2, 9, chr(ord("A") + number) * 3)
    failed = {key[1]: n for key, n in read(path).items() if key[0] == "vaplan_failed"}
    assert failed['no \\"moov\\"\\\\'] == 2
    assert len(failed) == MAX_REASONS + 1
    assert sum(failed.values()) == 2 + 2 * MAX_REASONS
    assert failed[OTHER] == MAX_REASONS + 1


def test_the_last_version_is_written_also_if_the_command_fails(tmp_path: Path) -> None:
    path = tmp_path / "job.prom"
    with suppress(KeyboardInterrupt), open_metrics(path, "features") as metrics:
        assert metrics
        metrics.report(3, 9, "")
        raise KeyboardInterrupt
    assert read(path)["vaplan_done", ""] == 3
    assert read(path)["vaplan_running", ""] == 0


def test_a_file_that_cannot_be_written_is_an_error_before_the_work(
    tmp_path: Path,
) -> None:
    refused = pytest.raises(MachineError, match="cannot write")
    with refused, open_metrics(tmp_path, "features"):
        pass


def test_no_metrics_are_the_default() -> None:
    with open_metrics(None, "parse") as metrics:
        assert metrics is None


def test_a_command_writes_them(call: Call, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("video,tags\na,Dog\n")
    (tmp_path / "media").mkdir()
    path = tmp_path / "job.prom"
    code, _, err = call(
        "features",
        f"table:{tmp_path / 'table.csv'}",
        "--media",
        tmp_path / "media",
        "--store",
        tmp_path / "store",
        "--metrics",
        path,
    )
    assert code == Exit.NOTHING_DONE, err
    values = read(path)
    assert values["vaplan_done", ""] == 1
    assert values["vaplan_failed", "no file for 'a'"] == 1
