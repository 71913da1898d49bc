import json

import pytest
from hypothesis import example, given

from tests.exports.timelines import (
    EXAMPLE,
    NOTHING,
    as_set,
    there_and_back,
    timelines,
)
from vaplan.annotations import activitynet as data_set
from vaplan.annotations import merge_rows
from vaplan.errors import AnnotationError
from vaplan.exports import activitynet, import_events
from vaplan.timeline import Event, Timeline


def test_a_video_has_its_length_and_an_event_its_modality():
    (text,) = activitynet.write([EXAMPLE]).values()
    entry = json.loads(text)["database"]["beach/dog"]
    assert (entry["subset"], entry["duration"]) == ("validation", 10.0)
    assert entry["annotations"][:2] == [
        {
            **{"segment": [0.0, 2.5], "label": "Dog_barking"},
            **{"modality": "audio", "score": 0.1},
        },
        {"segment": [1.0, 3.0], "label": "Dog_barking", "modality": "visual"},
    ]


@given(timelines())
@example(NOTHING)
def test_events_come_back_exactly(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "activitynet")
    assert (back.video, back.seconds) == (timeline.video, timeline.seconds)
    assert as_set(back.events) == as_set(timeline.events)


def test_the_files_are_a_data_set_too(tmp_path):
    (text,) = activitynet.write([EXAMPLE]).values()
    (tmp_path / "a.json").write_text(text)
    data = merge_rows(data_set.read(tmp_path / "a.json"))
    assert {*data.events["beach/dog"]} == {*EXAMPLE.events}


def test_events_without_a_modality_are_visual_unless_there_is_a_default(tmp_path):
    path = tmp_path / "a.json"
    event = {"segment": [0, 2], "label": "surfing"}
    entry = {"subset": "training", "annotations": [event]}
    path.write_text(json.dumps({"version": "1.3", "database": {"v": entry}}))
    assert import_events(path, format="activitynet") == [
        Timeline("v", 2.0, (Event("visual", "surfing", 0.0, 2.0),))
    ]
    (both,) = import_events(path, format="activitynet", modality="both")
    assert [event.modality for event in both] == ["audio", "visual"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"modality": "smell"}, r"annotations\[0\].modality: unknown modality 'smell'"),
        ({"score": "high"}, r"annotations\[0\].score is 'high'"),
        ({"segment": [2, 2]}, "from 2 to 2 s"),
    ],
)
def test_an_annotation_that_is_no_event_is_an_error(tmp_path, change, message):
    event = {"segment": [0, 2], "label": "surfing"} | change
    entry = {"subset": "training", "annotations": [event]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"version": "1.3", "database": {"v": entry}}))
    with pytest.raises(AnnotationError, match=message):
        import_events(path, format="activitynet")
