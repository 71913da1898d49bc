"""Files on object storage: `s3://BUCKET/…`, `gs://BUCKET/…`, and `file:///…` by the same code.

`Path("s3://bucket/videos")` is `s3:/bucket/videos`. A path with such a first part is a remote
path; `Path` joins and compares it as any other. An object appears under its name whole or not at
all, and a listing has every object that was written, so neither needs a lock or a manifest.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from vaplan.errors import MachineError, MediaError, MissingExtra, VaplanError

SCHEMES = ("s3:", "gs:", "file:")
ATTEMPTS = 8  # of a request; the waits between them double, up to 20 s
RETRY_SECONDS = 120.0  # of a request to Google Cloud Storage
PIECE_BYTES = 8 * 1024**2  # of a download
FIX = (
    "check the network, the bucket and the credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE, "
    "AWS_ENDPOINT_URL or GOOGLE_APPLICATION_CREDENTIALS), and run the same command again"
)


@dataclass(frozen=True)
class Status:
    """Size and age of a file.

    Attributes:
        size: Number of bytes.
        changed: Time of the last change, in seconds since 1970.
    """

    size: int
    changed: float


def is_remote(path: Path) -> bool:
    """Return whether a path is on object storage.

    >>> is_remote(Path("s3://bucket/store")), is_remote(Path("store"))
    (True, False)
    """
    return path.parts[:1] != () and path.parts[0] in SCHEMES


def to_uri(path: Path) -> str:
    """Write a path as people give it.

    >>> to_uri(Path("s3://bucket/store")), to_uri(Path("file:///data"))
    ('s3://bucket/store', 'file:///data')
    """
    scheme, _, rest = str(path).partition(":/")
    if not is_remote(path):
        return str(path)
    return f"{scheme}://{'/' if scheme == 'file' else ''}{rest}"


def exists(path: Path) -> bool:
    """Return whether there is such a file or folder.

    Raises:
        MachineError: The storage does not answer.
    """
    if not is_remote(path):
        return path.exists()
    from pyarrow.fs import FileType

    with _remote_errors(path):
        info = _open_storage(path).get_file_info(_key(path))
    return bool(info.type != FileType.NotFound)


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
        OSError: There is no such file, or a local one cannot be read.
        MachineError: The storage does not answer.
    """
    if not is_remote(path):
        return path.read_bytes()
    with (
        _remote_errors(path),
        _open_storage(path).open_input_file(_key(path)) as file,
    ):
        content: bytes = file.read()
        _check_size(len(content), file.size())
    return content


def write_remote(path: Path, content: bytes) -> None:
    """Write an object: all of it, or nothing.

    Args:
        path: Remote path.
        content: Bytes of the object.

    Raises:
        MachineError: The storage does not answer, or refuses it.
    """
    storage = _open_storage(path)
    key = _key(path)
    with _remote_errors(path):
        if path.parts[0] != "file:":
            with storage.open_output_stream(key) as file:
                file.write(content)  # in one write, so that no part of it is an object
            return
        storage.create_dir(_key(path.parent), recursive=True)
        part = _key(path.with_name(f".{path.name}.part"))
        with storage.open_output_stream(part) as file:
            file.write(content)
        storage.move(part, key)


def glob(folder: Path, pattern: str) -> list[Path]:
    """List the files and folders that match a pattern, in any order.

    Args:
        folder: Folder to search.
        pattern: Names with `*`, one for each level, with `/` between them.

    Raises:
        MachineError: The storage does not answer.
    """
    if not is_remote(folder):
        return [*folder.glob(pattern)]
    found = [folder]
    for part in pattern.split("/"):
        if "*" in part:
            found = [
                path
                for parent in found
                for path in _list_folder(parent)
                if fnmatchcase(path.name, part)
            ]
        else:
            found = [parent / part for parent in found if exists(parent / part)]
    return found


def list_tree(folder: Path) -> dict[Path, Status]:
    """List all files below a remote folder.

    Args:
        folder: Remote folder.

    Raises:
        FileNotFoundError: There is no such folder.
        MachineError: The storage does not answer.
    """
    return _list_folder(folder, is_recursive=True, must_exist=True)


