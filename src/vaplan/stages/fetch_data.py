"""`vaplan data fetch`: download the official annotation files of a data set.

The commits and hashes of the files are fixed here. A file is written after its content was
checked, and an existing file is never replaced.
"""

import hashlib
import io
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from vaplan.errors import MachineError, MissingExtra, UsageError, unknown
from vaplan.workers import Progress
from vaplan.writing import write_bytes

PUBLIC = "https://raw.githubusercontent.com"
PAUSES = (0.5, 2.0)  # seconds before the second and the third attempt
READ_TIMEOUT = 20.0  # seconds without any data
FILE_TIMEOUT = 120.0  # seconds for one file
MAX_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
BUSY = (408, 429)  # status codes that are worth another attempt, besides 500 and above
ORDER = "order"  # the only array of AVE's split files


@dataclass(frozen=True)
class Source:
    """One official file at a commit of a GitHub repository.

    Attributes:
        name: Name of the file.
        repository: Owner and name of the repository.
        commit: Commit of the file.
        sha256: Hash of the bytes. For an HDF5 file, whose bytes depend on the library that
            wrote it, it is the hash of its numbers as lines of text.
        folder_suffix: Added to the folder's name for files that must not mix with the others.
    """

    name: str
    repository: str
    commit: str
    sha256: str
    folder_suffix: str = ""

    @property
    def page(self) -> str:
        """Return the web page of the file, for a download by hand."""
        return f"https://github.com/{self.repository}/tree/{self.commit}/data"

    def address(self, base: str) -> str:
        """Return the address of the file.

        Args:
            base: Address of the server, or of a mirror with the same paths.
        """
        return f"{base.rstrip('/')}/{self.repository}/{self.commit}/data/{self.name}"

    def fingerprint(self, data: bytes) -> str:
        """Return the hash of a file's content, to compare with `sha256`.

        Args:
            data: Content of the file.
        """
        content = _order_as_text(data) if self.name.endswith(".h5") else data
        return hashlib.sha256(content).hexdigest()

    def within(self, folder: Path) -> Path:
        """Return the path of the file for a data set in a folder.

        Args:
            folder: Folder of the data set.
        """
        if not self.folder_suffix:
            return folder / self.name
        # Links stay; `.` and `..` get a name.
        absolute = Path(os.path.abspath(folder))  # noqa: PTH100
        return absolute.parent / f"{absolute.name}{self.folder_suffix}" / self.name


FULL_LIST = "YapengTian/AVVP-ECCV20", "37a09e1f6486aa5b22550fb2096df0d3c20d7386"
# 2024-04-16, the corrected audio annotations
CORRECTED = "YapengTian/AVVP-ECCV20", "fde5611"
FIRST = "YapengTian/AVVP-ECCV20", "0b28c1a7eafbd952d8ed5aac67a722fb09306ae4"
EVENTS = "YapengTian/AVE-ECCV18", "607f15965eb1141c2fd48bbe461f1703cc426c45"
SPLITS = "YapengTian/AVE-ECCV18", "a331390ab3e834fbc2d5477ffc57d6d75dbd463b"

SOURCES: Mapping[str, tuple[Source, ...]] = {
    "llp": (
        Source(
            "AVVP_dataset_full.csv",
            *FULL_LIST,
            "89f112ffc602279c87cc2b2040c4cd42eaf163a9d7e61cf4e74250a343d21e56",
        ),
        Source(
            "AVVP_train.csv",
            *FIRST,
            "bbeb83e8af46a85075216b213d3464f92dd4ab71468c852ae454b82cc745c0a4",
        ),
        Source(
            "AVVP_val_pd.csv",
            *FIRST,
            "1811813b54c5f43c3be0a97bd0971cfb8a93818ca7b3ab96cdc7f4ac37ef37a6",
        ),
        Source(
            "AVVP_test_pd.csv",
            *FIRST,
            "3f7a2b040e3b67c15d08efef25002bf8c5b2320f11049eb99ae0eb2d62f8eb9b",
        ),
        Source(
            "AVVP_eval_audio.csv",
            *CORRECTED,
            "d5435664668bec6e7eafb39059d2f424ed2682f6b55395262fc3cb691b7d0778",
        ),
        Source(
            "AVVP_eval_visual.csv",
            *FIRST,
            "e2274af694f3f27e38b840e0cd91a9d8d9ac85280f193e90828d26b22db69abe",
        ),
        Source(
            "AVVP_eval_audio.csv",
            *FIRST,
            "249122f65501d8d611c0027a48643798fe622bedee60f7e6224b5a8e3c02f886",
            folder_suffix="-legacy",
        ),
    ),
    "ave": (
        Source(
            "Annotations.txt",
            *EVENTS,
            "0d24a9ec5cd4ceb779ebd83d74e83ec8e55c5e468cede3f320fb57346c9dd321",
        ),
        Source(
            "train_order.h5",
            *SPLITS,
            "8b175ac3139f29923e07f81e824f8c0c3992c0bce4da00b8d17b81c6d590f837",
        ),
        Source(
            "val_order.h5",
            *SPLITS,
            "b8c395bbbdf2709f8b5a564669754a695cf8388cd6dc0206bcf9403d8ba84277",
        ),
        Source(
            "test_order.h5",
            *SPLITS,
            "f12bcb432acccf214e55615ab0fd0f6d769a4cfe71287f8c7e5a881555d64cb3",
        ),
    ),
}


