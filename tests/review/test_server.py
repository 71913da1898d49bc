"""A review over HTTP: pages, videos, bytes of media, changes, conflicts, a full disk."""

import errno
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.review.serving import CHANGE, DOOR, Client, serving, write_sources
from vaplan.annotations import read_table
from vaplan.errors import MachineError
from vaplan.media.playback import waveform_peaks
from vaplan.review import history
from vaplan.review.desk import open_desk
from vaplan.review.guard import CONTENT_POLICY
from vaplan.review.server import PAGE, listen
from vaplan.review.session import open_session

TRIES = 600  # tenths of a second


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(write_sources(tmp_path / "review")) as opened:
        yield opened


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """For tests that change nothing."""
    sources = write_sources(tmp_path_factory.mktemp("server") / "review")
    with serving(sources) as opened:
        yield opened


def wait_until_ready(client: Client, index: int, name: str) -> Any:
    for _ in range(TRIES):
        value = client.get(f"/api/videos/{index}/preparation").value
        if value[name]["state"] not in ("waiting", "running"):
            return value
        time.sleep(0.1)
    raise AssertionError(value)


def log_of(client: Client) -> list[dict[str, Any]]:
    path = client.desk.session.table.with_suffix(".jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_printed_address_gives_a_cookie_and_leads_to_the_page(
    reader: Client,
) -> None:
    entry = reader.get(f"/?token={reader.access.token}", Cookie=None)
    assert (entry.status, entry.headers["location"]) == (303, "/")
    cookie = entry.headers["set-cookie"]
    assert cookie == f"{reader.cookie}; HttpOnly; SameSite=Strict; Path=/"
    page = reader.get("/", Cookie=cookie.partition(";")[0])
    assert page.body == (PAGE / "index.html").read_bytes()
    assert page.headers["content-type"].startswith("text/html")


def test_without_the_token_a_page_names_the_address_to_open(reader: Client) -> None:
    reply = reader.get("/", Cookie=None)
    assert reply.status == 403
    assert b"printed" in reply.body
    assert reader.get("/api/session", Cookie=None).value["fix"].startswith("open")


def test_a_link_on_another_site_needs_a_second_try(reader: Client) -> None:
    """The browser keeps a strict cookie back until a page of this site leads to `/`."""
    linked = reader.get("/", Cookie=None, Sec_Fetch_Site="cross-site")
    assert linked.status == 403
    assert b"url=/" in linked.body
    again = reader.get("/", Cookie=None, Sec_Fetch_Site="same-origin")
    assert b"url=/" not in again.body  # no endless loop without a cookie


