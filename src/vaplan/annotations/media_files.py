"""Media files of videos: search folders, find the file of a video, and name the results.

A folder is searched with all its sub-folders. Links are followed, but no folder is searched
twice; hidden files and files of other kinds are skipped and counted.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaplan.annotations.annotations import Video
from vaplan.errors import MachineError, MediaError, UsageError
from vaplan.objects import exists, is_remote, list_tree

NO_FILE = "no file for"
SEVERAL_FILES = "several files for"
OUTSIDE = "leads out of the media folder"
# Parts of the recorded reasons why a video has no file; it is looked for again.
NOT_FOUND = (NO_FILE, SEVERAL_FILES, OUTSIDE)
YOUTUBE_ID_LENGTH = 11  # published files are often named by the YouTube id alone
MEDIA_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .flv .ts .mts .m2ts .mpg .mpeg .ogv .3gp .3g2 "
    ".wav .mp3 .m4a .aac .ogg .oga .opus .flac".split()
)


@dataclass(frozen=True)
class MediaFile:
    """A media file and the name of its results.

    Attributes:
        path: The file.
        name: Path below the searched folder, without the ending, with `/` between folders;
            with the ending if another file there differs only in the ending.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class MediaTree:
    """The media files below a folder.

    Attributes:
        folder: Folder that was searched.
        files: Paths of the media files, sorted.
        skipped: Number of hidden files and of files that are not media.
        loops: Links to folders that were searched already.
        unreadable: Sub-folders that could not be read, with reasons.
    """

    folder: Path
    files: tuple[Path, ...]
    skipped: int = 0
    loops: tuple[Path, ...] = ()
    unreadable: tuple[tuple[Path, str], ...] = ()


def search_media(folder: Path) -> MediaTree:
    """Search a folder and its sub-folders for media files.

    Raises:
        UsageError: The folder does not exist.
        MachineError: The folder cannot be read.
    """
    if is_remote(folder):
        return _search_remote(folder)
    files = list[Path]()
    skipped = 0
    loops = list[Path]()
    unreadable = list[tuple[Path, str]]()
    visited = {_identity(folder)}
    waiting = [folder]

    while waiting:
        current = waiting.pop()
        try:
            entries = _scan(current)
        except (UsageError, MachineError) as error:
            if current == folder:
                raise
            unreadable.append((current, error.what))
            continue

        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                skipped += not entry.is_dir()
            elif entry.is_dir():
                identity = _identity(path)
                if identity in visited:
                    loops.append(path)
                else:
                    visited.add(identity)
                    waiting.append(path)
            elif path.suffix.lower() in MEDIA_SUFFIXES:
                files.append(path)
            else:
                skipped += 1

    return MediaTree(
        folder,
        tuple(sorted(files)),
        skipped,
        tuple(sorted(loops)),
        tuple(sorted(unreadable)),
    )


def _search_remote(folder: Path) -> MediaTree:
    try:
        found = list_tree(folder)
    except FileNotFoundError as error:
        raise _no_folder(folder) from error
    files = [path for path in found if _is_media(path.relative_to(folder))]
    return MediaTree(folder, tuple(sorted(files)), len(found) - len(files))


def _is_media(path: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.parts)
    return not is_hidden and path.suffix.lower() in MEDIA_SUFFIXES


def _no_folder(folder: Path) -> UsageError:
    return UsageError(
        "no such folder", file=folder, fix="give the folder of the media files"
    )


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_folder(folder) from error
    except OSError as error:
        raise MachineError(
            f"the media folder cannot be read: {error.strerror or error}",
            file=folder,
            fix="repair its permissions, or the disk or share that it is on",
        ) from error


def _identity(folder: Path) -> tuple[int, int]:
    """Return numbers that are equal for two paths to one folder."""
    try:
        status = folder.stat()
    except OSError:  # the scan of the folder reports the reason
        return -1, hash(folder)
    return status.st_dev, status.st_ino


