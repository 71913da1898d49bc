"""Formats of timelines, to write and to read. `FORMATS` maps a name to its functions.

Most formats have one file a video. In a joint format a few files hold all videos of a folder.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vaplan.annotations.fields import check_id
from vaplan.errors import UsageError, unknown
from vaplan.exports import (
    activitynet,
    audacity,
    dcase,
    elan,
    fiftyone,
    huggingface,
    label_studio,
    plain,
    rttm,
    sed_scores,
    srt,
    textgrid,
    webvtt,
)
from vaplan.exports.labels import NO_DEFAULTS, Defaults, Reader, new_timeline
from vaplan.timeline import Timeline
from vaplan.writing import shorten_name, write_bytes, write_text

__all__ = [
    "FORMATS",
    "Content",
    "Defaults",
    "Format",
    "export",
    "find_format",
    "import_events",
]

Content = str | bytes
Writer = Callable[[Timeline], Content]
JointWriter = Callable[..., Mapping[str, Content]]  # of a sequence of timelines
OTHER_ENDINGS = ("scores.csv",)  # of files beside timelines that are none


@dataclass(frozen=True)
class Format:
    """A format of timelines.

    Attributes:
        ending: Ending of its files, without the dot.
        write: Formats one timeline as the content of its file, in a format of one file a video.
        write_all: Formats timelines as the contents of files by name, in a joint format.
        read: Reads a file, if the format can come back.
        needs_scores: Timelines need the scores of their segments.
        in_frames: Times are frame numbers; the functions take `frame_rate`.
    """

    ending: str
    write: Writer | None = None
    write_all: JointWriter | None = None
    read: Reader | None = None
    needs_scores: bool = False
    in_frames: bool = False


FORMATS: dict[str, Format] = {
    "json": Format("json", plain.to_json, read=plain.from_json),
    "csv": Format("csv", plain.to_csv, read=plain.from_table),
    "parquet": Format("parquet", plain.to_parquet, read=plain.from_table),
    "webvtt": Format("vtt", webvtt.write, read=webvtt.read),
    "webvtt-metadata": Format(
        "metadata.vtt", webvtt.write_metadata, read=webvtt.read_metadata
    ),
    "srt": Format("srt", srt.write),
    "rttm": Format("rttm", rttm.write, read=rttm.read),
    "elan": Format("eaf", elan.write, read=elan.read),
    "textgrid": Format("TextGrid", textgrid.write, read=textgrid.read),
    "audacity": Format("txt", audacity.write, read=audacity.read),
    "label-studio": Format(
        "json", write_all=label_studio.write, read=label_studio.read, in_frames=True
    ),
    "fiftyone": Format("json", write_all=fiftyone.write),
    "huggingface": Format("jsonl", write_all=huggingface.write),
    "activitynet": Format("json", write_all=activitynet.write, read=activitynet.read),
    "dcase": Format("tsv", write_all=dcase.write, read=dcase.read),
    "sed-scores": Format("tsv", write_all=sed_scores.write, needs_scores=True),
}


def find_format(name: str) -> Format:
    """Return the format of a name.

    Args:
        name: Name in `FORMATS`.

    Raises:
        UsageError: There is no such format.
    """
    if name not in FORMATS:
        raise UsageError(unknown("format", name, FORMATS))
    return FORMATS[name]


def export(timeline: Timeline, path: Path | str, *, format: str = "") -> Path:
    """Write a timeline in the format of the file's suffix: all of it, or nothing.

    Args:
        timeline: Timeline to write.
        path: File to write; its suffix is the format.
        format: Name of the format, for a file with another suffix.

    Returns:
        The path.

    Raises:
        UsageError: The suffix is not a format.
        AnnotationError: The format cannot hold the timeline.
        MachineError: The file cannot be written.
    """
    path = Path(path)
    by_suffix = {one.ending.lower(): one for one in FORMATS.values() if one.write}
    suffix = path.suffix.removeprefix(".").lower()
    if not format and suffix not in by_suffix:
        raise UsageError(
            unknown("export format", suffix, by_suffix),
            file=path,
            fix="name the file with one of these",
        )
    selected = find_format(format) if format else by_suffix[suffix]
    if selected.write is None:
        raise UsageError(
            f"the format {format} has several files",
            file=path,
            fix="write them with `vaplan export`",
        )
    return write_content(path, selected.write(timeline))


def write_content(path: Path, content: Content) -> Path:
    """Write the content of a file: all of it, or nothing.

    Args:
        path: File to write.
        content: Text or bytes.
    """
    if isinstance(content, bytes):
        return write_bytes(path, content)
    return write_text(path, content)


def check_joint(timeline: Timeline, formats: Iterable[Format]) -> None:
    """Check that joint formats can hold a timeline, so that it fails alone.

    Args:
        timeline: Timeline to write.
        formats: Joint formats.

    Raises:
        VaplanError: A format cannot hold it.
    """
    for format in formats:
        if format.write_all is not None:
            format.write_all([timeline])


def write_joint(
    timelines: Iterable[Timeline], formats: Iterable[Format], out: Path
) -> None:
    """Write the files of joint formats.

    Args:
        timelines: Timelines of all videos; they are sorted by id.
        formats: Joint formats.
        out: Folder of the files.

    Raises:
        VaplanError: A format cannot hold the timelines.
    """
    order = sorted(timelines, key=lambda timeline: timeline.video)
    for format in formats:
        if format.write_all is not None:
            for file, content in format.write_all(order).items():
                write_content(out / file, content)


def output_path(folder: Path, video: str, ending: str) -> Path:
    """Return the file of a video; sub-folders mirror the parts of its id.

    Args:
        folder: Folder of the files.
        video: Id of the video, such as `2019/beach/0001`.
        ending: Ending without the dot.
    """
    name = PurePosixPath(video)
    return folder / name.parent / shorten_name(name.name, f".{ending}")


def list_inputs(path: Path, format: Format) -> list[tuple[Path, str]]:
    """List the files of a format with the ids that their names give.

    Args:
        path: File, or folder that is searched with its sub-folders for the ending.
        format: Format of the files.

    Returns:
        Paths and ids: the path below the folder, without the ending.

    Raises:
        UsageError: There is no such file or folder, or no such file in the folder.
    """
    if not path.is_dir():
        if not path.exists():
            raise UsageError("no such file", file=path, fix="check the path")
        return [(path, _strip(path.name, format.ending))]
    files = [
        file
        for file in sorted(path.rglob("*"))
        if _ending_of(file.name) == format.ending.lower() and file.is_file()
    ]
    if not files:
        raise UsageError(
            f"this folder contains no .{format.ending} file",
            file=path,
            fix="give the folder of the files, or another --format",
        )
    return [
        (file, _strip(file.relative_to(path).as_posix(), format.ending))
        for file in files
    ]


def _strip(name: str, ending: str) -> str:
    end = f".{ending}"
    if name.lower().endswith(end.lower()):
        return name[: -len(end)]
    return str(PurePosixPath(name).with_suffix(""))


def _ending_of(name: str) -> str:
    """Return the longest ending of a format that a file name has, or an empty text."""
    endings = {format.ending.lower() for format in FORMATS.values()} | {*OTHER_ENDINGS}
    matches = [end for end in endings if name.lower().endswith(f".{end}")]
    return max(matches, key=len, default="")


def read_file(
    path: Path, video: str, format: Format, defaults: Defaults = NO_DEFAULTS
) -> list[Timeline]:
    """Read the timelines of one file.

    Args:
        path: File to read.
        video: Id of the video, where the file names none.
        format: Format of the file.
        defaults: Facts that the file may lack.

    Raises:
        UsageError: The format cannot be read.
        AnnotationError: The file is not in the format; the error names file and line.
    """
    if format.read is None:
        readable = sorted(name for name, one in FORMATS.items() if one.read)
        raise UsageError(
            "this format cannot be read", file=path, fix=f"use {', '.join(readable)}"
        )

    check_id(video, file=path, line=None)
    return format.read(path, video, defaults)


def unite(timelines: Iterable[Timeline]) -> Iterator[Timeline]:
    """Join the events of timelines of one video, as a joint format may split them.

    Args:
        timelines: Timelines in any order.

    Yields:
        One timeline a video, in the order of their first.
    """
    by_video = dict[str, list[Timeline]]()
    for timeline in timelines:
        by_video.setdefault(timeline.video, []).append(timeline)

    for video, parts in by_video.items():
        if len(parts) == 1:
            yield parts[0]
            continue

        events = [event for part in parts for event in part]
        seconds = max(part.seconds for part in parts)
        yield new_timeline(video, dict.fromkeys(events), seconds=seconds)


def import_events(
    path: Path | str,
    *,
    format: str,
    modality: str = "",
    frame_rate: float | None = None,
) -> list[Timeline]:
    """Read timelines from a file or a folder of another tool's files.

    Args:
        path: File, or folder that is searched with its sub-folders.
        format: Name of the format.
        modality: Modality of events whose label names none: `audio`, `visual` or `both`.
        frame_rate: Frames a second, for times that are frame numbers.

    Returns:
        One timeline a video.

    Raises:
        UsageError: There is no such format, or no such file.
        AnnotationError: A file is not in the format; the error names file and line.
    """
    selected = find_format(format)
    defaults = Defaults(modality, frame_rate)
    parts = [
        timeline
        for file, video in list_inputs(Path(path), selected)
        for timeline in read_file(file, video, selected, defaults)
    ]
    return [*unite(parts)]
