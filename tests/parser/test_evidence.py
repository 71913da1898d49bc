"""Zero-shot evidence of the encoders."""

import numpy as np
import pytest
import torch

from tests.conftest import EMBEDDED, World
from vaplan import encoders, pseudo_labels
from vaplan.arrays import AUDIO, MODALITIES, VISUAL, Inputs
from vaplan.dataset import read_inputs
from vaplan.errors import UsageError
from vaplan.metrics.llp import label_f
from vaplan.pseudo_labels import MARGIN
from vaplan.taxonomy import Taxonomy
from vaplan.zero_shot import STRATEGIES, ZeroShotClassifier

LOADED = [encoders.load("embedded", modality) for modality in (AUDIO, VISUAL)]


def unit(*rows: list[float]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows), dim=-1)


def inputs(feature: torch.Tensor) -> Inputs:
    """Make one video with the same audio and visual vectors."""
    return Inputs(
        ((feature[None],), (feature[None],)),
        torch.ones(1, len(feature), 2, dtype=torch.bool),
    )


def test_the_margin_of_a_class_is_its_cosine_minus_the_mean_of_the_background_prompts() -> (
    None
):
    segment, text = unit([3.0, 4.0]), unit([1.0, 0.0])
    everyday = unit([0.0, 1.0], [1.0, 0.0], [-1.0, 0.0])
    margin = segment @ pseudo_labels.subtract_background(text, everyday).T
    assert float(margin) == pytest.approx(0.6 - (0.8 + 0.6 - 0.6) / 3)


def test_a_frame_that_fits_every_sentence_better_has_no_larger_margin() -> None:
    """All cosines of one frame can be higher than those of another."""
    text, everyday = torch.randn(3, 8), torch.randn(5, 8)
    common = torch.randn(8)
    plain = pseudo_labels.subtract_background(text, everyday)
    assert torch.allclose(
        pseudo_labels.subtract_background(text + common, everyday + common),
        plain,
        atol=1e-5,
    )


def test_the_margin_of_a_class_does_not_depend_on_the_other_classes_and_the_confidence_does() -> (
    None
):
    feature = torch.nn.functional.normalize(
        torch.randn(4, 64, generator=torch.manual_seed(0)), dim=-1
    )
    few, many = Taxonomy(("Bell",)), Taxonomy(("Bell", "Dog", "Rain"))
    for strategy in STRATEGIES:
        alone, among = (
            ZeroShotClassifier(taxonomy, LOADED, strategy=strategy).evidence(
                inputs(feature)
            )[..., 0]
            for taxonomy in (few, many)
        )
        assert torch.allclose(alone, among, atol=1e-5) == (strategy != "confidence")


def test_logits_are_cosines_at_the_scale_of_each_encoder() -> None:
    feature = torch.nn.functional.normalize(
        torch.randn(2, 64, generator=torch.manual_seed(1)), dim=-1
    )
    taxonomy = Taxonomy(("Bell", "Dog"))
    logits = ZeroShotClassifier(taxonomy, LOADED, strategy="logit").evidence(
        inputs(feature)
    )
    for m, encoder in enumerate(LOADED):
        cosine = (
            feature @ encoders.class_vectors(encoder, taxonomy.prompts(MODALITIES[m])).T
        )
        assert torch.allclose(logits[0, :, m], encoder.logit_scale * cosine, atol=1e-4)


def test_a_class_described_by_several_sentences_is_their_mean_direction() -> None:
    one, other = "a bell", "a loud bell"
    both = Taxonomy(
        ("Bell",), own_prompts={m: {"Bell": (one, other)} for m in MODALITIES}
    )
    text = ZeroShotClassifier(both, LOADED, strategy="logit").text[AUDIO]
    mean = LOADED[AUDIO].text([one, other]).mean(axis=0)
    assert np.allclose(text.numpy(), mean / np.linalg.norm(mean), atol=1e-6)


def test_without_tags_or_training_the_margin_has_an_f_above_one_half(
    world: World,
) -> None:
    data = world.data
    margin = ZeroShotClassifier(data.taxonomy, LOADED, strategy=MARGIN).evidence(
        read_inputs(world.store, EMBEDDED, data.ids).batch()
    )
    marked = (
        margin
        > pseudo_labels.make_thresholds(len(data.taxonomy), pseudo_labels.MARGINS)
    ).numpy()
    dense = [
        index for index, video in enumerate(data.videos) if video.video in data.events
    ]
    reference = data.select_videos([data.ids[index] for index in dense]).reference(
        marked.shape[1]
    )
    scores = label_f(reference, marked[dense])
    assert scores["audio"]["segment"] > 50  # marking all gives 10
    assert scores["visual"]["segment"] > 50


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(
        UsageError, match="unknown strategy 'margn'; did you mean 'margin'"
    ):
        ZeroShotClassifier(Taxonomy(("Bell",)), LOADED, strategy="margn")
