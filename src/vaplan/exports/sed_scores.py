"""Probabilities of segments in the format of sed_scores_eval, a tool of sound event detection.

Each modality has a folder, and each video a tab-separated file in it: onset and offset in
seconds, then one column a class; one row a segment, without gaps.

Source: Ebbers, Serizel, Haeb-Umbach, ICASSP 2022, arXiv 2201.13148, and the README of the package.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
from jaxtyping import Bool, Float

from vaplan.errors import AnnotationError, excerpt
from vaplan.modalities import MODALITIES
from vaplan.ragged import Ragged, as_ragged
from vaplan.reading import plain_number, plain_text
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Timeline
from vaplan.writing import write_text

TIME_COLUMNS = ("onset", "offset")
MISSING_SCORE = -1.0  # below every probability, so that no threshold marks it
# of an id, unchanged in its file name, like letters, digits and _.-~
SAFE_CHARACTERS = " @+=,()"
FORBIDDEN_CHARACTERS = '\t\n\r"\\'  # in the name of a column


def write_scores(
    folder: Path,
    ids: Sequence[str],
    probability: Float[np.ndarray, "video time modality class"] | Ragged[np.ndarray],
    mask: Bool[np.ndarray, "video time modality"] | Ragged[np.ndarray],
    taxonomy: Taxonomy,
    *,
    segment_seconds: float = 1.0,
) -> None:
    """Write `folder/audio/<id>.tsv` and `folder/visual/<id>.tsv` of every video.

    A file ends with the last segment that either modality has, and has at least one row; the
    scores of missing segments before it are -1. Numbers have nine digits, which distinguish
    any two float32.

    Args:
        folder: Folder of the files.
        ids: Ids of the videos.
        probability: Probability of each class in each segment and modality.
        mask: Segments that exist.
        taxonomy: Names of the classes.
        segment_seconds: Length of a segment in seconds.

    Raises:
        AnnotationError: The name of a class cannot be the name of a column.
        ValueError: An id occurs twice, or a value is no probability.
    """
    grids, masks = as_ragged(probability), as_ragged(mask)
    _check(ids, grids.values[masks.values], taxonomy)
    videos = zip(ids, grids.by_video(), masks.by_video(), strict=True)
    for video, scores, exists in videos:
        texts = _format_video(scores, exists, taxonomy, segment_seconds=segment_seconds)
        for modality, text in texts.items():
            write_text(folder / modality / file_name(video), text)


def write(timelines: Sequence[Timeline]) -> dict[str, str]:
    """Format the segment scores of timelines as one file for each modality and video.

    Raises:
        AnnotationError: A timeline has no probabilities: it was not parsed with scores, or by
            a zero-shot classifier, whose scores are margins.
    """
    files = dict[str, str]()
    for timeline in timelines:
        scores = timeline.scores
        if scores is None:
            raise AnnotationError(
                f"the timeline of {timeline.video!r} has no scores of its segments",
                fix="write this format with `vaplan parse`",
            )
        values = scores.values[scores.mask]
        if not ((values >= 0) & (values <= 1)).all():
            raise AnnotationError(
                f"the scores of {timeline.video!r} are no probabilities",
                fix="parse with a trained run; scores of --zero-shot are margins",
            )
        taxonomy = Taxonomy(scores.classes)
        _check([timeline.video], values, taxonomy)
        texts = _format_video(scores.values, scores.mask, taxonomy, segment_seconds=1.0)
        for modality, text in texts.items():
            files[f"{modality}/{file_name(timeline.video)}"] = text
    return files


def read_scores(
    folder: Path, taxonomy: Taxonomy
) -> tuple[
    list[str],
    Float[np.ndarray, "video time modality class"],
    Bool[np.ndarray, "video time modality"],
]:
    """Read the files of `write_scores`.

    Args:
        folder: Folder of the files.
        taxonomy: Names of the classes.

    Returns:
        Ids in alphabetical order, probabilities, and mask. The grid is as long as the longest
        video; a video with a file of one modality only is masked in the other.

    Raises:
        AnnotationError: A file has another format or other classes.
    """
    tables = dict[tuple[str, int], np.ndarray]()
    for m, modality in enumerate(MODALITIES):
        for path in (folder / modality).glob("*.tsv"):
            video = unquote(path.name.removesuffix(".tsv"))
            tables[video, m] = _read_file(path, taxonomy)
    if not tables:
        raise AnnotationError(
            "no score files",
            file=folder,
            fix="name a folder that holds audio/*.tsv or visual/*.tsv",
        )
    ids = sorted({video for video, _ in tables})
    index_of = {video: index for index, video in enumerate(ids)}
    segments = max(len(table) for table in tables.values())
    shape = (len(ids), segments, len(MODALITIES), len(taxonomy))
    grid = np.full(shape, MISSING_SCORE, dtype=np.float32)
    for (video, m), table in tables.items():
        grid[index_of[video], : len(table), m] = table
    mask = (grid != MISSING_SCORE).any(axis=3)
    probability = np.where(mask[..., None], grid, np.float32(0))
    return ids, probability, mask


def file_name(video: str) -> str:
    """Return the id as a file name, with `%` codes for other characters.

    >>> file_name("-DSN_30_40"), file_name("a/b")
    ('-DSN_30_40.tsv', 'a%2Fb.tsv')
    """
    return f"{quote(video, safe=SAFE_CHARACTERS)}.tsv"


def _check(
    ids: Sequence[str], scores: Float[np.ndarray, "cell class"], taxonomy: Taxonomy
) -> None:
    for name in taxonomy.classes:
        if any(character in FORBIDDEN_CHARACTERS for character in name):
            raise AnnotationError(
                f"class {name!r} cannot name a column of score files",
                fix="rename the class",
            )
    if len(set(ids)) < len(ids):
        raise ValueError("an id is repeated")
    is_probability = (scores >= 0) & (scores <= 1)
    if not is_probability.all():
        raise ValueError("probabilities lie in [0, 1]")


def _format_video(
    scores: Float[np.ndarray, "time modality class"],
    mask: Bool[np.ndarray, "time modality"],
    taxonomy: Taxonomy,
    *,
    segment_seconds: float,
) -> dict[str, str]:
    """Format the files of one video, by modality."""
    has_segment = mask.any(axis=1)
    last_segment = int(np.flatnonzero(has_segment).max(initial=0))
    all_scores = np.where(mask[..., None], scores, MISSING_SCORE)
    video_scores = all_scores[: last_segment + 1]
    return {
        modality: _format_file(video_scores[:, m], taxonomy, segment_seconds)
        for m, modality in enumerate(MODALITIES)
    }


def _format_file(
    scores: Float[np.ndarray, "time class"], taxonomy: Taxonomy, segment_seconds: float
) -> str:
    lines = ["\t".join((*TIME_COLUMNS, *taxonomy.classes))]
    for t, row in enumerate(scores.tolist()):
        times = (t * segment_seconds, (t + 1) * segment_seconds)
        cells = [f"{number:.9g}" for number in (*times, *row)]
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def _read_file(path: Path, taxonomy: Taxonomy) -> Float[np.ndarray, "time class"]:
    """Read the scores of one file, with columns in the order of the taxonomy."""
    text = plain_text(path)
    lines = text.removesuffix("\n").split("\n")
    header = lines[0].split("\t")
    _check_header(header, path, taxonomy)

    class_columns = [header.index(name) for name in taxonomy.classes]
    rows = list[list[float]]()
    last_offset: float | None = None
    for number, line in enumerate(lines[1:], start=2):
        values = _parse_row(line.split("\t"), len(header), path, number)
        onset, offset = values[: len(TIME_COLUMNS)]
        is_next = last_offset is None or onset == last_offset
        if not is_next or not onset < offset:
            raise AnnotationError(
                f"the segment from {onset:g} to {offset:g} s leaves a gap or goes back",
                file=path,
                line=number,
                fix="write one row a segment, in order",
            )

        last_offset = offset
        rows.append([values[column] for column in class_columns])

    if not rows:
        raise AnnotationError("no segments", file=path, fix="write one row a segment")
    return np.array(rows, dtype=np.float32)


def _check_header(header: list[str], path: Path, taxonomy: Taxonomy) -> None:
    expected = [*TIME_COLUMNS, *taxonomy.classes]
    first_columns = tuple(header[: len(TIME_COLUMNS)])
    if sorted(header) != sorted(expected) or first_columns != TIME_COLUMNS:
        columns = ", ".join(header) or "missing"
        raise AnnotationError(
            f"columns are {columns}; expected {', '.join(expected)}",
            file=path,
            line=1,
            fix="use the taxonomy of the scores",
        )


def _parse_row(cells: list[str], columns: int, path: Path, line: int) -> list[float]:
    """Parse the numbers of a row; its scores are all probabilities or all -1."""
    numbers = list[float]()
    for cell in cells:
        number = plain_number(cell)
        if number is None:
            raise AnnotationError(
                f"{excerpt(cell)}, expected a number",
                file=path,
                line=line,
                fix="write numbers with a decimal point",
            )
        numbers.append(number)
    if len(numbers) != columns:
        raise AnnotationError(
            f"{len(numbers)} cells, expected {columns}",
            file=path,
            line=line,
            fix="separate the cells by tabs",
        )
    scores = numbers[len(TIME_COLUMNS) :]
    are_probabilities = all(0 <= score <= 1 for score in scores)
    are_missing = all(score == MISSING_SCORE for score in scores)
    if not are_probabilities and not are_missing:
        raise AnnotationError(
            "a score is no probability",
            file=path,
            line=line,
            fix="give probabilities in [0, 1], or -1 for all classes of a missing segment",
        )
    return numbers
