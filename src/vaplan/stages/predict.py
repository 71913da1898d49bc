"""Tables and timelines: of the stored features of a split by a trained run, or of any media files by any parser."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaplan import runs, training
from vaplan.annotations import Annotations
from vaplan.annotations.sheet import Row
from vaplan.annotations.table import event_rows, write_rows
from vaplan.errors import MediaError, UsageError, unknown
from vaplan.exports import EXPORTS, export
from vaplan.exports.sed_scores import write_scores
from vaplan.parser import Parser, ZeroShot
from vaplan.stages.data import read_inputs, usable
from vaplan.stages.features import Outcome, Progress
from vaplan.stages.scores import answer
from vaplan.timeline import from_grid
from vaplan.workers import Failed, run_supervised

Load = Callable[[], Parser | ZeroShot]

MEDIA_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .flv .ts .mpg .mpeg .wav .mp3 .m4a .ogg .flac".split()
)


def predict(
    run: Path,
    data: Annotations,
    store: Path,
    out: Path,
    *,
    split: str = "",
    scores: Path | None = None,
) -> list[str]:
    """Write a table of what the run says of the stored features of a split; return the videos without features.

    `scores` is a folder for the probabilities of all segments, as sound event detection tools read them. Of
    localisation each event is one row of modality `both`.
    """
    trained = runs.load(run)
    kept, skipped = usable(data.select(split), store, trained.recipe.encoders)
    inputs = read_inputs(store, trained.recipe.encoders, kept.ids)
    said = training.predict(trained.model, inputs)
    answers = answer(trained, said, localisation=data.localisation)

    def rows() -> Iterator[Row]:
        for video, grid, score in zip(kept.ids, *answers, strict=True):
            events = from_grid(grid, trained.taxonomy, score=score)
            yield from event_rows(video, events, together=data.localisation)

    write_rows(out, rows())
    if scores is not None:
        write_scores(
            scores, kept.ids, said.segment.numpy(), said.mask.numpy(), trained.taxonomy
        )
    return skipped


@dataclass(frozen=True)
class ParseJob:
    """One media file, what is known to occur in it, and the files to write about it."""

    path: Path
    tags: tuple[str, ...] | None
    outputs: tuple[Path, ...]


def parse(
    paths: Sequence[Path],
    out: Path,
    *,
    load: Load,
    tags: Mapping[str, tuple[str, ...]] | None = None,
    formats: Sequence[str] = ("json",),
    skip_existing: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Parse media files and folders of them; `out` gets `<file name>.<format>` for each.

    Args:
        load: Makes the parser in each worker process, for example `partial(Parser.load, run)`.
        tags: What is known to occur, by file name without the ending; files that are not in it may hold anything.
    """
    for name in formats:
        if name not in EXPORTS:
            raise UsageError(unknown("format", name, EXPORTS))
    if out.exists() and not out.is_dir():
        raise UsageError(
            "this is a file", file=out, fix="give a folder for the timelines"
        )
    known = tags or {}
    jobs = [
        ParseJob(
            p, known.get(p.stem), tuple(out / f"{p.stem}.{name}" for name in formats)
        )
        for p in media_files(paths)
    ]
    due = [
        job
        for job in jobs
        if not (skip_existing and all(output.exists() for output in job.outputs))
    ]
    failed = list[tuple[str, str]]()
    results = run_supervised(
        parse_one, due, workers=workers, prepare=_prepare, arguments=[load]
    )
    for done, (job, result) in enumerate(results, start=1):
        if isinstance(result, Failed):
            failed.append((str(job.path), result.reason))
        if progress:
            progress(
                done, len(due), result.reason if isinstance(result, Failed) else ""
            )
    return Outcome(len(due) - len(failed), len(jobs) - len(due), tuple(failed))


def media_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the media files in the folders; two that would share an output are an error."""
    found = list[Path]()
    for path in paths:
        inside = (
            sorted(p for p in path.rglob("*") if p.suffix.lower() in MEDIA_SUFFIXES)
            if path.is_dir()
            else [path]
        )
        if not inside:
            raise MediaError(
                "no media file in this folder",
                file=path,
                fix="give a folder with mp4, mkv, wav … files",
            )
        found += inside
    stems = dict[str, Path]()
    for path in dict.fromkeys(found):
        if path.stem in stems:
            raise UsageError(
                f"{path} and {stems[path.stem]} share a name",
                fix="rename one, or parse them apart",
            )
        stems[path.stem] = path
    return list(stems.values())


_LOADED: list[Parser | ZeroShot] = []  # a worker's one parser


def _prepare(load: Load) -> None:
    import torch

    torch.set_num_threads(1)
    _LOADED[:] = [load()]


def parse_one(job: ParseJob) -> int:
    """Parse one file with the worker's parser and write its timeline; return how many events it holds."""
    timeline = _LOADED[0](job.path, tags=job.tags)
    for output in job.outputs:
        export(timeline, output)
    return len(timeline)
