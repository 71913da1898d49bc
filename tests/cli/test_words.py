"""Zero-shot classes on the command line: parsing without training, tags as a filter, prompts, precision."""

import csv
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.conftest import EMBEDDED, World
from vaplan import recipe as recipes
from vaplan import stages
from vaplan.arrays import AUDIO
from vaplan.encoders.compute import PLAIN, Compute
from vaplan.parser import Parser

HEADER = "video,modality,class,onset,offset,score\n"


@pytest.fixture
def one_class(tmp_path: Path) -> Path:
    path = tmp_path / "classes.yaml"
    path.write_text("classes: [Bell]\n")
    return path


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def classes_in(timeline: Path) -> set[str]:
    return {event["class"] for event in json.loads(timeline.read_text())["events"]}


def test_zero_shot_parsing_needs_only_a_list_of_classes(
    call: Call, world: World, one_class: Path, tmp_path: Path
) -> None:
    holding = next(video for video in world.data.videos if "Bell" in video.tags)
    path = world.folder / holding.path
    given = [
        "--zero-shot",
        "--taxonomy",
        one_class,
        "--out",
        tmp_path,
        "--threshold",
        "audio=0",
    ]
    code, out, err = call(
        "parse", path, *given, "--threshold", "visual=0", "--workers", 1
    )
    assert (code, out) == (0, "")
    assert "--visual clip:" in err
    assert classes_in(tmp_path / f"{path.stem}.json") == {"Bell"}


def test_with_a_background_the_scores_of_events_are_deviations_above_3(
    call: Call, world: World, tmp_path: Path
) -> None:
    taxonomy, out = tmp_path / "all.csv", tmp_path / "out"
    taxonomy.write_text("class\n" + "\n".join(world.data.taxonomy.classes))
    path = world.folder / world.data.select("test").videos[0].path
    given = ["--zero-shot", "--taxonomy", taxonomy, "--out", out, "--workers", 1]
    code, _, _ = call("parse", path, *given, "--background", world.store)
    assert code == 0
    events = json.loads((out / f"{path.stem}.json").read_text())["events"]
    assert events
    assert min(event["score"] for event in events) > 3
    code, _, err = call(
        *("parse", path, "--out", out, "--run", tmp_path),
        *("--background", world.store),
    )
    assert code == 2
    assert "a trained parser has its own classes and encoders" in err


def test_tags_filter_the_results_of_the_encoders_and_of_a_trained_parser(
    call: Call, world: World, tmp_path: Path
) -> None:
    first, second = world.data.select("test").videos[:2]
    taxonomy, tags = tmp_path / "all.csv", tmp_path / "tags.csv"
    taxonomy.write_text("class\n" + "\n".join(world.data.taxonomy.classes))
    tags.write_text(f"video,tags\n{first.video},{first.tags[0]}\n")
    changes = [
        *world.changes,
        f"labels={world.labels}",
        "decision.rule=segment",
        "decision.threshold=0.01",
    ]
    run = stages.train(recipes.read("plg", changes=changes), tmp_path / "run")
    all_of_it = ["--threshold", "audio=-99", "--threshold", "visual=-99"]
    for how in (
        ["--run", run.folder],
        ["--zero-shot", "--taxonomy", taxonomy, *all_of_it],
    ):
        out = tmp_path / how[0].strip("-")
        paths = [world.folder / video.path for video in (first, second)]
        code, _, err = call(
            "parse", *paths, *how, "--tags", tags, "--out", out, "--workers", 1
        )
        assert code == 0
        assert "1 files have no tags" in err
        assert classes_in(out / f"{paths[0].stem}.json") == {first.tags[0]}
        assert len(classes_in(out / f"{paths[1].stem}.json")) > 1


