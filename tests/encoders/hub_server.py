"""A server on 127.0.0.1 with the routes of the Hub that the client requests."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


def commit_id(name: str) -> str:
    """Forty hexadecimal digits that stand for a commit."""
    return hashlib.sha1(name.encode()).hexdigest()


@dataclass
class PullRequest:
    """A proposal, its commits from the newest to the oldest, and its files."""

    number: int
    commits: list[str]
    files: Files
    author: str = "SFconvertbot"
    title: str = "Adding `safetensors` variant of this model"
    status: str = "open"


@dataclass
class Repository:
    """A model on the Hub: its main branch and its pull requests."""

    files: Files
    pull_requests: list[PullRequest] = field(default_factory=list)
    is_gated: bool = False
    head: str = commit_id("main")

    def commits(self, revision: str) -> list[str] | None:
        if revision in ("main", self.head):
            return [self.head]
        for one in self.pull_requests:
            if revision in (f"refs/pr/{one.number}", one.commits[0]):
                return one.commits
        return None

    def content(self, commit: str) -> Files:
        for one in self.pull_requests:
            if commit == one.commits[0]:
                return one.files
        return self.files


@dataclass
class FakeHub:
    """Models by id, the requests so far, and how often to cut a large file short."""

    models: dict[str, Repository]
    url: str = ""
    requests: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    cuts: int = 0
    cut_bytes: int = 0


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        for pattern, answer in (
            (r"/api/models/([^/]+/[^/]+)/discussions", self._discussions),
            (r"/api/models/([^/]+/[^/]+)/commits/(.+)", self._commits),
            (r"/api/models/([^/]+/[^/]+)/tree/(.+)", self._tree),
            (r"/api/models/([^/]+/[^/]+)/revision/(.+)", self._model),
            (r"/api/models/([^/]+/[^/]+)", self._model),
            (r"/([^/]+/[^/]+)/resolve/([0-9a-f]{40})/(.+)", self._file),
        ):
            if match := re.fullmatch(pattern, path):
                name, *rest = match.groups()
                if name not in self.hub.models:
                    return self._refuse(401, "RepoNotFound")
                return answer(self.hub.models[name], name, *rest)
        return self._refuse(404, "EntryNotFound")

    def _discussions(self, model: Repository, name: str) -> None:
        discussions = [
            {
                "title": one.title,
                "num": one.number,
                "author": {"name": one.author},
                "createdAt": "2024-01-01T00:00:00.000Z",
                "status": one.status,
                "repo": {"name": name, "type": "model"},
                "isPullRequest": True,
            }
            for one in model.pull_requests
        ]
        self._json({"discussions": discussions, "count": len(discussions), "start": 0})

    def _commits(self, model: Repository, name: str, revision: str) -> None:
        commits = model.commits(revision) or []
        self._json(
            [
                {
                    "id": one,
                    "authors": [],
                    "date": "2024-01-01T00:00:00.000Z",
                    "title": "",
                    "message": "",
                }
                for one in commits
            ]
        )

    def _model(self, model: Repository, name: str, revision: str = "main") -> None:
        commits = model.commits(revision)
        if commits is None:
            return self._refuse(404, "RevisionNotFound")
        files = [
            {"rfilename": path, "size": len(content)}
            for path, content in model.content(commits[0]).items()
        ]
        return self._json({"id": name, "sha": commits[0], "siblings": files})

    def _tree(self, model: Repository, name: str, commit: str) -> None:
        entries = [
            {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}
            for path, content in model.content(commit).items()
        ]
        self._json(entries)

    def _file(self, model: Repository, name: str, commit: str, path: str) -> None:
        if model.is_gated:
            return self._refuse(401, "GatedRepo")
        content = model.content(commit).get(path)
        if content is None:
            return self._refuse(404, "EntryNotFound")
        start = self._range_start()
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{_etag(content)}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", span)
        self.end_headers()
        if self.command == "GET":
            self._send(content[start:])
        return None

    def _range_start(self) -> int:
        wanted = self.headers.get("Range", "")
        if wanted:
            self.hub.ranges.append(wanted)
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        return int(match[1]) if match else 0

    def _send(self, content: bytes) -> None:
        """Send the content of a file, or cut the connection within it."""
        if self.hub.cuts and len(content) > self.hub.cut_bytes:
            self.hub.cuts -= 1
            content = content[: self.hub.cut_bytes]
            self.close_connection = True
        self.wfile.write(content)

    def _json(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def serve(models: dict[str, Repository]) -> Iterator[FakeHub]:
    """Serve models until the block ends."""
    hub = FakeHub(models)
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
