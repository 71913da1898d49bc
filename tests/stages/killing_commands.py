"""A program: commands are killed, terminated and interrupted at points of their work, and run again.

`python -m tests.stages.killing_commands FOLDER TABLE STORE LABELS POINTS` forks a process for
every command, because a death needs a process of its own. A step is a call that changes a file,
half a write, a step of a training, or a video that is done. POINTS steps of each command are
chosen evenly. A line of JSON for each says how the process ended, which files it had finished
that were not there afterwards, and what there was when the command had been run again.
"""

import hashlib
import importlib
import io
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.conftest import SMALL
from vaplan import cli
from vaplan import recipe as recipes
from vaplan.annotations.media_files import MediaFolder
from vaplan.annotations.table import read
from vaplan.store import Entry, find_stores
from vaplan.training import Checkpoints
from vaplan.training.loop import _Loop
from vaplan.writing import PART

features_stage = importlib.import_module("vaplan.stages.features")
fit_stage = importlib.import_module("vaplan.stages.fit")
parse_stage = importlib.import_module("vaplan.stages.parse")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CHANGING = ("fsync", "replace")
NEVER = 10**9
TRAINING = [part for change in SMALL for part in ("--set", change)]


@dataclass(frozen=True)
class Inputs:
    """What the commands read."""

    folder: Path
    table: Path
    store: Path
    labels: Path

    def command(self, name: str, root: Path) -> list[object]:
        """The arguments of a command that writes below a folder."""
        given = ["--data", f"table:{self.table}", "--store", self.store]
        if name == "features":
            media = ["--media", self.table.parent, "--workers", 1]
            return ["features", f"table:{self.table}", *media, "--store", root / "out"]
        if name == "train":
            run = ["--labels", self.labels, "--run", root / "out", "--resume"]
            return ["train", "plg", *given, *run, *TRAINING]
        if name == "fit":
            media = ["--media", self.table.parent, "--workers", 1]
            return ["fit", self.folder / "tags.csv", *media, "--run", root / "out"]
        if name == "refine":
            return [
                *("refine", self.folder / "trained", "--labels", self.labels),
                *("--rule", "fusion", "--out", root / "out" / "t.csv"),
                *("--out-probability", root / "out" / "p.csv"),
            ]
        return [
            *("parse", self.folder / "media", "--run", self.folder / "trained"),
            *("--out", root / "out", "--format", "json,csv", "--workers", 1),
        ]


COMMANDS = ("features", "train", "fit", "refine", "parse")


class Life:
    """Counts the steps of this process and sends it a signal at the last one."""

    def __init__(self, steps: int, number: int) -> None:
        self.steps, self.number, self.done = steps, number, 0

    def step(self, last_act: Callable[[], object] = lambda: None) -> None:
        self.done += 1
        if self.done == self.steps:
            if self.number == signal.SIGKILL:  # others may be delivered after the act
                last_act()
            os.kill(os.getpid(), self.number)

    def counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.step()
            return function(*arguments, **options)

        return call


