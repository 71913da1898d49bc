"""Addresses of the page and of the data. Every reply passes `guard.Guard`."""

import logging
import mimetypes
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, BinaryIO

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from vaplan.errors import AnnotationError, MachineError, MediaError, VaplanError
from vaplan.review.background import JobState, Status
from vaplan.review.changes import RequestError, read_change
from vaplan.review.collection import read_score_curves
from vaplan.review.desk import Desk, Json, status_value
from vaplan.review.edits import EditError, as_json
from vaplan.review.files import RangeError, Span, identify, open_regular, parse_range
from vaplan.review.guard import Access, Guard, accepted_hosts, host_name
from vaplan.review.history import Revision
from vaplan.review.replies import encode_json, error_value
from vaplan.review.session import ConflictError

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"
PAGE_TYPES = (".css", ".js", ".svg")
CHUNK = 256 * 1024  # bytes of a media file that are read at a time
HEADER_SECONDS = 10.0  # in which the headers of a file should be read
MAX_CONNECTIONS = 200
STOP_SECONDS = 2  # for replies that are being sent when the server stops
PRIVATE = {"Cache-Control": "private, no-cache"}
READ = ["GET", "HEAD"]
log = logging.getLogger(__name__)


def create_app(desk: Desk, access: Access, *, page: Path = PAGE) -> Guard:
    """Make the app of a review.

    Args:
        desk: Open review.
        access: Who may ask.
        page: Folder of the page.
    """
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    _add_page(app, page)
    _add_session(app, desk)
    _add_video(app, desk)
    _add_media(app, desk)
    _add_errors(app)
    return Guard(app, access)


def _add_page(app: FastAPI, page: Path) -> None:
    files = {path.name: path for path in page.iterdir() if path.suffix in PAGE_TYPES}

    @app.api_route("/", methods=READ)
    def read_index() -> Response:
        return Response((page / INDEX).read_bytes(), media_type="text/html")

    @app.api_route("/page/{name}", methods=READ)
    def read_page_file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        kind, _ = mimetypes.guess_type(name)
        return Response(files[name].read_bytes(), media_type=kind)


def _add_session(app: FastAPI, desk: Desk) -> None:
    @app.api_route("/api/session", methods=READ)
    def read_session() -> Response:
        return _json(desk.describe_session())

    @app.api_route("/api/videos", methods=READ)
    def list_videos() -> Response:
        return _json({"videos": desk.list_videos()})

    @app.api_route("/api/command", methods=READ)
    def list_commands() -> Response:
        return _json({"commands": list(desk.commands)})


def _add_video(app: FastAPI, desk: Desk) -> None:
    @app.api_route("/api/videos/{text}", methods=READ)
    def read_video(text: str) -> Response:
        index = _read_index(text, desk)
        desk.preparation.start(index, seconds=HEADER_SECONDS)
        return _json(desk.describe_video(index))

    @app.api_route("/api/videos/{text}/preparation", methods=READ)
    def read_preparation(text: str) -> Response:
        return _json(desk.describe_preparation(_read_index(text, desk)))

    @app.put("/api/videos/{text}/events")
    async def save_events(text: str, request: Request) -> Response:
        index = _read_index(text, desk)
        body = await request.body()
        return await run_in_threadpool(_save, desk, index, body)


def _save(desk: Desk, index: int, body: bytes) -> Response:
    """Save a change; when the reply is sent, the change is durable."""
    change = read_change(body)
    try:
        revision = desk.session.change(
            desk.videos[index],
            change.events,
            version=change.version,
            state=change.state,
            action=change.action,
            person=change.person,
        )
    except ConflictError as error:
        conflict = {
            **error_value(error.what, error.fix),
            "current": _revision_value(error.current),
            "yours": {"events": change.events},
        }
        return _json(conflict, 409)
    classes = list(desk.session.classes)
    return _json({**_revision_value(revision), "classes": classes})


def _add_media(app: FastAPI, desk: Desk) -> None:
    preparation = desk.preparation

    @app.api_route("/api/videos/{text}/media", methods=READ)
    def read_media(text: str, request: Request) -> Response:
        index = _read_index(text, desk)
        media = preparation.media_file(index)
        if media is None:
            raise _not_ready(preparation.media(index))
        path, kind = media
        return _send_file(path, kind, request)

    @app.api_route("/api/videos/{text}/peaks", methods=READ)
    def read_peaks(text: str, request: Request) -> Response:
        index = _read_index(text, desk)
        path = preparation.peaks_file(index)
        if path is None:
            raise _not_ready(preparation.peaks(index))
        return _send_file(path, "application/octet-stream", request)

    @app.api_route("/api/videos/{text}/spectrogram", methods=READ)
    def read_spectrogram(text: str, request: Request) -> Response:
        index = _read_index(text, desk)
        path = preparation.spectrogram_file(index)
        if path is None:
            raise _not_ready(preparation.spectrogram(index))
        return _send_file(path, "application/octet-stream", request)

    @app.api_route("/api/videos/{text}/spectrogram/preparation", methods=READ)
    def prepare_spectrogram(text: str) -> Response:
        status = preparation.start_spectrogram(_read_index(text, desk))
        return _json(status_value(status))

    @app.api_route("/api/videos/{text}/scores", methods=READ)
    def read_scores(text: str) -> Response:
        index = _read_index(text, desk)
        path = preparation.scores_file(index)
        if path is None:
            raise _not_ready(preparation.scores(index))
        return _json(read_score_curves(path))


