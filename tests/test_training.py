from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from tests import ranks
from tests.objectives import (
    HAN_OBJECTIVE,
    PLE_OBJECTIVE,
    PLG_OBJECTIVE,
    SEGMENT_OBJECTIVE,
)
from tests.trainings import (
    QUICK,
    Killed,
    labelled,
    network,
    torchrun,
    trained,
    weights,
    world,
)
from vaplan.arrays import Inputs, Prediction, Target
from vaplan.decisions import decide, fit_thresholds
from vaplan.decisions.gates import GATED_RULES
from vaplan.errors import RecipeError, RunError, VaplanError
from vaplan.store import mapped
from vaplan.training import (
    OPTIMISERS,
    Checkpoints,
    Teacher,
    Training,
    fit,
    learning_rate,
    predict,
    seeded,
)
from vaplan.training.devices import gather_batch, resolve_compute
from vaplan.training.mean_teacher import correct_targets


@pytest.mark.parametrize(
    "losses", [HAN_OBJECTIVE, PLG_OBJECTIVE, SEGMENT_OBJECTIVE, PLE_OBJECTIVE]
)
def test_training_lowers_every_objective(losses):
    _, history = trained(losses)
    assert history[-1]["loss"] < history[0]["loss"]
    assert set(history[0]) == {"epoch", "learning_rate", "loss", *losses}


@pytest.mark.slow
def test_dense_labels_teach_a_parser_to_find_events_in_new_videos():
    inputs, truth = world(videos=256)
    model = network()
    fit(
        model,
        inputs,
        labelled(truth),
        settings=replace(QUICK, epochs=25),
        losses=SEGMENT_OBJECTIVE,
    )
    unseen, expected = world(videos=200, seed=1)
    found = decide(predict(model, unseen), rule="segment")
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.9


def test_the_same_seed_gives_the_same_weights_in_any_random_state():
    first, history = trained()
    torch.rand(7)
    again, same_history = trained()
    assert torch.equal(weights(first), weights(again))
    assert history == same_history
    other, _ = trained(settings=replace(QUICK, seed=1))
    assert not torch.equal(weights(first), weights(other))


def test_training_does_not_change_the_random_state_of_the_caller():
    with seeded(3):
        expected = torch.rand(4)
    with seeded(3):
        trained()
        assert torch.equal(torch.rand(4), expected)


