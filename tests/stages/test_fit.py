"""A finished run is never replaced in silence by a run on other tags."""

from pathlib import Path

import pytest

from vaplan import stages
from vaplan.annotations.table import write_rows
from vaplan.annotations.tags import read_tags
from vaplan.errors import RunError

EMBEDDED = (("embedded",), ("embedded",))


def test_other_tags_do_not_replace_a_finished_run(tmp_path: Path) -> None:
    before = tmp_path / "before.csv"
    before.write_text("video,tags\na,Dog\nb,Rain\nc,Dog;Rain\n")
    run = tmp_path / "run"
    write_rows(run / "annotations.csv", read_tags(before))
    (run / "run.json").write_text("{}")
    now = tmp_path / "now.csv"
    now.write_text("video,tags\na,Dog\nb,Dog\nd,Rain\n")
    message = "1 videos are new, 1 are gone and 1 have other tags"
    with pytest.raises(RunError, match=message):
        stages.fit(now, tmp_path, run, encoders=EMBEDDED)
    kept = write_rows(tmp_path / "again.csv", read_tags(before)).read_bytes()
    assert (run / "annotations.csv").read_bytes() == kept
