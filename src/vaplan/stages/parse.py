"""`vaplan parse`: timelines of media files by a trained run or a zero-shot classifier."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from vaplan.annotations.media_files import MediaFile, MediaList, list_media_files
from vaplan.annotations.tags import find_tags
from vaplan.errors import UsageError, unknown
from vaplan.exports import EXPORTS
from vaplan.exports.plain import segment_scores_csv
from vaplan.media import time_limit
from vaplan.parser import MediaParser
from vaplan.stages.features import Outcome
from vaplan.workers import Engine, Failed, Progress, run_supervised
from vaplan.workers.processes import run_in_order
from vaplan.writing import check_writable, printable, shorten_name, write_text

SCORES = "scores.csv"


@dataclass(frozen=True)
class ParseJob:
    """One media file to parse.

    Attributes:
        path: The file.
        name: Name of its timeline.
        tags: Classes known to occur in it; None if nothing is known.
        outputs: Files to write, by format; `scores.csv` is the score of every segment.
    """

    path: Path
    name: str
    tags: tuple[str, ...] | None
    outputs: Mapping[str, Path]


def parse(
    paths: Sequence[Path | str] | MediaList,
    out: Path | str | None = None,
    *,
    load: Callable[[], MediaParser],
    tags: Mapping[str, tuple[str, ...]] | None = None,
    formats: Sequence[str] = ("json",),
    scores: bool = False,
    skip_existing: bool = False,
    workers: int | None = None,
    timeout: float | None = None,
    progress: Progress | None = None,
    engine: Engine = run_in_order,
) -> Outcome:
    """Parse media files, and folders of them, and write their timelines.

    Sub-folders are searched too, and the timelines mirror them: `DIR/2019/a.mp4` becomes
    `OUT/2019/a.json`. Two files that differ only in the ending keep it: `a.mp4.json`.

    Args:
        paths: Media files and folders, or the files that were listed already.
        out: Folder of the timelines. Without it, each timeline is written beside its media
            file.
        load: Loads the parser in each worker process, such as
            `partial(Parser.load, run)`.
        tags: Classes known to occur, by the name of the timeline or by file name, both
            without the ending. A file without an entry may contain any class.
        formats: Names of export formats.
        scores: Also write `NAME.scores.csv`: the score of every class in every segment,
            which users threshold and plot.
        skip_existing: Write only timelines that do not exist, each format by itself.
        workers: Number of worker processes; by default one for each core.
        timeout: Seconds that one file may take; by default ten minutes and one second per
            MB.
        progress: Called after every file.
        engine: Runs the workers.

    Raises:
        UsageError: A format does not exist, `out` is a file, or two files have one name.
        MediaError: A folder contains no media file.
        MachineError: The timelines cannot be written.
    """
    out = None if out is None else Path(out)
    for name in formats:
        if name not in EXPORTS:
            raise UsageError(unknown("format", name, EXPORTS))
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(
            "this is a file", file=out, fix="give a folder for the timelines"
        )
    endings = [*formats, *([SCORES] if scores else [])]
    media = paths
    if not isinstance(media, MediaList):
        media = list_media_files([*map(Path, media)])
    tags_of = find_tags(media.files, tags or {})
    jobs = [_plan(file, out, endings, tags_of.get(file.path)) for file in media.files]
    due = [*_select_due(jobs)] if skip_existing else jobs
    for folder in dict.fromkeys(
        output.parent for job in due for output in job.outputs.values()
    ):
        check_writable(folder)
    failed = list[tuple[str, str]]()
    results = run_supervised(
        parse_file,
        due,
        workers=workers,
        prepare=_load_parser,
        arguments=[load],
        seconds=timeout or _time_limit,
        engine=engine,
    )
    for done, (job, result) in enumerate(results, start=1):
        problem = ""
        if isinstance(result, Failed):
            is_named = str(job.path) in result.reason
            problem = result.reason if is_named else f"{job.path}: {result.reason}"
            failed.append((str(job.path), problem))
        else:
            for ending, text in result.items():
                write_text(job.outputs[ending], text)
        if progress:
            progress(done, len(due), problem)
    return Outcome(len(due) - len(failed), len(jobs) - len(due), tuple(failed))


def _time_limit(job: ParseJob) -> float:
    return time_limit(job.path)


def _plan(
    file: MediaFile,
    out: Path | None,
    endings: Sequence[str],
    tags: tuple[str, ...] | None,
) -> ParseJob:
    """Plan the files to write for one media file."""
    name = PurePosixPath(file.name)
    folder = file.path.parent if out is None else out / name.parent
    outputs = {
        ending: folder / shorten_name(name.name, f".{ending}") for ending in endings
    }
    return ParseJob(file.path, printable(file.name), tags, outputs)


def _select_due(jobs: Sequence[ParseJob]) -> Iterator[ParseJob]:
    """Select the jobs with files that do not exist, and those files."""
    for job in jobs:
        lacking = {
            ending: output
            for ending, output in job.outputs.items()
            if not output.exists()
        }
        if lacking:
            yield replace(job, outputs=lacking)


_PARSER: list[MediaParser] = []  # the parser of a worker process


def _load_parser(load: Callable[[], MediaParser]) -> None:
    import torch

    torch.set_num_threads(1)
    _PARSER[:] = [load()]


def parse_file(job: ParseJob) -> dict[str, str]:
    """Parse one file with the worker's parser.

    Returns:
        The text of each file to write. The process that started the workers writes them, so
        that a full disk stops the job at once.
    """
    timeline = _PARSER[0](job.path, tags=job.tags, scores=SCORES in job.outputs)
    timeline = replace(timeline, video=job.name)
    texts = dict[str, str]()
    for ending in job.outputs:
        to_text = segment_scores_csv if ending == SCORES else EXPORTS[ending]
        texts[ending] = to_text(timeline)
    return texts
