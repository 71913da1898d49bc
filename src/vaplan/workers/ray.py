"""Workers on the machines of a Ray cluster: one actor a worker, which keeps its encoders.

The supervision is the one of local processes. Ray restarts and retries nothing by itself; this
module gives every item to one actor at a time and decides what a death means. All machines see
the media files under the same paths; only the process that hands out the items writes.
"""

import asyncio
import importlib.util
import os
import secrets
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vaplan.errors import MachineError, MissingExtra, UsageError, VaplanError
from vaplan.workers.faults import Failed, Guarded
from vaplan.workers.processes import (
    DEATHS,
    MAX_FAILED_STARTS,
    REPORT_SECONDS,
    START_SECONDS,
    TIME_OUTS,
    Report,
    TimeLimit,
    Watch,
    Work,
    limit_memory,
    send_reports_to,
)

OBJECT_STORE_BYTES = 256 * 1024**2  # of a cluster on this machine; results are small
NODE_SECONDS = (
    2.0  # a node that ends has closed its port this long after its workers died
)
MAX_NODE_DEATHS = 2  # of one item, until the item counts as the cause
CONNECT_SECONDS = 2.0  # in which a node that is alive accepts a connection
LOCAL_SETTINGS = {  # of a cluster on this machine
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # every port is on the loopback interface
    "RAY_AUTH_MODE": "token",  # other users of this machine cannot connect
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a worker sees the GPUs of its machine
}


@dataclass(frozen=True)
class RayEngine:
    """An `Engine` whose workers are Ray actors; items come back in the order of completion.

    The first call connects, or starts a cluster on this machine. `close` ends that.

    Attributes:
        address: `HOST:PORT` of a running cluster; if empty, a cluster of this machine and
            this process is started.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: The address is not HOST:PORT, such as one of the Ray client.
    """

    address: str = ""

    def __post_init__(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra(
                "Ray, which runs workers on several machines, is not installed",
                fix="pip install 'vaplan[ray]'",
            )
        host, _, port = self.address.rpartition(":")
        is_pair = host and "/" not in host and port.isdecimal()
        if self.address and not is_pair:
            raise UsageError(
                f"address {self.address!r} is not HOST:PORT",
                fix="give the address that `ray start --head` printed, such as "
                "10.0.0.1:6379, and run the command on a node of the cluster",
            )

    def __call__(
        self,
        work: Work,
        items: Sequence[Any],
        *,
        count: int,
        seconds: TimeLimit,
        watch: Watch | None = None,
    ) -> Iterator[tuple[Any, Any | Failed]]:
        """Yield every item with its result or its failure, in the order of completion.

        Args:
            work: The function that runs on every item, and its preparation.
            items: The arguments of the function, one a call.
            count: The largest number of actors; each takes one core.
            seconds: The time limit of one item, or a function of the item that
                returns it.
            watch: Called with an item and each value that its worker reports.

        Raises:
            MachineError: The cluster cannot be reached, or no worker can start.
            VaplanError: `work.prepare` raised it in a worker.
        """
        if not items:
            return
        _connect(self.address, cores=count)
        cores = int(len(items) > 1)  # an item alone takes a core that waits for it
        crew = _Crew(work, count, seconds, cores, watch)
        queue = deque(_Task(number, item) for number, item in enumerate(items))
        try:
            while queue or crew.is_busy:
                crew.hand_out(queue)
                results = crew.collect(queue)
                crew.hand_out(queue)  # before the caller works on these results
                yield from results
        finally:
            crew.stop()

    def count_cores(self) -> int:
        """Return the number of cores of the cluster.

        Raises:
            MachineError: The cluster cannot be reached.
        """
        _connect(self.address, cores=os.cpu_count() or 1)
        return int(_import_ray().cluster_resources().get("CPU", 1))

    def close(self) -> None:
        """Leave the cluster; one that was started by the engine ends."""
        if "ray" in sys.modules:
            _import_ray().shutdown()


def _import_ray() -> Any:
    import ray

    return ray


def _connect(address: str, *, cores: int) -> None:
    """Connect to a cluster, or start one on this machine, unless it is done already.

    Args:
        address: `HOST:PORT`; if empty, a cluster is started.
        cores: Number of workers that the started cluster must have room for.
    """
    if not address:
        for name, value in LOCAL_SETTINGS.items():  # Ray reads some when it is imported
            os.environ.setdefault(name, value)
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = _import_ray()
    if ray.is_initialized():
        return
    host, _, port = address.rpartition(":")
    if address and not _accepts(host, int(port)):  # Ray would try for many minutes
        raise _connection_error(address, "nothing answers there")
    options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address:
        options |= {"address": address}
    else:
        options |= {
            "address": "local",
            "num_cpus": max(cores, os.cpu_count() or 1),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
            "_node_ip_address": "127.0.0.1",
        }
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options)
    except Exception as error:  # Ray raises a bare one when its start takes too long
        reason = " ".join(str(error).split())
        raise _connection_error(address, reason) from error
    finally:
        if handler is not None and signal.getsignal(signal.SIGTERM) is not handler:
            signal.signal(signal.SIGTERM, handler)  # Ray's own would end the process


