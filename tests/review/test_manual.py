"""The commands of docs/review.md run; a review runs until it has answered."""

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import World
from vaplan import cli, stages
from vaplan import recipe as recipes
from vaplan.annotations import read_table
from vaplan.errors import Exit

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "review.md").read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
LONG = 60.0
TRIES = 600


def review_one_video(command: list[str]) -> None:
    """Run a review as a process, finish its first video, and end it."""
    words = [sys.executable, "-m", *command, "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        base = address.partition("/?")[0]
        with httpx.Client(base_url=base, timeout=LONG) as client:
            assert client.get(address).status_code == 303
            video = client.get("/api/videos/0").json()
            assert video["media"]["state"] == "ready"
            if "--run" in command:
                assert read_scores(client)["classes"]
                methods = client.get("/api/session").json()["methods"]
                assert methods == ["reference", "labels.csv", "pseudo labels"]
            change = {
                "version": video["version"],
                "state": "done",
                "action": "accept",
                "events": video["events"],
            }
            reply = client.put(
                "/api/videos/0/events", json=change, headers={"Origin": base}
            )
            assert reply.status_code == 200
        process.terminate()
        assert process.wait(LONG) == Exit.TERMINATED


def read_scores(client: httpx.Client) -> dict[str, Any]:
    """Wait for the scores of the first video."""
    for _ in range(TRIES):
        if client.get("/api/videos/0/scores").status_code == 200:
            break
        time.sleep(0.2)
    scores: dict[str, Any] = client.get("/api/videos/0/scores").json()
    assert len(scores["audio"]) == 10
    assert len(scores["audio"][0]) == 2 + len(scores["classes"])
    return scores


def test_every_command_of_the_page_runs(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, because the later commands read what the review wrote."""
    changes = [*world.changes, f"labels={world.labels}"]
    run = stages.train(recipes.read("plg", changes=changes), tmp_path / "run")
    shutil.copytree(world.folder / "media", tmp_path / "videos")
    shutil.copy(world.table, tmp_path / "annotations.csv")
    shutil.copy(world.labels, tmp_path / "labels.csv")
    monkeypatch.chdir(tmp_path)
    videos = sorted(Path("videos").iterdir())[:2]
    for form, out in (("json", "timelines"), ("csv", "tables")):
        arguments = ["--run", str(run.folder), "--format", form, "--out", out]
        words = ["vaplan", "parse", *map(str, videos), *arguments, "--workers", "1"]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit):
            cli.main()
    shutil.copy(next(Path("tables").glob("*.csv")), "predictions.csv")
    tags = [f"{one.video},{';'.join(one.tags)}" for one in world.data.videos]
    Path("tags.csv").write_text("\n".join(["video,tags", *tags]) + "\n")
    read = recipes.read
    short = ("training.epochs=1",)
    monkeypatch.setattr(recipes, "read", lambda name: read(name, changes=short))
    for command in COMMANDS:
        if command[1] == "review":
            review_one_video(command)
            continue
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert (end.value.code or 0) == 0, command
    assert len(read_table(Path("timelines.reviewed.csv")).ids) == 1
    assert len(list(Path("elan").iterdir())) >= 1


def test_the_page_has_reviews_and_later_commands() -> None:
    assert [command[1] for command in COMMANDS].count("review") == 2
    assert len(COMMANDS) == 6
