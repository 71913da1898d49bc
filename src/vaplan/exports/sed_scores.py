"""Score files of sed_scores_eval: probabilities of segments as text.

Each modality has a folder with one tab-separated file a video. A row is a segment: onset and offset
in seconds, then the probability of each class; there are no gaps between rows.

Source: Ebbers, Serizel, Haeb-Umbach, ICASSP 2022 (arXiv 2201.13148), and the format in the README
of its package.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
from jaxtyping import Bool, Float

from vaplan.errors import AnnotationError
from vaplan.modalities import MODALITIES
from vaplan.reading import plain_text
from vaplan.taxonomy import Taxonomy
from vaplan.writing import write_text

TIMES = ("onset", "offset")
NO_SCORE = -1.0  # of a missing segment; below every threshold
SAFE = " @+=,()"  # characters of an id that stay in its file name, besides letters, digits and _.-~


def write_scores(
    folder: Path,
    ids: Sequence[str],
    probability: Float[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time modality"],
    taxonomy: Taxonomy,
    *,
    segment_seconds: float = 1.0,
) -> None:
    """Write `folder/audio/<id>.tsv` and `folder/visual/<id>.tsv` of every video.

    A file ends with the last segment of either modality and has at least one row. The scores of
    missing segments are -1. Numbers have nine digits, which distinguish all values of float32.

    Args:
        folder: Folder of the files.
        ids: Ids of the videos.
        probability: Probability of each class in each segment and modality.
        mask: Segments that exist.
        taxonomy: Names of the classes.
        segment_seconds: Length of a segment in seconds.
    """
    _check(ids, probability[mask], taxonomy)
    header = "\t".join((*TIMES, *taxonomy.classes))
    for video, scores, exists in zip(ids, probability, mask, strict=True):
        segments = int(np.flatnonzero(exists.any(axis=1)).max(initial=0)) + 1
        values = np.where(exists[..., None], scores, NO_SCORE)[:segments]
        times = [f"{t * segment_seconds:.9g}" for t in range(segments + 1)]
        for m, modality in enumerate(MODALITIES):
            lines = [header]
            for t, row in enumerate(values[:, m].tolist()):
                cells = [times[t], times[t + 1], *(f"{score:.9g}" for score in row)]
                lines.append("\t".join(cells))
            path = folder / modality / file_name(video)
            write_text(path, "\n".join(lines) + "\n")


def read_scores(
    folder: Path, taxonomy: Taxonomy
) -> tuple[
    list[str],
    Float[np.ndarray, "video time modality class"],
    Bool[np.ndarray, "video time modality"],
]:
    """Read the files of `write_scores`.

    The grid is as long as the longest video. A video without a file for a modality is masked in
    that modality.

    Args:
        folder: Folder of the files.
        taxonomy: Names of the classes.

    Returns:
        Ids in alphabetical order, probabilities, and mask.

    Raises:
        AnnotationError: A file has another format or other classes.
    """
    files = {
        (path.name, m): path
        for m, name in enumerate(MODALITIES)
        for path in (folder / name).glob("*.tsv")
    }
    if not files:
        raise AnnotationError(
            "no score files",
            file=folder,
            fix="name a folder that contains audio/*.tsv or visual/*.tsv",
        )
    tables = {
        (unquote(name.removesuffix(".tsv")), m): _read(path, taxonomy)
        for (name, m), path in files.items()
    }
    ids = sorted({video for video, _ in tables})
    shape = len(ids), max(map(len, tables.values())), len(MODALITIES), len(taxonomy)
    grid = np.full(shape, NO_SCORE, dtype=np.float32)
    index_of = {video: v for v, video in enumerate(ids)}
    for (video, m), table in tables.items():
        grid[index_of[video], : len(table), m] = table
    mask = (grid != NO_SCORE).any(axis=3)
    return ids, np.where(mask[..., None], grid, np.float32(0)), mask


def file_name(video: str) -> str:
    """Return the id as a file name, with `%` codes for other characters.

    >>> file_name("-DSN_30_40"), file_name("a/b")
    ('-DSN_30_40.tsv', 'a%2Fb.tsv')
    """
    return f"{quote(video, safe=SAFE)}.tsv"


def _check(
    ids: Sequence[str], scores: Float[np.ndarray, "cell class"], taxonomy: Taxonomy
) -> None:
    for name in taxonomy.classes:
        if any(letter in '\t\n\r"\\' for letter in name):
            raise AnnotationError(
                f"class {name!r} cannot name a column of score files",
                fix="rename the class",
            )
    if len(set(ids)) < len(ids):
        raise ValueError("an id is repeated")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("probabilities lie in [0, 1]")


def _read(path: Path, taxonomy: Taxonomy) -> Float[np.ndarray, "time class"]:
    """Read the scores of one file, with the classes in the order of the taxonomy."""
    text = plain_text(path)
    header, *lines = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    expected = [*TIMES, *taxonomy.classes]
    if sorted(header) != sorted(expected) or tuple(header[:2]) != TIMES:
        raise AnnotationError(
            f"columns are {', '.join(header) or 'missing'}; expected {', '.join(expected)}",
            file=path,
            line=1,
            fix="use the taxonomy of the scores",
        )
    order = [header.index(name) for name in taxonomy.classes]
    end = None
    rows = list[list[float]]()
    for line, cells in enumerate(lines, start=2):
        numbers = _read_numbers(cells, len(header), path, line)
        onset, offset = numbers[: len(TIMES)]
        if (end is not None and onset != end) or not onset < offset:
            raise AnnotationError(
                f"the segment from {onset:g} to {offset:g} s leaves a gap or goes back",
                file=path,
                line=line,
                fix="write one row a segment, in order",
            )
        end = offset
        rows.append([numbers[column] for column in order])
    if not rows:
        raise AnnotationError("no segments", file=path, fix="write one row a segment")
    return np.array(rows, dtype=np.float32)


def _read_numbers(cells: list[str], columns: int, path: Path, line: int) -> list[float]:
    """Read the cells of a row; its scores are all probabilities or all -1."""
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError as error:
        raise AnnotationError(
            str(error), file=path, line=line, fix="write numbers with a decimal point"
        ) from None
    if len(numbers) != columns:
        raise AnnotationError(
            f"{len(numbers)} cells, expected {columns}",
            file=path,
            line=line,
            fix="separate the cells by tabs",
        )
    scores = numbers[len(TIMES) :]
    are_probabilities = all(0 <= score <= 1 for score in scores)
    is_missing = all(score == NO_SCORE for score in scores)
    if not are_probabilities and not is_missing:
        raise AnnotationError(
            "a score is no probability",
            file=path,
            line=line,
            fix="give probabilities in [0, 1], or -1 for all classes of a missing segment",
        )
    return numbers
