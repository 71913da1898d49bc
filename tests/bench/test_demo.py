"""The demo runs the suite `components`; its document and its page have the scores of its files."""

import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from vaplan import read_table
from vaplan.bench import demo
from vaplan.bench.demo import EXAMPLES, Demo, run_demo
from vaplan.errors import Exit, MachineError, UsageError
from vaplan.evaluation import evaluate
from vaplan.locks import lock_folder
from vaplan.metrics.llp import KINDS, LEVELS

pytestmark = pytest.mark.slow

FEW_EPOCHS = tuple(c.replace("epochs=20", "epochs=3") for c in demo.CHANGES)


def run_small_demo(out: Path, *, seed: int = 3) -> Demo:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "CHANGES", FEW_EPOCHS)
        return run_demo(
            out, videos=40, seed=seed, bars=lambda _: lambda *_: None, seeds=2
        )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_small_demo(tmp_path_factory.mktemp("demo"))


def test_the_document_has_its_documented_form(result: Demo) -> None:
    numbers = json.loads(json.dumps(result.numbers()))
    assert list(numbers) == ["labels", "methods"]
    assert {m: list(states) for m, states in numbers["labels"].items()} == {
        "audio": ["before", "refined"],
        "visual": ["before", "after", "refined"],
    }
    assert list(numbers["methods"]) == [
        *("han", "plg", "segment_bce", "ple", "pld"),
        "default",
    ]
    for levels in numbers["methods"].values():
        assert list(levels) == list(LEVELS)
        for kinds in levels.values():
            assert list(kinds) == list(KINDS)
            assert all(0 <= value <= 100 for value in kinds.values())


def test_the_scores_are_those_of_the_files(result: Demo) -> None:
    out = result.page.parent
    data = read_table(out / "data" / "annotations.csv")
    for method in result.results.methods:
        tables = [
            read_table(run / "test.csv", taxonomy=data.taxonomy)
            for run in method.runs.values()
        ]
        scores = [
            evaluate(data, table, split="test").scores.percent()["segment"]["type"]
            for table in tables
        ]
        assert len(scores) == 2
        assert method.values("segment type") == pytest.approx(scores)


def test_no_stage_reads_the_truth_of_the_training_videos(result: Demo) -> None:
    out = result.page.parent
    data = read_table(out / "data" / "annotations.csv")
    assert set(data.select("train").ids).isdisjoint(data.events)
    assert set(read_table(out / "data" / "train_truth.csv").ids) <= set(
        data.select("train").ids
    )
    assert not any("train_truth" in path.read_text() for path in out.rglob("run.json"))


def test_the_page_has_the_table_the_figures_and_the_videos(result: Demo) -> None:
    page = result.page.read_text(encoding="utf-8")
    for title in (method.title for method in result.results.methods):
        assert title in page
    assert page.count("<video") == EXAMPLES
    assert page.count("data:image/svg+xml") >= 3
    assert not re.search(r'(src|href)="https?:', page)


def test_the_command_opens_a_review_of_the_examples(result: Demo) -> None:
    assert html.escape(result.review) in result.page.read_text(encoding="utf-8")
    command = [sys.executable, "-m", *shlex.split(result.review), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with httpx.Client(base_url=address.partition("/?")[0], timeout=60.0) as client:
            assert client.get(address).status_code == 303
            session = client.get("/api/session").json()
            videos = client.get("/api/videos").json()["videos"]
            first = client.get("/api/videos/0").json()
        process.terminate()
        assert process.wait() == Exit.TERMINATED
    assert session["methods"][0] == "reference"
    assert session["has_run"]
    data = read_table(result.page.parent / "data" / "annotations.csv")
    assert set(session["classes"]) == set(data.taxonomy.classes)
    assert len(videos) == EXAMPLES
    assert all(video["has_media"] for video in videos)
    (reference, *_) = first["lanes"]
    assert len(reference["events"]) == len(data.events[first["name"]])


def test_a_second_demo_renders_and_trains_nothing_and_has_the_same_results(
    result: Demo,
) -> None:
    out = result.page.parent
    before = {
        path: path.stat().st_mtime_ns
        for path in [*out.rglob("*.mp4"), *out.rglob("*.safetensors")]
    }
    again = run_small_demo(out)
    assert again.numbers() == result.numbers()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_folder_with_videos_of_another_seed_is_refused(result: Demo) -> None:
    with pytest.raises(UsageError, match="contains videos of seed 3, not 4"):
        run_small_demo(result.page.parent, seed=4)


def test_two_jobs_do_not_mix_their_videos_in_one_folder(tmp_path: Path) -> None:
    first_job = lock_folder(tmp_path / "data", kind="folder")
    refused = pytest.raises(MachineError, match="synthetic videos is locked by pid")
    with first_job, refused:
        run_small_demo(tmp_path)
    assert not (tmp_path / "data" / "media").exists()
