"""Metrics of a long command as a text file for Prometheus, written again while it runs."""

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vaplan.writing import check_file_writable, write_text

WRITE_SECONDS = 5.0  # between two versions of the file
RATE_SECONDS = 300.0  # the rate is a mean over this time
MAX_REASONS = 20  # each is a time series of its own
OTHER = "other"
NO_VIDEO = "\0"  # occurs in no reason
HELP = {
    "done": "Finished items, failed ones included.",
    "total": "All items of this run.",
    "failed": "Failed items by reason.",
    "rate": "Items per second, a mean over the last five minutes.",
    "seconds_left": "Seconds until all items are finished.",
    "running": "1 while the command runs, 0 when it has ended.",
    "updated": "Time of this report, in seconds since 1970.",
}


@dataclass
class Metrics:
    """The metrics of one command; see `open_metrics`.

    Attributes:
        path: The file.
        command: Name of the command, a label of every value.
        done: Number of finished items.
        total: Number of all items; 0 where it is not known.
        failed: Number of failed items by reason.
        history: Times and numbers of finished items, for the rate.
        next_write: Time of the next version of the file, of the monotonic clock.
    """

    path: Path
    command: str
    done: int = 0
    total: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    history: deque[tuple[float, int]] = field(default_factory=deque)
    next_write: float = 0.0

    def report(self, done: int, total: int, problem: str) -> None:
        """Count an item, and write the file if it is due.

        Args:
            done: Number of finished items.
            total: Number of all items; 0 where it is not known.
            problem: Failure of the last item; empty where it succeeded.
        """
        self.done = done
        self.total = total
        if problem:
            self._count(problem)
        now = time.monotonic()
        if now >= self.next_write:
            self.write(now)

    def _count(self, problem: str) -> None:
        from vaplan.store.progress import shorten_reason

        reason = shorten_reason(problem, NO_VIDEO)
        is_known = reason in self.failed or len(self.failed) < MAX_REASONS
        self.failed[reason if is_known else OTHER] += 1

    def write(self, now: float, *, is_running: bool = True) -> None:
        """Write the file beside its path and rename it.

        Args:
            now: Time of the monotonic clock, in seconds.
            is_running: Whether the command runs.

        Raises:
            MachineError: The file cannot be written.
        """
        self.next_write = now + WRITE_SECONDS
        self.history.append((now, self.done))
        while self.history[0][0] < now - RATE_SECONDS:
            self.history.popleft()
        write_text(self.path, self._format(is_running=is_running))

    def _rate(self) -> float | None:
        (first, done_then), (last, done_now) = self.history[0], self.history[-1]
        is_known = last > first and done_now > done_then
        return (done_now - done_then) / (last - first) if is_known else None

    def _format(self, *, is_running: bool) -> str:
        values: dict[str, float] = {
            "done": self.done,
            "total": self.total,
            "running": int(is_running),
            "updated": round(time.time(), 3),
        }
        if rate := self._rate():
            values["rate"] = rate
            values["seconds_left"] = max(0, self.total - self.done) / rate
        own = {"command": self.command}
        lines = list[str]()
        for name, text in HELP.items():
            lines.append(f"# HELP vaplan_{name} {text}")
            lines.append(f"# TYPE vaplan_{name} gauge")
            if name == "failed":
                for reason, count in self.failed.items():
                    labels = {**own, "reason": reason}
                    lines.append(_sample(name, labels, float(count)))
            elif name in values:
                lines.append(_sample(name, own, float(values[name])))
        return "\n".join(lines) + "\n"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    r"""Format one value.

    >>> _sample("failed", {"reason": 'no "x"'}, 3.0)
    'vaplan_failed{reason="no \\"x\\""} 3'
    """
    pairs = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    return f"vaplan_{name}{{{pairs}}} {value:.16g}"


def _escape(text: str) -> str:
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


@contextmanager
def open_metrics(path: Path | None, command: str) -> Iterator[Metrics | None]:
    """Write metrics for the duration of a command.

    Args:
        path: File to write; None for no metrics.
        command: Name of the command.

    Yields:
        The metrics; None without a path.

    Raises:
        MachineError: The file cannot be written.
    """
    if path is None:
        yield None
        return
    metrics = Metrics(check_file_writable(path), command)
    try:
        metrics.write(time.monotonic())
        yield metrics
    finally:
        metrics.write(time.monotonic(), is_running=False)
