"""The rule that labels a data set, and the videos that it reads."""

from dataclasses import replace

import pytest
import torch

from tests.pseudo_labels.test_hmm import generate
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import CONFIDENCE, MARGIN, Evidence, choose_labels
from vaplan.pseudo_labels.evidence import are_informative
from vaplan.ragged import Lengths, Ragged


def make_evidence(seed: int = 0) -> Evidence:
    values, tags, mask, truth = generate(60, seed=seed)
    evidence = Evidence(values, tags, mask, strategy=MARGIN)
    dense = (0, 1, 2)
    return replace(evidence, dense=dense, reference=truth[list(dense)])


def test_the_default_is_val_with_dense_labels_and_hmm_without() -> None:
    evidence = make_evidence()
    assert choose_labels(evidence).rule == "val"
    without = choose_labels(replace(evidence, dense=(), reference=None))
    assert without.rule == "hmm"
    assert without.thresholds is None
    assert without.probability is not None


def test_without_tags_the_default_margin_labels() -> None:
    evidence = make_evidence()
    everything = torch.ones_like(evidence.weak_label)
    without = replace(
        evidence, weak_label=everything, has_tags=False, dense=(), reference=None
    )
    chosen = choose_labels(without)
    assert chosen.rule == "chance"
    assert chosen.thresholds is not None
    assert (chosen.thresholds == 5).all()


def test_if_every_video_has_every_tag_the_paper_s_thresholds_label() -> None:
    evidence = make_evidence()
    everything = torch.ones_like(evidence.weak_label)
    all_tagged = replace(
        evidence,
        weak_label=everything,
        strategy=CONFIDENCE,
        dense=(),
        reference=None,
    )
    chosen = choose_labels(all_tagged)
    assert (chosen.rule, chosen.reason) == ("chance", "the paper's multiples of chance")


def test_tags_that_allow_nearly_every_label_are_not_fitted() -> None:
    evidence = replace(make_evidence(), dense=(), reference=None)
    few_absent = torch.ones_like(evidence.weak_label)
    few_absent[:2] = False
    chosen = choose_labels(replace(evidence, weak_label=few_absent))
    assert not replace(evidence, weak_label=few_absent).tags_are_informative
    assert chosen.rule == "chance"
    assert "tags exclude too little" in chosen.reason


def test_long_videos_count_more_among_the_tags() -> None:
    tags = torch.tensor([[True, True], [False, False]])
    assert are_informative(tags, Lengths.of([10, 10]))
    assert not are_informative(tags, Lengths.of([90, 10]))


def test_given_thresholds_replace_a_rule_with_thresholds_only() -> None:
    evidence = make_evidence()
    given = choose_labels(evidence, thresholds={"audio": 1.0, "visual": 2.0})
    assert given.rule == "given"
    assert given.thresholds is not None
    assert given.thresholds[:, 0].tolist() == [1, 2]
    with pytest.raises(RecipeError, match="the label rule hmm has no thresholds"):
        choose_labels(evidence, thresholds={"audio": 1.0}, rule="hmm")
    with pytest.raises(RecipeError, match="unknown label rule 'hm'"):
        choose_labels(evidence, rule="hm")


@pytest.mark.parametrize("rule", ["hmm", "mixture"])
def test_a_rule_from_tags_is_fitted_on_the_training_videos_alone(rule: str) -> None:
    evidence = make_evidence()
    training = tuple(range(40))
    fitted = replace(evidence, training=training)
    values = evidence.values.batch().clone()
    values[40:] *= 100  # of other videos
    other = replace(fitted, values=Ragged.of(values))
    labels = [choose_labels(one, rule=rule).labels.batch() for one in (fitted, other)]
    assert torch.equal(labels[0][:40], labels[1][:40])
    everything = choose_labels(replace(other, training=None), rule=rule).labels.batch()
    assert not torch.equal(everything[:40], labels[0][:40])
