"""Labels without dense labels, as commands."""

import json
from pathlib import Path

from tests.cli.conftest import Call
from tests.conftest import World
from tests.own_vectors import make_videos
from vaplan import stages


def test_label_diagnostics_are_printed_as_text_and_as_json(
    call: Call, world: World, tmp_path: Path
) -> None:
    about = (
        "label",
        f"table:{world.table}",
        "--store",
        world.store,
        "--out",
        tmp_path / "l.csv",
        "--diagnose",
    )
    code, out, err = call(*about, "--rule", "mixture", "--smooth", 0.5, "--json")
    assert code == 0
    document = json.loads(out)
    assert set(document["diagnostics"]) == {"audio", "visual"}
    one = next(iter(document["diagnostics"]["audio"].values()))
    assert {
        "verdict",
        "reasons",
        "rate",
        "rate_untagged",
        "precision",
        "entropy",
        "continuity",
    } <= set(one)
    assert "one per class" in err
    code, out, err = call(*about)
    assert code == 0
    assert "labels are" in out
    assert "only " in err  # some class of so few videos has a handful of tags
    assert "l.png" in err


def test_label_probabilities_are_written_and_trained_on(
    call: Call, world: World, tmp_path: Path
) -> None:
    soft = tmp_path / "soft.csv"
    assert (
        call(
            *(
                "label",
                f"table:{world.table}",
                "--store",
                world.store,
                "--out",
                tmp_path / "l.csv",
            ),
            *("--out-probability", soft),
        )[0]
        == 0
    )
    changes = [argument for change in world.changes for argument in ("--set", change)]
    about = (
        "--labels",
        tmp_path / "l.csv",
        "--run",
        tmp_path / "run",
        "--set",
        f"label_probability={soft}",
    )
    assert (
        call(
            "train",
            "segment_bce",
            *changes,
            *about,
            "--set",
            "losses={segment: {labels: soft}}",
        )[0]
        == 0
    )
    without = (*about[:-2], "--overwrite", "--set", "losses={segment: {labels: soft}}")
    code, _, err = call("train", "segment_bce", *changes, *without)
    assert code == 2
    assert (
        "labels: soft needs label probabilities. Fix: write label_probability: TABLE"
        in err
    )


def test_check_labels_measures_on_held_out_videos(
    call: Call, world: World, tmp_path: Path
) -> None:
    lines = world.table.read_text().splitlines()
    split = lines[0].split(",").index("split")
    table = tmp_path / "train.csv"
    moved = [
        ",".join([*(c := line.split(","))[:split], "train", *c[split + 1 :]])
        for line in lines[1:]
    ]
    table.write_text("\n".join([lines[0], *moved]) + "\n")
    about = (
        "check-labels",
        f"table:{table}",
        "--store",
        world.store,
        "--labels",
        world.labels,
        "--folds",
        2,
    )
    code, out, _ = call(*about, "--json")
    assert code == 0
    document = json.loads(out)
    assert document["verdict"] in ("help", "do not help", "harm")
    assert document["videos"] == len(world.data.videos)
    for gain in document["gain"].values():
        assert gain["low"] <= gain["value"] <= gain["high"]
    code, out, _ = call(*about)
    assert code == 0
    assert "95 % interval" in out
    code, _, err = call("check-labels", f"table:{world.table}", *about[2:])
    assert code == 4
    assert "16 tagged videos are too few to hold some out" in err


def test_prompts_that_have_no_effect_on_own_vectors_are_a_warning(
    call: Call, tmp_path: Path
) -> None:
    folder = make_videos().save(tmp_path / "own")
    data = f"table:{folder / 'videos.csv'}"
    store = folder / "store"
    for modality, name in enumerate(("audio", "visual")):
        text = folder / f"{name}_text.npz"
        stages.import_vectors(
            folder / name,
            "mine",
            modality,
            store,
            text=text,
            data=stages.read_data(data),
        )
    about = ("label", data, "--store", store, "--out", tmp_path / "labels.csv")
    code, _, err = call(*about, "--prompts", "default")
    assert code == 0
    expected = "--prompts has no effect on own:mine, whose text vectors were imported"
    assert f"warning: {expected}" in err
    code, _, err = call(*about)
    assert code == 0
    assert "--prompts" not in err
