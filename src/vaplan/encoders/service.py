"""Encoder processes: one for each device, which embeds what several processes decode.

The process that starts them keeps their sockets and starts a dead one again. On a GPU the
segments of several videos share a batch. On a CPU every video has batches of its own, so that
its vectors are the same bytes as without an encoder process.
"""

import shutil
import socket
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaplan import encoders
from vaplan.encoders import Encoder
from vaplan.encoders.compute import Compute
from vaplan.encoders.remote import (
    Description,
    EmbedRequest,
    Model,
    Pipeline,
    Request,
    TextRequest,
)
from vaplan.encoders.stacking import Stacker, is_stackable
from vaplan.errors import UsageError, VaplanError
from vaplan.media import Segments
from vaplan.workers import Engine
from vaplan.workers.processes import (
    MAX_FAILED_STARTS,
    die_with_parent,
    share_imports,
    start_process,
)

BACKLOG = 1_024  # connections that wait while a process starts
Answer = np.ndarray | Description | Exception


@contextmanager
def open_pipeline(
    compute: Compute,
    *,
    pipeline: bool | None,
    engine: Engine,
    is_needed: bool = True,
    imports: Sequence[str] = (),
) -> Iterator[Pipeline | None]:
    """Run the encoder processes of a job.

    Args:
        compute: Devices and precision; every device gets a process.
        pipeline: Whether encoders run in such processes; None for those on a GPU, if the
            engine runs on this machine only.
        engine: Runs the processes that decode.
        is_needed: Whether there is anything to encode.
        imports: Names of modules that the processes that decode import.

    Yields:
        The encoder processes; None without them.

    Raises:
        UsageError: The engine or the devices do not go with `pipeline`.
    """
    is_cluster = hasattr(engine, "count_cores")
    if pipeline and is_cluster:
        raise UsageError(
            "encoder processes serve the workers of one machine, not a Ray cluster",
            fix="leave --pipeline out, or use --engine local",
        )
    is_used = compute.is_gpu and not is_cluster if pipeline is None else pipeline
    if not is_used and len(compute.each) > 1:
        raise UsageError(
            f"several devices ({compute.device}) need an encoder process each",
            fix="give one device, or use --pipeline with --engine local",
        )
    if not (is_used and is_needed):
        yield None
        return

    share_imports([__name__, *imports, *encoders.LATE_IMPORTS])
    folder = Path(tempfile.mkdtemp(prefix="vaplan-"))
    processes = list[EncoderProcess]()
    try:
        for number, one in enumerate(compute.each):
            processes.append(EncoderProcess(folder / str(number), one))
        addresses = tuple(str(process.address) for process in processes)
        yield Pipeline(addresses, is_forced=bool(pipeline))
    finally:
        for process in processes:
            process.stop()
        shutil.rmtree(folder, ignore_errors=True)