def test_nothing_under_a_mask_is_ever_learned():
    inputs, truth = world()
    spoilt = Inputs(
        tuple(
            tuple(
                stream.masked_fill(~inputs.mask[:, :, m, None], float("nan"))
                for stream in streams
            )
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


def test_the_last_epoch_is_kept_by_default():
    seen = []
    model, _ = trained(
        validate=lambda model: seen.append(weights(model)) or 1.0 / len(seen)
    )
    assert torch.equal(weights(model), seen[-1])


def test_progress_is_reported_epoch_by_epoch():
    reported = []
    _, history = trained(on_epoch=reported.append)
    assert reported == history
    assert [entry["epoch"] for entry in reported] == [1, 2, 3]


def test_the_first_step_is_that_of_a_plain_loop(monkeypatch):
    monkeypatch.setitem(
        OPTIMISERS, "adam", sgd
    )  # Adam divides rounding errors by themselves
    inputs, truth = world(videos=8)
    settings = Training(epochs=1, batch_size=8, learning_rate=1.0)
    ours, plain = network(dropout=0.0), network(dropout=0.0)
    fit(ours, inputs, labelled(truth), settings=settings, losses={"segment": 1.0})
    probability = plain(inputs).segment.clamp(1e-7, 1 - 1e-7)
    loss = nn.functional.binary_cross_entropy(
        probability, truth.float(), reduction="none"
    ).mean(-1)
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
    step = Training(
        epochs=40, learning_rate=1.0, schedule="step", step_epochs=10, step_factor=0.1
    )
    assert [learning_rate(epoch, step) for epoch in (0, 9, 10, 39)] == pytest.approx(
        [1, 1, 0.1, 1e-3]
    )
    milestones = Training(
        epochs=40,
        schedule="milestones",
        learning_rate=1.0,
        milestones=(2, 5),
        step_factor=0.5,
    )
    assert [learning_rate(epoch, milestones) for epoch in (1, 2, 4, 5, 39)] == [
        1,
        0.5,
        0.5,
        0.25,
        0.25,
    ]
    cosine = Training(epochs=10, learning_rate=1.0, schedule="cosine")
    assert [learning_rate(epoch, cosine) for epoch in (0, 5)] == pytest.approx([1, 0.5])
    warm = Training(epochs=10, learning_rate=1.0, warmup_epochs=3)
    assert [learning_rate(epoch, warm) for epoch in range(5)] == pytest.approx(
        [0.25, 0.5, 0.75, 1, 1]
    )
    _, history = trained(settings=replace(QUICK, schedule="step", step_epochs=1))
    assert [entry["learning_rate"] for entry in history] == pytest.approx(
        [2e-3, 2e-4, 2e-5]
    )


def test_a_loss_that_is_no_number_ends_with_one_clear_line():
    inputs, truth = world()
    inputs.streams[0][0][inputs.mask[:, :, 0]] = float("nan")
    with pytest.raises(RecipeError, match=r"the loss is nan in epoch 1.*features"):
        fit(network(), inputs, labelled(truth), settings=QUICK, losses=PLG_OBJECTIVE)


def test_the_best_epoch_needs_a_validation():
    with pytest.raises(RecipeError, match="validation videos"):
        trained(settings=replace(QUICK, select="best"))


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": -1},
        {"batch_size": 0},
        {"learning_rate": float("nan")},
        {"optimiser": "sgd"},
        {"schedule": "stpe"},
        {"select_on": "train"},
    ],
)
def test_invalid_settings_are_refused(settings):
    with pytest.raises(RecipeError):
        Training(**settings)


def test_predictions_do_not_depend_on_the_batch_size_or_the_mode_the_model_was_in():
    inputs, _ = world(videos=10)
    model = network().train()
    whole, parts = predict(model, inputs), predict(model, inputs, batch_size=3)
    assert model.training
    assert torch.allclose(whole.segment, parts.segment, atol=1e-6)
    assert torch.equal(parts.mask, inputs.mask)


def by_hand():
    """One video, two segments, one audible class; the probability of the video is high, that of its audio low."""
    segment = torch.tensor([[[[0.9], [0.9]], [[0.5], [0.4]]]])
    modality, video = torch.tensor([[[0.4], [0.6]]]), torch.tensor([[0.5]])
    return Prediction(
        segment, modality, video, torch.tensor([[[True, False], [True, True]]])
    )


