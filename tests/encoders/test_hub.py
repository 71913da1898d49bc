"""From a name on the Hub to a loaded encoder, against a server on 127.0.0.1."""

import hashlib
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner

from tests.encoders.hub_server import (
    FakeHub,
    Files,
    PullRequest,
    Repository,
    commit_id,
    serve,
)
from vaplan import cli, encoders
from vaplan.arrays import VISUAL
from vaplan.encoders import catalogue, folders, hub
from vaplan.encoders.catalogue import Entry
from vaplan.errors import EncoderError, Exit, MachineError, StoreError
from vaplan.store import Store

PICKLE = b"cos\nsystem\n(S'exit 1'\ntR."
CONVERTED = commit_id("conversion")


@pytest.fixture
def files(clip_folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in clip_folder.iterdir()}


@pytest.fixture
def server(
    files: Files, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FakeHub]:
    """Models `a/safe` with safetensors, and `a/pickle` without and with a conversion."""
    pickled = {name: content for name, content in files.items() if "safe" not in name}
    pickled["pytorch_model.bin"] = PICKLE
    conversion = PullRequest(66, [CONVERTED, commit_id("main")], {**pickled, **files})
    models = {
        "a/safe": Repository(files),
        "a/pickle": Repository(pickled, [conversion]),
    }
    with serve(models) as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(
            constants.HUGGINGFACE_CO_URL_HOME.rstrip("/"), running.url
        )
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield running


def conversion(server: FakeHub) -> PullRequest:
    return server.models["a/pickle"].pull_requests[0]


def refusal(name: str) -> EncoderError:
    with pytest.raises(EncoderError) as caught:
        encoders.load(f"clip:{name}", VISUAL)
    assert "\n" not in str(caught.value)
    assert "Fix:" in str(caught.value)
    return caught.value


def test_safetensors_on_main_are_fetched_and_no_other_weights(server: FakeHub) -> None:
    server.models["a/safe"].files["pytorch_model.bin"] = PICKLE
    server.models["a/safe"].files["onnx/model.json"] = b"{}"
    folder = hub.fetch("a/safe", "clip")
    assert not (folder / "pytorch_model.bin").exists()
    assert not (folder / "onnx").exists()
    assert not any("discussions" in request for request in server.requests)


def test_pickled_weights_are_replaced_by_the_conversion_of_the_hub(
    server: FakeHub, files: Files
) -> None:
    provenance = encoders.load("clip:a/pickle", VISUAL).provenance
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    assert provenance["hub_commit"] == CONVERTED
    assert provenance["weights_sha256"] == digest
    assert not any("pytorch_model.bin" in request for request in server.requests)


def test_a_conversion_into_a_folder_has_no_pickle(
    server: FakeHub, tmp_path: Path
) -> None:
    folder = hub.fetch("a/pickle", "clip", to=tmp_path / "model")
    assert (folder / "model.safetensors").exists()
    assert not (folder / "pytorch_model.bin").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"author": "mallory"},
        {"title": "Better weights"},
        {"status": "closed"},
        {"commits": [CONVERTED, commit_id("an older main")]},
        {"commits": [CONVERTED, commit_id("a second commit"), commit_id("main")]},
        {"commits": [CONVERTED]},
    ],
)
def test_no_other_pull_request_counts_as_a_conversion(
    server: FakeHub, change: dict[str, object]
) -> None:
    for name, value in change.items():
        setattr(conversion(server), name, value)
    error = refusal("a/pickle")
    assert "pickled weights are not read" in str(error)
    assert "clip:laion/CLIP-ViT-B-32-laion2B-s34B-b79K" in error.fix
    assert not any("/resolve/" in request for request in server.requests)


@pytest.mark.parametrize("name", ["config.json", "another.json"])
def test_a_conversion_that_changes_another_file_is_refused(
    server: FakeHub, name: str
) -> None:
    conversion(server).files[name] = b"{}"
    assert "no conversion" in str(refusal("a/pickle"))


def test_the_conversion_is_found_again_without_a_request(server: FakeHub) -> None:
    folder = hub.fetch("a/pickle", "clip")
    server.requests.clear()
    assert folders.find("a/pickle") == folder
    assert [name for name, _ in hub.cached()] == ["clip:a/pickle"]
    assert server.requests == []


def test_a_pull_request_that_a_user_fetched_is_not_taken_for_the_conversion(
    server: FakeHub,
) -> None:
    hub.fetch("a/pickle@refs/pr/66", "clip")
    assert folders.find("a/pickle@refs/pr/66")
    assert folders.find("a/pickle") is None


