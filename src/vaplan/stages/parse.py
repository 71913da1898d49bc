"""`vaplan parse`: timelines of media files by a trained run or a zero-shot classifier."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaplan.annotations.media_files import list_media_files
from vaplan.errors import UsageError, unknown
from vaplan.exports import EXPORTS, export
from vaplan.exports.plain import segment_scores_csv
from vaplan.parser import MediaParser
from vaplan.stages.features import Outcome
from vaplan.workers import Failed, Progress, run_supervised
from vaplan.writing import write_text


@dataclass(frozen=True)
class ParseJob:
    """One media file to parse.

    Attributes:
        path: The file.
        tags: Classes known to occur in it; None if nothing is known.
        outputs: Files to write.
        scores: CSV of the scores of every segment to write, if they are asked for.
    """

    path: Path
    tags: tuple[str, ...] | None
    outputs: tuple[Path, ...]
    scores: Path | None = None


def parse(
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    load: Callable[[], MediaParser],
    tags: Mapping[str, tuple[str, ...]] | None = None,
    formats: Sequence[str] = ("json",),
    scores: bool = False,
    skip_existing: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Parse media files, and folders of them, and write their timelines.

    Args:
        paths: Media files and folders.
        out: Folder of the timelines, `<file name>.<format>` for each file.
        load: Loads the parser in each worker process, such as
            `partial(Parser.load, run)`.
        tags: Classes known to occur, by file name without the ending. A file without an
            entry may contain any class.
        formats: Names of export formats.
        scores: Also write `<file name>.scores.csv`: the score of every class in every
            segment, which users threshold and plot.
        skip_existing: Skip files whose timelines exist in every format.
        workers: Number of worker processes; by default one for each core.
        progress: Called after every file.

    Raises:
        UsageError: A format does not exist, `out` is a file, or two files have one name.
        MediaError: A folder contains no media file.
    """
    out = Path(out)
    for name in formats:
        if name not in EXPORTS:
            raise UsageError(unknown("format", name, EXPORTS))
    if out.exists() and not out.is_dir():
        raise UsageError(
            "this is a file", file=out, fix="give a folder for the timelines"
        )
    jobs = []
    for path in list_media_files([*map(Path, paths)]):
        outputs = tuple(out / f"{path.stem}.{name}" for name in formats)
        scores_path = out / f"{path.stem}.scores.csv" if scores else None
        jobs.append(ParseJob(path, (tags or {}).get(path.stem), outputs, scores_path))
    due = [job for job in jobs if not (skip_existing and _is_done(job))]
    failed = list[tuple[str, str]]()
    results = run_supervised(
        parse_file, due, workers=workers, prepare=_load_parser, arguments=[load]
    )
    for done, (job, result) in enumerate(results, start=1):
        reason = result.reason if isinstance(result, Failed) else ""
        if reason:
            failed.append((str(job.path), reason))
        if progress:
            progress(done, len(due), reason)
    return Outcome(len(due) - len(failed), len(jobs) - len(due), tuple(failed))


def _is_done(job: ParseJob) -> bool:
    outputs = [*job.outputs, *([job.scores] if job.scores else [])]
    return all(output.exists() for output in outputs)


_PARSER: list[MediaParser] = []  # the parser of a worker process


def _load_parser(load: Callable[[], MediaParser]) -> None:
    import torch

    torch.set_num_threads(1)
    _PARSER[:] = [load()]


def parse_file(job: ParseJob) -> int:
    """Parse one file with the worker's parser, write its timeline, and count its events."""
    timeline = _PARSER[0](job.path, tags=job.tags, scores=job.scores is not None)
    for output in job.outputs:
        export(timeline, output)
    if job.scores is not None:
        write_text(job.scores, segment_scores_csv(timeline))
    return len(timeline)
