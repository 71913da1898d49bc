"""`vaplan export` and `vaplan import-events`: from timelines to the files of a format, and back."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vaplan.annotations.annotations import Video
from vaplan.annotations.media_files import MediaFolder
from vaplan.annotations.rows import Row
from vaplan.annotations.table import SUFFIXES, check_suffix, event_rows, write_rows
from vaplan.errors import AnnotationError, MachineError, UsageError, VaplanError
from vaplan.exports import (
    FORMATS,
    Format,
    check_joint,
    find_format,
    list_inputs,
    output_path,
    read_file,
    unite,
    write_content,
    write_joint,
)
from vaplan.exports.labels import Defaults
from vaplan.exports.plain import read_table
from vaplan.timeline import MediaLink, Timeline
from vaplan.workers import Progress
from vaplan.writing import check_file_writable, check_writable

TIMELINES = "json"  # format of the timelines in a folder

Source = tuple[str, Timeline | VaplanError]  # its name, for errors, and what was read


@dataclass(frozen=True)
class Converted:
    """Numbers of videos by result.

    Attributes:
        done: Number of videos that were written.
        failed: Files or videos that failed, with one-line reasons.
        already: Always 0: files are written again.
    """

    done: int
    failed: tuple[tuple[str, str], ...]
    already: int = 0


def export_timelines(
    source: Path | str,
    out: Path | str,
    *,
    format: str,
    media: Path | str | None = None,
    frame_rate: float | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Write the events of a table, or the timelines in a folder, in a format.

    A format has one file a video, in sub-folders that mirror the ids, or a few files of all
    videos. A timeline that cannot be read, or that the format cannot hold, fails alone.

    Args:
        source: Table of events (CSV or Parquet), or folder of JSON timelines.
        out: Folder of the files.
        format: Name in `vaplan.exports.FORMATS`.
        media: Folder of the media files, for formats that link them. Without it they are
            linked by the column `path` of a table.
        frame_rate: Frames a second, for a format whose times are frame numbers.
        progress: Called after every timeline.

    Raises:
        UsageError: There is no such format or source, or `frame_rate` does not fit it.
        AnnotationError: The table cannot be read, or a row is not valid.
        MachineError: A file cannot be written.
    """
    source, out = Path(source), Path(out)
    selected = _with_frame_rate(format, frame_rate)
    if out.exists() and not out.is_dir():
        raise UsageError("this is a file", file=out, fix="give a folder for the files")

    folder = None if media is None else MediaFolder(Path(media), table=source)
    count, sources = _list_timelines(source)
    check_writable(out)

    names = dict[str, str]()  # by the id of the video
    joint = list[Timeline]()
    failed = list[tuple[str, str]]()
    for done, (name, timeline) in enumerate(sources, start=1):
        problem = ""
        try:
            linked = _link(_only_once(timeline, name, names), folder)
            _write(linked, selected, out)
            if selected.write_all is not None:
                joint.append(linked)
        except MachineError:
            raise
        except VaplanError as error:
            problem = str(error) if error.file is not None else f"{name}: {error}"
            failed.append((name, problem))
        if progress:
            progress(done, count, problem)

    if joint:
        write_joint(joint, [selected], out)
    return Converted(count - len(failed), tuple(failed))


def _with_frame_rate(name: str, frame_rate: float | None) -> Format:
    """Return a format, whose times are frames at this rate if a rate was given."""
    selected = find_format(name)
    if frame_rate is None:
        return selected
    if not selected.in_frames or selected.write_all is None:
        in_frames = [name for name, one in FORMATS.items() if one.in_frames]
        raise UsageError(
            f"times of format {name} are no frames",
            fix=f"leave --frame-rate out; it is for {', '.join(in_frames)}",
        )
    return replace(
        selected, write_all=partial(selected.write_all, frame_rate=frame_rate)
    )