def stat_all(paths: Sequence[Path]) -> list[Status]:
    """Return size and age of files; remote ones from one listing of each folder.

    Raises:
        OSError: A file does not exist.
        MachineError: The storage does not answer.
    """
    folders = {path.parent for path in paths if is_remote(path)}
    listed = dict[Path, Status]()
    for folder in folders:
        listed |= _list_folder(folder)
    return [listed[path] if path in listed else _stat_local(path) for path in paths]


def _stat_local(path: Path) -> Status:
    status = path.stat()
    return Status(status.st_size, status.st_mtime)


def _list_folder(
    folder: Path, *, is_recursive: bool = False, must_exist: bool = False
) -> dict[Path, Status]:
    """List a remote folder; recursively, only files."""
    from pyarrow.fs import FileSelector, FileType

    selector = FileSelector(
        _key(folder), recursive=is_recursive, allow_not_found=not must_exist
    )
    try:
        with _remote_errors(folder):
            found = _open_storage(folder).get_file_info(selector)
    except NotADirectoryError:
        return {}
    start = len(_key(folder).rstrip("/")) + 1
    return {
        folder / info.path[start:]: Status(info.size or 0, (info.mtime_ns or 0) / 1e9)
        for info in found
        if info.type == FileType.File or not is_recursive
    }


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Yield a local file with the content of a path: the file itself, or a temporary copy.

    Args:
        path: Local or remote path.

    Raises:
        OSError: There is no such file.
        MachineError: The storage does not answer, or there is no room for the copy.
    """
    if not is_remote(path):
        yield path
        return
    folder = Path(tempfile.mkdtemp(prefix="vaplan-"))
    try:
        copy = folder / path.name
        _download(path, copy)
        yield copy
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _download(path: Path, copy: Path) -> None:
    with (
        _remote_errors(path),
        _open_storage(path).open_input_file(_key(path)) as source,
        copy.open("wb") as target,
    ):
        size = source.size()
        while piece := source.read(PIECE_BYTES):
            target.write(piece)
        _check_size(target.tell(), size)


def _check_size(read: int, size: int) -> None:
    if read != size:
        raise OSError(f"{read} of {size} bytes came")


def _key(path: Path) -> str:
    """Return the name of a path in its storage: bucket and key, or a local path."""
    scheme, *rest = path.parts
    key = "/".join(rest)
    return f"/{key}" if scheme == "file:" else key


def _open_storage(path: Path) -> Any:
    bucket = path.parts[1] if len(path.parts) > 1 else ""
    return _make_storage(path.parts[0], bucket, os.getpid())


@lru_cache
def _make_storage(scheme: str, bucket: str, _process: int) -> Any:
    """Make the client of a bucket, one for each process."""
    try:
        from pyarrow import fs

        if scheme == "s3:":
            endpoint = find_endpoint()
            return fs.S3FileSystem(
                region=None if endpoint else _find_region(bucket),
                endpoint_override=endpoint,
                retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            )
        if scheme == "gs:":
            return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=RETRY_SECONDS))
        return fs.LocalFileSystem()
    except (ImportError, AttributeError) as error:
        raise MissingExtra(
            f"this build of pyarrow has no client for {scheme}//",
            fix="pip install --force-reinstall pyarrow",
        ) from error


def find_endpoint() -> str | None:
    """Return the address of a service other than AWS that the environment names."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


def _find_region(bucket: str) -> str | None:
    """Return the region of a bucket of AWS; None if the environment names one."""
    from pyarrow.fs import resolve_s3_region

    if any(os.environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")):
        return None
    with suppress(OSError):  # else the first request names the problem
        return str(resolve_s3_region(bucket))
    return None


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Let errors about the local copy of a remote file name the remote one.

    Args:
        path: Local or remote path.

    Raises:
        MediaError: The remote file does not exist.
    """
    try:
        yield
    except VaplanError as error:
        if is_remote(path):
            error.file = to_uri(path)
        raise
    except FileNotFoundError as error:
        if not is_remote(path):
            raise
        raise MediaError(
            "no such file", file=to_uri(path), fix="run the same command again"
        ) from error


@contextmanager
def _remote_errors(path: Path) -> Iterator[None]:
    """Turn what a storage reports into an error of one line."""
    import pyarrow as pa

    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, pa.ArrowException) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise MachineError(what, file=to_uri(path), fix=FIX) from error
