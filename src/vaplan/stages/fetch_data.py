"""Download the official annotation files, at the commits and with the contents that this page
names.

Nothing is put in place before its content was checked, and no file that is there already is
written over.
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
PATIENCE = 20.0  # seconds of silence
LONGEST = 120.0  # seconds for one file
MAX_BYTES = 4 * 1024 * 1024
PIECE = 64 * 1024
BUSY = (
    408,
    429,
)  # answers of a server that may say otherwise a moment later, besides 500 and above
ORDER = "order"  # the only array of AVE's split files


@dataclass(frozen=True)
class Source:
    """One official file, at a commit of a GitHub repository.

    `sha256` is that of the bytes; of an HDF5 file, whose bytes depend on the library that wrote
    it, it is that of its numbers as lines of text. `beside` is added to the folder's name for
    files that must not mix with the others.
    """

    name: str
    repository: str
    commit: str
    sha256: str
    beside: str = ""

    @property
    def page(self) -> str:
        """Where a person can look at the file and get it by hand."""
        return f"https://github.com/{self.repository}/tree/{self.commit}/data"

    def address(self, base: str) -> str:
        """Where a program gets it."""
        return f"{base.rstrip('/')}/{self.repository}/{self.commit}/data/{self.name}"

    def fingerprint(self, data: bytes) -> str:
        """The sha256 of these bytes, or of their numbers, to compare with that of the official
        file."""
        return hashlib.sha256(
            _numbers(data) if self.name.endswith(".h5") else data
        ).hexdigest()

    def within(self, folder: Path) -> Path:
        """Its place for a data set that is kept in this folder."""
        absolute = Path(os.path.abspath(folder))  # noqa: PTH100 - links stay, `.` and `..` get a name
        return (
            absolute.parent / f"{absolute.name}{self.beside}" / self.name
            if self.beside
            else folder / self.name
        )


FULL_LIST = "YapengTian/AVVP-ECCV20", "37a09e1f6486aa5b22550fb2096df0d3c20d7386"
CORRECTED = (
    "YapengTian/AVVP-ECCV20",
    "fde5611",
)  # 2024-04-16, the corrected audio annotations
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
            beside="-legacy",
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
    """Bring the official annotation files of a data set into `folder`; what is there already is
    not fetched again.

    Args:
        base: A mirror with the paths of raw.githubusercontent.com; only a mirror may be without
            https.
        pauses: Seconds to wait before each further attempt after a fault that may pass.

    Returns:
        The files of the data set, in the order of `sources`.
    """
    if name not in sources:
        raise UsageError(unknown("public data set", name, sources))
    if urlsplit(base).scheme not in ("https", "http"):
        raise UsageError(f"{base!r} is no web address", fix=f"use {PUBLIC}")
    if any(source.name.endswith(".h5") for source in sources[name]):
        _require_h5py()
    source_of = {source.within(folder): source for source in sources[name]}
    missing = {
        path: source
        for path, source in source_of.items()
        if not _is_there(path, source)
    }
    present = len(source_of) - len(missing)
    for done, path in enumerate(missing):
        _bring(
            path,
            missing[path],
            base=base,
            pauses=pauses,
            by_hand=_by_hand(list(missing.items())[done:]),
        )
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


def _is_there(path: Path, source: Source) -> bool:
    if not os.path.lexists(path):
        return False
    try:
        official = (
            path.is_file()
            and path.stat().st_size <= MAX_BYTES
            and source.fingerprint(path.read_bytes()) == source.sha256
        )
    except OSError as error:
        raise MachineError(
            f"cannot read: {error.strerror}", file=path, fix="check its permissions"
        ) from error
    if not official:
        what = f"there is another file than the official {source.name}"
        raise UsageError(what, file=path, fix="move it away, or give another folder")
    return True


def _by_hand(missing: Sequence[tuple[Path, Source]]) -> str:
    """What a person can do instead."""
    steps = []
    for (page, folder), group in groupby(
        missing, key=lambda item: (item[1].page, item[0].parent)
    ):
        names = ", ".join(source.name for _, source in group)
        steps.append(f"from {page} put {names} into {folder}")
    return "try again, or by hand: " + "; ".join(steps)


def _bring(
    path: Path, source: Source, *, base: str, pauses: Sequence[float], by_hand: str
) -> None:
    """Download, check, and only then put in place."""
    address = source.address(base)
    try:
        data = _download(address, pauses)
    except MachineError as error:
        raise MachineError(error.what, file=address, fix=by_hand) from error
    fingerprint = source.fingerprint(data)
    if fingerprint != source.sha256:
        what = (
            f"not the official {source.name}: its sha256 is {fingerprint}, expected "
            f"{source.sha256}"
        )
        raise MachineError(what, file=address, fix=by_hand)
    write_bytes(path, data)


def _numbers(data: bytes) -> bytes:
    """The order in an HDF5 file, one number a line; nothing if it holds no such thing."""
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            order = file[ORDER]
            if (
                not isinstance(order, h5py.Dataset)
                or order.ndim != 1
                or order.nbytes > MAX_BYTES
            ):
                return b""
            return "".join(f"{number}\n" for number in order[:]).encode()
    except (
        OSError,
        KeyError,
        RuntimeError,
        ValueError,
    ):  # what the library says of damaged files
        return b""


def _download(address: str, pauses: Sequence[float]) -> bytes:
    """What is at an address; a fault that may pass gets another attempt after each pause."""
    for pause in pauses:
        try:
            return _receive(address)
        except _Passing:
            time.sleep(pause)
    return _receive(address)


class _Passing(MachineError):
    """A fault that may be gone a moment later."""


def _receive(address: str) -> bytes:
    request = Request(address, headers={"User-Agent": "vaplan"})
    try:
        with build_opener(_OnlyToHttps).open(request, timeout=PATIENCE) as response:
            return _body(response)
    except HTTPError as error:
        error.close()
        kind = _Passing if error.code >= 500 or error.code in BUSY else MachineError
        raise kind(f"cannot download: {error}") from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _Passing(f"cannot download: {reason}") from error


def _body(response: HTTPResponse) -> bytes:
    ends, data = time.monotonic() + LONGEST, bytearray()
    while piece := response.read1(PIECE):
        data += piece
        if len(data) > MAX_BYTES:
            raise MachineError(
                f"larger than {MAX_BYTES} bytes, which no official file is"
            )
        if time.monotonic() > ends:
            raise TimeoutError(f"not finished after {LONGEST:g} s")
    announced = response.headers["Content-Length"]
    if announced and announced != str(len(data)):
        raise _Passing(f"torn off after {len(data)} of {announced} bytes")
    return bytes(data)


class _OnlyToHttps(HTTPRedirectHandler):
    """Follows redirects, but not out of https."""

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
