"""Files are probed in another process, so a file can crash that process only."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.media.films import make
from vaplan import media


def look(path: Path) -> dict[str, Any]:
    """Probe a file like a decoder that some files crash or hang."""
    if "kill" in path.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in path.name:
        time.sleep(600)
    return media.probe(path)


def test_a_file_that_crashes_or_hangs_the_decoder_fails_alone(tmp_path):
    good = make(tmp_path / "good.mp4")
    paths = [tmp_path / "kill.mp4", good, tmp_path / "hang.mp4", tmp_path / "gone.mp4"]
    seen = {
        Path(document["file"]).name: document
        for document in media.probes(paths, look=look, seconds=4.0)
    }
    assert seen["good.mp4"] == media.probe(good)
    assert "signal 11 (SIGSEGV)" in seen["kill.mp4"]["error"]
    assert "gave no result within 4 s" in seen["hang.mp4"]["error"]
    assert "no such file" in seen["gone.mp4"]["error"]


def test_documents_of_unreadable_files_have_the_same_fields(tmp_path):
    (killed,) = media.probes([tmp_path / "kill.mp4"], look=look)
    assert killed.keys() == media.probe(make(tmp_path / "good.mp4")).keys()
    assert json.loads(json.dumps(killed)) == killed
    assert killed["segments"] == 0


def test_documents_are_in_the_order_of_the_files(tmp_path):
    paths = [make(tmp_path / f"{name}.mp4") for name in "ba"]
    assert [document["file"] for document in media.probes(paths)] == [
        str(path) for path in paths
    ]


def test_importing_media_does_not_import_torch():
    code = "import sys, vaplan.media; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