class MediaFolder:
    """Find media files of videos below a folder.

    The file of a video is its `path` in the table (relative to the media folder or to the
    table). Without a path it is the file whose path below the folder, without the ending, is
    the id; else the file of this name in any sub-folder; else the file that is named by the
    first 11 characters of the id. In each case exactly one file must match.
    """

    def __init__(
        self, folder: Path, *, table: Path, allow_outside: bool = False
    ) -> None:
        """Search the folder once.

        Args:
            folder: Folder of the media files.
            table: Table or folder that the annotations come from.
            allow_outside: Accept paths outside the media folder and the table's folder.

        Raises:
            UsageError: The folder does not exist.
            MachineError: The folder cannot be read.
        """
        self.folder = folder
        self.table = table
        self.roots = (folder, table.parent)
        self.allow_outside = allow_outside
        self._by_name: dict[str, list[Path]] = {}
        self._by_stem: dict[str, list[Path]] = {}
        self._files = frozenset(search_media(folder).files)
        for path in sorted(self._files):
            name = path.relative_to(folder).with_suffix("").as_posix()
            self._by_name.setdefault(name, []).append(path)
            self._by_stem.setdefault(path.stem, []).append(path)

    def find(self, video: Video) -> Path:
        """Return the media file of a video.

        Raises:
            MediaError: There is no such file, several files match, or the path of the video
                leads out of the media folder.
        """
        if video.path:
            return self._resolve_path(video)
        for matches in (
            self._by_name.get(video.video, []),
            self._by_stem.get(video.video, []),
            self._by_stem.get(video.video[:YOUTUBE_ID_LENGTH], []),
        ):
            if len(matches) == 1:
                return matches[0]
            if len(matches) > 1:
                names = ", ".join(
                    path.relative_to(self.folder).as_posix() for path in matches[:5]
                )
                raise MediaError(
                    f"{SEVERAL_FILES} {video.video!r}: {names}",
                    file=self.folder,
                    fix="give the path of the video in column `path`, or keep one file",
                )
        raise MediaError(
            f"{NO_FILE} {video.video!r}",
            file=self.folder,
            fix=f"add {video.video}.mp4 or another media file of this name",
        )

    def _resolve_path(self, video: Video) -> Path:
        for root in self.roots:
            path = Path(os.path.normpath(root / video.path))
            is_inside = path.is_relative_to(os.path.normpath(root))
            is_allowed = is_inside or self.allow_outside
            if is_allowed and (path in self._files or _may_exist(path)):
                return path
        if not self.allow_outside and self._is_outside(video.path):
            raise MediaError(
                f"the path of {video.video!r} {OUTSIDE} {self.folder}: {video.path!r}",
                file=self.table,
                line=video.line or None,
                fix="give a path below the media folder or the table's folder, or "
                "add --allow-outside",
            )
        raise MediaError(
            f"{NO_FILE} {video.video!r}: {video.path!r} does not exist",
            file=self.folder,
            fix="paths are relative to the media folder or to the table",
        )

    def _is_outside(self, path: str) -> bool:
        return not any(
            Path(os.path.normpath(root / path)).is_relative_to(os.path.normpath(root))
            for root in self.roots
        )


@dataclass(frozen=True)
class MediaList:
    """Media files to parse.

    Attributes:
        files: The files with the names of their results, once each.
        trees: The folders that were searched.
    """

    files: tuple[MediaFile, ...]
    trees: tuple[MediaTree, ...] = ()


def list_media_files(paths: Sequence[Path]) -> MediaList:
    """List files, and the media files below folders, once each.

    A file in a folder is named by its path below the folder, so equal names in different
    sub-folders stay apart.

    Args:
        paths: Files, which are taken as they are, and folders, which are searched.

    Raises:
        MediaError: A folder contains no media file.
        UsageError: Two results have the same name, so that one would overwrite the other.
    """
    files = dict[Path, str]()
    trees = list[MediaTree]()
    for path in paths:
        if not (path.is_dir() or _is_remote_folder(path)):
            files.setdefault(path, path.name)
            continue
        tree = search_media(path)
        if not tree.files:
            raise MediaError(
                f"this folder contains no media file ({tree.skipped} other files)",
                file=path,
                fix="give a folder with mp4, mkv, wav … files",
            )
        for file in tree.files:
            files.setdefault(file, file.relative_to(path).as_posix())
        trees.append(tree)
    return MediaList(tuple(_name_results(files)), tuple(trees))


def _is_remote_folder(path: Path) -> bool:
    return is_remote(path) and path.suffix.lower() not in MEDIA_SUFFIXES


def _name_results(files: dict[Path, str]) -> Iterator[MediaFile]:
    """Yield the files with the names of their results.

    A name keeps its ending where two files differ only by it.
    """
    short_names = {file: _without_suffix(name) for file, name in files.items()}
    times = Counter(short_names.values())
    file_of = dict[str, Path]()
    for file, name in files.items():
        short = short_names[file]
        result = short if times[short] == 1 else name
        if result in file_of:
            raise UsageError(
                f"the results of {file} and {file_of[result]} would have the same name",
                fix="give the folder that contains both, or parse them with two commands",
            )
        file_of[result] = file
        yield MediaFile(file, result)


def _without_suffix(name: str) -> str:
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix else name


def _may_exist(path: Path) -> bool:
    try:
        return exists(path)
    except OSError:  # the decoder will report the reason
        return True
