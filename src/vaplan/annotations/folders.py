"""Tags from the names of folders: `videos/Dog/a.mp4` is tagged `Dog`."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vaplan.annotations.fields import check_id, check_text
from vaplan.annotations.media_files import MediaFile, MediaTree, list_media_files
from vaplan.annotations.rows import Row
from vaplan.errors import AnnotationError, MediaError, UsageError

EXAMPLE = "videos/Dog/a.mp4"


@dataclass(frozen=True)
class FolderTags:
    """Tags from the folders of media files.

    Attributes:
        rows: One row for each tag of each video, with its path below the folder.
        notes: Lines about files that were left out or joined.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def read_folder_tags(folder: Path) -> FolderTags:
    """Read the media files below a folder; the first folder on the way to a file is its class.

    The id of a video is its path below the folder without the ending. Files of the same content
    (size and SHA-256) are one video, which has the classes of all of them; its id and path are
    those of the first in alphabetical order.

    Args:
        folder: Folder that contains one folder for each class.

    Returns:
        The rows, and notes about files that are no videos of their own.

    Raises:
        UsageError: The folder does not exist.
        MediaError: The folder contains no media file, or a file cannot be read.
        AnnotationError: No file lies in a folder of a class, or a name cannot be used.
    """
    if not folder.is_dir():
        raise UsageError(
            "no such folder",
            file=folder,
            fix=f"give the folder of the class folders, as in {EXAMPLE}",
        )
    media = list_media_files([folder])
    tagged = [file for file in media.files if _class_of(file, folder)]
    if not tagged:
        raise AnnotationError(
            f"none of its {len(media.files)} media files lies in a class folder",
            file=folder,
            fix=f"put the files of each class into a folder with its name, as in {EXAMPLE}",
        )
    groups = _same_content(tagged)
    rows = tuple(row for group in groups for row in _rows(group, folder))
    untagged = len(media.files) - len(tagged)
    copies = len(tagged) - len(groups)
    return FolderTags(rows, tuple(_notes(untagged, copies, media.trees)))


def _class_of(file: MediaFile, folder: Path) -> str:
    """Return the first folder on the way to a file, "" for a file in no class folder."""
    parts = file.path.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else ""


def _rows(group: Sequence[MediaFile], folder: Path) -> Iterator[Row]:
    first = group[0]
    path = first.path.relative_to(folder).as_posix()
    check_id(first.name, file=first.path, line=None)
    _check_name("path", path, first.path)
    row = Row(first.name, path=path, split="train", file=folder)
    for name in dict.fromkeys(_class_of(file, folder) for file in group):
        _check_name("class", name, folder / name)
        yield replace(row, class_name=name)


def _check_name(column: str, name: str, path: Path) -> None:
    """Raise AnnotationError for a name that is not valid in a table."""
    check_text(column, name, file=path, line=None)
    if name != name.strip():
        raise AnnotationError(
            f"{column} {name!r} begins or ends with a space",
            file=path,
            fix="rename it without the space",
        )


def _same_content(files: Sequence[MediaFile]) -> list[list[MediaFile]]:
    """Group files of the same content; an empty file is in a group of its own.

    Only files of equal size are read.
    """
    by_size = defaultdict[int, list[MediaFile]](list)
    for file in files:
        by_size[_size(file.path)].append(file)

    groups = dict[object, list[MediaFile]]()
    for size, equal in by_size.items():
        for file in equal:
            is_alone = len(equal) == 1 or size == 0
            key = file.path if is_alone else (size, _digest(file.path))
            groups.setdefault(key, []).append(file)
    return sorted(groups.values(), key=lambda group: group[0].name)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from error


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> MediaError:
    return MediaError(
        f"cannot read: {error.strerror or error}",
        file=path,
        fix="repair its permissions, or take it out of the folder",
    )


def _notes(untagged: int, copies: int, trees: Sequence[MediaTree]) -> Iterator[str]:
    if untagged:
        yield f"{untagged} media files lie in no class folder and are left out"
    if copies:
        yield f"{copies} files are copies of others; each content is one video"
    for tree in trees:
        for loop in tree.loops:
            yield f"{loop} leads to a folder that was searched already and is left out"
        for path, reason in tree.unreadable:
            yield f"{path} is left out: {reason}"
