"""Background jobs with progress: each kind of job has a queue and a process of its own.

So a long copy does not delay a waveform, and a crash of the decoder costs one job. In a queue,
the job that was asked for last comes first.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from vaplan.workers import SECONDS_PER_ITEM, Failed
from vaplan.workers.child import Child, LongWork

Key = tuple[str, str]  # kind of the job, and what it is about


class JobState(StrEnum):
    """How far a job is."""

    ABSENT = "absent"
    WAITING = "waiting"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Status:
    """State of a job.

    Attributes:
        state: How far it is.
        progress: Share that is done, from 0 to 1; None if it is not known.
        message: Reason, for a person.
    """

    state: JobState
    progress: float | None = None
    message: str = ""

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will change."""
        return self.state not in (JobState.WAITING, JobState.RUNNING)


@dataclass(frozen=True)
class Job:
    """Work for a process.

    Attributes:
        key: Kind of the job, and what it is about.
        function: Takes the argument, and `advance` as a keyword; it must be picklable.
        argument: Argument of the function.
        total: What `advance` reports at the end; None if it is not known.
        seconds: Longest time without a report.
        then: Called with the result, if the job did not fail.
    """

    key: Key
    function: LongWork
    argument: Any
    total: float | None = None
    seconds: float = SECONDS_PER_ITEM
    then: Callable[[Any], None] | None = None


ABSENT = Status(JobState.ABSENT)
WAITING = Status(JobState.WAITING)


class Background:
    """Queues of jobs, one for each kind, and the states of all jobs."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._change = threading.Condition()
        self._statuses = dict[Key, Status]()
        self._retries = set[Key]()  # jobs that the machine let fail
        self._is_closed = False
        self._queues = {kind: _Queue() for kind in kinds}
        for kind, queue in self._queues.items():
            queue.thread = threading.Thread(
                target=self._work, args=[queue], name=f"review-{kind}", daemon=True
            )
            queue.thread.start()

    def start(self, job: Job) -> None:
        """Queue a job, unless it was queued before.

        A waiting job becomes the next one. A job that failed because of the machine, as by a
        full disk, is tried again.

        Args:
            job: Work of one of the kinds.
        """
        queue = self._queues[job.key[0]]
        with self._change:
            status = self._statuses.get(job.key, ABSENT)
            if job.key in self._retries:
                self._retries.remove(job.key)
                status = ABSENT
            if status.state not in (JobState.ABSENT, JobState.WAITING):
                return
            self._statuses[job.key] = WAITING
            queue.jobs = [one for one in queue.jobs if one.key != job.key]
            queue.jobs.append(job)
            self._change.notify_all()

    def forget(self, key: Key) -> None:
        """Forget that a job is ready, because its result was lost.

        Args:
            key: Kind of the job, and what it is about.
        """
        with self._change:
            if self._statuses.get(key, ABSENT).state is JobState.READY:
                del self._statuses[key]

    def status(self, key: Key) -> Status:
        """Return the state of a job.

        Args:
            key: Kind of the job, and what it is about.
        """
        with self._change:
            return self._statuses.get(key, ABSENT)

    def wait(self, key: Key, *, seconds: float) -> Status:
        """Wait until a job is over.

        Args:
            key: Kind of the job, and what it is about.
            seconds: Longest time to wait.

        Returns:
            The state then.
        """
        with self._change:
            self._change.wait_for(
                lambda: self._statuses.get(key, ABSENT).is_over, seconds
            )
            return self._statuses.get(key, ABSENT)

    def close(self) -> None:
        """Stop all processes; jobs that wait are dropped."""
        with self._change:
            self._is_closed = True
            self._change.notify_all()
        for queue in self._queues.values():
            queue.child.stop()
        for queue in self._queues.values():
            if queue.thread is not None:
                queue.thread.join()

    def _work(self, queue: "_Queue") -> None:
        while (job := self._take(queue)) is not None:

            def advance(value: float, job: Job = job) -> None:
                self._report(job, value)

            result = queue.child.run(
                job.function, job.argument, advance=advance, seconds=job.seconds
            )
            self._finish(job, result)

    def _take(self, queue: "_Queue") -> Job | None:
        with self._change:
            self._change.wait_for(lambda: queue.jobs or self._is_closed)
            if self._is_closed:
                return None
            job = queue.jobs.pop()
            self._set(job.key, Status(JobState.RUNNING))
            return job

    def _report(self, job: Job, value: float) -> None:
        share = min(1.0, value / job.total) if job.total else None
        with self._change:
            status = self._statuses[job.key]
            self._statuses[job.key] = replace(status, progress=share)

    def _finish(self, job: Job, result: Any) -> None:
        if isinstance(result, Failed):
            with self._change:
                if result.machine and not result.is_final:
                    self._retries.add(job.key)
                self._set(job.key, Status(JobState.FAILED, None, result.reason))
            return
        if job.then:
            job.then(result)
        with self._change:
            self._set(job.key, Status(JobState.READY, 1.0))

    def _set(self, key: Key, status: Status) -> None:
        self._statuses[key] = status
        self._change.notify_all()


@dataclass
class _Queue:
    """The waiting jobs of one kind, the next one last, and the process that does them."""

    jobs: list[Job] = field(default_factory=list)
    child: Child = field(default_factory=Child)
    thread: threading.Thread | None = None