def pretend(life: Life, entries: dict[Any, dict[str, Entry]], notes: int) -> None:
    """Do the work of workers here, from known features, and count every step."""

    class Torn(io.FileIO):
        def write(self, content: Any) -> int:
            life.step(lambda: io.FileIO.write(self, content[: len(content) // 2]))
            return super().write(content)

    def encode_all(_: Any, jobs: Sequence[Any], **__: Any) -> Iterator[Any]:
        for job in jobs:
            life.step()
            yield job, {pair: entries[pair][job.video] for pair in job.encoders}

    def parse_all(
        function: Any, jobs: Sequence[Any], *, prepare: Any, arguments: Any, **_: Any
    ) -> Iterator[Any]:
        prepare(*arguments)
        for job in jobs:
            life.step()
            yield job, function(job)

    def replace(source: Any, target: Any, **options: Any) -> None:
        life.step()
        content = Path(source).read_bytes() if Path(source).is_file() else b""
        real_replace(source, target, **options)
        note(target, hashlib.sha256(content).hexdigest())

    def unlink(path: Any, **options: Any) -> None:
        note(path, "")  # before, as a death may come between the two
        real_unlink(path, **options)

    def note(path: Any, digest: str) -> None:
        os.write(notes, (json.dumps([str(path), digest]) + "\n").encode())

    real_open, real_replace, real_unlink = Path.open, os.replace, os.unlink
    Path.open = lambda path, mode="r", *a, **k: (
        Torn(path, mode) if mode == "wb" else real_open(path, mode, *a, **k)
    )
    os.fsync = life.counting(os.fsync)
    os.replace, os.unlink = replace, unlink
    features_stage.run_supervised = encode_all
    parse_stage.run_supervised = parse_all
    _Loop.step = life.counting(_Loop.step)
    Checkpoints.due = property(lambda self: True)
    small = recipes.read("default", changes=SMALL)
    fit_stage.recipes = SimpleNamespace(
        read=lambda name: small if name == "default" else recipes.read(name)
    )


def run(
    arguments: Sequence[object], root: Path, entries: Any, *, steps: int, number: int
) -> int:
    """Run a command in a process of its own; return its exit code, or minus the signal."""
    if not (child := os.fork()):
        code: object = 1
        try:
            output = os.open(root / "output", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            notes = os.open(root / "notes", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            life = Life(steps, number)
            pretend(life, entries, notes)
            sys.argv = ["vaplan", *map(str, arguments)]
            try:
                cli.main()
            except SystemExit as end:
                code = end.code
            (root / "steps").write_text(str(life.done))
            (root / "modules").write_text("\n".join(sys.modules))
        finally:
            os._exit(code if isinstance(code, int) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def load_modules(root: Path) -> None:
    """Import the modules that a process had to import, so that later ones start faster."""
    for name in (root / "modules").read_text().splitlines():
        if name not in sys.modules and name != "__main__":
            with suppress(ImportError):
                importlib.import_module(name)


def lost(root: Path) -> list[str]:
    """Name the files that were finished and are not there as they were."""
    finished = dict[str, str]()
    for line in (root / "notes").read_text().splitlines():
        path, digest = json.loads(line)
        finished[path] = digest
    missing = list[str]()
    for path, digest in finished.items():
        is_temporary = any(part.endswith(PART) for part in Path(path).parts)
        if not digest or is_temporary:
            continue
        file = Path(path)
        if not file.is_file() or sha256_of(file.read_bytes()) != digest:
            missing.append(path)
    return missing


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def result(root: Path) -> dict[str, str]:
    """Describe what a command wrote; paths below its folder count as equal."""
    found = {
        f"store {folder.name}: {name}": store.content_hash()
        for folder in (root / "out", root / "out" / "store")
        for name, store in find_stores(folder).items()
    }
    for path in sorted((root / "out").rglob("*")):
        name = str(path.relative_to(root))
        is_log = path.name == "lock" or "tensorboard" in name or ".parquet" in name
        if path.is_file() and not is_log:
            content = path.read_bytes().replace(str(root).encode(), b"ROOT")
            found[name] = sha256_of(content)
    return found


def leftovers(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.rglob(f"*{PART}")]


def choose_points(total: int, points: int) -> Iterator[tuple[int, int]]:
    """Yield signals and steps; a single point is another one for each signal."""
    if points == 1:
        for index, number in enumerate(SIGNALS, start=1):
            yield number, total * index // len(SIGNALS)
        return
    steps = sorted({1 + (total - 1) * i // (points - 1) for i in range(points)})
    yield from itertools.product(SIGNALS, steps)


def deaths(inputs: Inputs, name: str, points: int, entries: Any) -> Iterator[Any]:
    """Run a command undisturbed, and then to each point with each signal, and again."""

    def start(label: str) -> tuple[Path, list[object]]:
        root = inputs.folder / name / label
        root.mkdir(parents=True)
        return root, inputs.command(name, root)

    root, command = start("unbroken")
    code = run(command, root, entries, steps=NEVER, number=signal.SIGKILL)
    load_modules(root)
    unbroken = result(root)
    total = int((root / "steps").read_text())
    output = (root / "output").read_text()
    yield {"command": name, "kind": "unbroken", "code": code, "steps": total} | {
        "files": len(unbroken),
        "output": output[-500:],
    }
    for number, steps in choose_points(total, points):
        root, command = start(f"{number}-{steps}")
        code = run(command, root, entries, steps=steps, number=number)
        missing, left = lost(root), leftovers(root)
        again = run(command, root, entries, steps=NEVER, number=signal.SIGKILL)
        after = result(root)
        different = sorted(
            name
            for name in {*unbroken, *after}
            if unbroken.get(name) != after.get(name)
        )
        yield {
            "command": name,
            "kind": "death",
            "signal": int(number),
            "steps": steps,
            "code": code,
            "lost": missing,
            "left": left,
            "again": again,
            "different": different,
            "left_again": leftovers(root),
            "output": (root / "output").read_text()[-500:],
        }
        shutil.rmtree(root)


def prepare(inputs: Inputs) -> Any:
    """Make what the commands read, and return the features of every video."""
    inputs.folder.mkdir(exist_ok=True)
    data = read(inputs.table)
    rows = [f"{video.video},{';'.join(video.tags)}" for video in data.videos]
    tagged = [row for row in rows if not row.endswith(",")]
    (inputs.folder / "tags.csv").write_text("\n".join(["video,tags", *tagged]) + "\n")
    media = MediaFolder(inputs.table.parent, table=inputs.table)
    (inputs.folder / "media").mkdir()
    for video in data.videos[:3]:
        shutil.copy(media.find(video), inputs.folder / "media")
    entries = dict[tuple[int, str], dict[str, Entry]]()
    for name, store in find_stores(inputs.store).items():
        modality, _, encoder = name.partition(":")
        by_video = {entry.video: entry for entry in store.read_entries()}
        entries["audio visual".split().index(modality), encoder] = by_video
    root = inputs.folder / "first"
    root.mkdir()
    command = inputs.command("train", root)
    if run(command, root, entries, steps=NEVER, number=signal.SIGKILL):
        raise SystemExit((root / "output").read_text())
    load_modules(root)
    (root / "out").rename(inputs.folder / "trained")
    return entries


if __name__ == "__main__":
    folder, table, store, labels = map(Path, sys.argv[1:5])
    what = Inputs(folder, table, store, labels)
    known = prepare(what)
    for command_name in sys.argv[6:] or COMMANDS:
        for line in deaths(what, command_name, int(sys.argv[5]), known):
            print(json.dumps(line), flush=True)  # noqa: T201