class EncoderProcess:
    """An encoder process, and its successors when it dies.

    Attributes:
        address: Its socket, which stays.
    """

    def __init__(self, address: Path, compute: Compute) -> None:
        self.address = address
        self._compute = compute
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen(BACKLOG)
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._is_stopped = False
        self._thread = threading.Thread(target=self._keep_running, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Kill the process for good."""
        with self._lock:
            self._is_stopped = True
            if self._process:
                self._process.kill()
        self._thread.join()

    def _keep_running(self) -> None:
        failed_starts = 0
        with closing(self._listener):  # so that no client waits for ever
            while failed_starts < MAX_FAILED_STARTS and (started := self._start()):
                process, pipe = started
                process.join()
                failed_starts = 0 if _is_ready(pipe) else failed_starts + 1
                pipe.close()

    def _start(self) -> "tuple[BaseProcess, Connection[Any, Any]] | None":
        with self._lock:
            if self._is_stopped:
                return None
            self._process, pipe = start_process(
                serve, self._listener, self.address.parent, self._compute
            )
            return self._process, pipe


def _is_ready(pipe: "Connection[Any, Any]") -> bool:
    """Return whether a process that has ended was ready."""
    with suppress(EOFError, OSError):
        pipe.recv()
        return True
    return False


def serve(
    pipe: "Connection[Any, Any]",
    listener: socket.socket,
    folder: Path,
    compute: Compute,
) -> None:
    """Answer the requests of all processes that connect, until the parent process ends.

    Args:
        pipe: End of a pipe that shows the parent that the process is ready.
        listener: Socket that they connect to.
        folder: Folder of the socket, which is deleted when the parent process has died.
        compute: Device of this process.
    """
    die_with_parent(partial(shutil.rmtree, folder, ignore_errors=True))
    torch.set_num_threads(1)
    if compute.kind == "cuda":
        torch.cuda.set_device(torch.device(compute.device))
    pipe.send(None)
    EncoderService(listener).run()


@dataclass(eq=False)
class _Waiting:
    """A request that has no answer yet.

    Attributes:
        client: Connection of the process that waits.
        number: Number of the request.
        model: Encoder.
        segments: Segments to embed.
    """

    client: "Connection[Any, Any]"
    number: int
    model: Model
    segments: Segments

    def answer(self, answer: Answer) -> None:
        with suppress(OSError):  # of a process that has died
            self.client.send((self.number, answer))


@dataclass(eq=False)
class EncoderService:
    """The work of an encoder process.

    Attributes:
        listener: Socket that other processes connect to.
        clients: Their connections.
        loaded: Encoders by what loads them.
        stackers: Those whose videos share batches.
    """

    listener: socket.socket
    clients: list["Connection[Any, Any]"] = field(default_factory=list)
    loaded: dict[Model, Encoder] = field(default_factory=dict)
    stackers: dict[Model, Stacker] = field(default_factory=dict)

    def run(self) -> None:
        """Answer requests for ever.

        While a GPU works on a batch, the next one is received and prepared.
        """
        launched = list[Callable[[], None]]()
        while True:
            waiting = self.receive(block=not launched)
            following = self.launch(waiting)
            for finish in launched:
                finish()
            launched = following

    def receive(self, *, block: bool) -> list[_Waiting]:
        """Receive what has been sent, and answer all but embeddings.

        Args:
            block: Wait for the first request.
        """
        waiting = list[_Waiting]()
        timeout = None if block else 0
        while ready := wait([self.listener, *self.clients], timeout):
            timeout = 0
            for source in ready:
                if source is self.listener:
                    accepted, _ = self.listener.accept()
                    self.clients.append(Connection(accepted.detach()))
                elif isinstance(source, Connection):
                    waiting += self._receive_from(source)
        return waiting

    def _receive_from(self, client: "Connection[Any, Any]") -> Iterator[_Waiting]:
        try:
            number, request = client.recv()
            if isinstance(request, EmbedRequest):
                segments = request.read(recv_handle(client))
                yield _Waiting(client, number, request.model, segments)
                return
        except (EOFError, OSError, RuntimeError):  # the last: without its descriptor
            self.clients.remove(client)
            client.close()
            return
        with suppress(OSError):
            client.send((number, attempt(partial(self._answer, request))))

    def _answer(self, request: Request) -> Answer:
        encoder = self._load(request.model)
        if isinstance(request, TextRequest):
            return encoder.text(request.prompts)
        return describe(encoder)

    def _load(self, model: Model) -> Encoder:
        if model not in self.loaded:
            encoder = encoders.load(
                model.name,
                model.modality,
                frames_per_segment=model.frames_per_segment,
                compute=model.compute,
            )
            self.loaded[model] = encoder
            if model.compute.is_gpu and is_stackable(encoder):
                self.stackers[model] = Stacker(encoder, model.compute.resolve())
        return self.loaded[model]

    def launch(self, waiting: Sequence[_Waiting]) -> list[Callable[[], None]]:
        """Start to embed what is waiting; what does not share batches is answered at once.

        Args:
            waiting: Requests.

        Returns:
            Functions that wait for vectors and answer.
        """
        groups = defaultdict[Model, list[_Waiting]](list)
        for one in waiting:
            groups[one.model].append(one)
        finishing = list[Callable[[], None]]()
        for model, group in groups.items():
            with suppress(VaplanError):  # each of the group gets it below
                self._load(model)
            if launched := self._launch_together(model, group):
                finishing.append(launched)
                continue
            for one in group:
                one.answer(attempt(partial(self._embed, one)))
        return finishing

    def _launch_together(
        self, model: Model, group: Sequence[_Waiting]
    ) -> Callable[[], None] | None:
        """Start to embed segments in common batches; None if they go one by one."""
        if model not in self.stackers:
            return None
        try:
            vectors = self.stackers[model].launch([one.segments for one in group])
        except Exception as error:  # noqa: BLE001 - found again for the request that causes it
            _raise_if_broken(error)
            return None

        def finish() -> None:
            for one, rows in zip(group, vectors(), strict=True):
                one.answer(rows)

        return finish

    def _embed(self, one: _Waiting) -> np.ndarray:
        return self._load(one.model).embed(one.segments)


def describe(encoder: Encoder) -> Description:
    """Return the properties of an encoder.

    Args:
        encoder: Encoder.
    """
    return Description(
        encoder.name,
        encoder.modality,
        encoder.dimension,
        encoder.rate_hz,
        encoder.frames_per_segment,
        encoder.logit_scale,
        encoder.provenance,
    )


def attempt(function: Callable[[], Answer]) -> Answer:
    """Return the result of a function, or its exception in a form that can be sent.

    Args:
        function: Answers a request.
    """
    try:
        return function()
    except VaplanError as error:
        return error
    except Exception as error:  # noqa: BLE001 - any error becomes the answer
        _raise_if_broken(error)
        return RuntimeError(f"{type(error).__name__}: {error}")


def _raise_if_broken(error: Exception) -> None:
    """Raise an error after which the GPU is of no use to this process any more."""
    if "CUDA error" in str(error):
        raise error
