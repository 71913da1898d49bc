"""Published segment pseudo labels to a table."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from vaplan.annotations import Annotations
from vaplan.annotations.label_tables import label_rows
from vaplan.annotations.llp import youtube_names
from vaplan.annotations.table import write_rows
from vaplan.arrays import MODALITIES
from vaplan.errors import UsageError
from vaplan.packs import LabelPack, Layout, PackError, find_path, npy
from vaplan.taxonomy import LLP

Failures = list[tuple[str, str]]


def import_labels(
    layout: Layout, folder: Path, data: Annotations, out: Path
) -> tuple[Failures, list[str]]:
    """Write the labels of every video whose files are sound, one row a segment, without scores.

    A video one of whose files is missing or wrong gets no row, as an empty one would say that it
    holds nothing.

    Returns: Ids with one-line reasons, and a line for each modality that has no labels.
    """
    folder_of = {pack: find_path(folder, pack.paths) for pack in layout.labels}
    folders = {pack: place for pack, place in folder_of.items() if place}
    absent = [_absence(pack) for pack in layout.labels if pack not in folders]
    if not folders:
        looked = "; ".join(absent) or "this pack was published without any"
        raise UsageError(
            f"no segment labels to write: {looked}",
            file=folder,
            fix="leave --labels out",
        )
    grids, failed = dict[str, np.ndarray](), Failures()
    for video, name in youtube_names(data).items():
        try:
            grids[video] = _grid(
                {pack: place / f"{name}.npy" for pack, place in folders.items()}, data
            )
        except PackError as error:
            failed.append((video, str(error)))
    if not grids:
        raise PackError(
            f"no video has sound labels; the first: {failed[0][1]}", file=folder
        )
    labels = np.stack([*grids.values()])
    unscored = np.broadcast_to(np.float32(0), labels.shape)
    write_rows(
        out,
        (
            replace(row, score=None)
            for row in label_rows(tuple(grids), labels, unscored, LLP)
        ),
    )
    return failed, absent


def _absence(pack: LabelPack) -> str:
    return f"no {MODALITIES[pack.modality]} segment labels, looked for {' and '.join(pack.paths)}"


def _grid(
    files: Mapping[LabelPack, Path], data: Annotations
) -> Bool[np.ndarray, "time modality class"]:
    """The labels of one video; a modality without a file has none."""
    shape = next(iter(files)).shape
    grid = np.zeros((shape[0], len(MODALITIES), *shape[1:]), dtype=bool)
    for pack, path in files.items():
        label = npy.read_array(path, pack.shape, kinds="iub")
        odd = label[(label != 0) & (label != 1)]
        if odd.size:
            raise PackError(
                f"a label is {odd[0]}, expected 0 or 1",
                file=path,
                fix="download it again",
            )
        grid[:, pack.modality] = label
        marked = [LLP.classes[c] for c in np.flatnonzero(label.any(axis=0))]
        foreign = [name for name in marked if name not in data.taxonomy.classes]
        if foreign:
            raise PackError(
                f"marks {foreign[0]!r}, no class of the data set",
                file=path,
                fix="use LLP's classes",
            )
    return grid
