"""One row of a shard: an entry as plain columns, checked on its way in and on its way out."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from vaplan.errors import StoreError

REWRITE = "delete this shard, then run the command that filled the store again: it writes what is lacking"
VERIFY = "find its shard with `vaplan store verify` and delete it; the command that filled the store writes it again"
STATUSES = ("ok", "absent", "failed")
SCHEMA = pa.schema(
    {
        "video": pa.string(),
        "status": pa.string(),
        "reason": pa.string(),
        "warnings": pa.list_(pa.string()),
        "source": pa.string(),
        "segments": pa.int32(),
        "dtype": pa.string(),
        "mask": pa.binary(),
        "embedding": pa.large_binary(),
        "checksum": pa.binary(16),
    }
)


@dataclass(frozen=True)
class Entry:
    """The features of one video, or why it has none.

    Attributes:
        feature: One vector a segment, zeros where masked; None unless the status is "ok".
        mask: Which segments have a vector; as long as the video, also where its modality is absent.
        status: "ok"; "absent": the file has no such track; "failed": the file cannot be read.
        source: What the features were made from, for example the file's content hash.
    """

    video: str
    feature: Float[np.ndarray, "time feature"] | None
    mask: Bool[np.ndarray, " time"]
    status: str = "ok"
    reason: str = ""
    warnings: tuple[str, ...] = ()
    source: str = ""


def to_row(entry: Entry, *, dimension: int, dtype: str) -> dict[str, Any]:
    """An entry as the columns of SCHEMA.

    Args:
        entry: Entry of one video.
        dimension: Number of values of a segment.
        dtype: Type of the numbers.

    Raises: StoreError if its numbers cannot be an encoder's.
    """
    if entry.status not in STATUSES or (entry.status == "ok") != (
        entry.feature is not None
    ):
        what = (
            f"{entry.video}: status {entry.status!r} with "
            f"{'no' if entry.feature is None else 'a'} feature"
        )
        raise StoreError(
            what, fix=f"an entry with a feature is 'ok', one without is {STATUSES[1:]}"
        )
    embedding = None
    if entry.feature is not None:
        check(entry.video, entry.feature, entry.mask, dimension)
        with np.errstate(
            over="ignore"
        ):  # too large for the type becomes infinite, which the check names
            stored = np.where(entry.mask[:, None], entry.feature, 0).astype(dtype)
        check(entry.video, stored.astype(np.float32), entry.mask, dimension)
        embedding = stored.tobytes()
    row = {
        "video": entry.video,
        "status": entry.status,
        "reason": entry.reason,
        "warnings": list(entry.warnings),
        "source": entry.source,
        "segments": len(entry.mask),
        "dtype": dtype,
        "mask": entry.mask.tobytes(),
        "embedding": embedding,
    }
    return row | {"checksum": checksum(row)}


def from_row(row: dict[str, Any], *, dimension: int, dtype: str) -> Entry:
    """Read the entry of a row; StoreError if it was changed.

    Args:
        row: Row of a shard.
        dimension: Number of values of a segment.
        dtype: Type of the numbers.
    """
    video, segments = row["video"], row["segments"]
    if not intact(row) or row["dtype"] != dtype or len(row["mask"]) != segments:
        raise StoreError(
            f"the features of {video} changed since they were written", fix=VERIFY
        )
    mask = np.frombuffer(row["mask"], dtype=bool)
    feature = None
    if row["embedding"] is not None:
        flat = np.frombuffer(row["embedding"], dtype=dtype)
        if flat.size != segments * dimension:
            what = (
                f"the features of {video} are {flat.size} numbers, expected {segments} "
                f"x {dimension}"
            )
            raise StoreError(what, fix=VERIFY)
        feature = flat.reshape(segments, dimension).astype(np.float32)
        check(video, feature, mask, dimension)
    return Entry(
        video=row["video"],
        feature=feature,
        mask=mask,
        status=row["status"],
        reason=row["reason"],
        warnings=tuple(row["warnings"]),
        source=row["source"],
    )


def check(
    video: str,
    feature: Float[np.ndarray, "time feature"],
    mask: Bool[np.ndarray, " time"],
    dimension: int,
) -> None:
    """Refuse a feature of another shape than the encoder's, or with values that are no numbers.

    Args:
        video: Id of the video.
        feature: Features of the video.
        mask: Segments that exist.
        dimension: Number of values of a segment.
    """
    expected = len(mask), dimension
    if feature.shape != expected:
        what = (
            f"the features of {video} have shape {feature.shape}, expected {expected} "
            "(time, feature)"
        )
        raise StoreError(what, fix=VERIFY)
    bad = int(np.count_nonzero(~np.isfinite(feature[mask])))
    if bad:
        raise StoreError(
            f"{bad} of the features of {video} are not finite numbers", fix=VERIFY
        )


def intact(row: dict[str, Any]) -> bool:
    """Return whether a row is unchanged."""
    return bool(checksum(row) == row["checksum"])


def checksum(row: dict[str, Any]) -> bytes:
    """Compute a digest of the data of a row, without reasons and warnings."""
    head = json.dumps(
        [row[key] for key in ("video", "status", "segments", "dtype")]
    ).encode()
    digest = hashlib.blake2b(head, digest_size=16)
    for key in ("mask", "embedding"):
        digest.update(row[key] or b"")
    return digest.digest()