def test_decisions_by_hand():
    decided = {
        rule: decide(by_hand(), rule=rule)[0, :, :, 0].tolist() for rule in GATED_RULES
    }
    assert decided == {
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


def test_a_training_sets_and_restores_the_number_of_threads():
    before, seen = torch.get_num_threads(), []
    try:
        for outside in (1, 2):
            torch.set_num_threads(outside)
            trained(
                settings=replace(QUICK, threads=3 - outside),
                on_epoch=lambda _: seen.append(torch.get_num_threads()),
            )
            assert torch.get_num_threads() == outside
    finally:
        torch.set_num_threads(before)
    assert seen == [2] * QUICK.epochs + [1] * QUICK.epochs


PLAIN = replace(
    QUICK, select="best", optimiser="adamw", weight_decay=0.01, clip_norm=1.0
)
TAUGHT = replace(PLAIN, ema=0.8, schedule="milestones", milestones=(1, 2))


@pytest.mark.parametrize("steps", [1, 3, 4, 7, 11])
@pytest.mark.parametrize(
    ("settings", "teacher"), [(PLAIN, None), (TAUGHT, Teacher(0.5, 0.9))]
)
def test_a_training_killed_at_any_step_resumes_to_the_same_bits(
    steps, settings, teacher, tmp_path
):
    expected, log = trained(settings=settings, teacher=teacher, validate=falling())
    passed = []

    def kill(_model, _inputs, target, _passed):
        passed.append(1)
        if len(passed) > steps:
            raise Killed
        return target

    file = Checkpoints(tmp_path / "c.safetensors", fingerprint="this", seconds=0.0)
    with pytest.raises(Killed):
        trained(
            settings=settings,
            teacher=teacher,
            validate=falling(),
            target_hook=kill,
            checkpoints=file,
        )
    how = {
        "teacher": teacher,
        "validate": falling(after=steps // 4),
        "checkpoints": replace(file, resume=True),
    }
    resumed, again = trained(settings=settings, **how)
    assert torch.equal(weights(resumed), weights(expected))
    assert again == log


def falling(*, after=0):
    """Validation that is best in the first epoch."""
    seen = [0] * after
    return lambda _: seen.append(0) or 1.0 / len(seen)


def test_the_checkpoint_of_another_training_and_a_broken_one_are_refused(tmp_path):
    file = Checkpoints(tmp_path / "c.safetensors", fingerprint="this", seconds=0.0)
    trained(checkpoints=file)
    with pytest.raises(RunError, match="the checkpoint of another training"):
        trained(checkpoints=replace(file, fingerprint="that", resume=True))
    file.path.write_bytes(b"half")
    with pytest.raises(RunError, match="not a checkpoint"):
        trained(checkpoints=replace(file, resume=True))


def test_valors_schedule_reaches_its_rates_in_its_epochs():
    valor = Training(
        epochs=60,
        learning_rate=1e-4,
        lowest_rate=1e-6,
        schedule="warmup_cosine",
        warmup_epochs=10,
    )
    rates = {number: learning_rate(number - 1, valor) for number in (1, 5, 10, 35, 60)}
    assert rates == pytest.approx({1: 1e-5, 5: 5e-5, 10: 1e-4, 35: 5.05e-5, 60: 1e-6})


def test_patience_ends_a_training_that_gets_no_better_and_ties_may_keep_the_earlier_epoch():
    scores, seen = iter([0.1, 0.7, 0.7, 0.7, 0.9]), []
    settings = replace(QUICK, epochs=5, select="best", ties="earlier", patience=2)
    model, history = trained(
        settings=settings, validate=lambda m: seen.append(weights(m)) or next(scores)
    )
    assert len(history) == 4
    assert torch.equal(weights(model), seen[1])


def test_fitted_thresholds_score_no_worse_than_any_single_one():
    inputs, truth = world(videos=128)
    model = network()
    fit(
        model,
        inputs,
        labelled(truth),
        settings=replace(QUICK, epochs=6),
        losses=SEGMENT_OBJECTIVE,
    )
    prediction = predict(model, inputs)
    fitted = fit_thresholds(prediction, truth, rule="segment")

    def f(**how):
        marked = decide(prediction, rule="segment", **how)
        return (
            2 * (marked & truth).sum((0, 1)) / (marked.sum((0, 1)) + truth.sum((0, 1)))
        )

    for value in (0.2, 0.5, 0.8):
        assert (f(segment_thresholds=fitted) >= f(threshold=value) - 1e-6).all()
    assert torch.equal(
        fit_thresholds(prediction, torch.zeros_like(truth), rule="segment"),
        torch.full((2, 4), 0.5),
    )


def test_the_kept_weights_are_the_moving_average_of_those_after_each_step():
    seen = []

    def look(model, _inputs, target, _passed):
        seen.append(weights(model))
        return target

    settings = Training(epochs=3, batch_size=16, learning_rate=2e-3, ema=0.7)
    kept, _ = trained(settings=settings, target_hook=look)
    plain, _ = trained(settings=replace(settings, ema=0.0))
    average = seen[1]
    for step, after in enumerate([*seen[2:], weights(plain)], start=1):
        share = max(0.3, 9 / (step + 10))  # more of the new at the beginning
        average = (1 - share) * average + share * after
    assert torch.allclose(weights(kept), average, atol=1e-6)
    assert not torch.allclose(weights(kept), weights(plain), atol=1e-4)


def test_validation_scores_the_averaged_weights():
    seen = []
    kept, _ = trained(
        settings=replace(QUICK, ema=0.9),
        validate=lambda model: seen.append(weights(model)) or 0.0,
    )
    assert torch.equal(seen[-1], weights(kept))


def test_a_teacher_of_07_changes_a_label_only_if_it_is_confident_and_only_of_tags():
    segment = (
        torch.tensor([[0.70, 0.72, 0.30, 0.28, 0.99]])
        .T[None, :, None, :]
        .expand(1, 5, 2, 1)
        .clone()
    )
    mask = torch.tensor([[[True, True]] * 4 + [[True, False]]])
    prediction = Prediction(segment, segment.amax(1), torch.ones(1, 1), mask)
    pseudo = torch.tensor([False, False, True, True, False])[
        None, :, None, None
    ].expand(1, 5, 2, 1)
    corrected = correct_targets(
        prediction, Target(torch.tensor([[True]]), pseudo), Teacher(strength=0.7)
    ).pseudo
    assert corrected[0, :, 0, 0].tolist() == [False, True, True, False, True]
    assert corrected[0, :, 1, 0].tolist() == [False, True, True, False, False]
    assert not correct_targets(
        prediction, Target(torch.tensor([[False]]), pseudo), Teacher(strength=0.7)
    ).pseudo.any()


def test_a_teacher_conditions_its_predictions_on_the_tags():
    segment = torch.full((1, 2, 2, 1), 0.3)
    prediction = Prediction(
        segment,
        segment.amax(1),
        torch.tensor([[0.3]]),
        torch.ones(1, 2, 2, dtype=torch.bool),
    )
    target = Target(torch.tensor([[True]]), torch.zeros(1, 2, 2, 1, dtype=torch.bool))
    assert correct_targets(prediction, target, Teacher()).pseudo.all()


@pytest.mark.slow
def test_a_teacher_corrects_wrong_labels():
    inputs, truth = world(videos=256)
    wrong = truth ^ (
        torch.rand(truth.shape, generator=torch.Generator().manual_seed(5)) < 0.15
    )
    weak = truth.any(1).any(1)
    given = Target(weak, wrong & weak[:, None, None] & inputs.mask[..., None])
    settings = replace(QUICK, epochs=20, ema=0.9)
    network_ = network()
    fit(
        network_,
        inputs,
        given,
        settings=settings,
        losses=SEGMENT_OBJECTIVE,
        teacher=Teacher(5.0, 0.7),
    )
    corrected = correct_targets(predict(network_, inputs), given, Teacher()).pseudo
    assert (corrected != truth).sum() < 0.7 * (given.pseudo != truth).sum()


def test_a_teacher_corrects_nothing_during_the_warm_up():
    settings = replace(QUICK, ema=0.9)
    late, log = trained(
        settings=settings, teacher=Teacher(warmup_epochs=3.0, strength=1.0)
    )
    alone, same = trained(settings=settings)
    assert torch.equal(weights(late), weights(alone))
    assert log == same
    early, _ = trained(
        settings=settings, teacher=Teacher(warmup_epochs=0.0, strength=1.0)
    )
    assert not torch.equal(weights(early), weights(alone))


@pytest.mark.parametrize("seed", [-1, 2**63, 10**20])
def test_a_seed_that_pytorch_does_not_take_is_an_error(seed):
    with pytest.raises(RecipeError, match=f"2\\^63, not {seed}"):
        Training(seed=seed)


def test_a_teacher_needs_an_average_and_labels():
    with pytest.raises(RecipeError, match=r"set training\.ema"):
        trained(teacher=Teacher())
    inputs, truth = world()
    settings = replace(QUICK, ema=0.9)
    with pytest.raises(RecipeError, match="there are none"):
        fit(
            network(),
            inputs,
            Target(truth.any(1).any(1)),
            settings=settings,
            losses=HAN_OBJECTIVE,
            teacher=Teacher(0.0),
        )
    with pytest.raises(RecipeError, match=r"teacher\.strength"):
        Teacher(strength=0.5)


@pytest.mark.slow
def test_two_processes_train_as_one_does_and_resume_to_the_same_bits(tmp_path):
    out = tmp_path / "found"
    torchrun("-m", "tests.ranks", out)
    alone = network(dropout=0.0)
    history = ranks.train(alone)
    with safe_open(out, framework="pt") as file:
        found, log = (
            {name: file.get_tensor(name) for name in file.keys()},
            file.metadata(),
        )
    for entry in history:
        loss, validation = map(float, log[str(entry["epoch"])].split())
        assert (loss, validation) == pytest.approx(
            (entry["loss"], entry["validation"]), rel=1e-4
        )
    assert torch.allclose(
        found["plain"], weights(alone), atol=0.02
    )  # Adam divides rounding errors by themselves
    assert torch.equal(found["dropping"], found["resumed"])
    assert not torch.allclose(found["dropping"], found["plain"], atol=0.02)


def test_a_gathered_batch_has_the_predictions_of_all_processes_and_own_gradients(
    monkeypatch,
):
    own = torch.rand(2, 3, 2, 4, requires_grad=True)
    prediction = Prediction(
        own, own.amax(1), own.amax((1, 2)), torch.ones(2, 3, 2, dtype=torch.bool)
    )
    monkeypatch.setattr(
        torch.distributed, "all_reduce", lambda whole: whole[1::2].fill_(1.0)
    )
    whole = gather_batch(prediction, slice(0, None, 2), 4)
    assert torch.equal(whole.segment[::2], own)
    assert (whole.segment[1::2] == 1).all()
    assert whole.mask.all()
    whole.segment.sum().backward()
    assert (own.grad == 1).all()


@pytest.mark.parametrize("objective", [PLE_OBJECTIVE, SEGMENT_OBJECTIVE])
def test_products_in_bf16_train_like_those_in_full_precision(objective):
    _, full = trained(objective, replace(QUICK, epochs=5))
    model, half = trained(objective, replace(QUICK, epochs=5, precision="bf16"))
    assert half != full
    assert half[-1]["loss"] == pytest.approx(full[-1]["loss"], rel=0.02)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "settings", [{"device": "gpu:0"}, {"precision": "fp16"}, {"ema": 1.0}]
)
def test_invalid_devices_precisions_and_averages_are_refused(settings):
    with pytest.raises(RecipeError):
        Training(**settings)


def test_a_training_reports_its_device():
    assert asdict(resolve_compute(Training())) == {
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "processes": 1,
    }
    assert resolve_compute(Training(precision="auto")).precision in ("fp32", "bf16")
    if not torch.cuda.is_available():
        with pytest.raises(VaplanError, match="there is no cuda"):
            resolve_compute(Training(device="cuda"))


def test_features_in_a_file_train_to_the_same_bits_and_the_file_has_no_name(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(mapped, "MEMORY_SHARE", 0.0)
    inputs, truth = world()
    streams = []
    for stream in (inputs.streams[0][0], *inputs.streams[1]):
        held = mapped.mapped_zeros(
            tuple(stream.shape), np.float32, folder=tmp_path / "run"
        )
        assert isinstance(held, np.memmap)
        held[:] = stream.numpy()
        streams.append(torch.from_numpy(held))
    assert list((tmp_path / "run").iterdir()) == []
    model = network()
    fit(
        model,
        Inputs((tuple(streams[:1]), tuple(streams[1:])), inputs.mask),
        labelled(truth),
        settings=QUICK,
        losses=PLG_OBJECTIVE,
    )
    assert torch.equal(weights(model), weights(trained()[0]))
