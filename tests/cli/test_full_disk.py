"""A full disk and a folder that cannot be written, for every command that writes.

The command ends with exit code 5 and one line that names the path. It leaves no temporary
file, the results of earlier commands stay as they were, and the same command completes its work
when there is room.
"""

import functools
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Call
from tests.cli.test_bench import SUITE
from tests.conftest import SMALL, World
from tests.stages.test_fetch_data import AT_ONCE, TINY, Site, site
from tests.stages.test_import_features import ave, han, valor
from vaplan import recipe as recipes
from vaplan import runs, stages
from vaplan.errors import Exit
from vaplan.exports.convert import export_timelines

pytestmark = pytest.mark.slow

__all__ = ["site"]  # a fixture
OLD = b"earlier"
TINY_CHANGES = [part for change in SMALL for part in ("--set", change)]
NO_ROOM = 100  # bytes of the largest file: of a lock or a semaphore, but of no result
SOME_ROOM = 3_000


@dataclass(frozen=True)
class Files:
    """What the commands read, and the folder that they write into.

    Attributes:
        world: Synthetic data with features and labels.
        runs: Trained parsers, by the name of their recipe.
        packs: Published features.
        out: Folder of the results; the test makes the earlier ones.
    """

    world: World
    runs: Path
    packs: Path
    out: Path

    @property
    def data(self) -> str:
        return f"table:{self.world.table}"

    @property
    def given(self) -> list[object]:
        return ["--data", self.data, "--store", self.world.store]


