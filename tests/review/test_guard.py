"""The checks of the guard, one by one; `test_hostile` sends them to a server."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from vaplan.review import guard
from vaplan.review.guard import (
    MAX_BODY,
    Access,
    Guard,
    accepted_hosts,
    check_body,
    check_host,
    check_origin,
    check_request,
    check_token,
    host_name,
    is_loopback,
    read_entry_token,
)

ACCESS = Access(accepted_hosts("127.0.0.1", 8000), "review_8000", "secret")
HOST = (b"host", b"127.0.0.1:8000")
COOKIE = (b"cookie", b"other=1; review_8000=secret")
ORIGIN = (b"origin", b"http://127.0.0.1:8000")
JSON = (b"content-type", b"application/json")


def status(refusal: guard.Refusal | None) -> int:
    return refusal.status if refusal else 0


def test_a_loopback_server_has_three_names() -> None:
    names = {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"}
    assert ACCESS.hosts == names
    assert accepted_hosts("localhost", 8000) == names
    assert "127.0.0.1" in accepted_hosts("127.0.0.1", 80)


def test_a_server_of_the_network_has_its_own_name_only() -> None:
    assert accepted_hosts("192.168.0.7", 8000) == {"192.168.0.7:8000"}
    assert accepted_hosts("FE80::7", 8000) == {"[fe80::7]:8000"}


def test_a_server_at_all_addresses_has_the_names_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "_own_names", lambda: {"Box", "fe80::7"})
    hosts = accepted_hosts("0.0.0.0", 8000)
    assert hosts == ACCESS.hosts | {"box:8000", "[fe80::7]:8000"}
    assert host_name("0.0.0.0") == "127.0.0.1"


def test_loopback() -> None:
    loopback = ["127.0.0.1", "127.8.8.8", "::1", "localhost"]
    others = ["0.0.0.0", "::", "192.168.0.7", "localhost.evil.example", ""]
    assert all(map(is_loopback, loopback))
    assert not any(map(is_loopback, others))


def test_a_host_may_have_any_case_and_must_be_there_once() -> None:
    assert check_host([(b"host", b"LocalHost:8000")], ACCESS) is None
    assert status(check_host([], ACCESS)) == 421
    assert status(check_host([HOST, HOST], ACCESS)) == 400


def test_only_a_change_needs_an_origin_and_a_wrong_one_is_refused_always() -> None:
    assert check_origin("GET", [HOST]) is None
    assert check_origin("PUT", [HOST, ORIGIN]) is None
    assert status(check_origin("PUT", [HOST])) == 403
    for method in ("GET", "HEAD", "PUT"):
        assert status(check_origin(method, [HOST, (b"origin", b"null")])) == 403


def test_the_token_is_in_any_of_the_cookies() -> None:
    assert check_token([COOKIE], ACCESS) is None
    assert check_token([(b"cookie", b"a=b"), COOKIE], ACCESS) is None
    odd = (b"cookie", b'_xsrf=2|a|b; user="2|1:0|{"; =; x; review_8000=secret; z=\xff')
    assert check_token([odd], ACCESS) is None
    assert status(check_token([(b"cookie", b"review_8000=secre")], ACCESS)) == 403
    assert status(check_token([], ACCESS)) == 403


def test_the_token_is_compared_in_constant_time(monkeypatch: Any) -> None:
    compared = list[tuple[bytes, bytes]]()

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    check_token([(b"cookie", b"review_8000=guess")], ACCESS)
    assert compared == [(b"guess", b"secret")]


def test_a_body_is_json_of_limited_size() -> None:
    utf8 = (b"content-type", b"Application/JSON; charset=UTF-8")
    assert check_body("PUT", [JSON]) is None
    assert check_body("PUT", [utf8]) is None
    length = (b"content-length", str(MAX_BODY).encode())
    longer = (b"content-length", str(MAX_BODY + 1).encode())
    assert check_body("PUT", [JSON, length]) is None
    assert status(check_body("PUT", [JSON, longer])) == 413
    assert status(check_body("PUT", [])) == 415
    assert status(check_body("GET", [(b"content-length", b"1")])) == 413
    assert check_body("GET", [(b"content-length", b"0")]) is None


def test_the_host_is_checked_before_the_method() -> None:
    evil = [(b"host", b"evil.example"), COOKIE]
    assert status(check_request("TRACE", b"/", evil, ACCESS)) == 421
    assert status(check_request("TRACE", b"/", [HOST, COOKIE], ACCESS)) == 405
    assert check_request("GET", b"/", [HOST, COOKIE], ACCESS) is None


def test_the_address_with_the_token_is_an_entry() -> None:
    assert read_entry_token("GET", "/", b"token=a%2Bb") == "a+b"
    assert read_entry_token("GET", "/", b"") is None
    assert read_entry_token("GET", "/", b"token=a&token=a") is None
    assert read_entry_token("GET", "/api", b"token=a") is None
    assert read_entry_token("PUT", "/", b"token=a") is None
    assert read_entry_token("GET", "/", b"token=\xff") is None


def replies_of(guarded: Guard, receive: guard.Receive) -> list[Any]:
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "method": "PUT",
        "path": "/x",
        "query_string": b"",
        "headers": [HOST, COOKIE, ORIGIN, JSON],
    }
    sent = list[Any]()

    async def send(message: guard.Message) -> None:
        sent.append(message)

    asyncio.run(guarded(scope, receive, send))
    return sent


async def never_called(*arguments: Any) -> None:
    raise AssertionError("the request reached the app")


def test_a_slow_body_ends_with_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.01)

    async def receive() -> guard.Message:
        await asyncio.sleep(60)
        return {}

    start, _ = replies_of(Guard(never_called, ACCESS), receive)
    assert start["status"] == 408


def test_a_broken_body_does_not_reach_the_app() -> None:
    messages: list[guard.Message] = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> guard.Message:
        return messages.pop(0)

    start, _ = replies_of(Guard(never_called, ACCESS), receive)
    assert start["status"] == 400


def test_a_socket_that_is_no_http_gets_no_answer() -> None:
    async def send(message: guard.Message) -> None:
        raise AssertionError("answered")

    async def receive() -> guard.Message:
        return {}

    guarded = Guard(never_called, ACCESS)
    asyncio.run(guarded({"type": "websocket", "path": "/"}, receive, send))
