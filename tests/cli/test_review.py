"""`vaplan review` as a process: its address, its end, its death, and mistakes."""

import json
import os
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import vaplan.review
from tests.cli.conftest import Call
from tests.review.serving import CHANGE, DOOR, TABLE
from vaplan.errors import Exit
from vaplan.review.session import open_session

LONG = 60.0


@dataclass(frozen=True)
class Server:
    """A running command and a client with its cookie."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def save(self, version: int, onset: float) -> httpx.Response:
        change = CHANGE | {"version": version, "events": [DOOR | {"onset": onset}]}
        origin = str(self.client.base_url).rstrip("/")
        headers = {"Origin": origin}
        return self.client.put("/api/videos/0/events", json=change, headers=headers)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(TABLE)
    return path


@contextmanager
def running(table: Path, *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "vaplan", "review", str(table), "--no-browser"]
    process = subprocess.Popen(
        [*command, "--media", str(table.parent), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.stderr.read()
        base = address.partition("/?")[0]
        with httpx.Client(base_url=base, timeout=LONG) as client:
            assert client.get(address).status_code == 303
            yield Server(process, client)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, Exit.INTERRUPTED, "interrupted"),
        (signal.SIGTERM, Exit.TERMINATED, "terminated"),
    ],
)
def test_a_signal_ends_a_review_and_saved_changes_stay(
    table: Path, number: int, code: int, word: str
) -> None:
    with running(table, "--name", "Ada") as server:
        assert server.client.get("/").status_code == 200
        assert server.save(0, 1.0).status_code == 200
        server.process.send_signal(number)
        assert server.process.wait(LONG) == code
        assert server.process.stderr is not None
        note, error = server.process.stderr.read().splitlines()
    assert note.startswith(f"3 videos; corrections go to {table.with_suffix('')}")
    assert error.startswith(f"error: {word}; the same command continues")
    with open_session(table) as session:
        assert session.revision(session.collection.videos[0]).version == 1


def write_silence(path: Path, *, seconds: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(4 * 48_000 * seconds))


def test_a_film_that_is_paused_does_not_delay_the_end(table: Path) -> None:
    """A browser does not read the rest of its file, and keeps the connection."""
    write_silence(table.parent / "c.wav", seconds=120)  # more than the sockets hold
    with running(table) as server:
        video = server.client.get("/api/videos/2").json()
        assert video["media"]["state"] == "ready"
        with server.client.stream("GET", "/api/videos/2/media") as reply:
            assert reply.status_code == 200
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(LONG) == Exit.TERMINATED
        assert server.process.stderr is not None
        note, error = server.process.stderr.read().splitlines()
    assert note.startswith("3 videos")
    assert error.startswith("error: terminated")


@pytest.mark.parametrize("acknowledged", [1, 7, 20])
def test_acknowledged_changes_survive_the_death_of_the_server(
    table: Path, acknowledged: int
) -> None:
    """It is killed while changes run; the next review has the last acknowledged one."""
    versions = list[int]()
    enough = threading.Event()

    def save_until_the_end(server: Server) -> None:
        while True:
            version = len(versions)
            try:
                reply = server.save(version, version / 1000)
            except httpx.HTTPError:
                return
            assert reply.status_code == 200
            versions.append(reply.json()["version"])
            if version >= acknowledged:
                enough.set()

    with running(table) as server:
        thread = threading.Thread(target=save_until_the_end, args=[server])
        thread.start()
        assert enough.wait(LONG)
        server.process.kill()
        thread.join(LONG)
        assert server.process.wait(LONG) == -signal.SIGKILL
    with open_session(table) as session:
        revision = session.revision(session.collection.videos[0])
        (event,) = revision.events
        assert revision.version in (versions[-1], versions[-1] + 1)
        assert event.onset == pytest.approx((revision.version - 1) / 1000)
        reviewed = [row.onset for row in session.rows()]
    assert reviewed == [event.onset]
    lines = table.with_suffix(".reviewed.jsonl").read_text().splitlines()
    expected = [*range(1, revision.version + 1)]
    assert [json.loads(line)["version"] for line in lines] == expected


def test_a_second_review_of_a_source_is_refused(call: Call, table: Path) -> None:
    with running(table):
        options = ["--media", table.parent, "--no-browser"]
        code, out, err = call("review", table, *options)
    assert (code, out) == (Exit.MACHINE, "")
    assert "another review of this table is running. Fix: open that one" in err


def test_without_its_libraries_the_error_names_the_extra(
    call: Call, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "vaplan.review.server", raising=False)
    monkeypatch.delattr(vaplan.review, "server", raising=False)
    code, _, err = call("review", table, "--media", table.parent)
    assert code == Exit.USAGE, err
    assert "Fix: pip install 'vaplan[review]'." in err


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let the command end before it answers requests; lists the addresses it opened."""
    from vaplan.review import server

    opened = list[Any]()
    monkeypatch.setattr(server, "serve", lambda *arguments: None)
    monkeypatch.setattr("webbrowser.open", opened.append)
    return opened


def test_another_host_is_a_warning(call: Call, table: Path, served: list[Any]) -> None:
    options = ["--media", table.parent, "--no-browser"]
    code, out, err = call("review", table, *options, "--host", "0.0.0.0")
    assert code == 0
    assert out.startswith("http://127.0.0.1:")
    warnings = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "at 0.0.0.0 other machines reach this review" in warnings[0]
    assert "warning:" not in call("review", table, *options)[2]


def test_the_browser_opens_if_there_is_a_display(
    call: Call, table: Path, served: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--media", table.parent]
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert call("review", table, *options)[0] == 0
    assert served == [] or not sys.platform.startswith("linux")
    monkeypatch.setenv("DISPLAY", ":0")
    served.clear()
    _, out, _ = call("review", table, *options)
    for thread in threading.enumerate():
        if thread.name == "browser":
            thread.join(LONG)
    assert served == [out.strip()]
    served.clear()
    call("review", table, *options, "--no-browser")
    assert served == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{table}", "--media", "absent"], Exit.USAGE, "no such folder"),
        (["absent.csv", "--media", "{folder}"], Exit.NOTHING_DONE, "absent.csv"),
        (["{table}", "--media", "{folder}", "--run", "{folder}"], Exit.USAGE, "run"),
        (["{table}", "--media", "{folder}", "--host", "192.0.2.1"], 5, "give another"),
        (["{table}", "--media", "{folder}", "--port", "70000"], Exit.USAGE, "--port"),
    ],
)
def test_a_mistake_is_one_clear_line(
    call: Call, table: Path, arguments: list[str], code: int, message: str
) -> None:
    values = {"table": table, "folder": table.parent}
    given = [argument.format(**values) for argument in arguments]
    ended, out, err = call("review", *given, "--no-browser")
    assert (ended, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_problems_of_a_folder_are_warnings(
    call: Call, tmp_path: Path, served: list[Any]
) -> None:
    folder = tmp_path / "timelines"
    folder.mkdir()
    good = {"video": "a", "seconds": 5.0, "events": [DOOR]}
    (folder / "a.json").write_text(json.dumps(good))
    (folder / "b.json").write_text("{")
    options = ["--media", tmp_path, "--no-browser"]
    code, _, err = call("review", folder, *options)
    assert code == 0
    assert "warning:" in err
    assert "b.json" in err
    assert os.listdir(folder) == ["a.json", "b.json"]  # noqa: PTH208 - names alone
