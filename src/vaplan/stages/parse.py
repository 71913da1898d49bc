"""`vaplan parse`: timelines of media files by a trained run or a zero-shot classifier."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from vaplan.annotations.media_files import MediaFile, MediaList, list_media_files
from vaplan.annotations.tags import find_tags
from vaplan.encoders import LATE_IMPORTS, remote
from vaplan.encoders.checkpoints import FOLDER, Checkpoint, delete_checkpoint
from vaplan.encoders.compute import PLAIN, Compute
from vaplan.encoders.encoded import Encoded
from vaplan.encoders.remote import Pipeline
from vaplan.encoders.service import open_pipeline
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
from vaplan.modalities import MODALITIES
from vaplan.objects import is_remote, local_copy, named_errors, to_uri
from vaplan.parser import MediaParser
from vaplan.stages.features import Outcome
from vaplan.timeline import MediaLink, Timeline
from vaplan.workers import (
    Engine,
    Failed,
    FileProgress,
    Progress,
    report,
    run_supervised,
)
from vaplan.workers.processes import ProgressReporter, run_in_order
from vaplan.writing import check_writable, printable

SCORES = "scores.csv"
PARTIAL = "partial."  # before the ending of the timeline of a file's first part


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
        parts: Folder of the checkpoint, if the file is long.
        partial_outputs: Files to write while a long file is parsed, by format.
    """

    path: Path
    name: str
    tags: tuple[str, ...] | None
    outputs: Mapping[str, Path]
    folder: Path
    joint: tuple[str, ...] = ()
    scores: bool = False
    parts: Path = Path(FOLDER)
    partial_outputs: Mapping[str, Path] = field(default_factory=dict)


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
    file_progress: FileProgress | None = None,
    engine: Engine = run_in_order,
    compute: Compute = PLAIN,
    pipeline: bool | None = None,
) -> Outcome:
    """Parse media files, and folders of them, and write their timelines.

    Sub-folders are searched too, and the timelines mirror them: `DIR/2019/a.mp4` becomes
    `OUT/2019/a.json`. Two files that differ only in the ending keep it: `a.mp4.json`. The
    files of joint formats, which hold all videos, are written at the end.

    While a long file is parsed, the timeline of its first part is written every ten minutes of
    film or every 30 seconds as `OUT/2019/a.partial.json`, with the rest as a missing span. It
    stays if the call is interrupted; the same call then continues, and replaces it by the
    timeline of the whole file.

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
        timeout: Seconds that one file may take without progress; by default ten minutes
            and one second per MB.
        progress: Called after every file.
        file_progress: Called within files that take longer than a few seconds.
        engine: Runs the workers.
        compute: Devices that `load` loads the encoders on; matters for `pipeline` only.
        pipeline: Encode in one process for each device, while the workers only decode; by
            default on a GPU, if the engine runs on this machine.

    Raises:
        UsageError: A format does not exist, `out` is a file, two files have one name, or a
            joint format is to be written beside the media files or with `skip_existing`.
        MediaError: A folder contains no media file.
        MachineError: The timelines cannot be written.
    """
    out = None if out is None else Path(out)
    joint = joint_formats(formats)
    if joint:
        _check_joint(joint[0], out, skip_existing=skip_existing)
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(
            "this is a file", file=out, fix="give a folder for the timelines"
        )

    media = paths
    if not isinstance(media, MediaList):
        media = list_media_files([*map(Path, media)])
    jobs = _plan_jobs(media, out, formats, tags=tags or {}, scores=scores)
    due = [*_select_due(jobs)] if skip_existing else jobs
    folders = [output.parent for job in due for output in job.outputs.values()]
    if joint and out is not None:
        folders.append(out)
    for folder in dict.fromkeys(folders):
        check_writable(folder)

    timelines = list[Timeline]()
    failed = list[tuple[str, str]]()
    with open_pipeline(
        compute,
        pipeline=pipeline,
        engine=engine,
        is_needed=bool(due),
        imports=[__name__],
    ) as served:
        results = run_supervised(
            parse_file,
            due,
            workers=workers or (served.workers if served else None),
            prepare=_load_parser,
            arguments=[load, served],
            seconds=timeout or _time_limit,
            imports=LATE_IMPORTS,
            engine=engine,
            watch=partial(_follow, file_progress),
        )
        for done, (job, result) in enumerate(results, start=1):
            problem = ""
            if isinstance(result, Failed):
                problem = _describe_failure(job, result)
                failed.append((str(job.path), problem))
            else:
                contents, timeline = result
                _write_outputs(job, contents)
                if timeline is not None:
                    timelines.append(timeline)
            if file_progress:
                file_progress(job.name, 1, 1)
            if progress:
                progress(done, len(due), problem)

    if joint and out is not None and timelines:
        write_joint(timelines, [FORMATS[name] for name in joint], out)
    return Outcome(len(due) - len(failed), len(jobs) - len(due), tuple(failed))


def _follow(
    file_progress: FileProgress | None,
    job: ParseJob,
    value: tuple[int, int] | Mapping[str, Content],
) -> None:
    """Handle a report of a worker: its progress, or the timeline of the first part."""
    if isinstance(value, Mapping):
        for name, content in value.items():
            write_content(job.partial_outputs[name], content)
    elif file_progress:
        done, total = value
        file_progress(job.name, min(done, total - 1), total)


