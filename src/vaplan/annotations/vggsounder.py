"""VGGSounder: the test clips of VGGSound, with every class that is audible, visible or both.

Labels are of whole clips: an event lasts for the ten seconds of its clip, in the modalities that
the label names. So scores of whole videos mean something, scores of segments do not.
Source: Zverev, Wiedemer, Prabhu, Bethge, Brendel, Koepke, ICCV 2025;
https://github.com/Bizilizi/VGGSounder.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vaplan.annotations.fields import check_id, check_text
from vaplan.annotations.published import (
    check_fields,
    classes_of,
    find_file,
    refuse_version,
    youtube_id,
)
from vaplan.annotations.rows import BOTH, AnnotationRows, Row
from vaplan.errors import AnnotationError, unknown
from vaplan.modalities import AUDIO, MODALITIES, VISUAL
from vaplan.reading import csv_text

FILE = "vggsounder.csv"
FIELDS = ("video_id", "label", "modality")  # others, about the whole clip, may follow
MODALITY: Mapping[str, str] = {
    "A": MODALITIES[AUDIO],
    "V": MODALITIES[VISUAL],
    "AV": BOTH,
}
SPLIT = "test"
CLIP_SECONDS = 10


def read(path: Path, *, annotations: str = "") -> AnnotationRows:
    """Read the labels; each is a tag, and an event that lasts for the clip.

    Args:
        path: `vggsounder.csv`, or the folder that holds it.
        annotations: Must be empty; give an older file by its path.

    Raises:
        UsageError: A version is asked for.
        AnnotationError: The file is missing or cannot be read; the error names the line.
    """
    refuse_version(path, annotations, "a file of VGGSounder")
    file = find_file(path, FILE)
    rows = list(_rows(file))
    return AnnotationRows(
        source=path,
        taxonomy=classes_of(rows, file),
        rows=rows,
        version=f"{file.name}, labels of whole clips",
        files=(file,),
        segments=CLIP_SECONDS,
        recording=youtube_id,
    )


def _rows(file: Path) -> Iterator[Row]:
    header, lines = csv_text(file)
    absent = [name for name in FIELDS if header.count(name) != 1]
    if absent:
        raise AnnotationError(
            f"there must be one column {absent[0]!r}; columns: {', '.join(header)}",
            file=file,
            line=1,
            fix="give the published file",
        )

    positions = [header.index(name) for name in FIELDS]
    for line, values in lines:
        check_fields(values, header, file=file, line=line)
        video, label, modality = (values[position] for position in positions)
        check_id(video, file=file, line=line)
        check_text("label", label, file=file, line=line)

        if not label:
            raise AnnotationError(
                f"a row of {video} without a label",
                file=file,
                line=line,
                fix="name its class",
            )
        if modality not in MODALITY:
            raise AnnotationError(
                unknown("modality", modality, MODALITY),
                file=file,
                line=line,
                fix="write A for audible, V for visible or AV for both",
            )

        yield Row(video, class_name=label, split=SPLIT, line=line, file=file)
        yield Row(
            video,
            MODALITY[modality],
            label,
            0.0,
            float(CLIP_SECONDS),
            line=line,
            file=file,
        )
