"""The command line: exit codes, one line per failure, results on standard output and nothing else there."""

import csv
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import pytest

from tests.cli.conftest import Call
from tests.conftest import World
from vaplan import __version__, cli, runs, stages
from vaplan import recipe as recipes
from vaplan.store import find_stores
from vaplan.workers import Failed, TimeLimit


@pytest.fixture(scope="session")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    """A parser that marks events, though it was trained for two epochs only."""
    recipe = recipes.read(
        "plg",
        changes=[*world.changes, f"labels={world.labels}", "decision.rule=segment"],
    )
    return stages.train(recipe, tmp_path_factory.mktemp("cli") / "run")


def test_import_and_help_load_no_heavy_library() -> None:
    code = "import sys, vaplan, vaplan.cli; print([m for m in ('torch', 'transformers', 'av') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def commands() -> list[list[str]]:
    groups = {
        "data": ["check", "fetch"],
        "import": ["han", "valor", "ave", "vectors"],
        "models": ["list", "check", "fetch"],
        "store": ["info", "verify"],
        "media": ["probe"],
    }
    single = "demo features label train denoise exchange noise predict evaluate compare bench report import parse fit"
    return [
        [],
        *([name] for name in [*single.split(), "review", "suggest"]),
        *([g, name] for g, names in groups.items() for name in names),
    ]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help(call: Call, command: list[str]) -> None:
    code, out, _ = call(*command, "--help")
    assert code == 0
    assert len(out.splitlines()) > 8
    assert "Usage" in out


def test_commands_lead_from_tags_to_scores(
    call: Call, world: World, tmp_path: Path
) -> None:
    data, store = f"table:{world.table}", world.store
    assert call("features", data, "--media", world.folder, "--store", store)[0] == 0
    labels, denoised, table = (
        tmp_path / name for name in ("labels.csv", "denoised.csv", "predictions.csv")
    )
    code, _, err = call("label", data, "--store", store, "--out", labels)
    assert code == 0
    assert "fitted on 4 densely labelled videos" in err
    given = [
        "--data",
        data,
        "--store",
        store,
        "--labels",
        labels,
        "--set",
        "training.epochs=1",
    ]
    small = ["--set", "model.settings={hidden: 8, feedforward: 8}"]
    assert call("train", "ple", *given, *small, "--run", tmp_path / "ple")[0] == 0
    assert (
        call("denoise", tmp_path / "ple", "--labels", labels, "--out", denoised)[0] == 0
    )
    given[5] = denoised
    assert call("train", "ple", *given, *small, "--run", tmp_path / "pld")[0] == 0
    predict = ["--data", data, "--store", store, "--split", "test", "--out", table]
    assert call("predict", tmp_path / "pld", *predict)[0] == 0
    code, out, _ = call(
        "evaluate", "--data", data, "--split", "test", "--estimate", table, "--json"
    )
    assert code == 0
    assert json.loads(out)["videos"] == 6
    code, out, _ = call(
        "evaluate", "--data", data, "--split", "test", "--estimate", world.table
    )
    assert code == 0
    assert out.count("100.00") == 10


def test_the_steps_of_other_methods_are_commands_too(
    call: Call, world: World, tmp_path: Path
) -> None:
    given = [
        "--data",
        f"table:{world.table}",
        "--store",
        world.store,
        "--set",
        "training.epochs=1",
    ]
    given += [
        "--set",
        "model.settings.hidden=8",
        "--set",
        "model.settings.feedforward=8",
    ]
    exchanged, ratios = tmp_path / "exchanged.csv", tmp_path / "ratios.json"
    assert call("train", "ma_base", *given, "--run", tmp_path / "ma_base")[0] == 0
    assert call("exchange", tmp_path / "ma_base", "--out", exchanged)[0] == 0
    assert (
        call("train", "ma", *given, "--labels", exchanged, "--run", tmp_path / "ma")[0]
        == 0
    )
    assert (
        call("train", "jomold_estimator", *given, "--run", tmp_path / "estimator")[0]
        == 0
    )
    assert call("noise", tmp_path / "estimator", "--out", ratios)[0] == 0
    assert (
        call(
            "train",
            "jomold",
            *given,
            "--set",
            f"removal.ratios={ratios}",
            "--run",
            tmp_path / "jomold",
        )[0]
        == 0
    )
    numbers = json.loads((tmp_path / "jomold" / "metrics.json").read_text())
    assert numbers.keys() == {"val", "test"}
    assert numbers["test"]["segment"].keys() == {
        "audio",
        "visual",
        "audio_visual",
        "type",
        "event",
    }


