"""Temporal detections of FiftyOne (`FiftyOneTemporalDetectionDataset`): all videos in two files.

`labels.json` has the events of each video, labelled by their lane, as in `audio:Dog`, with
modality and class as attributes; `data.json` has the path of each video. Times are exact seconds.

Source: https://docs.voxel51.com/user_guide/dataset_creation/datasets.html.
"""

import json
from collections.abc import Sequence

from vaplan.exports.huggingface import media_of
from vaplan.timeline import Event, Timeline

LABELS, DATA = "labels.json", "data.json"


def write(timelines: Sequence[Timeline]) -> dict[str, str]:
    """Format timelines as the labels and the paths of a data set."""
    labels = {
        timeline.video: [_detection(event) for event in timeline]
        for timeline in timelines
    }
    paths = {
        timeline.video: str(media_of(timeline).path.absolute())
        for timeline in timelines
    }
    return {LABELS: _dump({"classes": None, "labels": labels}), DATA: _dump(paths)}


def _detection(event: Event) -> dict[str, object]:
    detection: dict[str, object] = {
        "label": event.lane,
        "timestamps": [event.onset, event.offset],
        "attributes": {"modality": event.modality, "class": event.class_name},
    }
    if event.score is not None:
        detection["confidence"] = event.score
    return detection


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
