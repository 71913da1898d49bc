"""The output of `vaplan status` for a store that is being filled."""

import json
from pathlib import Path

import numpy as np

from tests.cli.conftest import Call
from vaplan.errors import Exit
from vaplan.store import Entry, Part, Store


def fill(root: Path, part: Part | None = None) -> Store:
    store = Store.create(
        root, "audio:x", {"dimension": 2}, planned=["a", "b", "c"], part=part
    )
    good = Entry("a", np.ones((3, 2), np.float32), np.ones(3, dtype=bool))
    reason = "media/b.mp4: empty file. Fix: copy it again."
    bad = Entry("b", None, np.zeros(0, dtype=bool), "failed", reason)
    store.add([good, bad])
    return store


def test_progress_is_shown_while_a_job_holds_the_store(
    call: Call, tmp_path: Path
) -> None:
    with fill(tmp_path).open_writer():
        code, out, err = call("status", tmp_path)
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.lstrip().startswith("store"))
    assert row.split()[:5] == ["store", "3", "1", "1", "1"]
    assert "1 failed: empty file" in out


def test_progress_as_json_names_every_part(call: Call, tmp_path: Path) -> None:
    fill(tmp_path, Part(2, 3))
    code, out, _ = call("status", tmp_path, "--json")
    assert code == 0
    document = json.loads(out)["audio:x"]
    assert document["missing"] == 1
    assert document["reasons"] == {"empty file": 1}
    (part,) = document["parts"]
    assert part["name"] == "part-2-of-3"
    assert (part["ok"], part["failed"], part["missing"]) == (1, 1, 1)


def test_a_folder_without_a_store_is_refused(call: Call, tmp_path: Path) -> None:
    code, out, err = call("status", tmp_path)
    assert (code, out) == (Exit.USAGE, "")
    assert "this is no feature store" in err
