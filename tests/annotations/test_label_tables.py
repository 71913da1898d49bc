"""Tables of labels and of label probabilities."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import EMBEDDED, World
from vaplan import recipe as recipes
from vaplan import stages
from vaplan.annotations import Row
from vaplan.annotations.label_tables import read_label_probability
from vaplan.annotations.table import read, write_rows
from vaplan.dataset import Dataset
from vaplan.errors import AnnotationError
from vaplan.ragged import Lengths
from vaplan.stages.label import compute_dataset_evidence


@pytest.fixture(scope="module")
def dataset(world: World) -> Dataset:
    return Dataset.with_features(world.data, world.store, EMBEDDED)


@pytest.fixture(scope="module")
def probability_table(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probability")
    stages.label(
        world.data,
        world.store,
        folder / "labels.csv",
        encoders=EMBEDDED,
        rule="mixture",
        out_probability=folder / "probability.csv",
    )
    return folder / "probability.csv"


def test_a_segment_is_labelled_where_the_probability_exceeds_one_half(
    dataset: Dataset, probability_table: Path
) -> None:
    probability = dataset.label_probability(probability_table)
    labels = dataset.labels(probability_table.with_name("labels.csv"))
    assert torch.equal(labels.values, probability.values > 0.5)


def test_written_probabilities_are_read_again_and_zero_outside_the_tags(
    dataset: Dataset, probability_table: Path
) -> None:
    evidence = compute_dataset_evidence(dataset)
    probability = dataset.label_probability(probability_table)
    possible = evidence.weak_label[:, None, None] & evidence.mask.batch()[..., None]
    expected = evidence.label_probability().batch() * possible
    assert torch.allclose(probability.batch(), expected, atol=1e-6)
    assert not probability.batch()[~possible].any()


def test_a_training_on_probabilities_differs_from_one_on_labels(
    world: World, probability_table: Path, tmp_path: Path
) -> None:
    weights = []
    for kind in ("hard", "soft", "weighted"):
        changes = [
            *world.changes,
            f"labels={world.labels}",
            f"label_probability={probability_table}",
            f"losses={{segment: {{labels: {kind}}}}}",
        ]
        recipe = recipes.read("segment_bce", changes=changes)
        run = stages.train(recipe, tmp_path / kind)
        weights.append(next(iter(run.model.parameters())).detach().numpy())
        assert str(probability_table) in run.inputs
    assert not np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_a_table_that_lacks_a_video_or_holds_no_probability_is_refused(
    dataset: Dataset, tmp_path: Path
) -> None:
    data, lengths = dataset.annotations, dataset.lengths
    table = write_rows(tmp_path / "few.csv", [Row(data.ids[0])])
    message = "no label probabilities for 25 of 26 videos"
    with pytest.raises(AnnotationError, match=message):
        read_label_probability(table, data, lengths)
    video, tag = data.videos[0].video, data.videos[0].tags[0]
    row = Row(video, "audio", tag, 0.0, 1.0, 1.5)
    table = write_rows(tmp_path / "large.csv", [row])
    message = r"large.csv:2: score 1.5 is not a probability"
    with pytest.raises(AnnotationError, match=message):
        read_label_probability(table, data, lengths)


def test_a_probability_in_both_modalities_is_read_and_one_past_the_end_is_refused(
    tmp_path: Path,
) -> None:
    rows = [Row("a", "both", "Dog", 0.0, 1.0, 0.25)]
    data = read(write_rows(tmp_path / "t.csv", rows))
    lengths = Lengths.of([2])
    probability = read_label_probability(tmp_path / "t.csv", data, lengths)
    assert probability[:, :, 0].tolist() == [[0.25, 0.25], [0.0, 0.0]]
    write_rows(tmp_path / "t.csv", [Row("a", "audio", "Dog", 2.0, 3.0, 0.25)])
    with pytest.raises(AnnotationError, match=r"t\.csv:2: segment 2 is past the end"):
        read_label_probability(tmp_path / "t.csv", data, lengths)


def test_the_description_beside_labels_must_be_a_json_object(
    dataset: Dataset, world: World, tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(world.labels.read_bytes())
    table.with_suffix(".json").write_text("[1]")
    message = r"t\.json: not the description of a table of labels: no JSON object"
    with pytest.raises(AnnotationError, match=message):
        dataset.labels(table)


def test_probabilities_are_not_read_as_labels_nor_labels_as_probabilities(
    world: World, dataset: Dataset, probability_table: Path
) -> None:
    with pytest.raises(AnnotationError, match="it holds label probabilities"):
        dataset.labels(probability_table)
    with pytest.raises(AnnotationError, match="rows of some tags only"):
        dataset.label_probability(world.labels)
