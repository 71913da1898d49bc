"""Encoders that run in an encoder process, as the processes that decode see them.

A process that decodes writes the frames and waveforms of a chunk into memory without a name,
sends its descriptor through a socket, and receives the vectors. It waits for the vectors of a
chunk before it sends the next one, so that the memory of an encoder process is bounded.
"""

import itertools
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from mmap import mmap
from multiprocessing.connection import Client, Connection
from multiprocessing.reduction import send_handle
from typing import IO, Any

import numpy as np
from jaxtyping import Float32

from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders.compute import Compute
from vaplan.errors import MachineError
from vaplan.media import Segments

MAX_REPEATS = 3  # of a request after deaths of the encoder process
ALIGNMENT = 64  # bytes
Rows = Float32[np.ndarray, "time feature"]


@dataclass(frozen=True)
class Pipeline:
    """The encoder processes of a job, for the processes that decode.

    Attributes:
        addresses: Socket of each encoder process; there is one for each device.
        is_forced: Whether they run all encoders, and not only those on a GPU.
    """

    addresses: tuple[str, ...]
    is_forced: bool = False

    @property
    def workers(self) -> int:
        """Return the usual number of workers: a worker that waits for vectors needs no core."""
        return 2 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Model:
    """What `encoders.load` needs to load an encoder."""

    name: str
    modality: int
    frames_per_segment: int
    compute: Compute


@dataclass(frozen=True)
class Description:
    """The properties of an encoder; see `Encoder`."""

    name: str
    modality: int
    dimension: int
    rate_hz: int | None
    frames_per_segment: int
    logit_scale: float
    provenance: dict[str, Any]


@dataclass(frozen=True)
class DescriptionRequest:
    """Asks for the `Description` of an encoder."""

    model: Model


@dataclass(frozen=True)
class TextRequest:
    """Asks for the vectors of prompts."""

    model: Model
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class EmbedRequest:
    """Asks for the vectors of segments; a descriptor of their arrays follows.

    Attributes:
        model: Encoder.
        content: Pickle of the segments without the content of arrays.
        spans: First and last byte of each array in the memory of the descriptor.
    """

    model: Model
    content: bytes
    spans: tuple[tuple[int, int], ...]

    def read(self, descriptor: int) -> Segments:
        """Return the segments, whose arrays lie in the shared memory.

        Args:
            descriptor: Descriptor of the memory; it is closed.
        """
        with closing(os.fdopen(descriptor, "r+b")) as file:
            memory = memoryview(mmap(file.fileno(), 0))
        arrays = [memory[start:stop] for start, stop in self.spans]
        segments: Segments = pickle.loads(self.content, buffers=arrays)  # noqa: S301
        return segments


Request = DescriptionRequest | TextRequest | EmbedRequest