def fetch(
    name: str,
    folder: Path,
    *,
    base: str = PUBLIC,
    sources: Mapping[str, Sequence[Source]] = SOURCES,
    pauses: Sequence[float] = PAUSES,
    progress: Progress | None = None,
) -> tuple[Path, ...]:
    """Download the official annotation files of a data set that do not exist yet.

    Args:
        name: Name of the data set, one of `sources`.
        folder: Folder of the files.
        base: Address of the server, or of a mirror with the same paths.
        sources: Official files by data set.
        pauses: Seconds to wait before each further attempt after a transient fault.
        progress: Called after every file.

    Returns:
        The files of the data set, in the order of `sources`.

    Raises:
        UsageError: The data set is unknown, or another file has the name of an official one.
        MachineError: A download failed, or its content is not the official one.
        MissingExtra: The data set needs `h5py`.
    """
    if name not in sources:
        raise UsageError(unknown("public data set", name, sources))
    if urlsplit(base).scheme not in ("https", "http"):
        raise UsageError(f"{base!r} is no web address", fix=f"use {PUBLIC}")
    if any(source.name.endswith(".h5") for source in sources[name]):
        _require_h5py()

    source_of = {source.within(folder): source for source in sources[name]}
    missing = [
        (path, source)
        for path, source in source_of.items()
        if not _is_present(path, source)
    ]

    present = len(source_of) - len(missing)
    for done, (path, source) in enumerate(missing):
        advice = _advise_download_by_hand(missing[done:])
        _fetch_file(path, source, base=base, pauses=pauses, advice=advice)
        if progress:
            progress(present + done + 1, len(source_of), "")

    return tuple(source_of)


def _require_h5py() -> None:
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "reading .h5 files needs h5py", fix="pip install 'vaplan[h5]'"
        ) from error


def _is_present(path: Path, source: Source) -> bool:
    if not os.path.lexists(path):
        return False
    try:
        is_official = (
            path.is_file()
            and path.stat().st_size <= MAX_BYTES
            and source.fingerprint(path.read_bytes()) == source.sha256
        )
    except OSError as error:
        raise MachineError(
            f"cannot read: {error.strerror}", file=path, fix="check its permissions"
        ) from error
    if not is_official:
        raise UsageError(
            f"it is not the official {source.name}",
            file=path,
            fix="move it away, or give another folder",
        )
    return True


def _advise_download_by_hand(missing: Sequence[tuple[Path, Source]]) -> str:
    """Describe how to download the missing files by hand."""
    steps = list[str]()
    for (page, folder), group in groupby(
        missing, key=lambda item: (item[1].page, item[0].parent)
    ):
        names = ", ".join(source.name for _, source in group)
        steps.append(f"from {page} put {names} into {folder}")
    return "try again, or by hand: " + "; ".join(steps)


def _fetch_file(
    path: Path, source: Source, *, base: str, pauses: Sequence[float], advice: str
) -> None:
    """Download a file, check its content and write it."""
    address = source.address(base)
    try:
        data = _download(address, pauses)
    except MachineError as error:
        raise MachineError(error.what, file=address, fix=advice) from error
    fingerprint = source.fingerprint(data)
    if fingerprint != source.sha256:
        raise MachineError(
            f"not the official {source.name}: its sha256 is {fingerprint}, expected "
            f"{source.sha256}",
            file=address,
            fix=advice,
        )
    write_bytes(path, data)


def _order_as_text(data: bytes) -> bytes:
    """Return the numbers of an HDF5 file, one a line; empty if it has no such array."""
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            order = file[ORDER]
            if not isinstance(order, h5py.Dataset):
                return b""
            if order.ndim != 1 or order.nbytes > MAX_BYTES:
                return b""
            return "".join(f"{number}\n" for number in order[:]).encode()
    except (OSError, KeyError, RuntimeError, ValueError):  # of damaged files
        return b""


def _download(address: str, pauses: Sequence[float]) -> bytes:
    """Download a file; after a transient fault and a pause there is another attempt."""
    for pause in pauses:
        try:
            return _receive(address)
        except _TransientError:
            time.sleep(pause)
    return _receive(address)


class _TransientError(MachineError):
    """A fault that another attempt may not have."""


def _receive(address: str) -> bytes:
    request = Request(address, headers={"User-Agent": "vaplan"})
    try:
        with build_opener(_HttpsRedirects).open(
            request, timeout=READ_TIMEOUT
        ) as response:
            return _body(response)
    except HTTPError as error:
        error.close()
        is_transient = error.code >= 500 or error.code in BUSY
        kind = _TransientError if is_transient else MachineError
        raise kind(f"cannot download: {error}") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _TransientError(f"cannot download: {reason}") from error


def _body(response: HTTPResponse) -> bytes:
    deadline = time.monotonic() + FILE_TIMEOUT
    data = bytearray()
    while chunk := response.read1(CHUNK_BYTES):
        data += chunk
        if len(data) > MAX_BYTES:
            raise MachineError(
                f"larger than {MAX_BYTES} bytes, which no official file is"
            )
        if time.monotonic() > deadline:
            raise TimeoutError(f"not finished after {FILE_TIMEOUT:g} s")
    announced = response.headers["Content-Length"]
    if announced and announced != str(len(data)):
        raise _TransientError(
            f"the connection ended after {len(data)} of {announced} bytes"
        )
    return bytes(data)


class _HttpsRedirects(HTTPRedirectHandler):
    """Follows redirects to https addresses only."""

    def redirect_request(
        self,
        req: Request,
        fp: Any,
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        if urlsplit(newurl).scheme != "https":
            fp.close()
            raise MachineError(f"redirected to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
