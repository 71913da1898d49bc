"""Media files of videos: find the file of a video, and list the media files of a folder."""

from collections.abc import Sequence
from pathlib import Path

from vaplan.annotations.annotations import Video
from vaplan.errors import MachineError, MediaError, UsageError

NO_FILE = "no file for"  # start of the recorded reason; such files are looked for again
YOUTUBE_ID_LENGTH = 11  # published files are often named by the YouTube id alone
MEDIA_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .flv .ts .mpg .mpeg .wav .mp3 .m4a .ogg .flac".split()
)


class MediaFolder:
    """Find media files of videos in a folder.

    The file of a video is its `path` in the table (relative to the media folder or to the
    table), else `<id>.*` in the media folder, else `<first 11 characters of the id>.*` if
    exactly one file has that name.
    """

    def __init__(self, folder: Path, *, table: Path) -> None:
        """List the folder once.

        Args:
            folder: Folder of the media files.
            table: Table or folder that the annotations come from.

        Raises:
            UsageError: The folder does not exist.
            MachineError: The folder cannot be read.
        """
        self.folder = folder
        self.table = table
        self._by_stem: dict[str, list[Path]] = {}
        for path in _list_folder(folder):
            self._by_stem.setdefault(path.stem, []).append(path)

    def find(self, video: Video) -> Path:
        """Return the media file of a video.

        Raises:
            MediaError: There is no such file, or several files match.
        """
        if video.path:
            return self._resolve_path(video)
        for stem in dict.fromkeys((video.video, video.video[:YOUTUBE_ID_LENGTH])):
            matches = self._by_stem.get(stem, [])
            if len(matches) == 1:
                return matches[0]
            if len(matches) > 1:
                names = ", ".join(path.name for path in matches)
                raise MediaError(
                    f"several files for {video.video!r}: {names}",
                    file=self.folder,
                    fix="keep one",
                )
        raise MediaError(
            f"{NO_FILE} {video.video!r}",
            file=self.folder,
            fix=f"add {video.video}.mp4 or another media file of this name",
        )

    def _resolve_path(self, video: Video) -> Path:
        for root in (self.folder, self.table.parent):
            path = root / video.path
            if _may_exist(path):
                return path
        raise MediaError(
            f"{NO_FILE} {video.video!r}: {video.path!r} does not exist",
            file=self.folder,
            fix="paths are relative to the media folder or to the table",
        )


def list_media_files(paths: Sequence[Path]) -> list[Path]:
    """List files, and the media files below folders, once each.

    Args:
        paths: Files, which are taken as they are, and folders, which are searched.

    Raises:
        MediaError: A folder holds no media file.
        UsageError: Two files have the same name without the ending, so that their
            results would overwrite each other.
    """
    files = list[Path]()
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        matches = sorted(
            p for p in path.rglob("*") if p.suffix.lower() in MEDIA_SUFFIXES
        )
        if not matches:
            raise MediaError(
                "this folder holds no media file",
                file=path,
                fix="give a folder with mp4, mkv, wav … files",
            )
        files += matches
    by_stem = dict[str, Path]()
    for path in dict.fromkeys(files):
        if path.stem in by_stem:
            raise UsageError(
                f"{path} and {by_stem[path.stem]} have the same name",
                fix="rename one, or parse them with two commands",
            )
        by_stem[path.stem] = path
    return list(by_stem.values())


def _list_folder(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            "no such folder", file=folder, fix="give the folder of the media files"
        ) from error
    except OSError as error:
        raise MachineError(
            f"the media folder cannot be read: {error.strerror or error}",
            file=folder,
            fix="repair its permissions, or the disk or share that it is on",
        ) from error


def _may_exist(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the decoder will report the reason
        return True
