"""`vaplan parse`: timelines of media files by a trained run or a zero-shot classifier."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from vaplan.annotations.media_files import MediaFile, MediaList, list_media_files
from vaplan.annotations.tags import find_tags
from vaplan.errors import UsageError
from vaplan.exports import (
    FORMATS,
    Content,
    check_joint,
    find_format,
    output_path,
    write_content,
    write_joint,
)
from vaplan.exports.plain import segment_scores_csv
from vaplan.media import time_limit
from vaplan.parser import MediaParser
from vaplan.stages.features import Outcome
from vaplan.timeline import MediaLink, Timeline
from vaplan.workers import Engine, Failed, Progress, run_supervised
from vaplan.workers.processes import run_in_order
from vaplan.writing import check_writable, printable

SCORES = "scores.csv"


@dataclass(frozen=True)
class ParseJob:
    """One media file to parse.

    Attributes:
        path: The file.
        name: Name of its timeline.
        tags: Classes known to occur in it; None if nothing is known.
        outputs: Files to write, by format; `scores.csv` is the score of every segment.
        folder: Folder of the media files, which formats name the file relative to.
        joint: Joint formats, which need the timeline at the end.
        scores: The timeline needs the scores of its segments.
    """

    path: Path
    name: str
    tags: tuple[str, ...] | None
    outputs: Mapping[str, Path]
    folder: Path
    joint: tuple[str, ...] = ()
    scores: bool = False


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
    `OUT/2019/a.json`. Two files that differ only in the ending keep it: `a.mp4.json`. The
    files of joint formats, which hold all videos, are written at the end.

    Args:
        paths: Media files and folders, or the files that were listed already.
        out: Folder of the timelines. Without it, each timeline is written beside its media
            file.
        load: Loads the parser in each worker process, such as
            `partial(Parser.load, run)`.
        tags: Classes known to occur, by the name of the timeline or by file name, both
            without the ending. A file without an entry may contain any class.
        formats: Names of formats; see `vaplan.exports.FORMATS`.
        scores: Also write `NAME.scores.csv`: the score of every class in every segment,
            which users threshold and plot.
        skip_existing: Write only timelines that do not exist, each format by itself.
        workers: Number of worker processes; by default one for each core.
        timeout: Seconds that one file may take; by default ten minutes and one second per
            MB.
        progress: Called after every file.
        engine: Runs the workers.

    Raises:
        UsageError: A format does not exist, `out` is a file, two files have one name, or a
            joint format is to be written beside the media files or with `skip_existing`.
        MediaError: A folder contains no media file.
        MachineError: The timelines cannot be written.
    """
    out = None if out is None else Path(out)
    joint = _joint_formats(formats)
    if joint:
        _check_joint(joint[0], out, skip_existing=skip_existing)
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(
            "this is a file", file=out, fix="give a folder for the timelines"
        )
    separate = [name for name in formats if name not in joint]
    endings = {name: FORMATS[name].ending for name in separate}
    if scores:
        endings[SCORES] = SCORES
    needs_scores = scores or any(FORMATS[name].needs_scores for name in formats)
    media = paths
    if not isinstance(media, MediaList):
        media = list_media_files([*map(Path, media)])
    tags_of = find_tags(media.files, tags or {})
    jobs = [
        ParseJob(
            file.path,
            printable(file.name),
            tags_of.get(file.path),
            _plan_outputs(file, out, endings),
            _media_folder(file),
            joint,
            needs_scores,
        )
        for file in media.files
    ]
    due = [*_select_due(jobs)] if skip_existing else jobs
    for folder in dict.fromkeys(
        output.parent for job in due for output in job.outputs.values()
    ):
        check_writable(folder)
    if joint and out is not None:
        check_writable(out)
    timelines = list[Timeline]()
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
            contents, timeline = result
            for name, content in contents.items():
                write_content(job.outputs[name], content)
            if timeline is not None:
                timelines.append(timeline)
        if progress:
            progress(done, len(due), problem)
    if joint and out is not None and timelines:
        write_joint(timelines, [FORMATS[name] for name in joint], out)
    return Outcome(len(due) - len(failed), len(jobs) - len(due), tuple(failed))


def _time_limit(job: ParseJob) -> float:
    return time_limit(job.path)


def _joint_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Select the formats of which a few files hold all videos."""
    return tuple(name for name in names if find_format(name).write_all is not None)


def _check_joint(name: str, out: Path | None, *, skip_existing: bool) -> None:
    if out is None:
        raise UsageError(
            f"a file of format {name} holds all videos and has no place beside one",
            fix="give --out DIR",
        )
    if skip_existing:
        raise UsageError(
            f"a file of format {name} holds all videos, so existing ones cannot be skipped",
            fix=f"parse to json, then run `vaplan export {out} --format {name}`",
        )


def _plan_outputs(
    file: MediaFile, out: Path | None, endings: Mapping[str, str]
) -> dict[str, Path]:
    """Plan the files to write for one media file, by format."""
    folder, name = out, file.name
    if folder is None:
        folder, name = file.path.parent, PurePosixPath(file.name).name
    return {
        format_name: output_path(folder, name, ending)
        for format_name, ending in endings.items()
    }


def _media_folder(file: MediaFile) -> Path:
    """Return the folder that was searched, or the folder of a file that was given."""
    return file.path.parents[len(PurePosixPath(file.name).parts) - 1]


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


def parse_file(job: ParseJob) -> tuple[dict[str, Content], Timeline | None]:
    """Parse one file with the worker's parser.

    Returns:
        The content of each file to write, and the timeline if a joint format needs it. The
        process that started the workers writes them, so that a full disk stops the job at
        once.
    """
    timeline = _PARSER[0](job.path, tags=job.tags, scores=job.scores)
    media = MediaLink(job.path, job.folder)
    timeline = replace(timeline, video=job.name, media=media)
    contents = dict[str, Content]()
    for name in job.outputs:
        write = segment_scores_csv if name == SCORES else FORMATS[name].write
        if write is not None:
            contents[name] = write(timeline)
    check_joint(timeline, [FORMATS[name] for name in job.joint])
    return contents, timeline if job.joint else None
