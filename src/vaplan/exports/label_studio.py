"""Tasks of Label Studio with predictions, and the labelling configuration for them.

Audible events are regions of the audio, in seconds; visible events are ranges of the video's
timeline, in frames. A task names its frame rate, which the configuration refers to: frame 1
begins at 0 s, and a range from `start` to `end` includes both. Reading takes the latest
annotation of a task, or else its first prediction.

Source: https://labelstud.io/guide/predictions and https://labelstud.io/tags/timelinelabels.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from vaplan.annotations.fields import check_id, id_of_file
from vaplan.annotations.published import (
    expect,
    expect_item,
    expect_key,
    expect_number,
    expect_seconds,
)
from vaplan.errors import AnnotationError
from vaplan.exports.labels import (
    NO_DEFAULTS,
    Defaults,
    check_span,
    check_timeline,
    new_timeline,
    read_lane,
    round_span,
)
from vaplan.modalities import AUDIO, MODALITIES, VISUAL
from vaplan.reading import json_value
from vaplan.timeline import Event, Timeline

TASKS, CONFIGURATION = "label_studio.json", "label_studio.xml"
FRAME_RATE = 25.0
LOCAL_FILES = "/data/local-files/?d="  # how Label Studio serves files of its folder
REGIONS, RANGES = "labels", "timelinelabels"  # types of results, audio and visual
MAX_FRAME = 10**9


def write(
    timelines: Sequence[Timeline], *, frame_rate: float = FRAME_RATE
) -> dict[str, str]:
    """Format timelines as tasks with predictions, and the labelling configuration.

    Args:
        timelines: Timelines of all videos.
        frame_rate: Frames a second of the video timeline.
    """
    for timeline in timelines:
        check_timeline(timeline, "Label Studio")
    tasks = [_task(timeline, frame_rate) for timeline in timelines]
    text = json.dumps(tasks, ensure_ascii=False, indent=1, allow_nan=False)
    return {TASKS: text + "\n", CONFIGURATION: _configuration(timelines)}


def _task(timeline: Timeline, frame_rate: float) -> dict[str, object]:
    address = timeline.video
    if timeline.media is not None:
        address = LOCAL_FILES + quote(timeline.media.name)
    data = {
        "video": address,
        "id": timeline.video,
        "fps": frame_rate,
        "seconds": timeline.seconds,
    }
    results = [
        _result(number, event, timeline.seconds, frame_rate)
        for number, event in enumerate(timeline, start=1)
    ]
    return {
        "data": data,
        "predictions": [{"model_version": "vaplan", "result": results}],
    }


def _result(
    number: int, event: Event, seconds: float, frame_rate: float
) -> dict[str, object]:
    result: dict[str, object] = {"id": f"event{number}"}
    if event.modality == MODALITIES[AUDIO]:
        region = {
            "start": event.onset,
            "end": event.offset,
            "channel": 0,
            REGIONS: [event.class_name],
        }
        result |= {"type": REGIONS, "from_name": "audible", "to_name": "audio"}
        result |= {"value": region, "original_length": seconds}
    else:
        first, last = round_span(event, frame_rate)
        value = {
            "ranges": [{"start": first + 1, "end": last}],
            RANGES: [event.class_name],
        }
        result |= {"type": RANGES, "from_name": "visible", "to_name": "video"}
        result |= {"value": value}
    if event.score is not None:
        result["score"] = event.score
    return result


def _configuration(timelines: Sequence[Timeline]) -> str:
    """Format the labelling configuration: the video, its audio, and the classes of both."""
    view = Element("View")
    SubElement(
        view, "Video", name="video", value="$video", frameRate="$fps", sync="audio"
    )
    ranges = SubElement(view, "TimelineLabels", name="visible", toName="video")
    SubElement(view, "Audio", name="audio", value="$video", sync="video")
    regions = SubElement(view, "Labels", name="audible", toName="audio")

    classes = sorted({event.class_name for one in timelines for event in one})
    for tag in (ranges, regions):
        for name in classes:
            SubElement(tag, "Label", value=name)
    indent(view)
    return tostring(view, encoding="unicode") + "\n"


def read(
    path: Path,
    video: str,  # noqa: ARG001 - the tasks name their videos
    defaults: Defaults,
) -> list[Timeline]:
    """Read the tasks of an export of Label Studio (JSON).

    Regions of `labels` are audible and ranges of `timelinelabels` visible; other results are
    left out. The id of a task without the key `id` in its data is the name of its video file.

    Args:
        path: File to read.
        video: Unused; the tasks name their videos.
        defaults: Frame rate of tasks whose data has no `fps`.

    Raises:
        AnnotationError: The file is no such export, or a task has no frame rate.
    """
    tasks = expect(json_value(path), list, "", file=path)
    timelines = []
    for index, value in enumerate(tasks):
        place = f"[{index}]"
        task: dict[str, Any] = expect(value, dict, place, file=path)
        data: dict[str, Any] = expect_item(task, "data", dict, place, file=path)
        video_id = _read_id(data, f"{place}.data", path)
        seconds = expect_seconds(
            data.get("seconds", 0.0), f"{place}.data.seconds", file=path
        )
        events = _read_task(task, data, defaults, place, path)
        timelines.append(new_timeline(video_id, events, seconds=seconds))
    return timelines


def _read_id(data: Mapping[str, object], place: str, file: Path) -> str:
    """Return the id of a task, or else the name of its video file without the ending."""
    if "id" in data:
        video_id = expect_item(data, "id", str, place, file=file)
    else:
        address = expect_item(data, "video", str, place, file=file)
        media_path = address.removeprefix(LOCAL_FILES).partition("?")[0]
        video_id = id_of_file(media_path.rpartition("/")[2])
    check_id(video_id, file=file, line=None)
    return video_id


def _read_task(
    task: Mapping[str, object],
    data: Mapping[str, object],
    defaults: Defaults,
    place: str,
    file: Path,
) -> Iterator[Event]:
    """Yield the events of the latest annotation, or of the first prediction."""
    annotation = _choose_annotation(task, place, file)
    results = expect(annotation.get("result", []), list, f"{place}.result", file=file)
    for index, value in enumerate(results):
        result_place = f"{place}.result[{index}]"
        result: dict[str, Any] = expect(value, dict, result_place, file=file)
        if result.get("type") == REGIONS:
            yield from _read_regions(result, result_place, file)
        elif result.get("type") == RANGES:
            frame_rate = _read_frame_rate(data, defaults, place, file)
            yield from _read_ranges(result, frame_rate, result_place, file)


def _choose_annotation(
    task: Mapping[str, object], place: str, file: Path
) -> dict[str, Any]:
    """Return the latest annotation that is not cancelled, or the first prediction."""
    annotations = _read_objects(task, "annotations", place, file)
    finished = [one for one in annotations if not one.get("was_cancelled")]
    if finished:
        return finished[-1]
    predictions = _read_objects(task, "predictions", place, file)
    return predictions[0] if predictions else {}


def _read_objects(
    task: Mapping[str, object], key: str, place: str, file: Path
) -> list[dict[str, Any]]:
    """Return a list of JSON objects; a missing key is an empty list."""
    values = expect(task.get(key, []), list, f"{place}.{key}", file=file)
    return [expect(value, dict, f"{place}.{key}", file=file) for value in values]


def _read_frame_rate(
    data: Mapping[str, object], defaults: Defaults, place: str, file: Path
) -> float:
    frame_rate = data.get("fps", defaults.frame_rate)
    if frame_rate is None:
        raise AnnotationError(
            f"{place}.data has no key 'fps', so frames cannot be times",
            file=file,
            fix="give the frame rate of the labelling configuration with --frame-rate",
        )
    number = expect_number(frame_rate, f"{place}.data.fps", file=file)
    if not 0 < number <= MAX_FRAME:
        raise AnnotationError(
            f"{place}.data.fps is {number:g}, expected a number above 0",
            file=file,
            fix="correct the frame rate",
        )
    return number


def _read_regions(
    result: Mapping[str, object], place: str, file: Path
) -> Iterator[Event]:
    """Yield the audible events of a result: a span in seconds, and its labels."""
    region: dict[str, Any] = expect_item(result, "value", dict, place, file=file)
    span = _read_start_and_end(region, place, file)
    yield from _make_events(result, region, REGIONS, [span], place, file)


def _read_ranges(
    result: Mapping[str, object], frame_rate: float, place: str, file: Path
) -> Iterator[Event]:
    """Yield the visible events of a result: ranges of frames, and their labels."""
    content: dict[str, Any] = expect_item(result, "value", dict, place, file=file)
    ranges_place = f"{place}.value.ranges"
    ranges = expect(
        expect_key(content, "ranges", place, file), list, ranges_place, file=file
    )
    spans = list[tuple[float, float]]()
    for value in ranges:
        frames = expect(value, dict, ranges_place, file=file)
        first, last = _read_start_and_end(frames, place, file)
        if not 1 <= first <= last <= MAX_FRAME or first % 1 or last % 1:
            raise AnnotationError(
                f"{place} is the range from frame {first:g} to {last:g}, expected whole "
                f"numbers from 1, in order, at {frame_rate:g} frames a second",
                file=file,
                fix="correct the range",
            )
        spans.append(((first - 1) / frame_rate, last / frame_rate))
    yield from _make_events(result, content, RANGES, spans, place, file)


def _read_start_and_end(
    span: Mapping[str, object], place: str, file: Path
) -> tuple[float, float]:
    start, end = (
        expect_number(expect_key(span, key, place, file), f"{place}.{key}", file=file)
        for key in ("start", "end")
    )
    return start, end


def _make_events(
    result: Mapping[str, object],
    content: Mapping[str, object],
    labels_key: str,
    spans: Sequence[tuple[float, float]],
    place: str,
    file: Path,
) -> Iterator[Event]:
    """Yield an event for each label and span of a result."""
    modality = MODALITIES[AUDIO if labels_key == REGIONS else VISUAL]
    labels_place = f"{place}.value.{labels_key}"
    labels = expect(
        expect_key(content, labels_key, place, file), list, labels_place, file=file
    )
    score = result.get("score")
    if score is not None:
        score = expect_number(score, f"{place}.score", file=file)

    for value in labels:
        label = expect(value, str, labels_place, file=file)
        _, class_name = read_lane(f"{modality}:{label}", NO_DEFAULTS, file=file)
        for onset, offset in spans:
            check_span(onset, offset, label, file=file)
            yield Event(modality, class_name, onset, offset, score)