def _add_errors(app: FastAPI) -> None:
    def answer(status: int) -> Callable[[Request, Exception], Response]:
        def handle(_request: Request, error: Exception) -> Response:
            if isinstance(error, VaplanError):
                return _json(error_value(error.what, error.fix), status)
            return _json(error_value(str(error)), status)

        return handle

    def answer_http(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _json(error_value(str(error.detail)), error.status_code)

    def answer_bug(_request: Request, error: Exception) -> Response:
        log.error("a bug in vaplan: %s: %s", type(error).__name__, error)
        return _json(error_value("a bug in vaplan; the terminal names it"), 500)

    app.add_exception_handler(RequestError, answer(400))
    app.add_exception_handler(EditError, answer(422))
    app.add_exception_handler(AnnotationError, answer(404))
    app.add_exception_handler(MediaError, answer(404))
    app.add_exception_handler(MachineError, answer(507))
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(Exception, answer_bug)


def _read_index(text: str, desk: Desk) -> int:
    """Return the place of a video; other texts are unknown addresses."""
    is_number = re.fullmatch(r"[0-9]{1,9}", text)
    if not is_number or int(text) >= len(desk.videos):
        raise HTTPException(404, "no such video")
    return int(text)


def _not_ready(status: Status) -> HTTPException:
    """Return the error of a file that will never be there, or is not there yet."""
    if status.state is JobState.ABSENT and status.message:
        return HTTPException(404, status.message)
    return HTTPException(409, status.message or "not ready yet")


def _revision_value(revision: Revision) -> Json:
    events = [as_json(event) for event in revision.events]
    return {"version": revision.version, "state": revision.state, "events": events}


def _json(value: Any, status: int = 200) -> Response:
    return Response(encode_json(value), status, media_type="application/json")


def _send_file(path: Path, kind: str, request: Request) -> Response:
    """Answer with a file, or with the bytes of it that the request asks for."""
    file = open_regular(path)
    try:
        size = os.fstat(file.fileno()).st_size
        tag = f'"{identify(file)}"'
        headers = {"Accept-Ranges": "bytes", "ETag": tag, **PRIVATE}
        if tag in request.headers.get("If-None-Match", ""):
            file.close()
            return Response(status_code=304, headers=headers)
        span = _wanted(request, tag, size)
    except RangeError:
        file.close()
        headers["Content-Range"] = f"bytes */{size}"
        return Response(
            encode_json(error_value("the file does not have this range")),
            416,
            headers,
            media_type="application/json",
        )
    except BaseException:
        file.close()
        raise
    status = 200
    if span is None:
        span = Span(0, size)
    else:
        last = span.start + span.length - 1
        headers["Content-Range"] = f"bytes {span.start}-{last}/{size}"
        status = 206
    headers["Content-Length"] = str(span.length)
    if request.method == "HEAD":
        file.close()
        return Response(None, status, headers, media_type=kind)
    return StreamingResponse(_read(file, span), status, headers, media_type=kind)


def _wanted(request: Request, tag: str, size: int) -> Span | None:
    """Return the bytes that a request asks for; None for the whole file."""
    header = request.headers.get("Range")
    condition = request.headers.get("If-Range", tag)
    if header is None or condition != tag:
        return None
    return parse_range(header, size)


async def _read(file: BinaryIO, span: Span) -> AsyncIterator[bytes]:
    with file:
        position = span.start
        end = span.start + span.length
        while position < end:
            count = min(CHUNK, end - position)
            chunk = await run_in_threadpool(os.pread, file.fileno(), count, position)
            if not chunk:  # the file became shorter
                return
            position += len(chunk)
            yield chunk


def listen(host: str, port: int) -> socket.socket:
    """Open the socket of the server.

    Args:
        host: Address to listen at.
        port: Port; 0 for a free one.

    Raises:
        MachineError: The port is taken, or the address is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        return _bind(socket.socket(family, socket.SOCK_STREAM), address)
    except OSError as error:
        raise MachineError(
            f"cannot listen at {host}, port {port}: {error.strerror or error}",
            fix="give another --host or --port",
        ) from error


def _bind(server: socket.socket, address: Any) -> socket.socket:
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen()
    except OSError:
        server.close()
        raise
    return server


def make_access(server: socket.socket, host: str) -> Access:
    """Make a new token for a server.

    Args:
        server: Socket that listens.
        host: Address that it was opened with.
    """
    port = server.getsockname()[1]
    token = secrets.token_urlsafe(32)
    return Access(accepted_hosts(host, port), f"vaplan_review_{port}", token)


class _Server(uvicorn.Server):
    """A server that cuts replies off when it ends, such as that of a paused film."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the connections; replies that are cut off are no errors."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def configure(app: Guard) -> uvicorn.Server:
    """Make a server that speaks plain HTTP and trusts no header about other addresses.

    Args:
        app: App of the review.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        http="h11",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return _Server(config)


def serve(app: Guard, server: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM, which are raised again at the end.

    Args:
        app: App of the review.
        server: Socket that listens.
    """
    configure(app).run(sockets=[server])


def entry_address(server: socket.socket, access: Access, host: str) -> str:
    """Return the address that a person opens.

    Args:
        server: Socket that listens.
        access: Who may ask.
        host: Address that it was opened with.
    """
    port = server.getsockname()[1]
    name = f"{host_name(host)}:{port}"
    return f"http://{name}/?token={access.token}"
