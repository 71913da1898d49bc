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
from vaplan.annotations.table import write_rows
from vaplan.dataset import Dataset
from vaplan.errors import AnnotationError
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
        threshold_rule="mixture",
        label_probability=folder / "probability.csv",
    )
    return folder / "probability.csv"


def test_a_segment_is_labelled_where_the_probability_exceeds_one_half(
    dataset: Dataset, probability_table: Path
) -> None:
    probability = dataset.label_probability(probability_table)
    labels = dataset.labels(probability_table.with_name("labels.csv"))
    assert torch.equal(labels, probability > 0.5)


def test_written_probabilities_are_read_again_and_zero_outside_the_tags(
    dataset: Dataset, probability_table: Path
) -> None:
    evidence = compute_dataset_evidence(dataset)
    probability = dataset.label_probability(probability_table)
    possible = evidence.weak_label[:, None, None] & evidence.mask[..., None]
    expected = evidence.mixture().probability(evidence.values) * possible
    assert torch.allclose(probability, expected, atol=1e-6)
    assert not probability[~possible].any()


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
    data, mask = dataset.annotations, dataset.inputs.mask
    table = write_rows(tmp_path / "few.csv", [Row(data.ids[0])])
    message = "no label probabilities for 25 of 26 videos"
    with pytest.raises(AnnotationError, match=message):
        read_label_probability(table, data, mask)
    video, tag = data.videos[0].video, data.videos[0].tags[0]
    row = Row(video, "audio", tag, 0.0, 1.0, 1.5)
    table = write_rows(tmp_path / "large.csv", [row])
    message = r"large.csv:2: score 1.5 is not a probability"
    with pytest.raises(AnnotationError, match=message):
        read_label_probability(table, data, mask)


def test_probabilities_are_not_read_as_labels_nor_labels_as_probabilities(
    world: World, dataset: Dataset, probability_table: Path
) -> None:
    with pytest.raises(AnnotationError, match="it holds label probabilities"):
        dataset.labels(probability_table)
    with pytest.raises(AnnotationError, match="rows of some tags only"):
        dataset.label_probability(world.labels)
