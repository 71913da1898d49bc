"""The database JSON of ActivityNet, for temporal localisation: all videos in one file.

Every annotation has two more keys than the published files: `modality` and, if there is one,
`score`. Timelines know no split, so every video is of subset `validation`, which the official
evaluation scores by default. Times are exact.

Source: Caba Heilbron, Escorcia, Ghanem, Niebles, CVPR 2015, http://activity-net.org.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from vaplan.annotations.activitynet import read_database
from vaplan.exports.labels import (
    Defaults,
    check_span,
    check_timeline,
    in_modalities,
    new_timeline,
)
from vaplan.timeline import Event, Timeline

FILE = "activitynet.json"
SUBSET = "validation"
VERSION = "vaplan"


def write(timelines: Sequence[Timeline]) -> dict[str, str]:
    """Format timelines as the database of one file."""
    database = {}
    for timeline in timelines:
        check_timeline(timeline, "ActivityNet")
        annotations = []
        for event in timeline:
            annotation: dict[str, object] = {
                "segment": [event.onset, event.offset],
                "label": event.class_name,
                "modality": event.modality,
            }
            if event.score is not None:
                annotation["score"] = event.score
            annotations.append(annotation)
        database[timeline.video] = {
            "subset": SUBSET,
            "duration": timeline.seconds,
            "annotations": annotations,
        }
    document = {"version": VERSION, "database": database}
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    return {FILE: text + "\n"}


def read(
    path: Path,
    video: str,  # noqa: ARG001 - the file names its videos
    defaults: Defaults,
) -> list[Timeline]:
    """Read the events of a database.

    Without `modality` and a default, events are in both modalities if the version begins with
    `unav`, as that of UnAV-100, and otherwise visual.

    Args:
        path: File to read.
        video: Unused; the file names its videos.
        defaults: Modality of events that name none.

    Raises:
        AnnotationError: The file is no database; the error names the value and its place.
    """
    default, _, entries = read_database(path, modality=defaults.modality)
    timelines = []
    for entry in entries:
        events = list[Event]()
        for found in entry.events:
            check_span(found.onset, found.offset, found.class_name, file=path)
            events += [
                Event(one, found.class_name, found.onset, found.offset, found.score)
                for one in in_modalities(found.modality or default)
            ]
        timelines.append(
            new_timeline(entry.video, events, seconds=entry.duration or 0.0)
        )
    return timelines
