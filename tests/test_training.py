from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.objectives import HAN_OBJECTIVE, PLE_OBJECTIVE, PLG_OBJECTIVE, SEGMENT_OBJECTIVE
from vaplan.arrays import Inputs, Prediction, Target
from vaplan.errors import RecipeError, RunError
from vaplan.models.han import HAN, HANSettings
from vaplan.training import (
    DECISIONS,
    OPTIMISERS,
    Checkpoints,
    Training,
    decide,
    fit,
    fit_thresholds,
    learning_rate,
    predict,
    seeded,
)

QUICK = Training(epochs=3, batch_size=16, learning_rate=2e-3)


def world(videos=64, time=5, classes=4, *, seed=0):
    """Videos whose features show their events through noise; some segments are missing."""
    generator = torch.Generator().manual_seed(seed)
    looks = torch.randn(2, classes, 12, generator=torch.Generator().manual_seed(99))
    truth = torch.rand(videos, time, 2, classes, generator=generator) < 0.2
    features = torch.einsum("vtmc,mcf->mvtf", truth.float(), looks)
    features += 0.3 * torch.randn(features.shape, generator=generator)
    mask = torch.rand(videos, time, 2, generator=generator) < 0.9
    truth &= mask[..., None]
    return Inputs(((features[0],), (features[1, ..., :8], features[1, ..., 8:])), mask), truth


def network(seed=0, **settings):
    with seeded(seed):
        chosen = HANSettings(hidden=32, feedforward=32, **settings)
        return HAN(chosen, feature_sizes=((12,), (8, 4)), classes=4)


def labelled(truth):
    return Target(truth.any(1).any(1), truth)


def trained(losses=PLG_OBJECTIVE, settings=QUICK, **options):
    inputs, truth = world()
    model = network()
    history = fit(model, inputs, labelled(truth), settings=settings, losses=losses, **options)
    return model, history


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("losses", [HAN_OBJECTIVE, PLG_OBJECTIVE, SEGMENT_OBJECTIVE, PLE_OBJECTIVE])
def test_every_objective_falls(losses):
    _, history = trained(losses)
    assert history[-1]["loss"] < history[0]["loss"]
    assert set(history[0]) == {"epoch", "learning_rate", "loss", *losses}


def test_dense_labels_teach_a_parser_to_find_events_in_new_videos():
    inputs, truth = world(videos=256)
    model = network()
    fit(model, inputs, labelled(truth), settings=replace(QUICK, epochs=25), losses=SEGMENT_OBJECTIVE)
    unseen, expected = world(videos=200, seed=1)
    found = decide(predict(model, unseen), rule="segment")
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.9


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before():
    first, history = trained()
    torch.rand(7)
    again, same_history = trained()
    assert torch.equal(weights(first), weights(again))
    assert history == same_history
    other, _ = trained(settings=replace(QUICK, seed=1))
    assert not torch.equal(weights(first), weights(other))


def test_training_leaves_the_random_numbers_of_the_caller_alone():
    with seeded(3):
        expected = torch.rand(4)
    with seeded(3):
        trained()
        assert torch.equal(torch.rand(4), expected)


def test_nothing_under_a_mask_is_ever_learned():
    inputs, truth = world()
    spoilt = Inputs(
        tuple(
            tuple(stream.masked_fill(~inputs.mask[:, :, m, None], float("nan")) for stream in streams)
            for m, streams in enumerate(inputs.streams)
        ),
        inputs.mask,
    )
    learned = []
    for version in (inputs, spoilt):
        model = network()
        fit(model, version, labelled(truth), settings=QUICK, losses=PLE_OBJECTIVE)
        learned.append(weights(model))
    assert torch.equal(*learned)


def test_the_best_epoch_is_kept_and_the_later_one_of_equals():
    scores, seen = iter([0.1, 0.7, 0.7, 0.2]), []

    def validate(model):
        assert not model.training
        seen.append(weights(model))
        return next(scores)

    settings = replace(QUICK, epochs=4, select="best")
    model, history = trained(settings=settings, validate=validate)
    assert [entry["validation"] for entry in history] == [0.1, 0.7, 0.7, 0.2]
    assert torch.equal(weights(model), seen[2])
    assert not torch.equal(seen[2], seen[3])


def test_the_last_epoch_is_kept_unless_asked_otherwise():
    seen = []
    model, _ = trained(validate=lambda model: seen.append(weights(model)) or 1.0 / len(seen))
    assert torch.equal(weights(model), seen[-1])


