import json

import pytest

from tests.exports.timelines import EMPTY, EXAMPLE
from vaplan.errors import UsageError
from vaplan.exports import fiftyone


def test_labels_have_times_in_seconds_and_data_the_paths():
    files = {k: json.loads(v) for k, v in fiftyone.write([EXAMPLE]).items()}
    assert files["data.json"] == {"beach/dog": "/films/beach/dog.mp4"}
    assert files["labels.json"]["classes"] is None
    assert files["labels.json"]["labels"]["beach/dog"][:2] == [
        {
            "label": "audio:Dog_barking",
            "timestamps": [0.0, 2.5],
            "attributes": {"modality": "audio", "class": "Dog_barking"},
            "confidence": 0.1,
        },
        {
            "label": "visual:Dog_barking",
            "timestamps": [1.0, 3.0],
            "attributes": {"modality": "visual", "class": "Dog_barking"},
        },
    ]


def test_a_timeline_without_its_media_file_is_an_error():
    with pytest.raises(UsageError, match="of 'quiet' is not known"):
        fiftyone.write([EMPTY])