def _connection_error(address: str, reason: str) -> MachineError:
    return MachineError(
        f"no connection to the Ray cluster {address or 'of this machine'}: {reason}",
        fix="run the command on a node of the cluster, with its version of Ray and its "
        "RAY_AUTH_TOKEN",
    )


@dataclass(frozen=True)
class _Start:
    """The report of a worker that has started.

    Attributes:
        node: Identifier of its node.
        host: Name of its machine.
        version: Version of vaplan there.
        error: Error of the preparation.
    """

    node: str
    host: str
    version: str
    error: VaplanError | None


class _Actor:
    """A worker in a process on some node."""

    def __init__(self, work: Work, folder: str, mailbox: str) -> None:
        self.work = work
        self.folder = folder
        self.mailbox = mailbox
        self.function = Guarded(work.function)

    def prepare(self) -> _Start:
        """Prepare the worker, within its memory limit and where relative paths hold."""
        with suppress(OSError):  # this machine may lack the folder of the job
            os.chdir(self.folder)
        node = _import_ray().get_runtime_context().get_node_id()
        if self.work.memory is not None:
            limit_memory(self.work.memory)
        failure = None
        try:
            if self.work.prepare:
                self.work.prepare(*self.work.arguments)
        except VaplanError as error:
            failure = error
        return _Start(node, socket.gethostname(), version("vaplan"), failure)

    def run(self, number: int, item: Any) -> Any:
        """Return the result of an item or its failure.

        Args:
            number: Number of the task, for reports.
            item: Argument of the function.
        """
        send_reports_to(_Sender(self.mailbox, number))
        return self.function(item)


class _Mailbox:
    """An actor that keeps reports until the process that hands out the items takes them."""

    def __init__(self) -> None:
        self.letters = list[tuple[int, Any]]()
        self.has_letters = asyncio.Event()

    async def put(self, number: int, value: Any) -> None:
        """Keep a report about a task."""
        self.letters.append((number, value))
        self.has_letters.set()

    async def take(self) -> list[tuple[int, Any]]:
        """Wait for reports and return them with the numbers of their tasks."""
        await self.has_letters.wait()
        self.has_letters.clear()
        letters, self.letters = self.letters, []
        return letters


@dataclass(frozen=True)
class _Sender:
    """Sends the reports of a worker about one task.

    Attributes:
        mailbox: Name of the mailbox, which exists once an item has taken some seconds.
        number: Number of the task.
    """

    mailbox: str
    number: int

    def send(self, report: Report) -> None:
        """Send a report, without waiting for its arrival."""
        ray = _import_ray()
        with suppress(ValueError, ray.exceptions.RayError):  # there is no mailbox yet
            ray.get_actor(self.mailbox).put.remote(self.number, report.value)


@dataclass
class _Task:
    """An item and the number of nodes that died while they worked on it."""

    number: int
    item: Any
    node_deaths: int = 0


@dataclass
class _Worker:
    """An actor; `start` is None until it is ready, `reply` while it is idle."""

    actor: Any
    reply: Any
    start: _Start | None = None
    task: _Task | None = None
    started: float = float("inf")  # time at which it got its task
    limit: float = 0.0  # seconds until the deadline, for the error
    deadline: float = float("inf")

    @property
    def is_idle(self) -> bool:
        return self.start is not None and self.task is None

    def give(self, task: _Task, limit: float) -> None:
        self.task = task
        self.limit = limit
        self.started = time.monotonic()
        self.deadline = self.started + limit
        self.reply = self.actor.run.remote(task.number, task.item)


@dataclass(frozen=True)
class _Death:
    """A task after the death of its worker; at `due` the state of its node is clear."""

    task: _Task
    start: _Start
    failure: Failed
    due: float