def test_progress_is_told_epoch_by_epoch():
    told = []
    _, history = trained(on_epoch=told.append)
    assert told == history
    assert [entry["epoch"] for entry in told] == [1, 2, 3]


def test_the_first_step_is_that_of_a_plain_loop(monkeypatch):
    monkeypatch.setitem(OPTIMISERS, "adam", sgd)  # Adam divides rounding errors by themselves
    inputs, truth = world(videos=8)
    settings = Training(epochs=1, batch_size=8, learning_rate=1.0)
    ours, plain = network(dropout=0.0), network(dropout=0.0)
    fit(ours, inputs, labelled(truth), settings=settings, losses={"segment": 1.0})
    said = plain(inputs).segment.clamp(1e-7, 1 - 1e-7)
    loss = nn.functional.binary_cross_entropy(said, truth.float(), reduction="none").mean(-1)
    per_video = (loss * inputs.mask).sum(1) / inputs.mask.sum(1)
    optimiser = sgd(plain.parameters(), lr=1.0)
    per_video.mean(0).sum().backward()
    optimiser.step()
    assert torch.allclose(weights(ours), weights(plain), atol=1e-5)


def test_clipping_bounds_the_step_of_plain_descent(monkeypatch):
    monkeypatch.setitem(OPTIMISERS, "adam", sgd)
    before = weights(network())
    settings = Training(epochs=1, batch_size=64, learning_rate=1.0, clip_norm=0.01)
    model, _ = trained(settings=settings)
    assert (weights(model) - before).norm().item() == pytest.approx(0.01, rel=1e-2)


def sgd(parameters, lr, **_):
    return torch.optim.SGD(parameters, lr=lr)