@pytest.fixture(scope="module")
def read_only(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> tuple[World, Path, Path]:
    """Everything that the commands read."""
    folder = tmp_path_factory.mktemp("disk")
    for name in ("plg", "ma_base", "jomold_estimator"):
        changes = [*world.changes, "training.select=last", "training.epochs=1"]
        if name == "plg":
            changes.append(f"labels={world.labels}")
        stages.train(recipes.read(name, changes=changes), folder / "runs" / name)
    packs = valor(han(folder / "packs"))
    ave(packs)
    (packs / "ave.csv").write_text(
        "video,class\nRUhOCu3LNXM@2,Dog\n-@AuQ_3cFsY@0,Dog\n"
    )
    own = packs / "own"
    own.mkdir()
    for video in world.data.ids[:2]:
        np.save(own / f"{video}.npy", np.ones((10, 4), np.float32))
    np.savez(packs / "text.npz", Dog=np.ones(4), Rain=np.eye(4)[0])
    for name in ("json", "elan"):
        export_timelines(world.labels, packs / name, format=name)
    (packs / "llp.csv").write_text(
        "video,class\n-ABCDEFGHIJ_0_10,Dog\nabcdefghijk_30_40,Dog\nzz_y-xwvuts_101.8_111.8,Dog\n"
    )
    (packs / "mine.yaml").write_text(SUITE)
    media = folder / "media"
    media.mkdir()
    for path in sorted(world.folder.glob("**/*.mp4"))[:2]:
        shutil.copy(path, media)
    return world, folder / "runs", packs


Command = Callable[[Files], list[object]]
COMMANDS: dict[str, Command] = {
    "features": lambda f: [
        *("features", f.data, "--media", f.world.folder, "--store", f.out / "store"),
        *("--limit", 2, "--workers", 1),
    ],
    "features --part": lambda f: [
        *("features", f.data, "--media", f.world.folder, "--store", f.out / "store"),
        *("--part", "1/20", "--workers", 1),
    ],
    "label": lambda f: [
        *("label", f.data, "--store", f.world.store, "--out", f.out / "t.csv"),
        *("--out-probability", f.out / "p.csv"),
    ],
    "label --diagnose": lambda f: [
        *("label", f.data, "--store", f.world.store, "--out", f.out / "t.parquet"),
        "--diagnose",
    ],
    "train": lambda f: [
        *("train", "plg", *f.given, "--labels", f.world.labels, "--run", f.out / "run"),
        *("--overwrite", "--set", "training.seed=3", *TINY_CHANGES),
        *("--set", "training.epochs=1"),
    ],
    "denoise": lambda f: [
        *("denoise", f.runs / "plg", "--labels", f.world.labels),
        *("--out", f.out / "t.csv"),
    ],
    "denoise --rounds": lambda f: [
        *("denoise", f.runs / "plg", "--labels", f.world.labels, "--rounds", 2),
        *("--out", f.out / "t.csv"),
    ],
    "refine": lambda f: [
        *("refine", f.runs / "plg", "--labels", f.world.labels, "--rule", "fusion"),
        *("--folds", 0, "--out", f.out / "t.csv", "--out-probability", f.out / "p.csv"),
    ],
    "exchange": lambda f: [*("exchange", f.runs / "ma_base", "--out", f.out / "t.csv")],
    "noise": lambda f: [
        *("noise", f.runs / "jomold_estimator", "--out", f.out / "t.json")
    ],
    "predict": lambda f: [
        *("predict", f.runs / "plg", *f.given, "--out", f.out / "t.csv"),
        *("--scores", f.out / "scores"),
    ],
    "fit": lambda f: [
        *("fit", f.packs / "tags.csv", "--media", f.world.folder),
        *("--run", f.out / "run", "--workers", 1),
    ],
    "parse": lambda f: [
        *("parse", f.packs.parent / "media", "--run", f.runs / "plg"),
        *("--out", f.out, "--format", "json,csv", "--scores", "--workers", 1),
    ],
    "export": lambda f: [
        *("export", f.packs / "json", "--format", "elan", "--out", f.out / "elan"),
    ],
    "export of all videos": lambda f: [
        *("export", f.world.labels, "--format", "label-studio", "--out", f.out),
    ],
    "import-events": lambda f: [
        *("import-events", f.packs / "elan", "--format", "elan"),
        *("--out", f.out / "t.parquet"),
    ],
    "report": lambda f: ["report", f.runs / "plg", "--out", f.out / "t.html"],
    "bench": lambda f: [
        *("bench", f.packs / "mine.yaml", *f.given, "--out", f.out, "--seeds", 1),
        *(*TINY_CHANGES, "--set", "training.epochs=1"),
    ],
    "demo": lambda f: ["demo", "--videos", 40, "--out", f.out],
    "data check": lambda f: [
        *("data", "check", f.data, "--media", f.packs.parent / "runs"),
        *("--missing", f.out / "t.csv", "--workers", 1),
    ],
    "data fetch": lambda f: ["data", "fetch", "tiny", f.out / "tiny"],
    "import": lambda f: [
        *("import", "han", f.packs, "--data", f"table:{f.packs / 'llp.csv'}"),
        *("--store", f.out / "store"),
    ],
    "import ave": lambda f: [
        *("import", "ave", f.packs, "--data", f"table:{f.packs / 'ave.csv'}"),
        *("--store", f.out / "store"),
    ],
    "import vectors": lambda f: [
        *("import", "vectors", f.packs / "own", "--as", "mine", "--modality", "audio"),
        *("--text", f.packs / "text.npz", "--store", f.out / "store"),
    ],
    "import labels": lambda f: [
        *("import", "valor", f.packs, "--data", f"table:{f.packs / 'llp.csv'}"),
        *("--store", f.out / "store", "--out-labels", f.out / "t.csv"),
    ],
}
SMALL_FILES = {"data fetch", "data check"}  # write less than a lock
COMPLETED = [  # in a second or two; `tests.stages.test_full_disk` completes `features`
    *("label", "exchange", "noise", "predict", "parse", "report"),
    *("data check", "data fetch", "import", "import labels", "import ave"),
    *("import vectors", "export", "export of all videos", "import-events"),
]


@contextmanager
def little_room(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, here and in child processes."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file, without locks and the curves that grow in place."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock" and path.parent.name != "tensorboard"
    }


def make_earlier(files: Files) -> dict[str, bytes]:
    """Make results of earlier commands."""
    files.out.mkdir()
    names = ["t.csv", "t.parquet", "t.json", "t.png", "t.html", "p.csv", "p.json"]
    names += ["results.json", "report.html", "table.md", "label_studio.json"]
    names += [f"{path.stem}.json" for path in (files.packs.parent / "media").iterdir()]
    for name in names:
        (files.out / name).write_bytes(OLD)
    shutil.copytree(files.runs / "plg", files.out / "run")
    return contents(files.out)


@pytest.fixture
def files(
    read_only: tuple[World, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    site: Site,
) -> Files:
    world, trained, packs = read_only
    if not (packs / "tags.csv").exists():
        lines = ["video,tags"]
        for video in world.data.select("train").videos:
            lines.append(f"{video.video},{';'.join(video.tags)}")
        (packs / "tags.csv").write_text("\n".join(lines) + "\n")
    fetch = functools.partial(
        stages.fetch, sources=TINY, base=site.address, pauses=AT_ONCE
    )
    monkeypatch.setattr(stages, "fetch", fetch)
    return Files(world, trained, packs, tmp_path / "out")


def check_refusal(code: int, err: str, folder: Path) -> None:
    assert code == Exit.MACHINE, err
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith(f"error: {folder}"), err
    assert "Fix: " in last


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_ends_a_command_and_leaves_earlier_results(
    call: Call, files: Files, name: str
) -> None:
    earlier = make_earlier(files)
    if name == "demo":
        code, err = run_with_no_room(COMMANDS[name](files))
    else:
        with little_room(10 if name in SMALL_FILES else NO_ROOM):
            code, _, err = call(*COMMANDS[name](files))
    check_refusal(code, err, files.out)
    assert contents(files.out) == earlier


def run_with_no_room(command: list[object]) -> tuple[int, str]:
    """Run a command in a new process: a fork server of this one may be older than the limit."""
    with little_room(NO_ROOM):
        ended = subprocess.run(
            [sys.executable, "-m", "vaplan", *map(str, command)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("name", COMPLETED)
def test_a_disk_that_fills_up_leaves_whole_files_and_the_command_can_be_completed(
    call: Call, files: Files, name: str
) -> None:
    files.out.mkdir()
    command = COMMANDS[name](files)
    with little_room(SOME_ROOM):
        code, _, err = call(*command)
    if code:
        check_refusal(code, err, files.out)
    early = contents(files.out)
    assert not [path for path in early if Path(path).name.startswith(".")]
    assert call(*command)[0] == Exit.DONE
    late = contents(files.out)
    for path, content in early.items():
        assert late[path] == content or path.endswith("plan.json")


def test_a_training_that_cannot_be_saved_leaves_the_earlier_run(
    call: Call, files: Files
) -> None:
    earlier = make_earlier(files)
    with little_room(SOME_ROOM):
        code, _, err = call(*COMMANDS["train"](files))
    check_refusal(code, err, files.out)
    assert contents(files.out) == earlier
    assert runs.load(files.out / "run").inputs


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unwritable_folder_ends_a_command(
    call: Call, files: Files, tmp_path: Path, name: str
) -> None:
    if os.geteuid():
        tmp_path.chmod(0o500)  # root may write there
    else:
        files.out.write_text("a file where the folder should be")
    try:
        code, _, err = call(*COMMANDS[name](files))
    finally:
        tmp_path.chmod(0o700)
    assert code in {Exit.MACHINE, Exit.USAGE}, err
    assert err.splitlines()[-1].startswith(f"error: {files.out}"), err


@pytest.mark.parametrize("name", ["denoise", "refine"])
@pytest.mark.parametrize("option", ["--out", "--out-probability"])
def test_label_tables_are_tested_for_writing_before_any_work(
    call: Call,
    files: Files,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    option: str,
) -> None:
    command = COMMANDS[name](files)
    if option not in command:
        pytest.skip("one table is written")
    monkeypatch.setattr(runs.Run, "predict", None)  # nothing may be predicted
    path = Path(str(command[command.index(option) + 1]))
    path.mkdir(parents=True)
    code, _, err = call(*command)
    check_refusal(code, err, path)
    assert "it is a folder" in err


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


def test_timelines_beside_their_media_need_room_there(
    call: Call, files: Files, small_disk: Path
) -> None:
    remount(small_disk, "size=4m")
    for path in (files.packs.parent / "media").iterdir():
        shutil.copy(path, small_disk)
    media = sorted(small_disk.iterdir())
    filler = small_disk / "filler"
    status = os.statvfs(small_disk)
    filler.write_bytes(bytes(status.f_bavail * status.f_bsize))
    command = ["parse", small_disk, "--run", files.runs / "plg", "--beside"]
    code, _, err = call(*command, "--workers", 1)
    check_refusal(code, err, small_disk)
    assert sorted(small_disk.iterdir()) == sorted([*media, filler])
    remount(small_disk, "ro")
    code, _, err = call(*command, "--workers", 1)
    check_refusal(code, err, small_disk)
    remount(small_disk, "rw")
    filler.unlink()
    assert call(*command, "--workers", 1)[0] == Exit.DONE
    assert all(path.with_suffix(".json").is_file() for path in media)


def test_a_bench_whose_work_fills_a_disk_ends_and_is_completed_later(
    call: Call, files: Files, small_disk: Path
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(200_000))
    command = [*COMMANDS["bench"](files), "--work", small_disk / "work"]
    code, _, err = call(*command)
    check_refusal(code, err, small_disk)
    assert "No space left" in err
    assert not [*small_disk.rglob("*.part")]
    filler.unlink()
    remount(small_disk, "size=64m")
    assert call(*command)[0] == Exit.DONE
