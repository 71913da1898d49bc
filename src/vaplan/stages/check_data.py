"""What a data set holds, what is odd in it, and which media files are missing or cannot be read."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vaplan.annotations import (
    AnnotationRows,
    Annotations,
    Issue,
    Video,
    merge_rows,
    read_source,
)
from vaplan.annotations.issues import find_issues
from vaplan.annotations.media_files import MediaFolder
from vaplan.errors import AnnotationError, MediaError
from vaplan.evaluation import last_segment
from vaplan.media import check_decodable, time_limit
from vaplan.modalities import AUDIO, VISUAL, audio_visual
from vaplan.reading import csv_text
from vaplan.workers import Failed, Progress, run_supervised
from vaplan.writing import write_text

GONE = ("missing media", "unreadable media")
MANIFEST = ("video", "split", "kind", "reason")


@dataclass(frozen=True)
class Check:
    """What `check` found."""

    sheet: AnnotationRows
    data: Annotations
    issues: tuple[Issue, ...]
    looked: bool  # whether media files were looked at

    def gone(self) -> list[Issue]:
        """The videos without a media file that can be opened."""
        return [issue for issue in self.issues if issue.kind in GONE]

    def summary(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        gone = Counter(issue.kind for issue in self.gone())
        counted = {
            "found": len(self.data.videos) - sum(gone.values()),
            **{kind.split()[0]: gone[kind] for kind in GONE},
        }
        return {
            "annotations": self.sheet.version,
            "files": {
                path.name: rows for path, rows in _rows_by_file(self.sheet).items()
            },
            "columns": dict(self.sheet.columns),
            "videos": len(self.data.videos),
            "classes": len(self.data.taxonomy),
            "splits": {
                split: about_split(data) for split, data in self.data.by_split().items()
            },
            "issues": by_kind(self.issues),
            "media": counted if self.looked else None,
        }


def check(
    data: str,
    *,
    annotations: str = "",
    media: Path | None = None,
    allow_outside: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Check:
    """Read a data set and find its issues.

    Args:
        data: Data set, `KIND:PATH`.
        annotations: Version of the annotations, where a data set has several.
        media: Folder of the media files; the first frame of every file is decoded.
        allow_outside: Accept paths of videos that lead out of the media folder.
        workers: Number of worker processes.
        progress: Called after every file.
    """
    sheet = read_source(data, annotations=annotations)
    read = merge_rows(sheet)
    issues = find_issues(sheet)
    if media is not None:
        folder = MediaFolder(media, table=read.source, allow_outside=allow_outside)
        issues += tuple(check_media(read, folder, workers=workers, progress=progress))
    return Check(sheet, read, issues, media is not None)


def about_split(data: Annotations) -> dict[str, Any]:
    """Counts of one split: videos, tags, and, where there are dense labels, events; by class and
    modality."""
    tags = Counter(tag for video in data.videos for tag in video.tags)
    events = Counter(
        (event.class_name, event.modality)
        for video_events in data.events.values()
        for event in video_events
    )
    return {
        "videos": len(data.videos),
        "densely labelled": len(data.events),
        "videos by number of tags": dict(
            sorted(Counter(str(len(video.tags)) for video in data.videos).items())
        ),
        "without an event": without_event(data),
        "per_class": {
            name: {
                "videos": tags[name],
                "audio events": events[name, "audio"],
                "visual events": events[name, "visual"],
            }
            for name in data.taxonomy.classes
        },
    }


def without_event(data: Annotations) -> dict[str, int] | None:
    """How many of the densely labelled videos hold nothing in a modality."""
    ids = data.labelled_ids()
    if not ids:
        return None
    segments = data.segments or max(
        last_segment(events) for events in data.events.values()
    )
    grid = data.select_videos(ids).reference(segments)
    kinds = {
        "audio": grid[:, :, AUDIO],
        "visual": grid[:, :, VISUAL],
        "audio_visual": audio_visual(grid),
    }
    empty = {
        kind: int((~cells.any(axis=(1, 2))).sum()) for kind, cells in kinds.items()
    }
    return {**empty, "any": int((~grid.any(axis=(1, 2, 3))).sum())}


def check_media(
    data: Annotations,
    folder: MediaFolder,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Issue]:
    """Yield the videos whose media file does not exist or cannot be opened.

    Args:
        data: Videos.
        folder: Folder of their media files.
        workers: Number of worker processes.
        progress: Called after every file.
    """
    videos_of = dict[Path, list[Video]]()
    for video in data.videos:
        try:
            videos_of.setdefault(folder.find(video), []).append(video)
        except MediaError as error:
            yield _gone(GONE[0], error.what, video, data)
    results = run_supervised(
        check_decodable, list(videos_of), workers=workers, seconds=time_limit
    )
    for done, (path, result) in enumerate(results, start=1):
        reason = result.reason if isinstance(result, Failed) else ""
        if progress:
            progress(done, len(videos_of), "")
        if reason:
            yield from (
                _gone(GONE[1], reason, video, data) for video in videos_of[path]
            )


def _gone(kind: str, reason: str, video: Video, data: Annotations) -> Issue:
    return Issue(kind, reason, video.video, data.files[0], video.line)


def write_manifest(path: Path, check: Check) -> Path:
    """List the videos without media, for `evaluate --without` and for whoever looks for them."""
    splits = {video.video: video.split for video in check.data.videos}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MANIFEST)
    writer.writerows((f.video, splits[f.video], f.kind, f.what) for f in check.gone())
    return write_text(path, text.getvalue())


def read_manifest(path: Path) -> tuple[str, ...]:
    """The videos that a CSV with a column `video` names."""
    header, lines = csv_text(path)
    if MANIFEST[0] not in header:
        what = f"column {MANIFEST[0]!r} is missing; found: {', '.join(header)}"
        raise AnnotationError(
            what,
            file=path,
            line=1,
            fix="give the missing.csv of `vaplan data check --media`",
        )
    column = header.index(MANIFEST[0])
    return tuple(values[column] for _, values in lines if len(values) > column)


def by_kind(issues: Sequence[Issue]) -> dict[str, list[dict[str, Any]]]:
    """The issues, grouped."""
    kinds = dict[str, list[dict[str, Any]]]()
    for issue in issues:
        document = asdict(issue) | {"file": str(issue.file)}
        kinds.setdefault(document.pop("kind"), []).append(document)
    return kinds


def _rows_by_file(sheet: AnnotationRows) -> dict[Path, int]:
    """How many lines of each file hold something; in JSON, how many rows."""
    lines = {(row.file, row.line) for row in sheet.rows if row.line}
    without_line = Counter(row.file for row in sheet.rows if not row.line)
    counts = Counter(file for file, _ in lines) + without_line
    return {file: counts[file] for file in sheet.files if counts[file]}
