import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.errors import UsageError
from vaplan.exports import EXPORTS, export
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


def test_json_holds_everything_a_timeline_says():
    assert json.loads(EXPORTS["json"](TIMELINE)) == {
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
    assert EXPORTS["csv"](TIMELINE).splitlines() == [
        "video,modality,class,onset,offset,score",
        '-DSN_30_40,audio,"Dog, barking",0.0,2.5,0.1',
        '-DSN_30_40,visual,"Dog, barking",1.0,3.0,',
    ]


def test_a_video_in_which_nothing_was_found_has_a_row_with_an_empty_class():
    assert EXPORTS["csv"](Timeline("quiet", 3.0)).splitlines()[1:] == ["quiet,,,,,"]


@given(st.lists(events))
def test_times_and_scores_come_back_exactly(found):
    timeline = Timeline("v", 1e6, tuple(found))
    rows = csv.DictReader(io.StringIO(EXPORTS["csv"](timeline)))
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
    document = json.loads(EXPORTS["json"](timeline))
    assert [Event(*event.values()) for event in document["events"]] == found


@pytest.mark.parametrize("name", ["a.json", "a.CSV"])
def test_the_suffix_chooses_the_format(tmp_path, name):
    path = export(TIMELINE, tmp_path / name)
    assert path.read_text("utf-8") == EXPORTS[name[2:].lower()](TIMELINE)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.jsn", "a"])
def test_an_unknown_suffix_is_an_error_that_lists_the_formats(tmp_path, name):
    with pytest.raises(UsageError, match=r"unknown export format .*csv, json"):
        export(TIMELINE, tmp_path / name)
    assert not list(tmp_path.iterdir())