def test_a_file_is_parsed_into_every_format_asked_for(
    call: Call, world: World, run: runs.Run, tmp_path: Path
) -> None:
    video = world.data.select("test").videos[0]
    path = world.folder / video.path
    code, out, err = call(
        "parse", path, "--run", run.folder, "--out", tmp_path, "--format", "json,csv"
    )
    assert (code, out) == (0, "")
    assert "the embedded encoders recognise only the synthetic data" in err
    assert "--visual clip:" in err
    document = json.loads((tmp_path / f"{path.stem}.json").read_text())
    with (tmp_path / f"{path.stem}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0].keys() == {"video", "modality", "class", "onset", "offset", "score"}
    assert len(document["events"]) == len([row for row in rows if row["class"]])
    again = call(
        "parse",
        path,
        "--run",
        run.folder,
        "--out",
        tmp_path,
        "--format",
        "json,csv",
        "--skip-existing",
    )
    assert again[0] == 0
    assert "1 already done" in again[2]


def test_in_a_folder_a_bad_file_is_named_and_the_rest_is_parsed(
    call: Call, world: World, run: runs.Run, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    good = world.folder / world.data.videos[0].path
    shutil.copy(good, folder)
    (folder / "bad.mp4").write_text("this is no film")
    code, _, err = call("parse", folder, "--run", run.folder, "--out", out)
    assert code == 3
    assert [path.name for path in out.iterdir()] == [f"{good.stem}.json"]
    failures = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (
        len([line for line in failures if "bad.mp4" in line and "Fix: " in line])
        == len(failures)
        == 1
    )


def test_a_single_file_that_is_no_media_is_exit_code_4(
    call: Call, run: runs.Run, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("this is no film")
    code, _, err = call(
        "parse", tmp_path / "bad.mp4", "--run", run.folder, "--out", tmp_path / "out"
    )
    assert code == 4
    assert "bad.mp4" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["parse", "x.mp4", "--run", "{empty}", "--out", "{out}"],
            2,
            "recipe.yaml is missing: this is not a finished run",
        ),
        (
            ["parse", "x.mp4", "--run", "{run}", "--out", "{out}", "--format", "jsn"],
            2,
            "did you mean 'json'",
        ),
        (
            ["parse", "{empty}", "--run", "{run}", "--out", "{out}"],
            4,
            "this folder contains no media file",
        ),
        (
            [
                "label",
                "table:{table}",
                "--store",
                "{store}",
                "--audio",
                "clap:x",
                "--out",
                "{out}.csv",
            ],
            2,
            "another encoder",
        ),
        (
            ["label", "tabel:{table}", "--store", "{store}", "--out", "{out}.csv"],
            2,
            "did you mean 'table'",
        ),
        (
            ["label", "{table}", "--store", "{store}", "--out", "{out}.csv"],
            2,
            "is not a data set",
        ),
        (
            ["label", "table:none.csv", "--store", "{store}", "--out", "{out}.csv"],
            4,
            "none.csv: cannot read",
        ),
        (
            [
                "label",
                "table:{table}",
                "--store",
                "{store}",
                "--threshold",
                "x=1",
                "--out",
                "{out}.csv",
            ],
            2,
            "write audio=",
        ),
        (["train", "plee", "--run", "{out}"], 2, "did you mean 'ple'"),
        (
            ["train", "ple", "--run", "{out}", "--set", "training.epoch=1"],
            2,
            "did you mean 'epochs'",
        ),
        (
            [
                "evaluate",
                "--data",
                "table:{table}",
                "--split",
                "tset",
                "--estimate",
                "{labels}",
            ],
            2,
            "mean 'test'",
        ),
        (
            ["label", "table:{table}", "--store", "{store}", "--out", "{out}/l.txt"],
            2,
            "cannot end with '.txt'",
        ),
        (["store", "verify", "{empty}"], 2, "this is no feature store"),
        (
            ["parse", "x.mp4", "--run", "{out}/none", "--out", "{out}"],
            2,
            "no such folder",
        ),
        (["parse", "x.mp4", "--run", "{run}", "--out", "{table}"], 2, "this is a file"),
        (
            [
                "features",
                "table:{table}",
                "--media",
                "{out}/none",
                "--store",
                "{store}",
            ],
            2,
            "no such folder",
        ),
        (
            ["fit", "{table}", "--media", "{empty}", "--run", "{out}"],
            4,
            "column 'tags' is missing",
        ),
        (["frobnicate"], 2, "No such command"),
        (["label"], 2, "Missing"),
        (["parse"], 2, "one source of videos is needed"),
    ],
)
def test_a_mistake_is_one_clear_line_and_its_exit_code(
    call: Call,
    world: World,
    run: runs.Run,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {
        "empty": empty,
        "out": tmp_path / "out",
        "run": run.folder,
        "store": world.store,
    }
    places |= {"table": world.table, "labels": world.labels}
    got, out, err = call(*(argument.format(**places) for argument in arguments))
    assert (got, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    if message not in (
        "No such command",
        "Missing",
    ):  # messages of click have a frame
        assert [
            line.startswith("error: ") for line in err.splitlines() if message in line
        ] == [True]


def test_an_unknown_class_in_a_table_names_file_line_and_the_nearest(
    call: Call, world: World, tmp_path: Path
) -> None:
    table = tmp_path / "typo.csv"
    table.write_text(
        f"video,modality,class,onset,offset,score\n{world.data.ids[0]},audio,Bel,0,1,\n"
    )
    code, _, err = call(
        "evaluate", "--data", f"table:{world.table}", "--split", "", "--estimate", table
    )
    assert code == 4
    assert "typo.csv" in err
    assert "unknown class 'Bel'; did you mean 'Bell'" in err


def test_an_empty_estimate_is_scored(call: Call, world: World, tmp_path: Path) -> None:
    table = tmp_path / "nothing.csv"
    ids = world.data.select("test").ids
    table.write_text(
        "video,modality,class,onset,offset,score\n"
        + "".join(f"{video},,,,,\n" for video in ids)
    )
    code, out, _ = call(
        "evaluate", "--data", f"table:{world.table}", "--estimate", table, "--json"
    )
    assert code == 0
    assert json.loads(out)["segment"]["event"] == 0


def test_a_bug_is_one_line_and_debug_shows_the_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str, **__: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(stages, "read_data", broken)
    code, _, err = call("label", "table:x", "--store", "s", "--out", "o.csv")
    assert code == 1
    assert "a bug in vaplan: ZeroDivisionError: on purpose" in err
    assert "Traceback" not in err
    assert (
        "Traceback"
        in call("--debug", "label", "table:x", "--store", "s", "--out", "o.csv")[2]
    )


def test_an_interruption_is_exit_code_130(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: str, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "read_data", interrupted)
    code, _, err = call("label", "table:x", "--store", "s", "--out", "o.csv")
    assert code == 130
    assert "interrupted; run the same command again" in err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("features", "the same command continues where it stopped"),
        ("train", "the same command with --resume continues where it stopped"),
        ("parse", "the same command with --skip-existing continues where it stopped"),
        ("media", "run the same command again"),
    ],
)
def test_the_message_of_an_interruption_is_true_for_the_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    message: str,
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", interrupted)
    monkeypatch.setattr(sys, "argv", ["vaplan", command])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 130
    assert capsys.readouterr().err == f"error: interrupted; {message}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_unwritable_standard_error_is_exit_code_5(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vaplan", "media", "probe", tmp_path / "none.mp4"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, check=False, stderr=full)
    assert done.returncode == 5