def _describe_failure(job: ParseJob, failure: Failed) -> str:
    """Return the reason of a failure, which names the file."""
    is_named = str(job.path) in failure.reason
    return failure.reason if is_named else f"{job.path}: {failure.reason}"


def _write_outputs(job: ParseJob, contents: Mapping[str, Content]) -> None:
    """Write the files of a parsed video, and delete those of its first part."""
    for name, content in contents.items():
        write_content(job.outputs[name], content)
    for path in job.partial_outputs.values():
        path.unlink(missing_ok=True)
    delete_checkpoint(job.parts, job.path)


def _time_limit(job: ParseJob) -> float:
    return time_limit(job.path)


def joint_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Select the formats that write all videos into a few files.

    Args:
        names: Names of formats.
    """
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


def _plan_jobs(
    media: MediaList,
    out: Path | None,
    formats: Sequence[str],
    *,
    tags: Mapping[str, tuple[str, ...]],
    scores: bool,
) -> list[ParseJob]:
    """Plan the files to write for every media file."""
    joint = joint_formats(formats)
    separate = [name for name in formats if name not in joint]
    endings = {name: FORMATS[name].ending for name in separate}
    if scores:
        endings[SCORES] = SCORES
    needs_scores = scores or any(FORMATS[name].needs_scores for name in formats)

    tags_of = find_tags(media.files, tags)
    return [
        ParseJob(
            file.path,
            printable(file.name),
            tags_of.get(file.path),
            _plan_outputs(file, out, endings),
            _media_folder(file),
            joint,
            needs_scores,
            (out or file.path.parent) / FOLDER,
            _plan_outputs(file, out, endings, mark=PARTIAL),
        )
        for file in media.files
    ]


def _plan_outputs(
    file: MediaFile, out: Path | None, endings: Mapping[str, str], *, mark: str = ""
) -> dict[str, Path]:
    """Plan the files to write for one media file, by format.

    Args:
        file: The media file.
        out: Folder of the timelines; None to write beside the media file.
        endings: Ending of each format.
        mark: Part of the name before the ending.
    """
    folder, name = out, file.name
    if folder is None and is_remote(file.path):
        raise UsageError(
            "timelines cannot be written beside a file on object storage",
            file=to_uri(file.path),
            fix="give --out DIR",
        )
    if folder is None:
        folder, name = file.path.parent, PurePosixPath(file.name).name
    return {
        format_name: output_path(folder, name, mark + ending)
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


def _load_parser(
    load: Callable[[], MediaParser], pipeline: Pipeline | None = None
) -> None:
    import torch

    torch.set_num_threads(1)
    remote.connect(pipeline)
    _PARSER[:] = [load()]


def parse_file(job: ParseJob) -> tuple[dict[str, Content], Timeline | None]:
    """Parse one file with the worker's parser.

    Returns:
        The content of each file to write, and the timeline if a joint format needs it. The
        process that started the workers writes them, so that a full disk stops the job at
        once.
    """
    parser = _PARSER[0]
    reporter = _Reporter(job, parser)
    checkpoint = None
    if not is_remote(job.path):
        checkpoint = Checkpoint(
            job.parts,
            job.path,
            parser.all_encoders,
            sampling=parser.sampling,
            on_part=reporter.report_part,
        )
    with named_errors(job.path), local_copy(job.path) as file:
        timeline = parser(
            file,
            tags=job.tags,
            scores=job.scores,
            checkpoint=checkpoint,
            advance=reporter.advance,
        )
    timeline = _with_names(timeline, job)
    check_joint(timeline, [FORMATS[name] for name in job.joint])
    return _format(timeline, job), timeline if job.joint else None


@dataclass
class _Reporter:
    """Reports the progress of a long file, and the timeline of its first part."""

    job: ParseJob
    parser: MediaParser
    report_progress: ProgressReporter = field(default_factory=ProgressReporter)
    total: int = 0

    def advance(self, done: int, total: int) -> None:
        self.total = total
        self.report_progress(done, total)

    def report_part(self, encoded: Encoded) -> None:
        timeline = self.parser.parse_features(
            encoded, name=self.job.name, tags=self.job.tags, scores=self.job.scores
        )
        partial_timeline = _mark_rest(timeline, float(self.total))
        report(_format(_with_names(partial_timeline, self.job), self.job))


def _mark_rest(timeline: Timeline, total: float) -> Timeline:
    """Name the rest of a file as missing.

    Args:
        timeline: Timeline of the first part of the file.
        total: Length of the file in seconds.
    """
    done = timeline.seconds
    if total <= done:
        return timeline
    rest = tuple((modality, done, total) for modality in MODALITIES)
    warning = (
        f"unfinished: parsed {done:,.0f} s of {total:,.0f} s; run the same command again "
        "to finish it"
    )
    return replace(
        timeline,
        seconds=total,
        missing=(*timeline.missing, *rest),
        warnings=(*timeline.warnings, warning),
    )


def _with_names(timeline: Timeline, job: ParseJob) -> Timeline:
    media = MediaLink(job.path, job.folder)
    return replace(timeline, video=job.name, media=media)


def _format(timeline: Timeline, job: ParseJob) -> dict[str, Content]:
    contents = dict[str, Content]()
    for name in job.outputs:
        write = segment_scores_csv if name == SCORES else FORMATS[name].write
        if write is not None:
            contents[name] = write(timeline)
    return contents
