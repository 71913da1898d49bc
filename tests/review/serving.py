"""A review that is served on a free port, and requests to it, byte by byte."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.media.films import Film, make
from vaplan.review.desk import Desk, Sources, open_desk
from vaplan.review.guard import Access
from vaplan.review.server import configure, create_app, listen, make_access

TABLE = """video,modality,class,onset,offset,score,path,split
a,audio,Dog,0,2,0.75,media/a.mp4,test
a,visual,Cat,1,3,0.5,media/a.mp4,test
b,,,,,,media/b.avi,val
c,audio,Dog,0,1,,,
"""
DOOR = {
    "modality": "audio",
    "class": "Door",
    "onset": 1.0,
    "offset": 2.5,
    "score": None,
}
CHANGE = {"version": 0, "state": "in work", "action": "edit", "events": [DOOR]}
SECONDS = 20.0  # time limit of a reply
SHORT = Film(seconds=2.0)


@dataclass(frozen=True)
class Reply:
    """The reply to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Requests to a review, with its token and its own origin unless they say otherwise."""

    desk: Desk
    access: Access
    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        return f"{self.access.cookie}={self.access.token}"

    def headers(self, method: str = "GET", **changes: str | None) -> dict[str, str]:
        headers: dict[str, str | None] = {"Host": self.host, "Cookie": self.cookie}
        if method == "PUT":
            headers["Origin"] = f"http://{self.host}"
            headers["Content-Type"] = "application/json"
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        return {name: value for name, value in headers.items() if value is not None}

    def ask(
        self, target: str, method: str = "GET", body: bytes = b"", **changes: str | None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, SECONDS)
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers(method, **changes).items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        reply = connection.getresponse()
        headers = {name.lower(): value for name, value in reply.getheaders()}
        answer = Reply(reply.status, headers, reply.read())
        connection.close()
        return answer

    def get(self, target: str, **changes: str | None) -> Reply:
        return self.ask(target, **changes)

    def put(self, index: int, value: Any, **changes: str | None) -> Reply:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.ask(f"/api/videos/{index}/events", "PUT", body, **changes)

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Send bytes as they are; return the status and the whole reply."""
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            reply = bytearray()
            with suppress(OSError):  # of a request that is refused before its end
                connection.sendall(request)
            with suppress(ConnectionResetError):
                while chunk := connection.recv(65536):
                    reply += chunk
        return int(reply.split(b" ", 2)[1]) if reply else 0, bytes(reply)

    def send_and_close(self, request: bytes) -> int:
        """Send bytes and no more; return the status of the reply, or 0 without one."""
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            reply = connection.recv(65536)
        return int(reply.split(b" ", 2)[1]) if reply else 0


@contextmanager
def serving(sources: Sources, *, person: str = "Ada") -> Iterator[Client]:
    """Serve a review from a thread of this process."""
    with (
        open_desk(sources, person=person) as desk,
        listen("127.0.0.1", 0) as listening,
    ):
        access = make_access(listening, "127.0.0.1")
        server = configure(create_app(desk, access))
        thread = threading.Thread(target=server.run, args=[[listening]])
        thread.start()
        try:
            yield Client(desk, access, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


def write_sources(folder: Path) -> Sources:
    """A table of three videos: one plays, one needs a copy, one has no file."""
    (folder / "media").mkdir(parents=True)
    make(folder / "media" / "a.mp4", SHORT)
    make(folder / "media" / "b.avi", Film(seconds=2.0, video="mpeg4", audio="mp3"))
    table = folder / "labels.csv"
    table.write_text(TABLE)
    return Sources(table, folder)
