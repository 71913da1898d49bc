"""Hostile requests, sent to a real server: each is refused, and no file changes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.review.serving import CHANGE, DOOR, Client, serving, write_sources
from vaplan.review.background import JobState
from vaplan.review.edits import MAX_EVENTS
from vaplan.review.guard import MAX_BODY, SECURITY_HEADERS

H11 = b"Invalid HTTP request received."  # the reply of the parser below the app
EVENTS = "/api/videos/0/events"
MEDIA = "/api/videos/0/media"
SESSION = "/api/session"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    sources = write_sources(tmp_path_factory.mktemp("hostile"))
    with serving(sources) as opened:
        opened.desk.preparation.start(0, seconds=60.0)
        assert opened.get("/api/videos/0").value["media"]["state"] == JobState.READY
        wait_for_peaks(opened)
        yield opened


def wait_for_peaks(client: Client) -> None:
    preparation = client.desk.preparation
    for _ in range(1000):
        if preparation.peaks(0).is_over:
            return
        preparation._background.wait(("peaks", preparation._ids[0]), seconds=1.0)


def files_of(client: Client) -> dict[Path, bytes]:
    folder = client.desk.session.collection.source.parent
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(client: Client, request: bytes, statuses: tuple[int, ...]) -> None:
    """Send a request; it is refused with one of the statuses and changes nothing."""
    before = files_of(client)
    revisions = [client.desk.session.revision(v) for v in client.desk.videos]
    status, reply = client.send(request)
    assert status in statuses, reply[:300]
    assert b"root:" not in reply
    assert b"set-cookie" not in reply.lower()
    if H11 not in reply:
        head = reply.lower()
        assert all(name in head for name in SECURITY_HEADERS)
    assert files_of(client) == before
    assert [client.desk.session.revision(v) for v in client.desk.videos] == revisions


def build(
    client: Client,
    method: str = "GET",
    target: str = SESSION,
    *more: tuple[str, str | None],
    body: bytes = b"",
    with_length: bool = True,
) -> bytes:
    """Write a request that would be accepted, but for some headers.

    A header that is given replaces the one that would be sent; several of a name are all
    sent; None leaves it out.
    """
    values = {
        "PORT": str(client.port),
        "TOKEN": client.access.token,
        "COOKIE": client.access.cookie,
    }

    def fill(text: str) -> str:
        for name, value in values.items():
            text = text.replace(f"${name}", value)
        return text

    given = {name.lower() for name, _ in more}
    headers: list[tuple[str, str | None]] = [
        (name, value)
        for name, value in client.headers(method).items()
        if name.lower() not in given
    ]
    headers += more
    if body and with_length:
        headers.append(("Content-Length", str(len(body))))
    headers.append(("Connection", "close"))
    lines = [f"{method} {fill(target)} HTTP/1.1"]
    lines += [f"{name}: {fill(value)}" for name, value in headers if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


@pytest.mark.parametrize(
    "target",
    [
        "/page/../server.py",
        "/page/..%2fserver.py",
        "/page/%2e%2e%2fserver.py",
        "/page/%2e%2e/server.py",
        "/page/..%5c..%5cserver.py",
        "/page/....//server.py",
        "/page/%252e%252e%252fserver.py",
        "/page/%c0%ae%c0%ae%c0%afserver.py",
        "/page/index.html",
        "/page/index.html%00.js",
        "/page//etc/passwd",
        "/page/%2fetc%2fpasswd",
        "/page/",
        "/../../../../etc/passwd",
        "//etc/passwd",
        "/labels.csv",
        "/docs",
        "/openapi.json",
        "/api/videos/../../labels.csv",
        "/api/videos/..%2f..%2flabels.csv",
        "/api/videos/%2e%2e/media",
        "/api/videos/media%2f..%2f0/peaks",
        "/api/videos/-1/media",
        "/api/videos/1.0/media",
        "/api/videos/0x0/media",
        "/api/videos/%D9%A0/media",
        "/api/videos/%200/media",
        "/api/videos/0%00/media",
        "/api/videos/0%0a/media",
        "/api/videos/3/media",
        "/api/videos/99999999999999999999/media",
        "/api/videos/" + "9" * 1900 + "/media",
        "/api/videos/media/a.mp4/media",
        "/api/videos/0/media/../../../../../etc/passwd",
        "/api/videos/0/media/",
        "/api/videos/0/labels.csv",
        "/api/videos/2/media",
        "/api/videos/2/peaks",
        "/api/videos/2/spectrogram",
        "/api/videos/3/spectrogram/preparation",
        "/api/videos/..%2f0/spectrogram/preparation",
        "/api/videos/0/spectrogram/../../../labels.csv",
        "/api/session/..%2f..%2flabels.csv",
        "/api/command/%2e%2e",
    ],
)
def test_a_path_that_is_not_in_the_index_is_not_found(
    client: Client, target: str
) -> None:
    refused(client, build(client, "GET", target), (404,))


@pytest.mark.parametrize("target", ["/" + "a" * 3000, "/?" + "token=$TOKEN&" * 90])
def test_a_long_address_is_refused(client: Client, target: str) -> None:
    refused(client, build(client, "GET", target), (414,))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:$PORT",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:$PORT.evil.example",
        "127.0.0.1:$PORT:$PORT",
        "127.0.0.1.nip.io:$PORT",
        "localhost.evil.example:$PORT",
        "[::ffff:127.0.0.1]:$PORT",
        "[::]:$PORT",
        "0.0.0.0:$PORT",
        "127.1:$PORT",
        "2130706433:$PORT",
        "user@127.0.0.1:$PORT",
        "127.0.0.1:$PORT, evil.example",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "OPTIONS"])
def test_another_host_is_refused_for_every_method(
    client: Client, method: str, host: str
) -> None:
    body = json.dumps(CHANGE).encode() if method == "PUT" else b""
    target = EVENTS if method == "PUT" else SESSION
    request = build(client, method, target, ("Host", host), body=body)
    refused(client, request, (400, 421))


HEADERS: list[tuple[list[tuple[str, str | None]], int]] = [
    ([("Host", None)], 400),
    ([("Host", "127.0.0.1:$PORT"), ("Host", "127.0.0.1:$PORT")], 400),
    ([("Host", "evil.example"), ("X-Forwarded-Host", "127.0.0.1:$PORT")], 421),
    ([("Host", "evil.example"), ("Forwarded", "host=127.0.0.1:$PORT")], 421),
    ([("Origin", "http://evil.example")], 403),
    ([("Origin", "null")], 403),
    ([("Cookie", None)], 403),
    ([("Cookie", "")], 403),
    ([("Cookie", "$COOKIE=")], 403),
    ([("Cookie", "$COOKIE=wrong")], 403),
    ([("Cookie", "$COOKIE=$TOKEN0")], 403),
    ([("Cookie", "$COOKIE=0$TOKEN")], 403),
    ([("Cookie", "$COOKIE0=$TOKEN")], 403),
    ([("Cookie", "token=$TOKEN")], 403),
    ([("Cookie", "$COOKIE\t$TOKEN")], 403),
    ([("Cookie", "$COOKIE=\u00fc")], 403),
    ([("Cookie", None), ("Authorization", "Bearer $TOKEN")], 403),
    ([("Cookie", None), ("X-Token", "$TOKEN")], 403),
    ([("Cookie", "a=" + "b" * 20_000)], 431),
    ([("Content-Length", "-1")], 400),
    ([("Content-Length", "5, 6")], 400),
    ([("Content-Length", "1e3")], 400),
    ([("Content-Length", "4"), ("Transfer-Encoding", "chunked")], 400),
    ([("Transfer-Encoding", "chunked")], 413),
    ([("X-Long", "a" * 100_000)], 431),
]


@pytest.mark.parametrize(("headers", "status"), HEADERS)
def test_a_header_that_attacks_is_refused(
    client: Client, headers: list[tuple[str, str | None]], status: int
) -> None:
    refused(client, build(client, "GET", SESSION, *headers), (status,))


@pytest.mark.parametrize(
    "target",
    [
        f"{SESSION}?token=$TOKEN",
        "/?token=wrong",
        "/?token=",
        "/?token=$TOKEN0",
        "/?token=$TOKEN&token=$TOKEN",
        "/?token[]=$TOKEN",
        "/?TOKEN=$TOKEN",
        "//?token=$TOKEN",
    ],
)
def test_a_token_elsewhere_or_twice_does_not_enter(client: Client, target: str) -> None:
    refused(client, build(client, "GET", target, ("Cookie", None)), (403,))


def test_a_name_that_was_pointed_here_does_not_get_the_cookie(client: Client) -> None:
    host = ("Host", "evil.example:$PORT")
    refused(client, build(client, "GET", "/?token=$TOKEN", host), (421,))


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", EVENTS, 405),
        ("PATCH", EVENTS, 405),
        ("DELETE", "/api/videos/0", 405),
        ("OPTIONS", EVENTS, 405),
        ("TRACE", "/", 405),
        ("CONNECT", "127.0.0.1:$PORT", 405),
        ("PROPFIND", "/", 405),
        ("put", EVENTS, 405),
        ("GETT", SESSION, 405),
        ("GET", EVENTS, 405),
        ("PUT", "/", 405),
        ("PUT", "/api/videos/0", 405),
        ("PUT", MEDIA, 405),
        ("PUT", "/api/videos/0/spectrogram/preparation", 405),
        ("PUT", "/page/page.js", 405),
        ("PUT", "/api/videos/3/events", 404),
        ("PUT", "/api/videos/..%2f0/events", 404),
        ("PUT", "/api/videos/0/events/../events", 404),
    ],
)
def test_another_method_is_refused(
    client: Client, method: str, target: str, status: int
) -> None:
    body = json.dumps(CHANGE).encode() if method == "PUT" else b""
    refused(client, build(client, method, target, body=body), (status,))


def test_a_method_cannot_be_overridden(client: Client) -> None:
    override = ("X-HTTP-Method-Override", "PUT")
    refused(client, build(client, "GET", EVENTS, override), (405,))


CHANGE_HEADERS: list[tuple[list[tuple[str, str | None]], int]] = [
    ([("Origin", None)], 403),
    ([("Origin", None), ("Referer", "http://127.0.0.1:$PORT/")], 403),
    ([("Origin", "")], 403),
    ([("Origin", "null")], 403),
    ([("Origin", "http://evil.example")], 403),
    ([("Origin", "http://evil.example:$PORT")], 403),
    ([("Origin", "http://127.0.0.1")], 403),
    ([("Origin", "http://127.0.0.1:1")], 403),
    ([("Origin", "https://127.0.0.1:$PORT")], 403),
    ([("Origin", "http://localhost:$PORT")], 403),
    ([("Origin", "http://127.0.0.1:$PORT.evil.example")], 403),
    ([("Origin", "http://127.0.0.1:$PORT/")], 403),
    ([("Origin", "http://127.0.0.1:$PORT"), ("Origin", "null")], 400),
    ([("Cookie", None)], 403),
    ([("Cookie", "$COOKIE=wrong")], 403),
    ([("Content-Type", None)], 415),
    ([("Content-Type", "")], 415),
    ([("Content-Type", "text/plain")], 415),
    ([("Content-Type", "text/plain; application/json")], 415),
    ([("Content-Type", "application/x-www-form-urlencoded")], 415),
    ([("Content-Type", "multipart/form-data; boundary=x")], 415),
    ([("Content-Type", "application/json; charset=utf-16")], 415),
    ([("Content-Type", "application/json, text/plain")], 415),
    ([("Content-Encoding", "gzip")], 415),
]


@pytest.mark.parametrize(("headers", "status"), CHANGE_HEADERS)
def test_a_change_from_elsewhere_or_of_another_type_is_refused(
    client: Client, headers: list[tuple[str, str | None]], status: int
) -> None:
    body = json.dumps(CHANGE).encode()
    refused(client, build(client, "PUT", EVENTS, *headers, body=body), (status,))


def event(**changes: Any) -> dict[str, Any]:
    return {**CHANGE, "events": [DOOR | changes]}


BODIES: list[tuple[Any, int]] = [
    (b"{", 400),
    (b"version=0&events=", 400),
    (b"[" * 200_000, 400),
    (b'{"events":' * 50_000, 400),
    (json.dumps(CHANGE).replace("2.5", "NaN").encode(), 400),
    (json.dumps(CHANGE).replace("2.5", "Infinity").encode(), 400),
    (json.dumps(CHANGE).replace("2.5", "1e999").encode(), 422),
    (json.dumps(CHANGE).replace("2.5", "9" * 5000).encode(), 400),
    (json.dumps(CHANGE).replace("2.5", "9" * 4000).encode(), 422),
    (json.dumps(CHANGE).replace('"version"', '"version":0,"version"').encode(), 400),
    (json.dumps(CHANGE).replace('"class"', '"class":"Dog","class"').encode(), 400),
    (
        json.dumps(CHANGE).replace("Door", "\udcff").encode("utf-8", "surrogatepass"),
        400,
    ),
    (b"\xff\xfe" + json.dumps(CHANGE).encode("utf-16-le"), 400),
    (json.dumps(CHANGE).encode() + b"{}", 400),
    (b"null", 422),
    (b"0", 422),
    ([CHANGE], 422),
    ({}, 422),
    (CHANGE | {"admin": True}, 422),
    (CHANGE | {"version": True}, 422),
    (CHANGE | {"version": -1}, 422),
    (CHANGE | {"version": "0"}, 422),
    (CHANGE | {"version": 10**30}, 422),
    (CHANGE | {"version": None}, 422),
    (CHANGE | {"state": "deleted"}, 422),
    (CHANGE | {"state": ["done"]}, 422),
    (CHANGE | {"state": "untouched"}, 422),
    (CHANGE | {"action": "a" * 101}, 422),
    (CHANGE | {"action": "a\nb"}, 422),
    (CHANGE | {"person": 1}, 422),
    (CHANGE | {"person": "\x1b[31m"}, 422),
    (CHANGE | {"events": None}, 422),
    (CHANGE | {"events": {"0": DOOR}}, 422),
    (CHANGE | {"events": [DOOR] * (MAX_EVENTS + 1)}, 422),
    (CHANGE | {"events": [[DOOR]]}, 422),
    (event(modality="both"), 422),
    (event(modality=["audio"]), 422),
    (event(onset=3.0), 422),
    (event(onset=-1.0), 422),
    (event(onset="1"), 422),
    (event(offset=True), 422),
    (event(offset=1e300), 422),
    (event(score="=1+1"), 422),
    (event(**{"class": ""}), 422),
    (event(**{"class": "a\0b"}), 422),
    (event(**{"class": "a\nb"}), 422),
    (event(**{"class": "\ud800"}), 422),
    (event(**{"class": "dog"}), 422),
    (event(**{"class": "x" * 10_000}), 422),
    (event(**{"class": {"$ne": ""}}), 422),
    (event(**{"__proto__": {}}), 422),
    (event(path="../../x"), 422),
]


@pytest.mark.parametrize(("value", "status"), BODIES)
def test_a_body_that_is_no_change_is_refused(
    client: Client, value: Any, status: int
) -> None:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    refused(client, build(client, "PUT", EVENTS, body=body), (status,))


def test_a_large_body_is_refused_before_it_is_read(client: Client) -> None:
    length = ("Content-Length", str(MAX_BODY + 1))
    refused(client, build(client, "PUT", EVENTS, length), (413,))


def test_a_large_body_in_chunks_is_refused(client: Client) -> None:
    chunked = ("Transfer-Encoding", "chunked")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    body = chunk * (MAX_BODY // 0x10000 + 2) + b"0\r\n\r\n"
    request = build(client, "PUT", EVENTS, chunked, body=body, with_length=False)
    refused(client, request, (413,))


def test_a_body_of_a_read_is_refused(client: Client) -> None:
    refused(client, build(client, "GET", SESSION, body=b"x"), (413,))


@pytest.mark.parametrize(
    "range_header",
    [
        "bytes=0-0,2-2",
        "bytes=" + ",".join(f"{i}-{i}" for i in range(1000)),
        "bytes=-0",
        "bytes=-",
        "bytes=",
        "bytes=5-2",
        "bytes=--5",
        "bytes=-5-",
        "bytes=+1-2",
        "bytes=0x0-0x9",
        "bytes=0 - 5",
        "bytes=999999999999-",
        "bytes=18446744073709551616-",
        "bytes=-18446744073709551617",
        "bytes=0-" + "9" * 5000,
        "bytes=\u00b2-\u00b3",
        "lines=0-5",
        "0-5",
    ],
)
def test_a_range_that_is_not_one_range_of_the_file_is_refused(
    client: Client, range_header: str
) -> None:
    refused(client, build(client, "GET", MEDIA, ("Range", range_header)), (416,))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/session HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET /api/session HTTP/1.1\nX: \0\n\n",
        b"GET  /api/session\r\n\r\n",
    ],
)
def test_invalid_requests_get_no_reply_or_an_error(
    client: Client, request_bytes: bytes
) -> None:
    before = files_of(client)
    client_end = client.send_and_close(request_bytes)
    assert client_end in (0, 400, 421)
    assert files_of(client) == before


def test_the_server_still_serves_after_hostile_requests(client: Client) -> None:
    assert client.get(SESSION).status == 200
    whole = client.get(MEDIA)
    source = client.desk.preparation.sources[0].path
    assert source is not None
    assert whole.body == source.read_bytes()
