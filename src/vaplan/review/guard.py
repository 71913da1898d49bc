"""Refusal of hostile requests, before any of them reaches the data.

A request must name an address of this server in `Host`, whatever its method, so that a name
that was pointed at this machine (DNS rebinding) does not help. It must bring the token as a
cookie. A request that changes something must come from a page of this server (`Origin`) and
bring JSON of limited size.
"""

import asyncio
import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import parse_qs

from vaplan.review.replies import Refusal, encode_json, error_value

Headers = Sequence[tuple[bytes, bytes]]  # names in lower case
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

METHODS = ("GET", "HEAD", "PUT")
ENTRY = "/"  # the address that takes the token
MAX_BODY = 2 * 1024 * 1024  # bytes
MAX_TARGET = 2_000  # bytes of the path and the query
MAX_HEADERS = 16_000  # bytes of all of them
BODY_SECONDS = 30.0
ONCE = frozenset(
    (b"host", b"origin", b"range", b"if-range", b"content-type", b"content-length")
)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    b"content-security-policy": CONTENT_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}
NO_STORE = b"no-store"
OPEN_THE_ADDRESS = "open the address that `vaplan review` printed, with its token"
PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>vaplan review</title>"
    "<h1>This page needs its token</h1><p>Open the address that <code>vaplan review</code> "
    "printed in the terminal; it ends with <code>?token=…</code></p>"
)


# A browser does not send the new cookie to `/` if a page of another site, such as a terminal
# in the browser, has the link; it does if this page leads there.
SECOND_TRY = '<meta http-equiv=refresh content="0; url=/">'


@dataclass(frozen=True)
class Access:
    """Who may ask this server.

    Attributes:
        hosts: Accepted values of the header `Host`, in lower case.
        cookie: Name of the cookie.
        token: Secret value of the cookie.
    """

    hosts: frozenset[str]
    cookie: str
    token: str


def accepted_hosts(host: str, port: int) -> frozenset[str]:
    """List the values of the header `Host` that name this server.

    Args:
        host: Address that the server listens at.
        port: Its port.
    """
    names = {*LOOPBACK} if is_loopback(host) or _is_any(host) else {_bracket(host)}
    if _is_any(host):
        names.update(map(_bracket, _own_names()))
    hosts = {f"{name}:{port}".lower() for name in names}
    if port == 80:
        hosts.update(name.lower() for name in names)
    return frozenset(hosts)


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine reach an address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """Return how an address for a browser names a host.

    >>> host_name("::1"), host_name("0.0.0.0"), host_name("box.lan")
    ('[::1]', '127.0.0.1', 'box.lan')

    Args:
        host: Address that the server listens at; a wildcard becomes that of this machine.
    """
    return LOOPBACK[0] if _is_any(host) else _bracket(host)


def check_host(headers: Headers, access: Access) -> Refusal | None:
    """Refuse a request that does not name an address of this server.

    Args:
        headers: Headers of the request.
        access: Who may ask.
    """
    names = [name for name, _ in headers]
    doubled = [name for name in ONCE if names.count(name) > 1]
    if doubled:
        return Refusal(400, f"several headers {doubled[0].decode()}")
    host = _text(headers, b"host").lower()
    if host not in access.hosts:
        return Refusal(421, "the header Host names another server", OPEN_THE_ADDRESS)
    return None


def check_origin(method: str, headers: Headers) -> Refusal | None:
    """Refuse a request that a page of another origin sent.

    Args:
        method: Method of the request; one that changes something needs an origin.
        headers: Headers of the request, with an accepted host.
    """
    names = [name for name, _ in headers]
    if b"origin" not in names and method != "PUT":
        return None
    own = f"http://{_text(headers, b'host')}".lower()
    if _text(headers, b"origin").lower() != own:
        return Refusal(403, "the request comes from another page", OPEN_THE_ADDRESS)
    return None


def check_token(headers: Headers, access: Access) -> Refusal | None:
    """Refuse a request without the token.

    Args:
        headers: Headers of the request.
        access: Who may ask.
    """
    cookies = [value for name, value in headers if name == b"cookie"]
    tokens = chain.from_iterable(_cookie_values(c, access.cookie) for c in cookies)
    if not any(_is_token(token, access) for token in tokens):
        return Refusal(403, "the token is missing or wrong", OPEN_THE_ADDRESS)
    return None


def check_body(method: str, headers: Headers) -> Refusal | None:
    """Refuse a body of another type, of another coding, or too large.

    Args:
        method: Method of the request.
        headers: Headers of the request.
    """
    names = {name for name, _ in headers}
    length = _text(headers, b"content-length")
    if length and not (length.isascii() and length.isdecimal() and len(length) < 16):
        return Refusal(400, "the header Content-Length is no number")
    if length and b"transfer-encoding" in names:
        return Refusal(400, "the length of the body is given twice")
    if method != "PUT":
        has_body = b"transfer-encoding" in names or int(length or 0) > 0
        return Refusal(413, f"a {method} request has no body") if has_body else None
    if int(length or 0) > MAX_BODY:
        return Refusal(413, f"more than {MAX_BODY:,} bytes", "save fewer events")
    kind, _, parameters = _text(headers, b"content-type").lower().partition(";")
    is_utf8 = parameters.replace(" ", "") in ("", "charset=utf-8")
    if kind.strip() != "application/json" or not is_utf8:
        return Refusal(415, "the body must be application/json in UTF-8")
    if b"content-encoding" in names:
        return Refusal(415, "a compressed body is not accepted")
    return None


