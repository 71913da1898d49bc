"""Official annotation files arrive complete and unchanged, or not at all, and no file of the user is overwritten."""

import hashlib
import io
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vaplan.errors import Exit, MachineError, MissingExtra, UsageError
from vaplan.stages.fetch_data import MAX_BYTES, PUBLIC, SOURCES, Source, fetch

OFFICIAL = Path(__file__).parents[3] / "shared" / "data"
EVENTS, LABELS, OLDER = (
    b"filename\tonset\noffset\n",
    b"filename\tevent_labels\n",
    b"filename\tolder\n",
)
AT_ONCE = (0.0, 0.0)  # no waiting between the attempts


def of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


TINY: Mapping[str, tuple[Source, ...]] = {
    "tiny": (
        Source("labels.csv", "someone/tiny", "c0ffee1", of(LABELS)),
        Source("events.csv", "someone/tiny", "c0ffee1", of(EVENTS)),
        Source(
            "events.csv", "someone/tiny", "bada551", of(OLDER), folder_suffix="-legacy"
        ),
    )
}


@dataclass
class Site:
    """A web server with files, prepared answers, and the requests so far."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, list[tuple[int, dict[str, str]]]] = field(
        default_factory=dict
    )  # used up, one a request
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        data = self.files.get(path)
        if self.answers.get(path):
            code, headers = self.answers[path].pop(0)
            return code, headers, data or b""
        return (404, {}, b"") if data is None else (200, {}, data)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Site(
        files={
            "/someone/tiny/c0ffee1/data/labels.csv": LABELS,
            "/someone/tiny/c0ffee1/data/events.csv": EVENTS,
            "/someone/tiny/bada551/data/events.csv": OLDER,
        }
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, headers, data = made.answer(self.path)
            self.send_response(code)
            for name, value in ({"Content-Length": str(len(data))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *message: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def fetch_tiny(site: Site, folder: Path) -> tuple[Path, ...]:
    return fetch("tiny", folder, base=site.address, sources=TINY, pauses=AT_ONCE)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_file_arrives_and_the_older_ones_lie_beside_the_folder(
    site: Site, tmp_path: Path
) -> None:
    steps: list[tuple[int, int, str]] = []
    paths = fetch(
        "tiny",
        tmp_path / "data",
        base=site.address,
        sources=TINY,
        progress=lambda *step: steps.append(step),
    )
    older = tmp_path / "data-legacy" / "events.csv"
    assert paths == (
        tmp_path / "data" / "labels.csv",
        tmp_path / "data" / "events.csv",
        older,
    )
    assert [path.read_bytes() for path in paths] == [LABELS, EVENTS, OLDER]
    assert steps == [(1, 3, ""), (2, 3, ""), (3, 3, "")]


def test_the_folder_may_be_the_working_directory(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    fetch_tiny(site, Path())
    assert set(contents(tmp_path)) == {
        "data/labels.csv",
        "data/events.csv",
        "data-legacy/events.csv",
    }


def test_existing_files_are_not_fetched_again(site: Site, tmp_path: Path) -> None:
    first = fetch_tiny(site, tmp_path)
    first[1].unlink()
    site.asked.clear()
    assert fetch_tiny(site, tmp_path) == first
    assert site.asked == ["/someone/tiny/c0ffee1/data/events.csv"]


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_existing_files_of_the_user_are_never_overwritten(
    site: Site, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "events.csv"
    if kind == "file":
        path.write_bytes(b"my own notes")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(
        UsageError,
        match=r"events\.csv: it is not the official events\.csv",
    ):
        fetch_tiny(site, tmp_path)
    assert contents(tmp_path) == (
        {"events.csv": b"my own notes"} if kind == "file" else {}
    )
    assert site.asked == []


def test_a_file_with_another_content_is_not_put_in_place(
    site: Site, tmp_path: Path
) -> None:
    site.files["/someone/tiny/c0ffee1/data/events.csv"] = b"corrected again"
    message = f"not the official events.csv: its sha256 is {of(b'corrected again')}, expected {of(EVENTS)}"
    with pytest.raises(MachineError, match=message):
        fetch_tiny(site, tmp_path)
    assert contents(tmp_path) == {"labels.csv": LABELS}


def test_an_absent_file_is_requested_once_and_can_be_added_by_hand(
    site: Site, tmp_path: Path
) -> None:
    del site.files["/someone/tiny/c0ffee1/data/events.csv"]
    with pytest.raises(MachineError, match="404") as fault:
        fetch_tiny(site, tmp_path / "data")
    pages = "https://github.com/someone/tiny/tree"
    assert (
        f"from {pages}/c0ffee1/data put events.csv into {tmp_path}/data;"
        in fault.value.fix
    )
    assert (
        f"from {pages}/bada551/data put events.csv into {tmp_path}/data-legacy"
        in fault.value.fix
    )
    assert site.asked.count("/someone/tiny/c0ffee1/data/events.csv") == 1


@pytest.mark.parametrize(
    ("code", "headers"),
    [(503, {}), (429, {}), (200, {"Content-Length": "4000"})],
    ids=["ill", "busy", "torn"],
)
def test_a_temporary_fault_is_retried(
    site: Site, tmp_path: Path, code: int, headers: dict[str, str]
) -> None:
    site.answers["/someone/tiny/c0ffee1/data/events.csv"] = [(code, headers)] * 2
    fetch_tiny(site, tmp_path)
    assert (tmp_path / "events.csv").read_bytes() == EVENTS


def test_a_download_that_is_always_cut_leaves_no_short_file(
    site: Site, tmp_path: Path
) -> None:
    site.answers["/someone/tiny/c0ffee1/data/events.csv"] = [
        (200, {"Content-Length": "4000"})
    ] * 3
    with pytest.raises(
        MachineError, match=f"the connection ended after {len(EVENTS)} of 4000 bytes"
    ):
        fetch_tiny(site, tmp_path)
    assert contents(tmp_path) == {"labels.csv": LABELS}
    assert site.asked.count("/someone/tiny/c0ffee1/data/events.csv") == 3


def test_a_download_without_end_is_ended(site: Site, tmp_path: Path) -> None:
    site.files["/someone/tiny/c0ffee1/data/labels.csv"] = bytes(MAX_BYTES + 1)
    with pytest.raises(MachineError, match="larger than"):
        fetch_tiny(site, tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:1/elsewhere", "file:///etc/hostname", "ftp://127.0.0.1/x"],
)
def test_a_redirect_out_of_https_is_refused(
    site: Site, tmp_path: Path, target: str
) -> None:
    site.answers["/someone/tiny/c0ffee1/data/labels.csv"] = [
        (302, {"Location": target})
    ]
    with pytest.raises(
        MachineError,
        match=f"redirected to {target}, which is not https|{target}.* is not allowed",
    ):
        fetch_tiny(site, tmp_path)
    assert contents(tmp_path) == {}


def test_without_a_network_the_error_is_a_machine_error(
    site: Site, tmp_path: Path
) -> None:
    unreachable = site.address.rsplit(":", 1)[0] + ":1"
    with pytest.raises(MachineError, match=r"cannot download: .*refused") as fault:
        fetch("tiny", tmp_path, base=unreachable, sources=TINY, pauses=AT_ONCE)
    assert fault.value.exit == Exit.MACHINE
    assert "put labels.csv, events.csv into" in fault.value.fix


def test_a_proxy_of_the_environment_is_used(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.address)
    mirror = "http://mirror.invalid"
    site.files = {mirror + path: data for path, data in site.files.items()}
    fetch("tiny", tmp_path, base=mirror, sources=TINY, pauses=AT_ONCE)
    assert site.asked == list(site.files)


def test_invalid_names_and_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="unknown public data set 'lpl'; did you mean 'llp'"
    ):
        fetch("lpl", tmp_path)
    with pytest.raises(UsageError, match="'file:///tmp' is no web address"):
        fetch("llp", tmp_path, base="file:///tmp")


def split_file(order: np.ndarray, *, key: str = "order", **how: object) -> bytes:
    h5py = pytest.importorskip("h5py")
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        file.create_dataset(key, data=order, **how)
    return data.getvalue()


def test_a_split_is_known_by_its_numbers_however_they_are_packed(
    site: Site, tmp_path: Path
) -> None:
    splits = {
        "tiny": (Source("val_order.h5", "someone/tiny", "c0ffee1", of(b"7\n0\n12\n")),)
    }
    plain, packed = (
        split_file(np.array([7, 0, 12])),
        split_file(np.array([7, 0, 12]), chunks=(2,), compression="gzip"),
    )
    assert plain != packed
    for n, data in enumerate((plain, packed)):
        site.files["/someone/tiny/c0ffee1/data/val_order.h5"] = data
        (path,) = fetch("tiny", tmp_path / str(n), base=site.address, sources=splits)
        assert path.read_bytes() == data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(lambda: split_file(np.array([7, 12, 0])), id="another order"),
        pytest.param(lambda: split_file(np.array([[7, 0, 12]])), id="another shape"),
        pytest.param(lambda: split_file(np.int64(7)), id="one number"),
        pytest.param(lambda: split_file(np.array([7.0, 0.0, 12.0])), id="fractions"),
        pytest.param(
            lambda: split_file(np.array([7, 0, 12]), key="ordr"), id="another name"
        ),
        pytest.param(lambda: split_file(np.array([7, 0, 12]))[:900], id="torn"),
        pytest.param(lambda: b"7\n0\n12\n", id="text"),
    ],
)
def test_a_split_that_is_not_the_official_one_is_refused(
    site: Site, tmp_path: Path, data
) -> None:  # type: ignore[no-untyped-def]
    splits = {
        "tiny": (Source("val_order.h5", "someone/tiny", "c0ffee1", of(b"7\n0\n12\n")),)
    }
    site.files["/someone/tiny/c0ffee1/data/val_order.h5"] = data()
    with pytest.raises(MachineError, match=r"not the official val_order\.h5"):
        fetch("tiny", tmp_path, base=site.address, sources=splits)
    assert contents(tmp_path) == {}


def test_without_h5py_nothing_is_downloaded(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        MissingExtra, match=r"needs h5py.*pip install 'vaplan\[h5\]'"
    ) as fault:
        fetch("ave", tmp_path, base=site.address)
    assert fault.value.exit == Exit.USAGE
    assert site.asked == []


def test_the_public_addresses_name_a_commit_and_are_https() -> None:
    addresses = {
        source.address(PUBLIC) for sources in SOURCES.values() for source in sources
    }
    assert len(addresses) == 11
    assert (
        "https://raw.githubusercontent.com/YapengTian/AVVP-ECCV20/fde5611/data/AVVP_eval_audio.csv"
        in addresses
    )


def official_bytes(name: str, source: Source) -> bytes:
    path = source.within(OFFICIAL / name)
    if path.suffix != ".h5":
        return path.read_bytes()
    return split_file(
        np.array(path.with_suffix(".txt").read_text().split(), dtype=np.int64)
    )


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official files are not here")
@pytest.mark.parametrize("name", SOURCES)
def test_the_official_files_pass_and_any_other_byte_does_not(
    site: Site, tmp_path: Path, name: str
) -> None:
    site.files = {
        source.address(""): official_bytes(name, source) for source in SOURCES[name]
    }
    paths = fetch(name, tmp_path / name, base=site.address)
    assert [path.read_bytes() for path in paths] == list(site.files.values())
    last = list(site.files)[-1]
    site.files[last] = site.files[last].replace(
        b"\x01" if name == "ave" else b"1", b"2", 1
    )
    paths[-1].unlink()
    with pytest.raises(MachineError, match="not the official"):
        fetch(name, tmp_path / name, base=site.address)