def test_schedules():
    step = Training(epochs=40, learning_rate=1.0, schedule="step", step_epochs=10, step_factor=0.1)
    assert [learning_rate(epoch, step) for epoch in (0, 9, 10, 39)] == pytest.approx([1, 1, 0.1, 1e-3])
    cosine = Training(epochs=10, learning_rate=1.0, schedule="cosine")
    assert [learning_rate(epoch, cosine) for epoch in (0, 5)] == pytest.approx([1, 0.5])
    warm = Training(epochs=10, learning_rate=1.0, warmup_epochs=3)
    assert [learning_rate(epoch, warm) for epoch in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    _, history = trained(settings=replace(QUICK, schedule="step", step_epochs=1))
    assert [entry["learning_rate"] for entry in history] == pytest.approx([2e-3, 2e-4, 2e-5])


def test_a_loss_that_is_no_number_ends_with_one_clear_line():
    inputs, truth = world()
    inputs.streams[0][0][inputs.mask[:, :, 0]] = float("nan")
    with pytest.raises(RecipeError, match=r"the loss is nan in epoch 1.*features"):
        fit(network(), inputs, labelled(truth), settings=QUICK, losses=PLG_OBJECTIVE)


def test_the_best_epoch_needs_someone_to_say_which():
    with pytest.raises(RecipeError, match="validation videos"):
        trained(settings=replace(QUICK, select="best"))


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": -1}, {"batch_size": 0}, {"learning_rate": float("nan")}, {"optimiser": "sgd"}, {"schedule": "stpe"}],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(RecipeError):
        Training(**wrong)


def test_predictions_do_not_depend_on_the_batch_size_or_the_mode_the_model_was_in():
    inputs, _ = world(videos=10)
    model = network().train()
    whole, parts = predict(model, inputs), predict(model, inputs, batch_size=3)
    assert model.training
    assert torch.allclose(whole.segment, parts.segment, atol=1e-6)
    assert torch.equal(parts.mask, inputs.mask)


def by_hand():
    """One video, two segments, one class, heard only; the video is sure, its audio is not."""
    segment = torch.tensor([[[[0.9], [0.9]], [[0.5], [0.4]]]])
    modality, video = torch.tensor([[[0.4], [0.6]]]), torch.tensor([[0.5]])
    return Prediction(segment, modality, video, torch.tensor([[[True, False], [True, True]]]))


def test_decisions_by_hand():
    said = {rule: decide(by_hand(), rule=rule)[0, :, :, 0].tolist() for rule in DECISIONS}
    assert said == {
        "global_gate": [[True, False], [True, False]],
        "modality_gate": [[False, False], [False, False]],
        "mixed_gate": [[True, False], [True, False]],
        "segment": [[True, False], [True, False]],
    }
    assert not decide(by_hand(), threshold=0.51).any()
    assert decide(by_hand(), rule="segment", threshold=0.51).sum() == 1


def test_an_unknown_rule_is_named_with_the_nearest_one():
    with pytest.raises(RecipeError, match="did you mean 'global_gate'"):
        decide(by_hand(), rule="globalgate")


def test_a_training_has_its_own_number_of_threads_whatever_there_was_outside():
    before, seen = torch.get_num_threads(), []
    try:
        for outside in (1, 2):
            torch.set_num_threads(outside)
            trained(
                settings=replace(QUICK, threads=3 - outside), on_epoch=lambda _: seen.append(torch.get_num_threads())
            )
            assert torch.get_num_threads() == outside
    finally:
        torch.set_num_threads(before)
    assert seen == [2] * QUICK.epochs + [1] * QUICK.epochs


class Killed(Exception):
    """What a test does to a training."""


@pytest.mark.parametrize("steps", [1, 3, 4, 7, 11])
def test_a_training_killed_at_any_step_resumes_to_the_same_bits(steps, tmp_path):
    settings = replace(QUICK, select="best", optimiser="adamw", weight_decay=0.01, clip_norm=1.0)
    expected, log = trained(settings=settings, validate=falling())
    passed = []

    def kill(_model, _inputs, target, _passed):
        passed.append(1)
        if len(passed) > steps:
            raise Killed
        return target

    file = Checkpoints(tmp_path / "c.safetensors", of="this", seconds=0.0)
    with pytest.raises(Killed):
        trained(settings=settings, validate=falling(), revise=kill, checkpoints=file)
    validate = falling(after=steps // 4)
    resumed, again = trained(settings=settings, validate=validate, checkpoints=replace(file, resume=True))
    assert torch.equal(weights(resumed), weights(expected))
    assert again == log


def falling(*, after=0):
    """Validation that is best in the first epoch."""
    seen = [0] * after
    return lambda _: seen.append(0) or 1.0 / len(seen)


def test_the_checkpoint_of_another_training_and_a_broken_one_are_refused(tmp_path):
    file = Checkpoints(tmp_path / "c.safetensors", of="this", seconds=0.0)
    trained(checkpoints=file)
    with pytest.raises(RunError, match="the checkpoint of another training"):
        trained(checkpoints=replace(file, of="that", resume=True))
    file.path.write_bytes(b"half")
    with pytest.raises(RunError, match="not a checkpoint"):
        trained(checkpoints=replace(file, resume=True))


def test_valors_schedule_reaches_its_rates_in_its_epochs():
    valor = Training(epochs=60, learning_rate=1e-4, lowest_rate=1e-6, schedule="warmup_cosine", warmup_epochs=10)
    rates = {number: learning_rate(number - 1, valor) for number in (1, 5, 10, 35, 60)}
    assert rates == pytest.approx({1: 1e-5, 5: 5e-5, 10: 1e-4, 35: 5.05e-5, 60: 1e-6})


def test_patience_ends_a_training_that_gets_no_better_and_ties_may_keep_the_earlier_epoch():
    scores, seen = iter([0.1, 0.7, 0.7, 0.7, 0.9]), []
    settings = replace(QUICK, epochs=5, select="best", ties="earlier", patience=2)
    model, history = trained(settings=settings, validate=lambda m: seen.append(weights(m)) or next(scores))
    assert len(history) == 4
    assert torch.equal(weights(model), seen[1])


def test_fitted_thresholds_score_no_worse_than_any_single_one():
    inputs, truth = world(videos=128)
    model = network()
    fit(model, inputs, labelled(truth), settings=replace(QUICK, epochs=6), losses=SEGMENT_OBJECTIVE)
    said = predict(model, inputs)
    fitted = fit_thresholds(said, truth, rule="segment")

    def f(**how):
        marked = decide(said, rule="segment", **how)
        return 2 * (marked & truth).sum((0, 1)) / (marked.sum((0, 1)) + truth.sum((0, 1)))

    for value in (0.2, 0.5, 0.8):
        assert (f(thresholds=fitted) >= f(threshold=value) - 1e-6).all()
    assert torch.equal(fit_thresholds(said, torch.zeros_like(truth), rule="segment"), torch.full((2, 4), 0.5))