def _list_timelines(source: Path) -> tuple[int, Iterator[Source]]:
    """Count the timelines of a table or a folder, and read them one by one."""
    if source.is_dir():
        files = list_inputs(source, FORMATS[TIMELINES])
        return len(files), map(_read_json, files)
    if source.suffix not in SUFFIXES:
        raise UsageError(
            "neither a table nor a folder",
            file=source,
            fix="give a table (.csv or .parquet), or the folder of `vaplan parse --out`",
        )
    timelines = [
        replace(timeline, media=_link_of_table(source, path))
        for timeline, path in read_table(source)
    ]
    if not timelines:
        raise AnnotationError(
            "the table has no event", file=source, fix="give a table of events"
        )
    return len(timelines), ((str(source), timeline) for timeline in timelines)


def _read_json(file: tuple[Path, str]) -> Source:
    path, video = file
    try:
        (timeline,) = read_file(path, video, FORMATS[TIMELINES])
    except VaplanError as error:
        return str(path), error
    return str(path), timeline


def _link_of_table(table: Path, path: str) -> MediaLink | None:
    """Return the media file of the column `path`, which is relative to the table."""
    return MediaLink(table.parent / path, table.parent) if path else None


def _only_once(
    timeline: Timeline | VaplanError, name: str, names: dict[str, str]
) -> Timeline:
    """Return a timeline that was read, if it is the first of its video."""
    if isinstance(timeline, VaplanError):
        raise timeline
    first = names.setdefault(timeline.video, name)
    if first != name:
        raise AnnotationError(
            f"video {timeline.video!r} has a timeline already: {first}",
            file=name,
            fix="keep one file a video",
        )
    return timeline


def _link(timeline: Timeline, folder: MediaFolder | None) -> Timeline:
    """Link the media file of a timeline, if a folder of them was given."""
    if folder is None:
        return timeline
    path = timeline.media.name if timeline.media else ""
    file = folder.find(Video(timeline.video, path=path))
    return replace(timeline, media=MediaLink(file, folder.folder))


def _write(timeline: Timeline, selected: Format, out: Path) -> None:
    """Write the file of a video, or check that a joint format can hold it."""
    if selected.write is None:
        check_joint(timeline, [selected])
        return
    path = output_path(out, timeline.video, selected.ending)
    write_content(path, selected.write(timeline))


def import_table(
    source: Path | str,
    out: Path | str,
    *,
    format: str,
    modality: str = "",
    frame_rate: float | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Write the events of another tool's files as a table.

    A file that cannot be read fails alone. A video without events has a row with an empty
    class. The table is not written if no file can be read.

    Args:
        source: File, or folder that is searched with its sub-folders.
        out: Table to write, CSV or Parquet.
        format: Name in `vaplan.exports.FORMATS`.
        modality: Modality of events whose label names none: `audio`, `visual` or `both`.
        frame_rate: Frames a second, for files that do not name it.
        progress: Called after every file.

    Returns:
        The number of videos in the table, and the files that failed with the reason.

    Raises:
        UsageError: There is no such format or file, or the format cannot be read.
        MachineError: The table cannot be written.
    """
    out = check_suffix(Path(out))
    selected = find_format(format)
    if frame_rate is not None:
        _with_frame_rate(format, frame_rate)
    defaults = Defaults(modality, frame_rate)
    files = list_inputs(Path(source), selected)
    check_file_writable(out)
    timelines = list[Timeline]()
    failed = list[tuple[str, str]]()
    for done, (path, video) in enumerate(files, start=1):
        problem = ""
        try:
            timelines += read_file(path, video, selected, defaults)
        except (UsageError, MachineError):
            raise
        except VaplanError as error:
            problem = str(error)
            failed.append((str(path), problem))
        if progress:
            progress(done, len(files), problem)
    united = [*unite(timelines)]
    if united:
        write_rows(out, _rows(united))
    return Converted(len(united), tuple(failed))


def _rows(timelines: list[Timeline]) -> Iterator[Row]:
    for timeline in timelines:
        yield from event_rows(timeline.video, timeline)
