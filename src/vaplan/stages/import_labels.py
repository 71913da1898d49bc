"""`vaplan import valor --out-labels`: published pseudo labels of segments as a table."""

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
from vaplan.packs import LabelPack, Layout, PackError, find, npy
from vaplan.taxonomy import LLP

Failures = list[tuple[str, PackError]]  # ids and errors


def import_labels(
    layout: Layout, folder: Path, data: Annotations, out: Path
) -> tuple[Failures, list[str]]:
    """Write the published labels of every video, one row a segment, without scores.

    A video with a missing or damaged file gets no row, because an empty row would mean that
    it contains no event.

    Args:
        layout: Files of the pack.
        folder: Folder of the pack.
        data: Videos.
        out: Table to write.

    Returns:
        Ids with errors, and a line for each modality that has no labels.

    Raises:
        UsageError: The pack has no labels.
        PackError: No video has valid labels.
    """
    folders = dict[LabelPack, Path]()
    absent = list[str]()
    for pack in layout.labels:
        if pack_folder := find(folder, pack.places):
            folders[pack] = pack_folder
        else:
            places = " and ".join(pack.places)
            modality = MODALITIES[pack.modality]
            absent.append(f"no {modality} segment labels, looked for {places}")
    if not folders:
        reason = "; ".join(absent) or "this pack was published without any"
        raise UsageError(
            f"no segment labels to write: {reason}", file=folder, fix="omit --labels"
        )
    grids = dict[str, np.ndarray]()
    failed = Failures()
    for video, name in youtube_names(data).items():
        files = {pack: place / f"{name}.npy" for pack, place in folders.items()}
        try:
            grids[video] = _read_grid(files, data)
        except PackError as error:
            failed.append((video, error))
    if not grids:
        raise PackError(
            f"no video has valid labels; the first: {failed[0][1]}", file=folder
        )
    labels = np.stack([*grids.values()])
    scores = np.broadcast_to(np.float32(0), labels.shape)
    rows = label_rows(tuple(grids), labels, scores, LLP)
    write_rows(out, (replace(row, score=None) for row in rows))
    return failed, absent


def _read_grid(
    files: Mapping[LabelPack, Path], data: Annotations
) -> Bool[np.ndarray, "time modality class"]:
    """Read the labels of one video; a modality without a file has none."""
    segments, *classes = next(iter(files)).shape
    grid = np.zeros((segments, len(MODALITIES), *classes), dtype=bool)
    for pack, path in files.items():
        label = npy.read(path, pack.shape, kinds="iub")
        invalid = label[(label != 0) & (label != 1)]
        if invalid.size:
            raise PackError(
                f"a label is {invalid[0]}, expected 0 or 1",
                file=path,
                fix="download it again",
            ).of_kind("a label is neither 0 nor 1")
        grid[:, pack.modality] = label
        names = [LLP.classes[c] for c in np.flatnonzero(label.any(axis=0))]
        unknown = [name for name in names if name not in data.taxonomy.classes]
        if unknown:
            raise PackError(
                f"labels {unknown[0]!r}, which is no class of the data set",
                file=path,
                fix="use LLP's classes",
            )
    return grid
