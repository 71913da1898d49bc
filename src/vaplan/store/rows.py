"""Rows of a shard: entries as plain columns, checked when written and when read."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from vaplan.errors import StoreError

REWRITE = (
    "delete this shard and run the command that filled the store again: it writes the "
    "missing videos"
)
VERIFY = (
    "find its shard with `vaplan store verify` and delete it; the command that filled the "
    "store writes it again"
)
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
    """The features of one video, or the reason why it has none.

    Attributes:
        video: Id of the video.
        feature: One vector a segment, 0 where masked; None unless the status is "ok".
        mask: Whether a segment has a vector; as long as the video, also if the modality is
            absent.
        status: "ok", "absent" (the file has no such track) or "failed" (the file cannot be
            decoded).
        reason: Reason of an absence or a failure.
        warnings: Damage and absent content of the file.
        source: Source of the features, for example the content hash of the file.
    """

    video: str
    feature: Float[np.ndarray, "time feature"] | None
    mask: Bool[np.ndarray, " time"]
    status: str = "ok"
    reason: str = ""
    warnings: tuple[str, ...] = ()
    source: str = ""


def to_row(entry: Entry, *, dimension: int, dtype: str) -> dict[str, Any]:
    """Convert an entry to the columns of `SCHEMA`.

    Args:
        entry: Entry of one video.
        dimension: Number of values of a segment.
        dtype: Number type of the store.

    Raises:
        StoreError: The status does not fit the features, or the features are not valid.
    """
    has_feature = entry.feature is not None
    if entry.status not in STATUSES or (entry.status == "ok") != has_feature:
        raise StoreError(
            f"{entry.video}: status {entry.status!r} with {'a' if has_feature else 'no'} feature",
            fix=f"an entry with a feature is 'ok', one without is {STATUSES[1:]}",
        )
    embedding = None
    if entry.feature is not None:
        check_feature(entry.video, entry.feature, entry.mask, dimension)
        with np.errstate(over="ignore"):  # becomes infinite, which the check reports
            stored = np.where(entry.mask[:, None], entry.feature, 0).astype(dtype)
        check_feature(entry.video, stored.astype(np.float32), entry.mask, dimension)
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


def from_row(
    row: dict[str, Any], *, dimension: int, dtype: str, file: Path | None = None
) -> Entry:
    """Convert a row to an entry.

    Args:
        row: Row of a shard.
        dimension: Number of values of a segment.
        dtype: Number type of the store.
        file: Shard of the row, for errors.

    Raises:
        StoreError: The row has changed.
    """
    video = row["video"]
    segments = row["segments"]
    if not is_intact(row) or row["dtype"] != dtype or len(row["mask"]) != segments:
        raise StoreError(
            f"the features of {video} changed since they were written",
            file=file,
            fix=VERIFY,
        )
    mask = np.frombuffer(row["mask"], dtype=bool)
    feature = None
    if row["embedding"] is not None:
        flat = np.frombuffer(row["embedding"], dtype=dtype)
        if flat.size != segments * dimension:
            raise StoreError(
                f"the features of {video} are {flat.size} numbers, expected {segments} x "
                f"{dimension}",
                file=file,
                fix=VERIFY,
            )
        feature = flat.reshape(segments, dimension).astype(np.float32)
        check_feature(video, feature, mask, dimension, file=file)
    return Entry(
        video=row["video"],
        feature=feature,
        mask=mask,
        status=row["status"],
        reason=row["reason"],
        warnings=tuple(row["warnings"]),
        source=row["source"],
    )


def check_feature(
    video: str,
    feature: Float[np.ndarray, "time feature"],
    mask: Bool[np.ndarray, " time"],
    dimension: int,
    *,
    file: Path | None = None,
) -> None:
    """Check the shape and the values of features.

    Args:
        video: Id of the video.
        feature: Features of the video.
        mask: Segments that exist.
        dimension: Number of values of a segment.
        file: Shard of the video, for errors.

    Raises:
        StoreError: The shape is another one, or a value is not finite.
    """
    expected = len(mask), dimension
    if feature.shape != expected:
        raise StoreError(
            f"the features of {video} have shape {feature.shape}, expected {expected} "
            "(time, feature)",
            file=file,
            fix=VERIFY,
        )
    not_finite = int(np.count_nonzero(~np.isfinite(feature[mask])))
    if not_finite:
        raise StoreError(
            f"{not_finite} of the features of {video} are not finite numbers",
            file=file,
            fix=VERIFY,
        )


def is_intact(row: dict[str, Any]) -> bool:
    """Return whether a row is unchanged.

    Args:
        row: Row of a shard.
    """
    return bool(checksum(row) == row["checksum"])


def checksum(row: dict[str, Any]) -> bytes:
    """Compute a digest of the data of a row, without reasons and warnings.

    Args:
        row: Row of a shard.
    """
    head = [row[key] for key in ("video", "status", "segments", "dtype")]
    digest = hashlib.blake2b(json.dumps(head).encode(), digest_size=16)
    for key in ("mask", "embedding"):
        digest.update(row[key] or b"")
    return digest.digest()
