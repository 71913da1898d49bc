"""A server of S3 on this machine that can fail and be slow, for the tests of object storage."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from vaplan.objects import find_endpoint

BUCKET = "bucket"
PIECE_BYTES = 64 * 1024


@dataclass
class Server:
    """The faults of a running server.

    Attributes:
        app: The application that answers correctly.
        is_failing: Takes a method and a path, and returns whether the answer is 503.
        wait: Seconds before each piece of an answer.
        failures: Methods and paths of the requests that failed.
    """

    app: Callable[..., Any]
    is_failing: Callable[[str, str], bool] = lambda method, path: False
    wait: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        request = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if self.is_failing(*request):
            self.failures.append(request)
            start_response("503 Slow Down", [("Content-Length", "0")])
            return
        for content in self.app(environ, start_response):
            for start in range(0, len(content), PIECE_BYTES):
                time.sleep(self.wait)
                yield content[start : start + PIECE_BYTES]


@contextmanager
def serve() -> Iterator[Server]:
    """Serve an empty bucket, which the environment of this process names."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from pyarrow.fs import S3FileSystem
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None: ...

    server = Server(DomainDispatcherApplication(create_backend_app))
    http = make_server("127.0.0.1", 0, server, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{http.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            client = S3FileSystem(
                endpoint_override=find_endpoint(), allow_bucket_creation=True
            )
            client.create_dir(BUCKET)
            yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