@dataclass
class _Crew:
    """The actors of one call of the engine.

    Attributes:
        work: Work of every actor.
        count: Largest number of actors.
        seconds: Time limit of one item.
        cores: Cores that an actor takes.
        watch: Called with an item and each value that its worker reports.
        mailbox_name: Name of the actor that keeps reports.
        mailbox: That actor; it starts when an item takes long, so that small items cost no more.
        letters: Its answer with the next reports.
        workers: Actors that are starting, idle or busy.
        deaths: Tasks that may be the victims of a node.
        failed_starts: Consecutive actors that died before they were ready.
        start_deadline: Time at which one actor must be ready.
    """

    work: Work
    count: int
    seconds: TimeLimit
    cores: int
    watch: Watch | None = None
    mailbox_name: str = field(default_factory=lambda: f"vaplan-{secrets.token_hex(8)}")
    mailbox: Any = None
    letters: Any = None
    workers: list[_Worker] = field(default_factory=list)
    deaths: list[_Death] = field(default_factory=list)
    failed_starts: int = 0
    start_deadline: float = field(
        default_factory=lambda: time.monotonic() + START_SECONDS
    )

    @property
    def is_busy(self) -> bool:
        return bool(self.deaths) or any(worker.task for worker in self.workers)

    def hand_out(self, queue: deque[_Task]) -> None:
        """Replace dead workers and give an item to every idle one.

        Args:
            queue: Tasks that have no worker yet.
        """
        busy = sum(worker.task is not None for worker in self.workers)
        while len(self.workers) < min(self.count, busy + len(queue)):
            self.workers.append(self._start_worker())
        for worker in self.workers:
            if worker.is_idle and queue:
                task = queue.popleft()
                seconds = self.seconds
                limit = seconds(task.item) if callable(seconds) else seconds
                worker.give(task, limit)

    def _start_worker(self) -> _Worker:
        kind = _import_ray().remote(_Actor)
        options = kind.options(num_cpus=self.cores, scheduling_strategy="SPREAD")
        actor = options.remote(self.work, str(Path.cwd()), self.mailbox_name)
        return _Worker(actor, actor.prepare.remote())

    def collect(self, queue: deque[_Task]) -> list[tuple[Any, Any | Failed]]:
        """Wait for results, deaths or a time limit, and return the finished items.

        Args:
            queue: Gets the tasks of dead nodes again, at its front.
        """
        self._open_mailbox()
        replies = {w.reply: w for w in self.workers if w.reply is not None}
        waiting = [*replies, self.letters] if self.letters else [*replies]
        results = list[tuple[Any, Any | Failed]]()
        for reply in _wait(waiting, self._seconds_left()):
            if reply == self.letters:
                self._read_letters()
            else:
                results += self._receive(replies[reply])

        now = time.monotonic()
        for worker in [w for w in self.workers if w.deadline < now]:
            reason = f"gave no result within {worker.limit:g} s"
            self._remove(worker)
            if worker.task:
                failure = Failed(reason, TIME_OUTS, is_final=True)
                results.append((worker.task.item, failure))

        for death in [*self.deaths]:
            is_node_alive = _is_alive(death.start.node)
            if not is_node_alive or death.due < now:
                self.deaths.remove(death)
                results += self._bury(death, queue, is_node_alive=is_node_alive)

        self._check_start(now)
        return results

    def _open_mailbox(self) -> None:
        """Start the mailbox, on this node, once a worker has worked on an item for long."""
        first = min((w.started for w in self.workers if w.task), default=float("inf"))
        if self.mailbox or time.monotonic() < first + REPORT_SECONDS:
            return
        ray = _import_ray()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        node = ray.get_runtime_context().get_node_id()
        self.mailbox = (
            ray.remote(_Mailbox)
            .options(
                name=self.mailbox_name,
                num_cpus=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            )
            .remote()
        )
        self.letters = self.mailbox.take.remote()

    def _read_letters(self) -> None:
        """Let the time limits of reported items start anew, and pass the reports on."""
        ray = _import_ray()
        try:
            letters = ray.get(self.letters)
        except (
            ray.exceptions.RayError
        ):  # the mailbox died; items keep their time limits
            self.letters = None
            return
        self.letters = self.mailbox.take.remote()
        workers = {w.task.number: w for w in self.workers if w.task}
        for number, value in letters:
            worker = workers.get(number)
            if worker is None or worker.task is None:
                continue  # its result came first
            worker.deadline = time.monotonic() + worker.limit
            if self.watch:
                self.watch(worker.task.item, value)

    def _seconds_left(self) -> float | None:
        deadlines = [worker.deadline for worker in self.workers]
        if not self.mailbox:
            deadlines += [w.started + REPORT_SECONDS for w in self.workers if w.task]
        deadlines += [death.due for death in self.deaths]
        if not any(worker.start for worker in self.workers):
            deadlines.append(self.start_deadline)
        first = min(deadlines)
        return None if first == float("inf") else max(0.0, first - time.monotonic())

    def _receive(self, worker: _Worker) -> Iterator[tuple[Any, Any | Failed]]:
        ray = _import_ray()
        try:
            answer = ray.get(worker.reply)
        except ray.exceptions.RayTaskError as error:  # of a value that cannot be sent
            self._remove(worker)
            yield from self._settle(worker, Failed(_last_line(error)))
        except ray.exceptions.OutOfMemoryError as error:  # Ray ended the worker
            self._remove(worker)
            failure = Failed(_last_line(error), "out of memory")
            yield from self._settle(worker, failure)
        except ray.exceptions.RayError as error:
            self._remove(worker)
            host = worker.start.host if worker.start else ""
            reason = f"its worker process on {host} died"
            if not worker.start:
                reason = _last_line(error)
            yield from self._settle(worker, Failed(reason, DEATHS))
        else:
            if worker.task:
                yield worker.task.item, answer
            else:
                self._welcome(worker, answer)
            worker.task = None
            worker.reply = None
            worker.deadline = float("inf")

    def _welcome(self, worker: _Worker, start: _Start) -> None:
        if start.error:
            raise start.error
        if start.version != version("vaplan"):
            raise MachineError(
                f"{start.host} has vaplan {start.version}, this machine has "
                f"{version('vaplan')}",
                fix="install one version on all nodes",
            )
        worker.start = start
        self.failed_starts = 0

    def _settle(self, worker: _Worker, failure: Failed) -> Iterator[tuple[Any, Failed]]:
        """Yield the failure of a task, or keep it until the state of its node is known."""
        if worker.task and worker.start and failure.machine == DEATHS:
            due = time.monotonic() + NODE_SECONDS
            self.deaths.append(_Death(worker.task, worker.start, failure, due))
        elif worker.task:
            yield worker.task.item, failure
        else:
            self.failed_starts += 1
        is_any_ready = any(other.start for other in self.workers)
        if self.failed_starts >= MAX_FAILED_STARTS and not is_any_ready:
            raise MachineError(
                f"no worker could start on the Ray cluster: {failure.reason}",
                fix="install vaplan and its encoders on every node, and check which "
                "other programs use the memory there",
            )

    def _bury(
        self, death: _Death, queue: deque[_Task], *, is_node_alive: bool
    ) -> Iterator[tuple[Any, Failed]]:
        """Yield the failure of a task that killed its worker; give that of a dead node away."""
        task = death.task
        task.node_deaths += not is_node_alive
        if is_node_alive or task.node_deaths == MAX_NODE_DEATHS:
            yield task.item, death.failure
        else:
            queue.appendleft(task)

    def _check_start(self, now: float) -> None:
        if any(worker.start for worker in self.workers):
            self.start_deadline = now + START_SECONDS
        elif self.start_deadline < now:
            free = _import_ray().available_resources().get("CPU", 0)
            raise MachineError(
                f"no worker started on the Ray cluster within {START_SECONDS:g} s; "
                f"{free:g} cores are free",
                fix="wait for the other jobs on the cluster, or add nodes",
            )

    def _remove(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        _import_ray().kill(worker.actor)

    def stop(self) -> None:
        """Kill all workers, and the mailbox."""
        for worker in [*self.workers]:
            self._remove(worker)
        if self.mailbox:
            _import_ray().kill(self.mailbox)


def _wait(replies: list[Any], timeout: float | None) -> list[Any]:
    """Return all replies that have come, at least one before the timeout."""
    ray = _import_ray()
    if not replies:
        time.sleep(timeout or 0.0)
        return []
    first, _ = ray.wait(replies, num_returns=1, timeout=timeout)
    if not first:
        return []
    come: list[Any]
    come, _ = ray.wait(replies, num_returns=len(replies), timeout=0)
    return come


def _is_alive(node: str) -> bool:
    """Return whether a node is alive, without waiting for the health checks of the cluster."""
    for entry in _import_ray().nodes():
        if entry["NodeID"] == node and entry["Alive"]:
            return _accepts(entry["NodeManagerAddress"], entry["NodeManagerPort"])
    return False


def _accepts(host: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((host, port), CONNECT_SECONDS)):
            return True
    except OSError:
        return False


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
