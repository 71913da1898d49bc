import csv
import io
import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.exports.timelines import EMPTY, NOTHING, there_and_back, timelines
from vaplan.errors import AnnotationError
from vaplan.exports import import_events
from vaplan.exports.plain import read_table, to_csv, to_json, to_parquet
from vaplan.timeline import Event, Timeline

TIMELINE = Timeline(
    "-DSN_30_40",
    10.0,
    (
        Event("audio", "Dog, barking", 0.0, 2.5, 0.1),
        Event("visual", "Dog, barking", 1.0, 3.0),
    ),
    (("visual", 8.0, 10.0),),
    ("video: 2 s lost",),
)
seconds = st.floats(0, 1e6)
events = st.builds(
    Event,
    st.sampled_from(["audio", "visual"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1),
    seconds,
    seconds,
    st.none() | st.floats(0, 1),
)


def test_json_has_everything_of_a_timeline():
    assert json.loads(to_json(TIMELINE)) == {
        "video": "-DSN_30_40",
        "seconds": 10.0,
        "events": [
            {
                "modality": "audio",
                "class": "Dog, barking",
                "onset": 0.0,
                "offset": 2.5,
                "score": 0.1,
            },
            {
                "modality": "visual",
                "class": "Dog, barking",
                "onset": 1.0,
                "offset": 3.0,
                "score": None,
            },
        ],
        "missing": [{"modality": "visual", "onset": 8.0, "offset": 10.0}],
        "warnings": ["video: 2 s lost"],
    }


def test_csv_is_the_six_columns():
    assert to_csv(TIMELINE).splitlines() == [
        "video,modality,class,onset,offset,score",
        '-DSN_30_40,audio,"Dog, barking",0.0,2.5,0.1',
        '-DSN_30_40,visual,"Dog, barking",1.0,3.0,',
    ]


def test_a_video_without_events_has_a_row_with_an_empty_class():
    assert to_csv(Timeline("quiet", 3.0)).splitlines()[1:] == ["quiet,,,,,"]


@given(st.lists(events))
def test_times_and_scores_come_back_exactly(found):
    timeline = Timeline("v", 1e6, tuple(found))
    rows = csv.DictReader(io.StringIO(to_csv(timeline)))
    named = [row for row in rows if row["class"]]
    number = {
        key: [float(row[key]) if row[key] else None for row in named]
        for key in ("onset", "offset", "score")
    }
    back = [
        Event(row["modality"], row["class"], *times)
        for row, *times in zip(named, *number.values(), strict=True)
    ]
    assert back == found
    document = json.loads(to_json(timeline))
    assert [Event(*event.values()) for event in document["events"]] == found


@given(timelines())
@example(NOTHING)
def test_json_comes_back_whole(drawn):
    timeline = Timeline(*drawn)
    timeline = replace(timeline, missing=(("visual", 0.0, 0.5),), warnings=("a\nb",))
    assert there_and_back(timeline, "json") == timeline


@pytest.mark.parametrize("name", ["csv", "parquet"])
@given(drawn=timelines())
@example(drawn=NOTHING)
def test_tables_come_back_exactly(name, drawn):
    timeline = Timeline(*drawn)
    classes = [event.class_name.casefold() for event in timeline]
    assume(len({*classes}) == len({event.class_name for event in timeline}))
    keys = [(e.lane, e.onset, e.offset) for e in timeline]
    assume(len({*keys}) == len(keys))  # a table refuses two scores of one event
    back = there_and_back(timeline, name)
    assert (back.video, back.events) == (timeline.video, timeline.events)


def test_parquet_has_the_six_columns():
    table = pq.read_table(io.BytesIO(to_parquet(EMPTY)))
    assert table.to_pylist() == [
        {
            **{"video": "quiet", "modality": "", "class": ""},
            **{"onset": None, "offset": None, "score": None},
        }
    ]
    assert pq.read_table(io.BytesIO(to_parquet(TIMELINE))).num_rows == 2


def test_rows_of_tags_are_no_events(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "video,modality,class,onset,offset,score,path\n"
        "a,,Dog,,,,a.mp4\nb,both,Dog,0,1,,\nb,,Cat,,,,\nc,,,,,,\n"
    )
    assert [*read_table(path)] == [
        (
            Timeline(
                "b",
                1.0,
                tuple(Event(m, "Dog", 0.0, 1.0) for m in ("audio", "visual")),
            ),
            "",
        ),
        (Timeline("c", 0.0), ""),
    ]


DOCUMENT = json.loads(to_json(TIMELINE))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": "../a"}, "video id '../a' cannot be used"),
        ({"video": None}, "video is None, expected a text"),
        ({"seconds": -1}, "seconds is -1"),
        ({"events": {}}, "events is {}, expected a list"),
        ({"events": [{"class": "Dog"}]}, r"events\[0\] has no key 'modality'"),
        ({"missing": [{"modality": "smell"}]}, r"missing\[0\]: unknown modality"),
        ({"warnings": [1]}, r"warnings\[0\] is 1"),
    ],
)
def test_json_that_is_no_timeline_is_an_error(tmp_path, change, message):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DOCUMENT | change))
    with pytest.raises(AnnotationError, match=message):
        import_events(path, format="json")
