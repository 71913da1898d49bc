"""Labels of single segments as rows of a table, and soft labels: how likely each of them is.

A table of soft labels has a row for every segment and tag, in both modalities, whose score is the probability that the
label is 1. It stands beside the labels and is no estimate: where it holds a row, a class may well be absent.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.annotations import Annotations
from vaplan.annotations.sheet import Row
from vaplan.annotations.table import read_sheet, write_rows
from vaplan.arrays import MODALITIES
from vaplan.errors import AnnotationError
from vaplan.taxonomy import Taxonomy
from vaplan.writing import write_json


def label_rows(
    videos: tuple[str, ...],
    labels: Bool[np.ndarray, "video time modality class"],
    score: Float[np.ndarray, "video time modality class"],
    taxonomy: Taxonomy,
) -> Iterator[Row]:
    """One row a marked segment; a video without any has one empty row."""
    for index, video in enumerate(videos):
        cells = np.argwhere(labels[index].transpose(1, 2, 0))
        if not len(cells):
            yield Row(video)
        for m, c, t in cells.tolist():
            confidence = round(float(score[index, t, m, c]), 6)
            yield Row(
                video,
                MODALITIES[m],
                taxonomy.classes[c],
                float(t),
                float(t + 1),
                confidence,
            )


def write_soft(
    out: Path,
    probability: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    data: Annotations,
) -> Path:
    """Write how likely each class of the weak label is in each segment that exists, and beside it that it is soft."""
    possible = weak_label[:, None, None] & mask[..., None]
    write_json(out.with_suffix(".json"), {"soft": True})
    return write_rows(
        out, label_rows(data.ids, possible.numpy(), probability.numpy(), data.taxonomy)
    )


def refuse_soft(table: Path) -> None:
    """Labels are wanted: in a table of soft ones every tag would stand in every segment."""
    beside = table.with_suffix(".json")
    if beside.is_file() and json.loads(beside.read_text(encoding="utf-8")).get("soft"):
        fix = "give the table of labels that was written with it"
        raise AnnotationError(
            "it holds soft labels, a row for every tag and segment", file=table, fix=fix
        )


def read_soft(
    table: Path, data: Annotations, mask: Bool[Tensor, "video time modality"]
) -> Float[Tensor, "video time modality class"]:
    """The soft labels of these videos on the grid of their features, 0 where there is no row."""
    soft = np.full((*mask.shape, len(data.taxonomy)), np.nan, dtype=np.float32)
    place, known = {video: index for index, video in enumerate(data.ids)}, set[str]()
    for row in read_sheet(table, taxonomy=data.taxonomy).rows:
        known.add(row.video)
        if row.video in place and row.modality:
            if row.score is None or not 0 <= row.score <= 1:
                what, fix = (
                    f"score {row.score} is no probability",
                    "make the table with `vaplan label --soft`",
                )
                raise AnnotationError(what, file=table, line=row.line, fix=fix)
            cell = MODALITIES.index(row.modality), data.taxonomy.index(row.class_name)
            soft[place[row.video], int(row.onset or 0), *cell] = row.score
    if absent := [video for video in data.ids if video not in known]:
        what = f"no soft labels for {len(absent)} of {len(data.ids)} videos, the first is {absent[0]!r}"
        raise AnnotationError(
            what, file=table, fix="run `vaplan label --soft` on this data set and store"
        )
    there, tagged = ~np.isnan(soft), data.weak_label()[:, None, None]
    partly = (there & tagged).any(axis=-1) & ~(there | ~tagged).all(axis=-1)
    if partly.any():
        what = f"{data.ids[int(np.argwhere(partly)[0, 0])]!r} has segments with rows of some tags only: no soft labels"
        raise AnnotationError(
            what, file=table, fix="give the table of `vaplan label --soft`"
        )
    return torch.from_numpy(np.nan_to_num(soft))
