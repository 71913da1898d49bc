"""Label diagnostics, which need no dense labels."""

import pytest
import torch

from tests.pseudo_labels.test_mixture import videos
from vaplan.arrays import AUDIO
from vaplan.pseudo_labels import (
    MARGIN,
    Evidence,
    generate_pseudo_labels,
    label_agreement,
)
from vaplan.pseudo_labels.diagnostics import diagnose_labels
from vaplan.ragged import Ragged


def diagnose(evidence, weak, mask):
    collection = Evidence(Ragged.of(evidence), weak, Ragged.of(mask), strategy=MARGIN)
    threshold = collection.mixture().thresholds()
    labels = collection.generate(threshold)
    return diagnose_labels(collection, labels, threshold=threshold), threshold


def test_rates_are_shares_of_segments_that_exist():
    evidence, weak, mask, _, _ = videos()
    (audio, _), threshold = diagnose(evidence, weak, mask)
    above = evidence[:, :, AUDIO, 1] > threshold[AUDIO, 1]
    inside, outside = (
        weak[:, None, 1] & mask[:, :, AUDIO],
        ~weak[:, None, 1] & mask[:, :, AUDIO],
    )
    assert audio[1].rate == pytest.approx(float(above[inside].float().mean()))
    assert audio[1].rate_untagged == pytest.approx(float(above[outside].float().mean()))
    assert audio[1].videos == int((weak[:, 1] & mask[:, :, AUDIO].any(dim=1)).sum())


def test_the_precision_of_labels_is_estimated_without_the_truth():
    evidence, weak, mask, truth, _ = videos(1)
    rows, threshold = diagnose(evidence, weak, mask)
    label = generate_pseudo_labels(evidence, weak, mask, threshold=threshold)
    right = (label & truth).sum(dim=(0, 1)) / label.sum(dim=(0, 1))
    estimated = torch.tensor([[one.precision for one in row] for row in rows])
    assert torch.allclose(estimated, right, atol=0.03)


def test_clear_evidence_is_trustworthy_and_evidence_of_other_videos_is_not():
    evidence, weak, mask, _, _ = videos(2, lift=4.0)
    generator = torch.Generator().manual_seed(0)
    steady = evidence.sort(dim=1).values  # events last
    assert all(
        one.verdict == "trustworthy"
        for row in diagnose(steady, weak, mask)[0]
        for one in row
    )
    shuffled = steady[torch.randperm(len(steady), generator=generator)]
    rows_of_others = [one for row in diagnose(shuffled, weak, mask)[0] for one in row]
    assert all(one.verdict == "doubtful" and one.reasons for one in rows_of_others)


def test_labels_that_change_at_random_have_no_continuity():
    evidence, weak, mask, _, _ = videos(3, lift=4.0)
    for one in diagnose(evidence, weak, mask)[0][AUDIO]:
        assert one.continuity == pytest.approx(one.rate, abs=0.05)


def test_a_class_with_few_tagged_videos_is_unknown():
    evidence, weak, mask, _, _ = videos(4)
    weak[4:, 0] = False
    one = diagnose(evidence, weak, mask)[0][AUDIO][0]
    assert one.verdict == "unknown"
    assert "videos are tagged with it" in one.reasons[0]


def test_prompt_agreement_is_the_intersection_over_union_of_the_labels():
    label, other = (
        torch.zeros(1, 4, 2, 1, dtype=torch.bool),
        torch.zeros(1, 4, 2, 1, dtype=torch.bool),
    )
    label[0, :3], other[0, 1:] = True, True
    assert label_agreement(label, [other]).tolist() == [[0.5], [0.5]]
    assert label_agreement(label, [label, other]).tolist() == [[0.75], [0.75]]
    assert label_agreement(label, []).isnan().all()
