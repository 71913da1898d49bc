import json
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.exports.timelines import (
    EXAMPLE,
    NOTHING,
    as_set,
    there_and_back,
    timelines,
)
from vaplan.errors import AnnotationError
from vaplan.exports import import_events, label_studio
from vaplan.exports.labels import round_events
from vaplan.timeline import Event, Timeline


def test_audible_events_are_in_seconds_and_visible_ones_in_frames():
    (task,) = json.loads(label_studio.write([EXAMPLE])["label_studio.json"])
    assert task["data"] == {
        **{"video": "/data/local-files/?d=beach/dog.mp4", "id": "beach/dog"},
        **{"fps": 25.0, "seconds": 10.0},
    }
    audible, visible, _ = task["predictions"][0]["result"]
    assert audible == {
        "id": "event1",
        "type": "labels",
        "from_name": "audible",
        "to_name": "audio",
        "value": {"start": 0.0, "end": 2.5, "channel": 0, "labels": ["Dog_barking"]},
        "original_length": 10.0,
        "score": 0.1,
    }
    assert visible["value"] == {
        "ranges": [
            {"start": 26, "end": 75}
        ],  # from 1 s up to 3 s at 25 frames a second
        "timelinelabels": ["Dog_barking"],
    }


def test_the_configuration_has_the_names_that_results_refer_to():
    files = label_studio.write([EXAMPLE])
    view = ElementTree.fromstring(files["label_studio.xml"])
    names = {tag.get("name") for tag in view.iter() if tag.get("name")}
    (task,) = json.loads(files["label_studio.json"])
    for result in task["predictions"][0]["result"]:
        assert {result["from_name"], result["to_name"]} <= names
    assert view.find("Video").get("frameRate") == "$fps"
    classes = [tag.get("value") for tag in view.find("Labels")]
    assert classes == ["Dog_barking", "Rain"]


@given(timelines())
@example(NOTHING)
def test_events_come_back_exactly_or_to_the_frame(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "label-studio")
    assert (back.video, back.seconds >= timeline.seconds) == (timeline.video, True)
    expected = (*timeline.of("audio"), *round_events(timeline.of("visual"), 25))
    assert as_set(back.events) == as_set(expected)


@given(st.sampled_from([10.0, 24.0, 25.0, 29.97, 59.94]), st.integers(0, 10**6))
def test_whole_frames_come_back_at_any_rate(tmp_path_factory, rate, frame):
    folder = tmp_path_factory.mktemp("tasks")
    event = Event("visual", "Dog", frame / rate, (frame + 3) / rate)
    tasks = [{"data": {"video": "v.mp4", "fps": rate}, "predictions": []}]
    result = label_studio._result(1, event, 1.0, rate)
    tasks[0]["predictions"] = [{"result": [result]}]
    (folder / "a.json").write_text(json.dumps(tasks))
    (back,) = import_events(folder, format="label-studio")
    assert (back.video, back.events) == ("v", (event,))


RESULT = {
    "type": "timelinelabels",
    "value": {"ranges": [{"start": 1, "end": 25}], "timelinelabels": ["Dog"]},
}
TASK = {"data": {"video": "http://host/2019/v.mp4", "fps": 25}}


def read(tmp_path, task, **options):
    (tmp_path / "a.json").write_text(json.dumps([task]))
    return import_events(tmp_path / "a.json", format="label-studio", **options)


def test_the_latest_annotation_counts_and_not_the_prediction(tmp_path):
    other = {
        "type": "labels",
        "value": {"start": 3, "end": 4.5, "labels": ["Cat", "Cow"]},
    }
    task = TASK | {
        "predictions": [{"result": [RESULT]}],
        "annotations": [
            {"result": [RESULT, RESULT]},
            {"result": [other, {"type": "choices", "value": {}}]},
            {"result": [RESULT], "was_cancelled": True},
        ],
    }
    (back,) = read(tmp_path, task)
    assert back.video == "v"
    assert back.events == (
        Event("audio", "Cat", 3.0, 4.5),
        Event("audio", "Cow", 3.0, 4.5),
    )


def test_frames_need_a_rate(tmp_path):
    task = {"data": {"video": "v.mp4"}, "predictions": [{"result": [RESULT]}]}
    with pytest.raises(AnnotationError, match="--frame-rate"):
        read(tmp_path, task)
    (back,) = read(tmp_path, task, frame_rate=50.0)
    assert back.events == (Event("visual", "Dog", 0.0, 0.5),)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"ranges": [{"start": 0, "end": 5}], "timelinelabels": ["Dog"]},
            "frame 0 to 5",
        ),
        (
            {"ranges": [{"start": 6, "end": 5}], "timelinelabels": ["Dog"]},
            "frame 6 to 5",
        ),
        ({"ranges": [{"start": 1.5, "end": 5}], "timelinelabels": ["x"]}, "frame 1.5"),
        ({"ranges": 3, "timelinelabels": ["Dog"]}, "expected a list"),
        (
            {"ranges": [{"start": 1, "end": 5}], "timelinelabels": [3]},
            "expected a text",
        ),
        ({"timelinelabels": ["Dog"]}, "no key 'ranges'"),
    ],
)
def test_a_result_that_is_no_event_is_an_error(tmp_path, value, message):
    result = {"type": "timelinelabels", "value": value}
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path, TASK | {"predictions": [{"result": [result]}]})


@pytest.mark.parametrize("rate", [0, -1, "fast", None, True])
def test_a_frame_rate_that_is_no_number_above_0_is_an_error(tmp_path, rate):
    task = {"data": {"video": "v", "fps": rate}, "predictions": [{"result": [RESULT]}]}
    with pytest.raises(AnnotationError, match="fps"):
        read(tmp_path, task)
