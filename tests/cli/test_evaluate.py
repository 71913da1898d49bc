"""`evaluate` and `compare` on the command line give the official scores."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.conftest import World
from tests.official import REAL, write_ave, write_llp
from vaplan.metrics.llp import KINDS, LEVELS

HEADER = "video,modality,class,onset,offset,score\n"
CLAPPING = (
    "LcFWKgFphXI_20_30,audio,Clapping,2,5,\nLcFWKgFphXI_20_30,visual,Clapping,0,10,\n"
)


def table(path: Path, rows: str) -> Path:
    path.write_text(HEADER + rows)
    return path


def test_the_document_names_the_scores_and_the_data(call: Call, tmp_path: Path) -> None:
    data = f"llp:{write_llp(tmp_path / 'llp')}"
    estimate = table(
        tmp_path / "e.csv", CLAPPING + "4O9rI-FpqLg_10_20,audio,Cheering,0,8,\n"
    )
    code, out, err = call(
        "evaluate", "--data", data, "--split", "test", "--estimate", estimate, "--json"
    )
    document = json.loads(out)
    assert code == 0
    assert list(document) == [
        *(
            "data",
            "annotations",
            "split",
            "videos",
            "missing",
            "ignored",
            "left_out",
            "segment",
            "event",
            "per_class",
        )
    ]
    assert document["annotations"].startswith("unknown (")
    assert (document["data"], document["split"], document["videos"]) == (
        data,
        "test",
        3,
    )
    assert document["missing"] == ["8DF2PxdT5tE_390_400", "JfZEqeLZqWk_30_40"]
    assert document["ignored"] == 1
    assert document["segment"] == pytest.approx(
        {
            "audio": 200 / 3,
            "visual": 100,
            "audio_visual": 100,
            "type": 800 / 9,
            "event": 200 / 3,
        }
    )
    assert "no row for 2 of 3 videos; they count as empty" in err
    assert "1 videos of other splits are ignored" in err


def test_classes_and_intervals_are_printed_on_request(
    call: Call, tmp_path: Path
) -> None:
    data, estimate = (
        f"llp:{write_llp(tmp_path / 'llp')}",
        table(tmp_path / "e.csv", CLAPPING),
    )
    arguments = [
        "evaluate",
        "--data",
        data,
        "--estimate",
        estimate,
        "--per-class",
        "--ci",
    ]
    document = json.loads(call(*arguments, "--json")[1])
    assert document["per_class"]["event"]["audio"]["Clapping"] == 100
    assert document["per_class"]["event"]["audio"]["Dog"] == 0
    assert document["per_class"]["event"]["audio"]["Cello"] is None
    low, high = document["ci"]["segment"]["audio"]
    assert low < document["segment"]["audio"] < high
    code, out, _ = call(*arguments)
    assert code == 0
    assert "Clapping" in out
    assert "0.0–100.0" in out


def test_ave_has_its_accuracy(call: Call, tmp_path: Path) -> None:
    data = f"ave:{write_ave(tmp_path / 'ave')}"
    estimate = table(tmp_path / "e.csv", "RUhOCu3LNXM@2,both,Bark,2,4,\n")
    document = json.loads(
        call(
            "evaluate", "--data", data, "--estimate", estimate, "--json", "--per-class"
        )[1]
    )
    assert document["accuracy"] == 90
    assert document["per_class"]["background"] == 100
    code, out, _ = call(
        "evaluate", "--data", data, "--estimate", estimate, "--ci", "--per-class"
    )
    assert code == 0
    assert "90.0–90.0" in out


def test_missing_videos_can_be_left_out(call: Call, tmp_path: Path) -> None:
    data, estimate = (
        f"llp:{write_llp(tmp_path / 'llp')}",
        table(tmp_path / "e.csv", CLAPPING),
    )
    (tmp_path / "missing.csv").write_text(
        "video,split\n8DF2PxdT5tE_390_400,test\nJfZEqeLZqWk_30_40,test\n"
    )
    arguments = [
        "evaluate",
        "--data",
        data,
        "--estimate",
        estimate,
        "--without",
        tmp_path / "missing.csv",
        "--json",
    ]
    code, out, err = call(*arguments)
    assert json.loads(out)["segment"]["type"] == 100
    assert json.loads(out)["left_out"] == ["8DF2PxdT5tE_390_400", "JfZEqeLZqWk_30_40"]
    assert (code, "1 of 3 videos are left to evaluate" in err) == (0, True)


def test_two_tables_are_compared_on_the_same_videos(call: Call, tmp_path: Path) -> None:
    data = f"llp:{write_llp(tmp_path / 'llp')}"
    one, other = (
        table(tmp_path / "one.csv", CLAPPING),
        table(tmp_path / "other.csv", ""),
    )
    code, out, _ = call("compare", one, other, "--data", data, "--json")
    document = json.loads(out)
    assert code == 0
    difference = document["difference"]["segment"]["visual"]
    assert difference["value"] == pytest.approx(
        document["numbers"]["a"]["segment"]["visual"]
        - document["numbers"]["b"]["segment"]["visual"]
    )
    assert difference["low"] <= difference["value"] <= difference["high"]
    code, out, _ = call("compare", one, other, "--data", data)
    assert (code, "segment V" in out, "+33.33" in out) == (0, True, True)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("zzz,audio,Dog,0,1,\n", "e.csv:2: 1 of 1 videos are not in the data set"),
        (
            "LcFWKgFphXI_20_30,audio,Dgo,0,1,\n",
            "e.csv:2: unknown class 'Dgo'; did you mean 'Dog'",
        ),
        (
            "LcFWKgFphXI_20_30,audio,dog,0,1,\n",
            "e.csv:2: unknown class 'dog'; did you mean 'Dog'",
        ),
    ],
)
def test_an_unknown_video_or_class_in_a_table_is_an_error(
    call: Call, tmp_path: Path, rows: str, message: str
) -> None:
    data = f"llp:{write_llp(tmp_path / 'llp')}"
    code, out, err = call(
        "evaluate", "--data", data, "--estimate", table(tmp_path / "e.csv", rows)
    )
    assert (code, out) == (4, "")
    assert message in err


PUBLISHED = """
corrected val empty 0.6163 10.7858 14.3297 8.5773 0 0.6163 10.7858 14.3297 8.5773 0
corrected val weak10 77.0748 58.6541 52.0727 62.6005 71.5336 63.8487 53.4754 44.1491 53.8244 61.1207
corrected test empty 0.5 10.0833 14.5 8.3611 0 0.5 10.0833 14.5 8.3611 0
corrected test weak10 76.1176 60.3480 52.6103 63.0253 71.7258 63.0272 55.7527 44.6921 54.4907 61.6011
legacy val weak10 77.0748 58.6541 52.0727 62.6005 71.5336 63.8487 53.4754 44.1491 53.8244 61.1207
legacy test empty 0.5 10.0833 14.5 8.3611 0 0.5 10.0833 14.5 8.3611 0
legacy test weak10 76.0802 60.3480 52.6072 63.0118 71.7029 63.0272 55.7527 44.6921 54.4907 61.6039
"""  # of the published code
PRESENT = [
    line.split() for line in PUBLISHED.split("\n") if line and (REAL / "llp").is_dir()
]


@pytest.mark.slow
@pytest.mark.parametrize("case", PRESENT, ids=lambda case: "-".join(case[:3]))
def test_the_scores_equal_those_of_the_published_code(
    call: Call, tmp_path: Path, case: list[str]
) -> None:
    version, split, predictor, *expected = case
    rows = ""
    if predictor == "weak10":  # every tag in every second, audible and visible
        with (REAL / "llp" / f"AVVP_{split}_pd.csv").open(newline="") as file:
            tags = {
                row["filename"]: row["event_labels"].split(",")
                for row in csv.DictReader(file, delimiter="\t")
            }
        rows = "".join(
            f"{video},both,{name},0,10,\n"
            for video, names in tags.items()
            for name in dict.fromkeys(names)
        )
    estimate = table(tmp_path / "e.csv", rows)
    data = ["--data", f"llp:{REAL / 'llp'}", "--annotations", version]
    document = json.loads(
        call("evaluate", *data, "--split", split, "--estimate", estimate, "--json")[1]
    )
    assert document["annotations"] == version
    numbers = [document[level][kind] for level in LEVELS for kind in KINDS]
    assert [f"{number:.4f}" for number in numbers] == [
        f"{float(value):.4f}" for value in expected
    ]


def test_the_events_of_an_estimate_need_a_modality(
    call: Call, world: World, tmp_path: Path
) -> None:
    estimate = tmp_path / "estimate.csv"
    estimate.write_text("video,class,onset,offset\n")
    code, _, err = call(
        "evaluate", "--data", f"table:{world.table}", "--estimate", estimate
    )
    assert code == 4
    assert "estimate.csv:1: column 'modality' is missing" in err


def test_tables_are_scored_without_torch(tmp_path: Path) -> None:
    rows = "v,audio,Dog,0,3,\n"
    reference, estimate = (table(tmp_path / name, rows) for name in ("r.csv", "e.csv"))
    (tmp_path / "w.csv").write_text("video\n")
    given = ["--data", f"table:{reference}", "--split", "", "--json"]
    for arguments in (
        ["evaluate", *given, "--estimate", estimate, "--ci", "--per-class"],
        ["evaluate", *given, "--estimate", estimate, "--without", tmp_path / "w.csv"],
        ["compare", estimate, estimate, *given],
        ["predict", "--help"],
    ):
        script = (
            "import sys\n"
            f"sys.argv = ['vaplan', *{[*map(str, arguments)]!r}]\n"
            "from vaplan.cli import main\n"
            "try:\n    main()\n"
            "finally:\n    assert 'torch' not in sys.modules\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