def test_a_gated_model_asks_for_a_login(server: FakeHub) -> None:
    server.models["a/safe"].is_gated = True
    error = refusal("a/safe")
    assert "requires a login" in str(error)
    assert "hf auth login" in error.fix


def test_a_revision_or_a_model_that_does_not_exist_is_named(server: FakeHub) -> None:
    assert "'a/safe' has no revision 'v9'" in str(refusal("a/safe@v9"))
    assert "the Hub has no 'a/none'" in str(refusal("a/none"))


def test_an_interrupted_download_continues(
    server: FakeHub, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    server.cut_bytes = 50_000
    server.cuts = 1
    folder = hub.fetch("a/safe", "clip")
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert server.ranges == ["bytes=50000-"]


def test_a_download_that_fails_is_completed_by_the_next_one(
    server: FakeHub, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.cuts = 100
    server.cut_bytes = 1000
    with pytest.raises(MachineError, match="cannot be fetched") as caught:
        hub.fetch("a/safe", "clip")
    assert caught.value.exit == Exit.MACHINE
    assert folders.find("a/safe") is None
    server.cuts = 0
    folder = hub.fetch("a/safe", "clip")
    assert (folder / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_a_download_shows_its_progress(
    server: FakeHub, capfd: pytest.CaptureFixture[str]
) -> None:
    hub.fetch("a/safe", "clip")
    assert "100%" in capfd.readouterr().err


def test_the_second_run_needs_no_network(
    server: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encoders.load("clip:a/pickle", VISUAL).provenance
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert encoders.load("clip:a/pickle", VISUAL).provenance == first


def test_a_cache_that_cannot_be_written_is_one_line(
    server: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    assert "cannot be downloaded" in str(refusal("a/safe"))


def test_without_a_home_folder_the_error_is_one_line(
    server: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_entry(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "~/.cache/huggingface/hub")
    with pytest.raises(MachineError, match="home directory"):
        hub.fetch("a/safe", "clip")
    assert "cannot be downloaded" in str(refusal("a/safe"))


def test_a_short_name_loads_its_pinned_commit_and_hash(
    server: FakeHub, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    names = {
        "clip:mine": Entry("a/pickle", "tests", commit=CONVERTED, sha256=digest),
        "clip:other": Entry("a/safe", "tests", sha256="0" * 64),
    }
    monkeypatch.setattr(catalogue, "CATALOGUE", names)
    encoder = encoders.load("clip:mine", VISUAL)
    assert encoder.name == "clip:mine"
    assert encoder.provenance["hub_commit"] == CONVERTED
    assert f"expected {'0' * 64}" in str(refusal("other"))


def test_another_commit_with_the_same_weights_continues_a_store(
    tmp_path: Path,
) -> None:
    old = {"dimension": 2, "weights_sha256": "0", "hub_commit": "a"}
    Store.create(tmp_path, "visual:x", old, planned=["v"])
    Store.create(tmp_path, "visual:x", {**old, "hub_commit": "b"}, planned=["v"])
    with pytest.raises(StoreError, match="weights_sha256"):
        Store.create(tmp_path, "visual:x", {**old, "weights_sha256": "1"}, planned=[])


def test_features_without_models_and_network_are_one_line_with_a_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.mp4").touch()
    (tmp_path / "table.csv").write_text("video,class\na,Dog\n")
    command = ["features", f"table:{tmp_path / 'table.csv'}", "--media", str(tmp_path)]
    command += ["--store", str(tmp_path / "store")]
    command += ["--visual", "clip:base", "--audio", "clap:base"]
    result = CliRunner().invoke(cli.app, command)
    error = result.exception
    assert isinstance(error, EncoderError)
    assert "\n" not in str(error)
    assert "run `vaplan models fetch clap:base --to FOLDER` on another" in error.fix
    assert "give it as clap:FOLDER" in error.fix
    assert not (tmp_path / "store").exists()


def test_a_full_disk_names_the_folder_and_the_bytes_of_the_model(
    server: FakeHub, files: Files, small_disk: Path
) -> None:
    files["model.safetensors"] += bytes(300_000)
    needed = sum(map(len, files.values()))
    assert needed > 256 * 1024
    with pytest.raises(MachineError) as caught:
        hub.fetch("a/safe", "clip", to=small_disk / "model")
    message = str(caught.value)
    assert message.startswith(f"{small_disk / 'model'}: cannot write: No space left")
    assert f"free {needed:,} bytes or more" in message
    assert caught.value.exit == Exit.MACHINE


def test_an_unwritable_folder_is_not_reported_as_a_fault_of_the_network(
    server: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("a file where the folder should be")
    with pytest.raises(MachineError, match="file/model: cannot write: Not a dir"):
        hub.fetch("a/safe", "clip", to=tmp_path / "file" / "model")
