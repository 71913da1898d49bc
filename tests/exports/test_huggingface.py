import json

import pytest

from tests.exports.timelines import EMPTY, EXAMPLE
from vaplan.errors import UsageError
from vaplan.exports import huggingface


def test_a_line_names_the_file_below_the_media_folder():
    (text,) = huggingface.write([EXAMPLE, EXAMPLE]).values()
    first, second = map(json.loads, text.splitlines())
    assert first == second
    assert first["file_name"] == "beach/dog.mp4"
    assert first["events"][1] == {
        **{"modality": "visual", "class": "Dog_barking"},
        **{"onset": 1.0, "offset": 3.0, "score": None},
    }


def test_a_timeline_without_its_media_file_is_an_error():
    with pytest.raises(UsageError, match=r"of 'quiet' is not known\. Fix: .*--media"):
        huggingface.write([EMPTY])