@pytest.mark.parametrize("command", ["denoise", "refine"])
def test_labels_that_do_not_exist_are_a_clear_error(
    call: Call, run: runs.Run, tmp_path: Path, command: str
) -> None:
    missing = tmp_path / "none.csv"
    out = tmp_path / "out.csv"
    code, _, err = call(command, run.folder, "--labels", missing, "--out", out)
    assert (code, err.count("\n")) == (4, 1)
    assert f"{missing}: cannot read" in err


def test_a_store_is_described_and_a_changed_byte_is_found(
    call: Call, world: World, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(world.store, store)
    code, out, _ = call("store", "info", store)
    assert code == 0
    assert {info["ok"] for info in json.loads(out).values()} == {len(world.data.videos)}
    assert call("store", "verify", store)[0] == 0
    for features in find_stores(store).values():
        features.plan(["a video that comes later"])
    code, _, err = call("store", "verify", store)
    assert code == 0
    assert "1 planned videos have no features yet" in err
    shard = next(store.rglob("shard-*.parquet"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    code, _, err = call("store", "verify", store)
    assert code == 5
    assert shard.name in err


def test_probing_a_file_gives_one_json_document_a_line(
    call: Call, world: World, tmp_path: Path
) -> None:
    (tmp_path / "bad.mp4").write_text("this is no film")
    good = world.folder / world.data.videos[0].path
    code, out, _ = call("media", "probe", good, tmp_path / "bad.mp4", "--json")
    seen = [json.loads(line) for line in out.splitlines()]
    assert code == 3
    assert [document["error"] is None for document in seen] == [True, False]
    assert (
        seen[0]["segments"]
        == len(seen[0]["video"]["luma"])
        == len(seen[0]["audio"]["rms"])
        == 10
    )
    assert call("media", "probe", tmp_path / "bad.mp4")[0] == 4


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("vaplan.stages.features", ["features", "{data}", "--store", "{out}/store"]),
        (
            "vaplan.stages.parse",
            ["parse", "{media}", "--run", "{run}", "--out", "{out}"],
        ),
        ("vaplan.media", ["media", "probe", "{file}"]),
    ],
)
def test_a_file_has_a_time_limit_that_grows_with_it_unless_one_is_given(
    call: Call,
    world: World,
    run: runs.Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    command: list[str],
) -> None:
    limits = list[float]()

    def run_out_of_time(
        _: object, items: Sequence[Any], *, seconds: TimeLimit, **__: object
    ) -> Iterator[tuple[Any, Failed]]:
        limits.append(seconds(items[0]) if callable(seconds) else seconds)
        for item in items:
            yield item, Failed("gave no result")

    code_of = importlib.import_module(module)  # a function has the name, too
    monkeypatch.setattr(code_of, "run_supervised", run_out_of_time)
    file = world.folder / world.data.videos[0].path
    places = {
        "data": f"table:{world.table}",
        "media": file.parent,
        "run": run.folder,
        "file": file,
        "out": tmp_path,
    }
    arguments = [part.format(**places) for part in command]
    if module == "vaplan.stages.features":
        arguments += ["--media", str(world.folder)]
    for option in ([], ["--timeout", "7"]):
        code, _, err = call(*arguments, *option)
        assert code == 4
        assert "gave no result" in err
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
    default, given = limits
    assert 600 < default < 601  # a second for each megabyte
    assert given == 7


def test_a_finished_run_is_replaced_only_with_overwrite(
    call: Call, world: World, tmp_path: Path
) -> None:
    given = [
        "train",
        "han",
        "--run",
        tmp_path / "run",
        *(f"--set={change}" for change in world.changes),
    ]
    assert call(*given)[0] == 0
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert call(*given)[0] == 0  # the same training is there already
    code, _, err = call(*given, "--set=training.seed=5")
    assert code == 2
    assert "another finished training" in err
    assert "--overwrite" in err
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights
    assert call(*given, "--set=training.seed=5", "--overwrite")[0] == 0
    assert (tmp_path / "run" / "model.safetensors").read_bytes() != weights


def test_the_name_of_a_table_is_checked_before_any_work(
    call: Call, tmp_path: Path
) -> None:
    code, _, err = call(
        "label",
        "table:nowhere.csv",
        "--store",
        tmp_path,
        "--out",
        tmp_path / "labels.xlsx",
    )
    assert code == 2
    assert "a table cannot end with '.xlsx'" in err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one class", "few videos", "no sound"])
def test_fit_makes_a_parser_of_one_class_of_two_videos_or_without_audio(
    call: Call, world: World, tmp_path: Path, kind: str
) -> None:
    chosen = world.data.videos[: 2 if kind == "few videos" else 6]
    tags = ["Bell" if kind == "one class" else ";".join(video.tags) for video in chosen]
    media = tmp_path / "media"
    for video in chosen:
        copy = media / video.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        picture_alone(
            world.folder / video.path, copy
        ) if kind == "no sound" else shutil.copy(world.folder / video.path, copy)
    lines = [f"{video.path},{names}" for video, names in zip(chosen, tags, strict=True)]
    (tmp_path / "tags.csv").write_text("path,tags\n" + "\n".join(lines) + "\n")
    code, _, err = call(
        "fit", tmp_path / "tags.csv", "--media", media, "--run", tmp_path / "run"
    )
    assert code == 0, err
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert (tmp_path / "run" / "labels_refined.csv").is_file() == (kind == "no sound")


def picture_alone(film: Path, copy: Path) -> None:
    """Copy a film without its audio."""
    with av.open(str(film)) as source, av.open(str(copy), "w") as target:
        (stream,) = source.streams.video
        out = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = out
                target.mux(packet)


@pytest.mark.slow
def test_fit_makes_a_parser_of_a_folder_and_a_list_of_tags(
    call: Call, world: World, tmp_path: Path
) -> None:
    tags = tmp_path / "tags.csv"
    lines = [f"{video.path},{';'.join(video.tags)}" for video in world.data.videos[:8]]
    tags.write_text("path,tags\n" + "\n".join([*lines, "media/gone.mp4,Bell"]) + "\n")
    code, _, err = call("fit", tags, "--media", world.folder, "--run", tmp_path / "run")
    assert code == 3  # the missing file
    assert "gone" in err
    assert (tmp_path / "run" / "labels_refined.csv").is_file()
    assert (
        json.loads((tmp_path / "run" / "labels_refined.json").read_text())["rule"]
        == "fusion"
    )
    code, _, _ = call(
        "parse",
        world.folder / world.data.videos[9].path,
        "--run",
        tmp_path / "run",
        "--out",
        tmp_path,
    )
    assert code == 0
    assert (tmp_path / f"{world.data.videos[9].video}.json").exists()


def test_the_scores_of_every_segment_are_written_on_request(
    call: Call, world: World, tmp_path: Path
) -> None:
    taxonomy = tmp_path / "classes.yaml"
    taxonomy.write_text("classes: [Bell, Dog]\n")
    path = world.folder / world.data.videos[0].path
    command = ["parse", path, "--zero-shot", "--taxonomy", taxonomy, "--out", tmp_path]
    assert call(*command, "--scores", "--workers", 1)[0] == 0
    lines = (tmp_path / f"{path.stem}.scores.csv").read_text().splitlines()
    assert lines[0] == "modality,onset,offset,Bell,Dog"
    assert lines[1].startswith("audio,0,1,")
    timeline = json.loads((tmp_path / f"{path.stem}.json").read_text())
    segments = {row.split(",")[1] for row in lines[1:]}
    assert len(segments) == timeline["seconds"]


def test_a_reader_that_closes_the_output_early_is_no_error() -> None:
    command = [sys.executable, "-m", "vaplan", "--help"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_the_version_is_printed_without_a_command(call: Call) -> None:
    code, out, _ = call("--version")
    assert (code, out.strip()) == (0, f"vaplan {__version__}")
