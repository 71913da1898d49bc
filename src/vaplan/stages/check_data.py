"""`vaplan data check`: the content of a data set, its issues, and its missing media files."""

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
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
from vaplan.annotations.issues import find_issues, late_events
from vaplan.annotations.media_files import MediaFolder
from vaplan.annotations.rows import Row
from vaplan.errors import AnnotationError, MediaError
from vaplan.evaluation import segment_counts
from vaplan.media import check_decodable, time_limit
from vaplan.modalities import AUDIO, MODALITIES, VISUAL
from vaplan.ragged import Ragged
from vaplan.reading import csv_text
from vaplan.workers import Failed, Progress, run_supervised
from vaplan.writing import write_text

MEDIA_ISSUES = ("missing media", "unreadable media")
MANIFEST = ("video", "split", "kind", "reason")


@dataclass(frozen=True)
class Check:
    """Result of `check`.

    Attributes:
        sheet: Rows of the data set.
        data: Annotations of the data set.
        issues: Issues of the rows and of the media files.
        has_media: Whether media files were checked.
    """

    sheet: AnnotationRows
    data: Annotations
    issues: tuple[Issue, ...]
    has_media: bool

    def media_issues(self) -> list[Issue]:
        """List the videos whose media file is missing or cannot be decoded."""
        return [issue for issue in self.issues if issue.kind in MEDIA_ISSUES]

    def summary(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        lines = _count_lines(self.sheet)
        splits = self.data.by_split()
        return {
            "annotations": self.sheet.version,
            "files": {path.name: count for path, count in lines.items()},
            "columns": dict(self.sheet.columns),
            "videos": len(self.data.videos),
            "classes": len(self.data.taxonomy),
            "splits": {split: describe_split(data) for split, data in splits.items()},
            "issues": group_by_kind(self.issues),
            "media": self._count_media() if self.has_media else None,
        }

    def _count_media(self) -> dict[str, int]:
        """Count the videos by the state of their media file."""
        issues = Counter(issue.kind for issue in self.media_issues())
        counts = {"found": len(self.data.videos) - issues.total()}
        for kind in MEDIA_ISSUES:
            state = kind.split()[0]
            counts[state] = issues[kind]
        return counts


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
    videos = merge_rows(sheet)
    issues = find_issues(sheet)
    if media is not None:
        folder = MediaFolder(media, table=videos.source, allow_outside=allow_outside)
        issues += tuple(
            check_media(
                videos, folder, rows=sheet.own(), workers=workers, progress=progress
            )
        )
    return Check(sheet, videos, issues, media is not None)


def describe_split(data: Annotations) -> dict[str, Any]:
    """Count the videos, tags and events of a split, by class and modality.

    Args:
        data: Videos of the split.
    """
    tags = Counter(tag for video in data.videos for tag in video.tags)
    events = Counter[tuple[str, str]]()
    for video_events in data.events.values():
        events.update((event.class_name, event.modality) for event in video_events)

    tag_counts = Counter(str(len(video.tags)) for video in data.videos)

    return {
        "videos": len(data.videos),
        "densely labelled": len(data.events),
        "videos by number of tags": dict(sorted(tag_counts.items())),
        "without an event": count_without_event(data),
        "per_class": {
            name: {
                "videos": tags[name],
                "audio events": events[name, "audio"],
                "visual events": events[name, "visual"],
            }
            for name in data.taxonomy.classes
        },
    }


def count_without_event(data: Annotations) -> dict[str, int] | None:
    """Count the densely labelled videos without an event, by modality.

    Args:
        data: Videos.

    Returns:
        Counts for audio, visual, audio-visual and all; None without densely labelled videos.
    """
    ids = data.labelled_ids()
    if not ids:
        return None

    lengths = segment_counts(ids, data)
    labels = Ragged(data.select_videos(ids).labels(lengths), lengths)

    counts = dict.fromkeys((*MODALITIES, "audio_visual", "any"), 0)
    for grid in labels.by_video():
        audio, visual = grid[:, AUDIO], grid[:, VISUAL]
        counts["audio"] += not audio.any()
        counts["visual"] += not visual.any()
        counts["audio_visual"] += not (audio & visual).any()
        counts["any"] += not grid.any()
    return counts


def check_media(
    data: Annotations,
    folder: MediaFolder,
    *,
    rows: Iterable[Row] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Issue]:
    """Yield the videos without a readable media file, and the events after the end of theirs.

    Args:
        data: Videos.
        folder: Folder of their media files.
        rows: Rows of the data set, with the lines of the events.
        workers: Number of worker processes.
        progress: Called after every file.
    """
    videos_of = dict[Path, list[Video]]()
    for video in data.videos:
        try:
            videos_of.setdefault(folder.find(video), []).append(video)
        except MediaError as error:
            yield _make_issue(MEDIA_ISSUES[0], error.what, video, data)

    results = run_supervised(
        check_decodable, list(videos_of), workers=workers, seconds=time_limit
    )

    events_of = defaultdict[str, list[Row]](list)
    for row in rows:
        if row.marks:
            events_of[row.video].append(row)

    for done, (path, result) in enumerate(results, start=1):
        reason = result.reason if isinstance(result, Failed) else ""
        if progress:
            progress(done, len(videos_of), "")
        for video in videos_of[path]:
            if reason:
                yield _make_issue(MEDIA_ISSUES[1], reason, video, data)
            elif isinstance(result, float):
                yield from late_events(events_of[video.video], math.ceil(result))


def _make_issue(kind: str, reason: str, video: Video, data: Annotations) -> Issue:
    return Issue(kind, reason, video.video, data.files[0], video.line)


def write_manifest(path: Path, check: Check) -> Path:
    """Write a CSV of the videos without media, for `evaluate --without`.

    Args:
        path: File to write.
        check: Result of `check`.
    """
    splits = {video.video: video.split for video in check.data.videos}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(MANIFEST)
    for issue in check.media_issues():
        writer.writerow((issue.video, splits[issue.video], issue.kind, issue.what))
    return write_text(path, text.getvalue())


def read_manifest(path: Path) -> tuple[str, ...]:
    """Read the ids in the column `video` of a CSV.

    Args:
        path: CSV file.

    Raises:
        AnnotationError: The file has no such column.
    """
    header, lines = csv_text(path)
    if MANIFEST[0] not in header:
        raise AnnotationError(
            f"column {MANIFEST[0]!r} is missing; columns: {', '.join(header)}",
            file=path,
            line=1,
            fix="give the missing.csv of `vaplan data check --media`",
        )
    column = header.index(MANIFEST[0])
    return tuple(values[column] for _, values in lines if len(values) > column)


def group_by_kind(issues: Sequence[Issue]) -> dict[str, list[dict[str, Any]]]:
    """Return the issues of each kind as JSON values.

    Args:
        issues: Issues of a data set.
    """
    kinds = dict[str, list[dict[str, Any]]]()
    for issue in issues:
        document = asdict(issue) | {"file": str(issue.file)}
        kinds.setdefault(document.pop("kind"), []).append(document)
    return kinds


def _count_lines(sheet: AnnotationRows) -> dict[Path, int]:
    """Count the lines with content in each file; in JSON, the rows."""
    lines = set[tuple[Path, int]]()
    counts = Counter[Path]()
    for row in sheet.rows:
        if row.line:
            lines.add((row.file, row.line))
        else:
            counts[row.file] += 1
    counts.update(file for file, _ in lines)
    return {file: counts[file] for file in sheet.files if file in counts}
