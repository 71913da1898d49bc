"""Tables of segment labels, and tables of label probabilities.

A table of labels has one row for every marked segment. A table of label probabilities has
one row for every segment and tag in both modalities; the score of a row is the probability
that the label is 1. The second is not an estimate: its rows include absent classes. A JSON
file of the same name marks it, so that it is never read as labels.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from vaplan.annotations.annotations import Annotations
from vaplan.annotations.rows import Row
from vaplan.annotations.table import read as read_table
from vaplan.annotations.table import read_rows, write_rows
from vaplan.errors import AnnotationError
from vaplan.modalities import MODALITIES
from vaplan.ragged import Lengths, Ragged
from vaplan.reading import json_object
from vaplan.taxonomy import Taxonomy
from vaplan.writing import write_json

PROBABILITY_KEY = "label_probability"  # in the JSON file beside the table


def details_path(table: Path) -> Path:
    """Return the path of the JSON file that describes how a table was made."""
    return table.with_suffix(".json")


def label_rows(
    videos: Sequence[str],
    labels: Iterable[Bool[np.ndarray, "time modality class"]],
    score: Iterable[Float[np.ndarray, "time modality class"]],
    taxonomy: Taxonomy,
) -> Iterator[Row]:
    """Yield one row for each marked segment; a video without labels has one empty row.

    Args:
        videos: Ids of the videos.
        labels: Marked segments of each video.
        score: Score of each marked segment, rounded to six decimals.
        taxonomy: Names of the classes.
    """
    for video, grid, scores in zip(videos, labels, score, strict=True):
        cells = np.argwhere(grid.transpose(1, 2, 0))
        if not len(cells):
            yield Row(video)
        for m, c, t in cells.tolist():
            value = round(float(scores[t, m, c]), 6)
            yield Row(
                video, MODALITIES[m], taxonomy.classes[c], float(t), float(t + 1), value
            )


def read_labels(table: Path, data: Annotations) -> Annotations:
    """Read the pseudo labels of the videos of a data set.

    Args:
        table: Table of labels; it may hold further videos.
        data: Videos and classes.

    Raises:
        AnnotationError: The table holds label probabilities, or lacks a video.
    """
    refuse_label_probability(table)
    labels = read_table(table, taxonomy=data.taxonomy, needs_modality=True)
    missing = [video for video in data.ids if video not in labels.events]
    if missing:
        raise AnnotationError(
            f"no pseudo labels for {len(missing)} of {len(data.ids)} videos, "
            f"the first is {missing[0]!r}",
            file=table,
            fix="run `vaplan label` on this data set and store",
        )
    return labels.select_videos(data.ids)


def write_label_probability(
    out: Path,
    probability: Ragged[Any],
    weak_label: Bool[np.ndarray, "video class"],
    mask: Ragged[Any],
    data: Annotations,
) -> Path:
    """Write the probability of every label of the videos' tags.

    Args:
        out: Table to write; a JSON file beside it marks the kind of table.
        probability: Probability that a label is 1, "segment modality class".
        weak_label: Tags of the videos; other classes get no row.
        mask: Segments that exist, "segment modality"; others get no row.
        data: Videos and classes, in the order of the arrays.
    """
    possible = (
        tags & exists[..., None]
        for tags, exists in zip(weak_label, mask.by_video(), strict=True)
    )
    rows = label_rows(data.ids, possible, probability.by_video(), data.taxonomy)
    write_json(details_path(out), {PROBABILITY_KEY: True})
    return write_rows(out, rows)


def refuse_label_probability(table: Path) -> None:
    """Raise AnnotationError if a table holds label probabilities instead of labels."""
    details = details_path(table)
    if not details.is_file():
        return
    content = json_object(
        details,
        what="the description of a table of labels",
        fix="delete it, or make the labels again",
        error=AnnotationError,
    )
    if content.get(PROBABILITY_KEY):
        raise AnnotationError(
            "it holds label probabilities: a row for every tag and segment",
            file=table,
            fix="give the table of labels that was written with it",
        )


def read_label_probability(
    table: Path, data: Annotations, lengths: Lengths
) -> Float32[np.ndarray, "segment modality class"]:
    """Read the probability of every label of the videos of a data set.

    Args:
        table: Table that `write_label_probability` wrote; it may hold further videos.
        data: Videos and classes.
        lengths: Number of segments of each video.

    Returns:
        Probabilities, 0 where the table has no row.

    Raises:
        AnnotationError: A score is not a probability, a video is missing, or a segment
            has rows of some of the video's tags only.
    """
    shape = (lengths.total, len(MODALITIES), len(data.taxonomy))
    probability = np.full(shape, np.nan, dtype=np.float32)
    index_of = {video: index for index, video in enumerate(data.ids)}

    videos = set[str]()
    for row in read_rows(table, taxonomy=data.taxonomy, needs_modality=True).rows:
        videos.add(row.video)
        if row.video not in index_of or not row.modality:
            continue
        index = index_of[row.video]
        segment = int(row.onset or 0)
        _check_cell(row, segment, count=int(lengths.counts[index]), table=table)
        position = lengths.starts[index] + segment
        class_index = data.taxonomy.index(row.class_name)
        for modality in map(MODALITIES.index, row.modalities):
            probability[position, modality, class_index] = row.score

    _check_complete(table, data, videos, Ragged(~np.isnan(probability), lengths))
    return np.nan_to_num(probability)


def _check_cell(row: Row, segment: int, *, count: int, table: Path) -> None:
    """Raise AnnotationError if the score is no probability, or the video has no such segment."""
    if row.score is None or not 0 <= row.score <= 1:
        raise AnnotationError(
            f"score {row.score} is not a probability",
            file=table,
            line=row.line,
            fix="make the table with `vaplan label --out-probability`",
        )
    if segment >= count:
        raise AnnotationError(
            f"segment {segment} is past the end: {row.video!r} has {count} segments",
            file=table,
            line=row.line,
            fix="make the table again on this data set and store",
        )


def _check_complete(
    table: Path, data: Annotations, videos: set[str], is_present: Ragged[Any]
) -> None:
    """Raise AnnotationError if a video has no row, or a segment has rows of some tags only."""
    missing = [video for video in data.ids if video not in videos]
    if missing:
        raise AnnotationError(
            f"no label probabilities for {len(missing)} of {len(data.ids)} videos, "
            f"the first is {missing[0]!r}",
            file=table,
            fix="run `vaplan label --out-probability` on this data set and store",
        )
    is_tagged = data.weak_label()[:, None]
    for video, tags, present in zip(
        data.ids, is_tagged, is_present.by_video(), strict=True
    ):
        has_some = (present & tags).any(axis=-1)
        has_all = (present | ~tags).all(axis=-1)
        if (has_some & ~has_all).any():
            raise AnnotationError(
                f"{video!r} has segments with rows of some tags only, "
                "so these are not label probabilities",
                file=table,
                fix="give the table of `vaplan label --out-probability`",
            )
