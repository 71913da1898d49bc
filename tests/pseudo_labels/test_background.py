"""The background of margins: what it does not depend on, and when there is none."""

import pickle

import pytest
import torch
from torch import Tensor

from vaplan.pseudo_labels import fit_background
from vaplan.pseudo_labels.background import MIN_SEGMENTS, Background

SEGMENTS, CLASSES, PROMPTS = 4_000, 3, 20
OFFSET = torch.tensor([0.5, -1.0, 4.0])  # of the classes
SPREAD = 2.0


def margins(share: float = 0.0, lift: float = 6.0) -> tuple[Tensor, Tensor, Tensor]:
    """Normal margins of classes and prompts, and where a class is present."""
    generator = torch.Generator().manual_seed(0)
    absent = OFFSET + SPREAD * torch.randn(SEGMENTS, CLASSES, generator=generator)
    is_present = torch.rand(SEGMENTS, CLASSES, generator=generator) < share
    prompts = SPREAD * torch.randn(SEGMENTS, PROMPTS, generator=generator)
    return absent + lift * SPREAD * is_present, prompts, is_present


def fitted(rows: Tensor, prompts: Tensor, tagged: Tensor | None = None) -> Background:
    background = fit_background(rows, prompts, tagged)
    assert background
    return background


def test_segments_without_the_classes_have_mean_zero_and_deviation_one() -> None:
    rows, prompts, _ = margins()
    standard = fitted(rows, prompts).standardise(rows)
    assert standard.mean(dim=0).abs().max() < 0.1
    assert (standard.std(dim=0) - 1).abs().max() < 0.1


@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_the_scale_of_an_encoder_and_an_offset_of_a_class_change_nothing(
    scale: float,
) -> None:
    rows, prompts, _ = margins(share=0.2)
    expected = fitted(rows, prompts).standardise(rows)
    other = scale * (rows + torch.tensor([3.0, 0.0, -8.0]))
    standard = fitted(other, scale * prompts).standardise(other)
    assert torch.allclose(standard, expected, atol=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_a_class_may_occur_in_most_segments(share: float) -> None:
    rows, prompts, is_present = margins(share)
    marked = fitted(rows, prompts).standardise(rows) > 3
    assert (marked == is_present).float().mean() > 0.98


def test_untagged_segments_show_the_background_of_a_class_that_is_always_there() -> (
    None
):
    rows, prompts, _ = margins()
    number = torch.arange(SEGMENTS)[:, None].expand(-1, CLASSES)
    rows = rows + 6 * SPREAD * (number >= MIN_SEGMENTS)
    enough = fitted(rows, prompts, number >= MIN_SEGMENTS)
    assert (enough.centre - OFFSET).abs().max() < 3 * SPREAD / MIN_SEGMENTS**0.5
    too_few = fitted(rows, prompts, number >= MIN_SEGMENTS - 1)
    assert torch.equal(too_few.centre, fitted(rows, prompts).centre)


def test_a_background_is_the_same_in_another_process() -> None:
    rows, prompts, _ = margins()
    background = fitted(rows, prompts)
    copy = pickle.loads(pickle.dumps(background))  # noqa: S301
    assert torch.equal(copy.centre, background.centre)
    assert torch.equal(copy.spread, background.spread)


def test_too_few_segments_have_no_background() -> None:
    rows, prompts, _ = margins()
    assert fit_background(rows[:MIN_SEGMENTS], prompts[:MIN_SEGMENTS])
    fewer = MIN_SEGMENTS - 1
    assert fit_background(rows[:fewer], prompts[:fewer]) is None