def test_every_file_of_the_page_is_served_with_its_type(reader: Client) -> None:
    types = {".js": "javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    for path in PAGE.iterdir():
        if path.suffix in types:
            reply = reader.get(f"/page/{path.name}")
            assert reply.body == path.read_bytes()
            assert types[path.suffix] in reply.headers["content-type"]


def test_the_api_describes_the_review(reader: Client) -> None:
    desk = reader.desk
    assert reader.get("/api/session").value == desk.describe_session()
    assert reader.get("/api/videos").value == {"videos": desk.list_videos()}
    assert reader.get("/api/command").value == {"commands": list(desk.commands)}


def test_every_reply_has_the_headers_of_the_contract(reader: Client) -> None:
    for target in ("/", "/api/session", "/api/videos/0/media", "/none"):
        headers = reader.get(target).headers
        assert headers["content-security-policy"] == CONTENT_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert reader.get("/api/session").headers["cache-control"] == "no-store"


def test_a_video_is_prepared_when_it_is_requested(reader: Client) -> None:
    value = reader.get("/api/videos/0").value
    assert value["media"] == {"state": "ready", "progress": 1.0, "message": ""}
    assert (value["has_video"], value["has_audio"]) == (True, True)
    assert value["frame_rate"] == pytest.approx(10.0)
    assert wait_until_ready(reader, 0, "peaks")["peaks"]["state"] == "ready"
    peaks = reader.get("/api/videos/0/peaks")
    assert peaks.body == waveform_peaks(path_of(reader))
    assert peaks.headers["content-type"] == "application/octet-stream"
    assert reader.get("/api/videos/0/scores").status == 404  # there is no run


def test_a_spectrogram_is_served_in_pieces_when_it_was_asked_for(
    client: Client,
) -> None:
    address = "/api/videos/0/spectrogram"
    assert client.get(f"{address}/preparation").value["state"] == "absent"
    assert client.get(address).status == 409
    client.get("/api/videos/0")
    assert client.get(address).status == 409
    for _ in range(TRIES):
        state = client.get(f"{address}/preparation").value["state"]
        if state not in ("waiting", "running"):
            break
        time.sleep(0.1)
    assert state == "ready"
    whole = client.get(address)
    made = client.desk.preparation.spectrogram_file(0)
    assert made is not None
    assert whole.body == made.read_bytes()
    assert whole.headers["content-type"] == "application/octet-stream"
    piece = client.get(address, Range="bytes=64-191")
    assert (piece.status, piece.body) == (206, whole.body[64:192])
    assert client.get("/api/videos/2/spectrogram").status == 404  # there is no file


def test_a_copy_is_served_for_a_file_that_no_browser_plays(reader: Client) -> None:
    reader.get("/api/videos/1")
    value = wait_until_ready(reader, 1, "media")
    assert value["media"]["state"] == "ready"
    media = reader.get("/api/videos/1/media")
    assert media.headers["content-type"] == "video/mp4"
    assert b"ftyp" in media.body[:12]


def test_media_are_not_served_before_a_video_is_requested(client: Client) -> None:
    assert client.get("/api/videos/1/media").status == 409
    assert client.get("/api/videos/1/peaks").status == 409
    assert client.get("/api/videos/2/media").status == 404  # there is no file
    assert client.get("/api/videos/2/peaks").status == 404


def path_of(client: Client) -> Path:
    path = client.desk.preparation.sources[0].path
    assert path is not None
    return path


def media_of(reader: Client) -> bytes:
    reader.get("/api/videos/0")
    return path_of(reader).read_bytes()


@pytest.mark.parametrize(
    ("range_header", "part"),
    [
        ("bytes=0-", slice(0, None)),
        ("bytes=0-0", slice(0, 1)),
        ("bytes=100-299", slice(100, 300)),
        ("bytes=1000-99999999", slice(1000, None)),
        ("bytes=-17", slice(-17, None)),
        ("bytes=-99999999", slice(0, None)),
    ],
)
def test_a_range_has_the_bytes_of_the_file(
    reader: Client, range_header: str, part: slice
) -> None:
    content = media_of(reader)
    reply = reader.get("/api/videos/0/media", Range=range_header)
    assert reply.status == 206
    assert reply.body == content[part]
    first, last, _ = part.indices(len(content))
    assert reply.headers["content-range"] == f"bytes {first}-{last - 1}/{len(content)}"
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["cache-control"] == "private, no-cache"


def test_the_whole_file_and_its_head(reader: Client) -> None:
    content = media_of(reader)
    whole = reader.get("/api/videos/0/media")
    assert (whole.status, whole.body) == (200, content)
    head = reader.ask("/api/videos/0/media", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(content))
    assert reader.ask("/api/session", "HEAD").body == b""


def test_a_range_outside_names_the_size(reader: Client) -> None:
    content = media_of(reader)
    reply = reader.get("/api/videos/0/media", Range=f"bytes={len(content)}-")
    assert reply.status == 416
    assert reply.headers["content-range"] == f"bytes */{len(content)}"


def test_a_range_of_an_older_file_is_the_whole_new_file(client: Client) -> None:
    content = media_of(client)
    tag = client.get("/api/videos/0/media").headers["etag"]
    same = client.get("/api/videos/0/media", Range="bytes=0-9", If_Range=tag)
    assert (same.status, same.body) == (206, content[:10])
    assert client.get("/api/videos/0/media", If_None_Match=tag).status == 304
    os.utime(path_of(client), ns=(0, 0))
    changed = client.get("/api/videos/0/media", Range="bytes=0-9", If_Range=tag)
    assert (changed.status, changed.body) == (200, content)


def test_a_change_is_saved_and_acknowledged_with_its_version(client: Client) -> None:
    reply = client.put(0, CHANGE)
    assert reply.status == 200
    assert reply.value == {
        "version": 1,
        "state": "in work",
        "events": [DOOR],
        "classes": ["Cat", "Dog", "Door"],
    }
    table = read_table(client.desk.session.table)
    assert [event.class_name for event in table.events["a"]] == ["Door"]
    assert log_of(client)[0]["who"] == "Ada"
    assert client.get("/api/videos/0").value["version"] == 1
    source = client.desk.session.collection.source
    assert "Door" not in source.read_text()


def test_two_pages_in_conflict_are_both_kept(client: Client) -> None:
    assert client.put(0, CHANGE | {"person": "Ada"}).status == 200
    other = DOOR | {"class": "Bell"}
    reply = client.put(0, CHANGE | {"person": "Bob", "events": [other]})
    assert reply.status == 409
    assert reply.value["current"] == {
        "version": 1,
        "state": "in work",
        "events": [DOOR],
    }
    assert reply.value["yours"] == {"events": [other]}
    ada, bob = log_of(client)
    assert (ada["who"], ada["events"]) == ("Ada", [DOOR])
    assert (bob["who"], bob["events"], bob["conflict"]) == ("Bob", [other], True)


def test_of_many_changes_at_once_one_is_saved(client: Client) -> None:
    statuses = list[int]()

    def save(number: int) -> None:
        event = DOOR | {"onset": DOOR["onset"] + number / 10}
        change = CHANGE | {"person": f"person {number}", "events": [event]}
        statuses.append(client.put(0, change).status)

    threads = [threading.Thread(target=save, args=[n]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[409] * 7]
    assert len(log_of(client)) == 8


def test_a_full_disk_is_507_and_nothing_changes(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.put(0, CHANGE).status == 200
    folder = client.desk.session.table.parent
    before = {path: path.read_bytes() for path in folder.glob("labels.*")}

    def fill(*arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(history.os, "fsync", fill)
        reply = client.put(0, CHANGE | {"version": 1, "events": []})
    assert reply.status == 507
    assert "No space left" in reply.value["message"]
    assert "free" in reply.value["fix"]
    assert {path: path.read_bytes() for path in folder.glob("labels.*")} == before
    assert client.get("/api/videos/0").value["version"] == 1
    assert client.put(0, CHANGE | {"version": 1, "events": []}).status == 200


def test_on_a_disk_that_fills_up_the_last_acknowledged_change_stays(
    small_disk: Path,
) -> None:
    sources = write_sources(small_disk / "review")
    filler = small_disk / "filler"
    events = list[dict[str, Any]]()
    with serving(sources) as client:
        filler.write_bytes(bytes(32_768))
        for version in range(1000):
            number = float(version)
            events.append(DOOR | {"onset": number, "offset": number + 0.5})
            reply = client.put(0, CHANGE | {"version": version, "events": events})
            if reply.status != 200:
                break
        assert (reply.status, version > 1) == (507, True)
        assert client.get("/api/videos/0").value["version"] == version
        assert [line["version"] for line in log_of(client)] == [*range(1, version + 1)]
        table = read_table(client.desk.session.table)
        assert len(table.events["a"]) == version
        filler.unlink()
        again = client.put(0, CHANGE | {"version": version, "events": events})
        assert (again.status, again.value["version"]) == (200, version + 1)
    with open_session(sources.source) as session:
        assert len(session.revision(session.collection.videos[0]).events) == version + 1


def test_a_bug_is_a_short_reply(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("secret path")

    monkeypatch.setattr(type(client.desk), "list_videos", lambda self: fail())
    reply = client.get("/api/videos")
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert reply.headers["content-security-policy"] == CONTENT_POLICY
    assert "ZeroDivisionError: secret path" in caplog.text


def test_a_second_review_of_the_source_is_refused(client: Client) -> None:
    source = client.desk.session.collection.source
    with (
        pytest.raises(MachineError, match="another review of this table is running"),
        open_session(source),
    ):
        pass


def test_a_review_continues_where_it_was_left(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "review")
    with serving(sources) as first:
        assert first.put(0, CHANGE).status == 200
    with open_desk(sources) as desk:
        assert desk.describe_video(0)["events"] == [DOOR]


def test_a_port_that_is_taken_is_an_error_with_a_fix() -> None:
    with listen("127.0.0.1", 0) as server:
        port = server.getsockname()[1]
        with pytest.raises(MachineError, match="give another --host or --port"):
            listen("127.0.0.1", port)
