"""`data check`, `data fetch`, `import`."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Call
from tests.conftest import World
from tests.official import REAL, write_ave, write_llp
from vaplan.store import find_stores


def test_issues_are_listed_and_are_no_errors(call: Call, tmp_path: Path) -> None:
    data = f"llp:{write_llp(tmp_path / 'llp')}"
    code, out, _ = call("data", "check", data, "--json")
    document = json.loads(out)
    assert code == 0
    assert (
        document["data"],
        document["videos"],
        document["classes"],
        document["media"],
    ) == (data, 6, 25, None)
    assert document["files"]["AVVP_eval_audio.csv"] == 9
    assert document["issues"]["backward event"] == [
        {
            "what": "8DF2PxdT5tE_390_400 audio Cheering: from 9 to 0 s marks nothing",
            "video": "8DF2PxdT5tE_390_400",
            "file": str(tmp_path / "llp" / "AVVP_eval_audio.csv"),
            "line": 5,
        }
    ]
    test = document["splits"]["test"]
    assert (
        test["videos"],
        test["densely labelled"],
        test["videos by number of tags"],
    ) == (3, 3, {"1": 2, "2": 1})
    assert test["without an event"] == {
        "audio": 1,
        "visual": 2,
        "audio_visual": 2,
        "any": 1,
    }
    assert test["per_class"]["Clapping"] == {
        "videos": 1,
        "audio events": 1,
        "visual events": 1,
    }
    assert document["splits"]["train"]["without an event"] is None


def test_the_page_lists_kinds_of_issues_with_examples(
    call: Call, tmp_path: Path
) -> None:
    code, out, _ = call("data", "check", f"llp:{write_llp(tmp_path)}")
    assert code == 0
    assert "backward event: 1\n  AVVP_eval_audio.csv:5: 8DF2PxdT5tE_390_400" in out
    assert "tag without an event: 4 (AVVP_val_pd.csv 1, AVVP_test_pd.csv 3)" in out
    code, out, _ = call("data", "check", f"ave:{write_ave(tmp_path / 'ave')}")
    assert (code, "leak between test and train: 1" in out) == (0, True)


def test_a_valid_table_has_no_issues(call: Call, world: World) -> None:
    code, out, _ = call("data", "check", f"table:{world.table}")
    assert code == 0
    assert "26 videos, 16 classes" in out


def test_recognised_column_names_are_printed(call: Call, tmp_path: Path) -> None:
    table = tmp_path / "events.tsv"
    table.write_text("filename\tevent_label\tnote\na.wav\tDog\tx\n")
    code, out, _ = call("data", "check", f"table:{table}")
    assert code == 0
    assert "columns: filename (video), event_label (class); not used: note" in out
    document = json.loads(call("data", "check", f"table:{table}", "--json")[1])
    assert document["columns"] == {
        "filename": "video",
        "event_label": "class",
        "note": "",
    }


def test_missing_and_unreadable_media_are_listed_and_can_be_left_out(
    call: Call, world: World, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    shutil.copytree(
        world.folder, media, ignore=shutil.ignore_patterns("store", "*.csv", "*.json")
    )
    lost, broken = (video for video in world.data.select("test").videos[:2])
    (media / lost.path).unlink()
    (media / broken.path).write_bytes(b"no film")
    table = shutil.copy(world.table, tmp_path / "annotations.csv")
    manifest = tmp_path / "missing.csv"
    code, out, err = call(
        "data",
        "check",
        f"table:{table}",
        "--media",
        media,
        "--missing",
        manifest,
        "--json",
    )
    assert (code, json.loads(out)["media"]) == (
        0,
        {"found": 24, "missing": 1, "unreadable": 1},
    )
    assert "2 videos without media" in err
    with manifest.open(newline="") as file:
        rows = {row["video"]: row for row in csv.DictReader(file)}
    assert {video: row["kind"] for video, row in rows.items()} == {
        lost.video: "missing media",
        broken.video: "unreadable media",
    }
    assert "does not exist" in rows[lost.video]["reason"]
    assert "not a media file" in rows[broken.video]["reason"]
    scored = [
        "evaluate",
        "--data",
        f"table:{table}",
        "--estimate",
        table,
        "--without",
        manifest,
        "--json",
    ]
    document = json.loads(call(*scored)[1])
    assert (document["videos"], set(document["left_out"])) == (4, set(rows))


def test_events_after_the_end_of_the_media_file_are_listed_with_their_line(
    call: Call, world: World, tmp_path: Path
) -> None:
    video = world.data.videos[0]
    path = world.folder / video.path
    text = f"video,modality,class,onset,offset,path\nv,audio,Dog,2,3,{path.name}\n"
    text += f"v,audio,Dog,90,91,{path.name}\n"
    table = tmp_path / "annotations.csv"
    table.write_text(text)
    code, out, _ = call(
        *("data", "check", f"table:{table}", "--media", path.parent, "--json"),
        *("--missing", tmp_path / "missing.csv"),
    )
    (issue,) = json.loads(out)["issues"]["event past the end"]
    assert code == 0
    assert issue["line"] == 3
    assert issue["what"] == "v audio Dog: ends at 91 s, the video at 10 s"


def test_a_fetch_without_a_network_is_an_error_with_a_fix(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    code, out, err = call("data", "fetch", "llp", tmp_path / "llp")
    assert (code, out) == (5, "")
    assert "https://github.com/YapengTian/AVVP-ECCV20" in err
    assert not list(tmp_path.iterdir())
    code, _, err = call("data", "fetch", "lpl", tmp_path)
    assert (code, "did you mean 'llp'" in err) == (2, True)


def test_published_features_are_imported_and_a_bad_file_is_named(
    call: Call, tmp_path: Path
) -> None:
    data = f"llp:{write_llp(tmp_path / 'llp')}"
    pack = tmp_path / "feats" / "vggish"
    pack.mkdir(parents=True)
    ids = "-DSNfC2EJhU AKVyIQoSyBA 4O9rI-FpqLg 8DF2PxdT5tE LcFWKgFphXI".split()
    for youtube in ids:
        np.save(pack / f"{youtube}.npy", np.ones((10, 128), dtype=np.float32))
    np.save(pack / "JfZEqeLZqWk.npy", np.ones((9, 128), dtype=np.float32))
    code, _, err = call(
        "import", "han", tmp_path, "--data", data, "--store", tmp_path / "store"
    )
    assert code == 3
    assert "JfZEqeLZqWk.npy: shape 9 x 128, expected 10 x 128" in err
    assert "5 imported, 1 failed" in err
    assert list(find_stores(tmp_path / "store")) == ["audio:legacy:vggish"]
    code, _, err = call(
        "import",
        "valor",
        tmp_path / "llp",
        "--data",
        data,
        "--store",
        tmp_path / "store",
    )
    assert (code, "it contains no part of the valor pack" in err) == (4, True)


def test_own_vectors_are_imported_and_a_width_unlike_that_of_the_text_is_one_line(
    call: Call, tmp_path: Path
) -> None:
    for name, width in {"a": 4, "b": 5, "c": 5}.items():
        np.save(tmp_path / f"{name}.npy", np.ones((3, width), np.float32))
    (tmp_path / "text.csv").write_text("class,0,1,2,3\nDog,1,0,0,0\nRain,0,1,0,0\n")
    given = ["import", "vectors", tmp_path, "--as", "mine", "--modality", "audio"]
    given += ["--store", tmp_path / "store", "--text", tmp_path / "text.csv"]
    code, out, err = call(*given)
    assert (code, out) == (3, "")
    assert "note: 1 files of other kinds were skipped" in err
    assert "in the store: audio:own:mine" in err
    assert "1 imported, 2 failed" in err
    (line,) = (line for line in err.splitlines() if line.startswith("error: "))
    assert line == (
        f"error: 2 alike, the first is {tmp_path / 'b.npy'}: 'b': 5 numbers a segment, "
        "expected 4 as in the text vectors. Fix: compute all vectors with one model, or "
        "import the others with another --as. The others: c."
    )


def test_many_files_of_another_width_are_one_line(call: Call, tmp_path: Path) -> None:
    data = f"llp:{write_llp(tmp_path / 'llp')}"
    pack = tmp_path / "CLIP" / "features"
    pack.mkdir(parents=True)
    ids = "-DSNfC2EJhU AKVyIQoSyBA 4O9rI-FpqLg 8DF2PxdT5tE LcFWKgFphXI".split()
    for youtube in ids:
        np.save(pack / f"{youtube}.npy", np.ones((10, 512), dtype=np.float32))
    code, _, err = call(
        "import", "valor", tmp_path, "--data", data, "--store", tmp_path / "store"
    )
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    (shapes,) = (line for line in errors if "512" in line)
    assert code == 4
    assert shapes.startswith("error: 5 alike, the first is ")
    assert "shape 10 x 512, expected 10 x 768" in shapes
    assert "vaplan import vectors" in shapes
    assert shapes.count("AKVyIQoSyBA") == 1  # among the names of the others
    assert "and 1 more." in shapes
    assert len(errors) == 2  # the other one is of the video without a file


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder",
    [path for path in (REAL / "llp",) if path.is_dir()],
    ids=lambda path: path.name,
)
def test_the_known_issues_of_llp_are_listed(call: Call, folder: Path) -> None:
    code, out, _ = call("data", "check", f"llp:{folder}", "--json")
    document = json.loads(out)
    assert (code, document["annotations"], document["videos"]) == (
        0,
        "corrected",
        11849,
    )
    assert document["files"] == {
        "AVVP_train.csv": 10000,
        "AVVP_val_pd.csv": 649,
        "AVVP_test_pd.csv": 1200,
        "AVVP_eval_audio.csv": 4131,
        "AVVP_eval_visual.csv": 2495,
    }
    splits = document["splits"]
    assert splits["train"]["videos by number of tags"] == {
        "1": 4032,
        "2": 5879,
        "3": 89,
    }
    assert splits["test"]["videos by number of tags"].keys() == {
        "1",
        "2",
        "3",
        "4",
        "5",
        "7",
    }
    assert splits["val"]["without an event"] == {
        "audio": 4,
        "visual": 70,
        "audio_visual": 93,
        "any": 0,
    }
    assert splits["test"]["without an event"] == {
        "audio": 6,
        "visual": 121,
        "audio_visual": 174,
        "any": 0,
    }
    counts = "4988 624 528 761 192 343 455 218 299 602 186 1172 437 1457 495 146 445 224 411 587 503 99 430 291 164"
    assert [about["videos"] for about in splits["train"]["per_class"].values()] == list(
        map(int, counts.split())
    )


def test_rows_of_json_are_counted_though_they_have_no_line(
    call: Call, tmp_path: Path
) -> None:
    event = {"segment": [0, 1], "label": "Dog"}
    video = {"subset": "train", "duration": 9, "annotations": [event, event]}
    path = tmp_path / "unav.json"
    path.write_text(json.dumps({"version": "unav100", "database": {"a": video}}))
    document = json.loads(call("data", "check", f"activitynet:{path}", "--json")[1])
    assert document["files"] == {"unav.json": 2}
    assert document["annotations"] == "unav100, events in both"
