"""One row of a shard: an entry as plain columns, checked when it is written and read."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from vaplan.errors import StoreError

REWRITE = (
    "delete this shard, then run the command that filled the store again: "
    "it writes the missing videos"
)
VERIFY = (
    "find its shard with `vaplan store verify` and delete it; "
    "the command that filled the store writes it again"
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
        feature: One vector for each segment, zeros where masked; None unless the status is
            "ok".
        mask: Whether a segment has a vector; as long as the video, also where its modality
            is absent.
        status: "ok"; "absent": the file has no such track; "failed": the file cannot be
            read.
        reason: Why there is no feature; empty otherwise.
        warnings: Problems of the decoder.
        source: Identity of the input, for example the hash of the media file.
    """

    video: str
    feature: Float[np.ndarray, "time feature"] | None
    mask: Bool[np.ndarray, " time"]
    status: str = "ok"
    reason: str = ""
    warnings: tuple[str, ...] = ()
    source: str = ""


def to_row(entry: Entry, *, dimension: int, dtype: str) -> dict[str, Any]:
    """Convert an entry to the columns of SCHEMA.

    Args:
        entry: Entry of one video.
        dimension: Dimension of a segment's vector.
        dtype: Type of the stored numbers.

    Raises:
        StoreError: The status contradicts the feature, or the feature is not one of the
            encoder.
    """
    has_feature = entry.feature is not None
    should_have_feature = entry.status == "ok"
    if entry.status not in STATUSES or should_have_feature != has_feature:
        raise StoreError(
            f"{entry.video}: status {entry.status!r} with "
            f"{'a' if has_feature else 'no'} feature",
            fix=f"an entry with a feature is 'ok', one without is {STATUSES[1:]}",
        )
    row = {
        "video": entry.video,
        "status": entry.status,
        "reason": entry.reason,
        "warnings": list(entry.warnings),
        "source": entry.source,
        "segments": len(entry.mask),
        "dtype": dtype,
        "mask": entry.mask.tobytes(),
        "embedding": _encode_feature(entry, dimension, dtype),
    }
    return row | {"checksum": checksum(row)}


def from_row(row: dict[str, Any], *, dimension: int, dtype: str) -> Entry:
    """Read the entry of a row.

    Args:
        row: Row of a shard.
        dimension: Dimension of a segment's vector.
        dtype: Type of the stored numbers.

    Raises:
        StoreError: The row was changed; the message names the video.
    """
    video = row["video"]
    segments = row["segments"]
    is_expected = is_intact(row) and row["dtype"] == dtype
    if not is_expected or len(row["mask"]) != segments:
        raise StoreError(
            f"the features of {video} changed since they were written", fix=VERIFY
        )
    mask = np.frombuffer(row["mask"], dtype=bool)
    feature = None
    if row["embedding"] is not None:
        values = np.frombuffer(row["embedding"], dtype=dtype)
        if values.size != segments * dimension:
            raise StoreError(
                f"the features of {video} are {values.size} numbers, "
                f"expected {segments} x {dimension}",
                fix=VERIFY,
            )
        feature = values.reshape(segments, dimension).astype(np.float32)
        check_feature(video, feature, mask, dimension)
    return Entry(
        video=video,
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
) -> None:
    """Check the shape of a feature, and that its values are finite.

    Args:
        video: Id of the video.
        feature: Features of the video.
        mask: Segments that exist.
        dimension: Dimension of a segment's vector.

    Raises:
        StoreError: The shape is another one, or a value is not finite.
    """
    expected_shape = (len(mask), dimension)
    if feature.shape != expected_shape:
        raise StoreError(
            f"the features of {video} have shape {feature.shape}, "
            f"expected {expected_shape} (time, feature)",
            fix=VERIFY,
        )
    is_finite = np.isfinite(feature[mask])
    invalid_count = int(np.count_nonzero(~is_finite))
    if invalid_count:
        raise StoreError(
            f"{invalid_count} of the features of {video} are not finite numbers",
            fix=VERIFY,
        )


def is_intact(row: dict[str, Any]) -> bool:
    """Return whether the data of a row are unchanged."""
    return bool(checksum(row) == row["checksum"])


def checksum(row: dict[str, Any]) -> bytes:
    """Compute a hash of the data of a row, without reasons and warnings."""
    head = [row[key] for key in ("video", "status", "segments", "dtype")]
    digest = hashlib.blake2b(json.dumps(head).encode(), digest_size=16)
    for key in ("mask", "embedding"):
        digest.update(row[key] or b"")
    return digest.digest()


def _encode_feature(entry: Entry, dimension: int, dtype: str) -> bytes | None:
    if entry.feature is None:
        return None
    check_feature(entry.video, entry.feature, entry.mask, dimension)
    masked_feature = np.where(entry.mask[:, None], entry.feature, 0)
    # a value too large for the type becomes infinite, and the second check names it
    with np.errstate(over="ignore"):
        stored = masked_feature.astype(dtype)
    check_feature(entry.video, stored.astype(np.float32), entry.mask, dimension)
    return stored.tobytes()
