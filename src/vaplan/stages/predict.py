"""A trained run to tables and timelines: stored features of a split, or any media files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vaplan import runs, training
from vaplan.annotations import Annotations
from vaplan.annotations.sheet import Row
from vaplan.annotations.table import event_rows, write_rows
from vaplan.errors import MediaError, UsageError, unknown
from vaplan.exports import EXPORTS, export
from vaplan.parser import Parser
from vaplan.stages.data import read_inputs, usable
from vaplan.stages.features import Outcome, Progress
from vaplan.stages.workers import Failed, supervised
from vaplan.timeline import from_grid

MEDIA_SUFFIXES = frozenset(".mp4 .m4v .mov .mkv .webm .avi .flv .ts .mpg .mpeg .wav .mp3 .m4a .ogg .flac".split())


def predict(run: Path, data: Annotations, store: Path, out: Path, *, split: str = "") -> list[str]:
    """Write a table of what the run says of the stored features of a split; return the videos without features."""
    trained = runs.load(run)
    kept, skipped = usable(data.select(split), store, trained.recipe.encoders)
    inputs = read_inputs(store, trained.recipe.encoders, kept.ids)
    said = training.predict(trained.model, inputs)
    marked = trained.decide(said).numpy()

    def rows() -> Iterator[Row]:
        for video, grid, score in zip(kept.ids, marked, said.segment.numpy(), strict=True):
            yield from event_rows(video, from_grid(grid, trained.taxonomy, score=score))

    write_rows(out, rows())
    return skipped


@dataclass(frozen=True)
class ParseJob:
    """One media file and the files to write about it."""

    path: Path
    outputs: tuple[Path, ...]
    run: Path


def parse(
    paths: Sequence[Path],
    out: Path,
    *,
    run: Path,
    formats: Sequence[str] = ("json",),
    skip_existing: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Parse media files and folders of them; `out` gets `<file name>.<format>` for each."""
    for name in formats:
        if name not in EXPORTS:
            raise UsageError(unknown("format", name, EXPORTS))
    if out.exists() and not out.is_dir():
        raise UsageError("this is a file", file=out, fix="give a folder for the timelines")
    jobs = [ParseJob(p, tuple(out / f"{p.stem}.{name}" for name in formats), run) for p in media_files(paths)]
    due = [job for job in jobs if not (skip_existing and all(output.exists() for output in job.outputs))]
    failed = list[tuple[str, str]]()
    results = supervised(parse_one, due, workers=workers, prepare=_prepare, arguments=[run])
    for done, (job, result) in enumerate(results, start=1):
        if isinstance(result, Failed):
            failed.append((str(job.path), result.reason))
        if progress:
            progress(done, len(due), result.reason if isinstance(result, Failed) else "")
    return Outcome(len(due) - len(failed), len(jobs) - len(due), tuple(failed))


def media_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the media files in the folders; two that would share an output are an error."""
    found = list[Path]()
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in MEDIA_SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise MediaError("no media file in this folder", file=path, fix="give a folder with mp4, mkv, wav … files")
        found += inside
    stems = dict[str, Path]()
    for path in dict.fromkeys(found):
        if path.stem in stems:
            raise UsageError(f"{path} and {stems[path.stem]} share a name", fix="rename one, or parse them apart")
        stems[path.stem] = path
    return list(stems.values())


@cache
def _parser(run: Path) -> Parser:
    return Parser.load(run)


def _prepare(run: Path) -> None:
    import torch

    torch.set_num_threads(1)
    _parser(run)


def parse_one(job: ParseJob) -> int:
    """Parse one file and write its timeline; return how many events it holds."""
    timeline = _parser(job.run)(job.path)
    for output in job.outputs:
        export(timeline, output)
    return len(timeline)