def check_request(
    method: str, target: bytes, headers: Headers, access: Access
) -> Refusal | None:
    """Return why a request is refused; None if it is not.

    Args:
        method: Method of the request.
        target: Path and query as they were sent.
        headers: Headers of the request.
        access: Who may ask.
    """
    if refusal := check_host(headers, access):
        return refusal
    if method not in METHODS:
        return Refusal(405, f"the method is not one of {', '.join(METHODS)}")
    if len(target) > MAX_TARGET:
        return Refusal(414, "the address is too long")
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS:
        return Refusal(431, "the headers are too long", "clear the browser's cookies")
    return (
        check_origin(method, headers)
        or check_token(headers, access)
        or check_body(method, headers)
    )


def read_entry_token(method: str, path: str, query: bytes) -> str | None:
    """Return the token of the address that a person opens; None for other requests.

    Args:
        method: Method of the request.
        path: Path of the request.
        query: Query of the request.
    """
    if method != "GET" or path != ENTRY or not query or len(query) > MAX_TARGET:
        return None
    try:
        values = parse_qs(query.decode("ascii"), max_num_fields=1)
    except ValueError:
        return None
    tokens = values.get("token", [])
    return tokens[0] if len(tokens) == 1 else None


class Guard:
    """An ASGI app that refuses hostile requests and gives the rest to another app."""

    def __init__(self, app: App, access: Access) -> None:
        """Guard an app.

        Args:
            app: App that answers the other requests.
            access: Who may ask.
        """
        self.app = app
        self.access = access

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        send = _with_security_headers(send)
        method, path, headers = scope["method"], scope["path"], scope["headers"]
        token = read_entry_token(method, path, scope["query_string"])
        if token is not None and check_host(headers, self.access) is None:
            await self._enter(token, send)
            return
        target = scope.get("raw_path", path.encode()) + b"?" + scope["query_string"]
        refusal = check_request(method, target, headers, self.access)
        if refusal is None and method == "PUT":
            body = await _read_body(receive)
            if isinstance(body, Refusal):
                refusal = body
            else:
                receive = _replay(body)
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            page = _page(headers) if path == ENTRY and method == "GET" else ""
            await _refuse(refusal, send, page=page)

    async def _enter(self, token: str, send: Send) -> None:
        """Exchange the token of the address for a cookie."""
        if not _is_token(token, self.access):
            wrong = Refusal(403, "the token is wrong", OPEN_THE_ADDRESS)
            await _refuse(wrong, send, page=PAGE)
            return
        cookie = f"{self.access.cookie}={self.access.token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", b"/"), (b"set-cookie", cookie.encode())]
        await _send(303, headers, b"", send)


async def _read_body(receive: Receive) -> bytes | Refusal:
    """Read a body of limited size within limited time."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_all(receive)
    except TimeoutError:
        return Refusal(408, "the body came too slowly", "save again")


async def _read_all(receive: Receive) -> bytes | Refusal:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return Refusal(400, "the request broke off")
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return Refusal(413, f"more than {MAX_BODY:,} bytes", "save fewer events")
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes) -> Receive:
    messages: list[Message] = [
        {"type": "http.request", "body": body, "more_body": False}
    ]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


def _page(headers: Headers) -> str:
    """Return the page for a person without the cookie."""
    is_from_elsewhere = _text(headers, b"sec-fetch-site") == "cross-site"
    return PAGE + SECOND_TRY if is_from_elsewhere else PAGE


async def _refuse(refusal: Refusal, send: Send, *, page: str) -> None:
    headers = [(b"content-type", b"application/json")]
    body = encode_json(error_value(refusal.message, refusal.fix))
    if page and refusal.status == 403:
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        body = page.encode()
    if refusal.status == 405:
        headers.append((b"allow", ", ".join(METHODS).encode()))
    if refusal.status in (408, 413):  # the rest of the body is not read
        headers.append((b"connection", b"close"))
    await _send(refusal.status, headers, body, send)


async def _send(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, send: Send
) -> None:
    length = (b"content-length", str(len(body)).encode())
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [*headers, length],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _with_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [
                (name.lower(), value)
                for name, value in message.get("headers", [])
                if name.lower() not in SECURITY_HEADERS
            ]
            if b"cache-control" not in [name for name, _ in headers]:
                headers.append((b"cache-control", NO_STORE))
            message = {**message, "headers": [*headers, *SECURITY_HEADERS.items()]}
        await send(message)

    return send_with_headers


def _text(headers: Headers, wanted: bytes) -> str:
    """Return the value of a header; empty without it."""
    values = [value for name, value in headers if name == wanted]
    return values[0].decode("latin-1") if values else ""


def _cookie_values(header: bytes, name: str) -> list[str]:
    """Return the values of a cookie, whatever the others are; they belong to other ports."""
    pairs = [part.partition("=") for part in header.decode("latin-1").split(";")]
    return [value.strip() for key, _, value in pairs if key.strip() == name]


def _is_token(text: str, access: Access) -> bool:
    """Compare in a time that does not depend on the text."""
    return hmac.compare_digest(text.encode("utf-8", "replace"), access.token.encode())


def _is_any(host: str) -> bool:
    """Return whether an address stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _own_names() -> set[str]:
    """Return the names and addresses of this machine."""
    names = {socket.gethostname(), socket.getfqdn()}
    try:
        found = socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return names
    return names | {str(address[0]).partition("%")[0] for *_, address in found}
