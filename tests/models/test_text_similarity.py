"""Similarities with texts are streams of their own, and the texts' vectors are weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tests.conftest import EMBEDDED, World
from vaplan import read_table, runs, stages
from vaplan import recipe as recipes
from vaplan.arrays import FeatureSizes, Inputs
from vaplan.dataset import Dataset
from vaplan.models.han import HAN, HANSettings
from vaplan.models.text_similarity import (
    TextSimilarityNetwork,
    standardised_similarity,
)
from vaplan.parser import Parser

TEXT = functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0]]), dim=1)


def test_cosines_are_brought_to_mean_0_and_variance_1() -> None:
    features = torch.tensor([[[3.0, 0.0], [0.0, 0.0]]])
    cosine = np.array([1, 0, -np.sqrt(0.5)])
    expected = (cosine - cosine.mean()) / cosine.std()
    similarity = standardised_similarity(features, TEXT)
    np.testing.assert_allclose(similarity[0, 0].numpy(), expected, rtol=1e-5)
    assert not similarity[0, 1].any()  # a segment without features


@given(st.integers(0, 99), st.floats(0.01, 100))
def test_the_length_of_a_vector_does_not_matter(seed: int, factor: float) -> None:
    features = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(
        standardised_similarity(factor * features, TEXT),
        standardised_similarity(features, TEXT),
        rtol=1e-3,
        atol=1e-3,
    )


def test_only_streams_with_texts_get_similarities_after_the_other_streams() -> None:
    sizes = list[FeatureSizes]()

    def make_network(feature_sizes: FeatureSizes) -> HAN:
        sizes.append(feature_sizes)
        settings = HANSettings(hidden=8, feedforward=8)
        return HAN(settings, feature_sizes=feature_sizes, classes=2)

    model = TextSimilarityNetwork(
        make_network, feature_sizes=((2,), (4, 2)), text=[[None], [None, TEXT]]
    ).eval()
    assert sizes == [((2,), (4, 2, 3))]
    streams = ((torch.randn(1, 5, 2),), (torch.randn(1, 5, 4), torch.randn(1, 5, 2)))
    mask = torch.ones(1, 5, 2, dtype=torch.bool)
    inputs = model.add_similarities(Inputs(streams, mask))
    assert inputs.streams[0] == streams[0]
    assert inputs.streams[1][:2] == streams[1]
    expected = standardised_similarity(streams[1][1], TEXT)
    torch.testing.assert_close(inputs.streams[1][2], expected)
    prediction = model(Inputs(streams, mask))
    torch.testing.assert_close(prediction.segment, model.network(inputs).segment)
    assert next(iter(model.state_dict())) == "text_1_1"


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    changes = [
        *world.changes,
        f"labels={world.labels}",
        "model.text_similarity=true",
    ]
    folder = tmp_path_factory.mktemp("runs") / "text"
    return stages.train(recipes.read("default", changes=changes), folder)


def test_a_run_is_loaded_with_its_texts(run: runs.Run, world: World) -> None:
    loaded = runs.load(run.folder)
    texts = Dataset.with_features(world.data, world.store, EMBEDDED).embed_texts()
    for modality, (vectors,) in enumerate(texts):
        assert vectors is not None
        torch.testing.assert_close(
            loaded.model.get_buffer(f"text_{modality}_0"), vectors
        )
    inputs = Dataset.of_run(run, world.data).inputs
    for one, other in zip(
        run.predict(inputs).by_video(), loaded.predict(inputs).by_video(), strict=True
    ):
        assert torch.equal(one.segment, other.segment)


def test_a_file_is_parsed_as_its_stored_features_are(
    run: runs.Run, world: World, tmp_path: Path
) -> None:
    table = tmp_path / "test.csv"
    stages.predict(run.folder, world.data, world.store, table, split="test")
    video = next(video for video in world.data.videos if video.split == "test")
    timeline = Parser.load(run.folder)(world.folder / video.path)
    predictions = read_table(table, taxonomy=world.data.taxonomy)
    stored = predictions.events[video.video]
    assert [(e.modality, e.class_name, e.onset, e.offset) for e in timeline] == [
        (e.modality, e.class_name, e.onset, e.offset) for e in stored
    ]


def test_the_labels_are_refined_with_networks_that_read_texts(
    run: runs.Run, world: World, tmp_path: Path
) -> None:
    refined = stages.refine(
        run.folder, world.labels, tmp_path / "refined.csv", rule="fusion"
    )
    assert refined.table.is_file()