def test_a_store_is_labelled_with_classes_that_have_no_tags(
    call: Call, world: World, one_class: Path, tmp_path: Path
) -> None:
    table, out = tmp_path / "videos.csv", tmp_path / "labels.csv"
    table.write_text(HEADER + "".join(f"{video},,,,,\n" for video in world.data.ids))
    given = ["--store", world.store, "--taxonomy", one_class, "--out", out]
    code, _, err = call("label", f"table:{table}", *given)
    assert code == 0
    expected = "audio threshold 3, the default deviation, because there are no tags"
    assert expected in " ".join(err.split())
    assert {row["class"] for row in rows_of(out)} == {"Bell", ""}
    about = json.loads(out.with_suffix(".json").read_text())
    assert (about["strategy"], about["filter"]) == ("deviation", "none")


def test_a_single_class_is_labelled_only_in_tagged_videos(
    call: Call, world: World, one_class: Path, tmp_path: Path
) -> None:
    table, out = tmp_path / "tags.csv", tmp_path / "labels.csv"
    tagged = {video.video for video in world.data.videos if "Bell" in video.tags}
    table.write_text(
        HEADER + "".join(f"{v},,{'Bell' * (v in tagged)},,,\n" for v in world.data.ids)
    )
    assert (
        call(
            "label",
            f"table:{table}",
            "--taxonomy",
            one_class,
            "--store",
            world.store,
            "--out",
            out,
        )[0]
        == 0
    )
    marked = {row["video"] for row in rows_of(out) if row["class"]}
    assert marked
    assert marked <= tagged


def test_valors_prompts_and_logits_are_two_options(
    call: Call, world: World, tmp_path: Path
) -> None:
    table, out = tmp_path / "llp.csv", tmp_path / "labels.csv"
    table.write_text(
        HEADER
        + "".join(
            f"{v},,{('Dog', 'Cat')[i % 2]},,,\n" for i, v in enumerate(world.data.ids)
        )
    )
    given = ["--store", world.store, "--out", out, "--prompts", "valor"]
    assert (
        call(
            "label",
            f"table:{table}",
            *given,
            "--strategy",
            "logit",
            "--threshold",
            "valor",
        )[0]
        == 0
    )
    about = json.loads(out.with_suffix(".json").read_text())
    assert about["thresholds"]["visual"] == [15.0, 14.0]  # Cat, Dog
    assert about["prompts"]["audio"] == [
        ["This is a sound of cat"],
        ["This is a sound of dog"],
    ]
    code, _, err = call("label", f"table:{table}", *given, "--threshold", "valor")
    assert code == 2
    assert "VALOR's thresholds are for logits. Fix: give --strategy logit" in err


def test_several_devices_encode_in_a_process_each(
    call: Call, world: World, tmp_path: Path
) -> None:
    given = ["features", f"table:{world.table}", "--media", world.folder]
    given += ["--store", tmp_path / "store", "--workers", 1, "--limit", 1]
    code, _, err = call(*given, "--device", "cpu,cpu")
    assert code == 2
    assert "(cpu,cpu) need an encoder process each. Fix: give one device" in err
    assert call(*given, "--device", "cpu,cpu", "--pipeline")[0] == 0