def share(model: Model, segments: Segments) -> tuple[EmbedRequest, IO[bytes]]:
    """Write segments into shared memory.

    Args:
        model: Encoder; only what its modality needs is written.
        segments: Segments of one video.

    Returns:
        The request, and the memory as a file.
    """
    arrays = list[pickle.PickleBuffer]()
    content = pickle.dumps(
        _of_modality(segments, model.modality), 5, buffer_callback=arrays.append
    )
    file = _open_memory()
    spans = list[tuple[int, int]]()
    for array in arrays:
        start = file.seek(-(-file.tell() // ALIGNMENT) * ALIGNMENT)
        file.write(array.raw())
        spans.append((start, file.tell()))
    file.write(b"\0")  # memory of length zero cannot be mapped
    file.flush()
    return EmbedRequest(model, content, tuple(spans)), file


def _of_modality(segments: Segments, modality: int) -> Segments:
    """Leave out the content of the other modality."""
    if modality != AUDIO:
        segments = replace(segments, waveform=np.zeros(0, np.float32))
    if modality != VISUAL:
        return replace(segments, frames=(None,) * len(segments))
    frames = (f if f is None else np.ascontiguousarray(f) for f in segments.frames)
    return replace(segments, frames=tuple(frames))


def _open_memory() -> IO[bytes]:
    """Return memory as a file without a name, which ends with its last descriptor."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("vaplan"), "w+b")
    return tempfile.TemporaryFile()


@dataclass
class _Call:
    request: Request
    memory: IO[bytes] | None
    repeats: int = 0


@dataclass(eq=False)
class EncoderClient:
    """The connection of this process with an encoder process.

    When the encoder process dies, its successor gets the unanswered requests again.

    Attributes:
        address: Socket of the encoder process.
    """

    address: str
    _connection: "Connection[Any, Any] | None" = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _calls: dict[int, _Call] = field(default_factory=dict)  # without an answer
    _answers: dict[int, Any] = field(default_factory=dict)

    def start(
        self, request: Request, memory: IO[bytes] | None = None
    ) -> Callable[[], Any]:
        """Send a request; the returned function waits for the answer.

        Args:
            request: Request.
            memory: Shared memory of an `EmbedRequest`.

        Raises:
            MachineError: The encoder process died several times.
        """
        number = next(self._numbers)
        call = _Call(request, memory)
        self._calls[number] = call
        try:
            if self._connection:
                _send(self._connection, number, call)
            else:
                self._connect()
        except OSError:
            self._repeat()
        return partial(self._wait, number)

    def _wait(self, number: int) -> Any:
        while number not in self._answers:
            if self._connection is None:
                raise _died()
            try:
                answered, answer = self._connection.recv()
            except (EOFError, OSError):
                self._repeat()
                continue
            call = self._calls.pop(answered)
            if call.memory:
                call.memory.close()
            self._answers[answered] = answer
        answer = self._answers.pop(number)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _repeat(self) -> None:
        """Count a death of the process, and send what it has not answered to the next one."""
        while True:
            for call in self._calls.values():
                call.repeats += 1
            if any(call.repeats > MAX_REPEATS for call in self._calls.values()):
                self.close()
                raise _died()
            with suppress(OSError):
                return self._connect()

    def _connect(self) -> None:
        """Connect, and send every request that has no answer."""
        self._connection = Client(self.address, "AF_UNIX")
        for number, call in self._calls.items():
            _send(self._connection, number, call)

    def close(self) -> None:
        """End the connection and forget the requests that have no answer."""
        for call in self._calls.values():
            if call.memory:
                call.memory.close()
        self._calls.clear()
        if self._connection:
            self._connection.close()
            self._connection = None


def _send(connection: "Connection[Any, Any]", number: int, call: _Call) -> None:
    connection.send((number, call.request))
    if call.memory:
        send_handle(connection, call.memory.fileno(), None)


def _died() -> MachineError:
    return MachineError(
        f"the encoder process died {MAX_REPEATS + 1} times, or has ended",
        fix="read its messages above; with --no-pipeline every worker encodes by itself",
    )


@dataclass(frozen=True, eq=False)
class RemoteEncoder:
    """An encoder in encoder processes; see `Encoder`.

    Consecutive chunks go to the processes in turn.

    Attributes:
        description: Properties of the encoder.
        models: What each process loads: the same encoder, on its device.
        clients: Connection with each process.
        turns: Numbers of the chunks; they start at another number in every process.
    """

    description: Description
    models: Sequence[Model]
    clients: Sequence[EncoderClient]
    turns: Iterator[int] = field(default_factory=lambda: itertools.count(os.getpid()))

    @property
    def name(self) -> str:
        """Return the name it was loaded by."""
        return self.description.name

    @property
    def modality(self) -> int:
        """Return AUDIO or VISUAL."""
        return self.description.modality

    @property
    def dimension(self) -> int:
        """Return the size of a vector."""
        return self.description.dimension

    @property
    def rate_hz(self) -> int | None:
        """Return the sample rate that it requires; None if it reads no audio."""
        return self.description.rate_hz

    @property
    def frames_per_segment(self) -> int:
        """Return the number of frames that it reads of a segment."""
        return self.description.frames_per_segment

    @property
    def logit_scale(self) -> float:
        """Return the factor of cosines in the model's training."""
        return self.description.logit_scale

    @property
    def provenance(self) -> dict[str, Any]:
        """Return the weights, preprocessing and versions that an embedding depends on."""
        return self.description.provenance

    def embed(self, segments: Segments) -> Rows:
        """Embed each segment as a unit vector; zeros where the modality is missing.

        Args:
            segments: Segments of one video.
        """
        return self.start(segments)()

    def start(self, segments: Segments) -> Callable[[], Rows]:
        """Send segments to be embedded; the returned function waits for their vectors.

        Args:
            segments: Segments of one video.
        """
        if not segments.mask[:, self.modality].any():
            return lambda: np.zeros((len(segments), self.dimension), np.float32)
        turn = next(self.turns) % len(self.clients)
        request, memory = share(self.models[turn], segments)
        return self.clients[turn].start(request, memory)

    def text(self, prompts: Sequence[str]) -> Float32[np.ndarray, "prompt feature"]:
        """Embed each prompt as a unit vector.

        Args:
            prompts: Sentences.
        """
        request = TextRequest(self.models[0], tuple(prompts))
        vectors: np.ndarray = self.clients[0].start(request)()
        return vectors


@dataclass
class _Connected:
    """The encoder processes that this process uses."""

    clients: Sequence[EncoderClient] = ()
    is_forced: bool = False


_CONNECTED = _Connected()  # of this process


def connect(pipeline: Pipeline | None) -> None:
    """Load encoders in encoder processes from now on.

    Args:
        pipeline: The encoder processes; None to load encoders in this process.
    """
    for client in _CONNECTED.clients:
        client.close()
    addresses = pipeline.addresses if pipeline else ()
    _CONNECTED.clients = [EncoderClient(address) for address in addresses]
    _CONNECTED.is_forced = pipeline is not None and pipeline.is_forced


def load(model: Model) -> RemoteEncoder | None:
    """Load an encoder in the encoder processes.

    Args:
        model: Name, modality and settings.

    Returns:
        The encoder; None if it is to be loaded in this process.

    Raises:
        EncoderError: The encoder cannot be loaded.
        MachineError: The encoder process died several times.
    """
    clients = _CONNECTED.clients
    if not clients or not (_CONNECTED.is_forced or model.compute.is_gpu):
        return None
    devices = itertools.cycle(model.compute.each)
    models = [replace(model, compute=next(devices)) for _ in clients]
    description = clients[0].start(DescriptionRequest(models[0]))()
    return RemoteEncoder(description, models, clients)