def test_a_store_keeps_the_precision_that_it_was_started_with(
    call: Call, world: World, tmp_path: Path
) -> None:
    store, data = tmp_path / "store", f"table:{world.table}"
    given = [
        "features",
        data,
        "--media",
        world.folder,
        "--store",
        store,
        "--workers",
        1,
    ]
    assert call(*given, "--precision", "bf16", "--limit", 1)[0] == 0
    assert call(*given, "--limit", 1)[0] == 0
    info = json.loads(call("store", "info", store)[1])
    assert {about["provenance"]["precision"] for about in info.values()} == {"bf16"}
    assert {about["ok"] for about in info.values()} == {2}
    code, _, err = call(*given, "--precision", "fp32")
    assert code == 2
    assert "was started with --device cpu --precision bf16" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["parse", "x.mp4", "--out", "o"],
            2,
            "--run RUN, or --zero-shot --taxonomy FILE",
        ),
        (["parse", "x.mp4", "--out", "o", "--zero-shot"], 2, "a parser is needed"),
        (
            ["parse", "x.mp4", "--out", "o", "--run", "r", "--visual", "clip:x"],
            2,
            "has its own classes",
        ),
        (
            ["parse", "x.mp4", "--out", "o", "--zero-shot", "--threshold", "audo=3"],
            2,
            "write audio=4",
        ),
        (
            ["parse", "x.mp4", "--out", "o", "--zero-shot", "--threshold", "audio=３"],
            2,
            "write audio=4",
        ),
        (
            [
                "label",
                "table:{table}",
                "--store",
                "s",
                "--out",
                "o.csv",
                "--threshold",
                "audio=nan",
            ],
            2,
            "is not a finite number",
        ),
        (
            ["parse", "x.mp4", "--out", "o", "--run", "r", "--taxonomy", "{one}"],
            2,
            "has its own classes and encoders",
        ),
        (
            ["parse", "x.mp4", "--out", "o", "--zero-shot", "--taxonomy", "{none}"],
            4,
            "none.yaml",
        ),
        (
            [
                "parse",
                "x.mp4",
                "--out",
                "o",
                "--zero-shot",
                "--taxonomy",
                "{one}",
                "--tags",
                "{tags}",
            ],
            4,
            "mean 'Bell'",
        ),
        (
            [
                "parse",
                "x.mp4",
                "--out",
                "o",
                "--zero-shot",
                "--taxonomy",
                "{one}",
                "--device",
                "tpu",
            ],
            2,
            "'tpu'",
        ),
        (
            [
                "parse",
                "x.mp4",
                "--out",
                "o",
                "--zero-shot",
                "--taxonomy",
                "{one}",
                "--audio",
                "claps:x",
            ],
            2,
            "mean 'clap'",
        ),
        (
            ["label", "llp:x", "--taxonomy", "{one}", "--store", "s", "--out", "o.csv"],
            2,
            "have a fixed list of classes",
        ),
        (
            [
                "label",
                "table:{table}",
                "--prompts",
                "valr",
                "--store",
                "s",
                "--out",
                "o.csv",
            ],
            2,
            "did you mean 'valor'",
        ),
        (
            [
                "label",
                "table:{table}",
                "--taxonomy",
                "{one}",
                "--store",
                "s",
                "--out",
                "o.csv",
            ],
            4,
            "unknown class",
        ),
        (
            [
                "features",
                "table:{table}",
                "--media",
                "m",
                "--store",
                "s",
                "--precision",
                "fp8",
            ],
            2,
            "unknown precision",
        ),
    ],
)
def test_a_mistake_is_one_clear_line(
    call: Call,
    world: World,
    one_class: Path,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    (tmp_path / "tags.csv").write_text("video,tags\nx,Bel\n")
    places = {
        "one": one_class,
        "none": tmp_path / "none.yaml",
        "tags": tmp_path / "tags.csv",
        "table": world.table,
    }
    got, out, err = call(*(argument.format(**places) for argument in arguments))
    assert (got, out) == (code, "")
    assert message in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1


@pytest.mark.slow
def test_a_parser_encodes_with_the_precision_of_its_features(
    world: World, tmp_path: Path
) -> None:
    data, half = stages.read_data(f"table:{world.table}"), Compute("cpu", "bf16")
    stages.features(
        data, world.folder, tmp_path, encoders=EMBEDDED, workers=1, compute=half
    )
    changes = [*world.changes, f"store={tmp_path}", f"labels={world.labels}"]
    run = stages.train(recipes.read("plg", changes=changes), tmp_path / "run")
    for encoder in Parser.load(run.folder).encoders[AUDIO]:
        assert encoder.provenance["precision"] == "bf16"
    for encoder in Parser.load(run.folder, compute=PLAIN).encoders[AUDIO]:
        assert "precision" not in encoder.provenance
