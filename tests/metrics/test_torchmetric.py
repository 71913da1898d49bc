import sys
from datetime import timedelta

import numpy as np
import pytest
import torch
from torch import distributed, multiprocessing

from vaplan.errors import MissingExtra
from vaplan.metrics.ave import ave_scores
from vaplan.metrics.llp import llp_scores

pytest.importorskip("torchmetrics")

from vaplan.metrics.torchmetric import AVEAccuracy, LLPMetric

CLASSES = 4


def grids(videos=13):
    """An estimate and a reference."""
    generator = torch.Generator().manual_seed(0)
    estimate, reference = (
        torch.rand((2, videos, 6, 2, CLASSES), generator=generator) < 0.3
    )
    return estimate, reference


def labels(videos=13):
    generator = torch.Generator().manual_seed(1)
    estimate, reference = torch.randint(
        0, CLASSES + 1, (2, videos, 6), generator=generator
    )
    return estimate, reference


def named(numbers):
    return {
        f"{level}_{kind}": number
        for level, row in numbers.items()
        for kind, number in row.items()
    }


def test_batches_give_the_ten_numbers_of_the_whole():
    estimate, reference = grids()
    metric = LLPMetric()
    for part in (slice(0, 5), slice(5, 5), slice(5, 13)):
        metric.update(estimate[part], reference[part])
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found == pytest.approx(
        named(llp_scores(reference.numpy(), estimate.numpy()).percent())
    )


def test_batches_give_the_accuracy_of_the_whole():
    estimate, reference = labels()
    mask = torch.rand(estimate.shape, generator=torch.Generator().manual_seed(2)) < 0.7
    metric = AVEAccuracy(CLASSES)
    for part in (slice(0, 5), slice(5, 13)):
        metric.update(estimate[part], reference[part], mask[part])
    expected = ave_scores(
        reference.numpy(), estimate.numpy(), classes=CLASSES, mask=mask.numpy()
    ).percent()["accuracy"]
    assert float(metric.compute()) == pytest.approx(expected)


def test_the_numbers_do_not_depend_on_which_side_comes_first():
    for metric, sides in ((LLPMetric(), grids()), (AVEAccuracy(CLASSES), labels())):
        swapped = metric.clone()
        metric.update(*sides)
        swapped.update(*reversed(sides))
        assert metric.compute() == swapped.compute()


def test_forward_gives_the_score_of_the_batch_and_adds_it_to_the_whole():
    estimate, reference = grids()
    metric = LLPMetric()
    for part in (slice(0, 4), slice(4, 13)):
        of_batch = metric(estimate[part], reference[part])
        expected = llp_scores(
            reference[part].numpy(), estimate[part].numpy()
        ).percent()["event"]["type"]
        assert float(of_batch["event_type"]) == pytest.approx(expected)
    whole = llp_scores(reference.numpy(), estimate.numpy()).percent()["event"]["type"]
    assert float(metric.compute()["event_type"]) == pytest.approx(whole)


def test_a_clone_is_independent_and_a_reset_clears():
    estimate, reference = labels()
    metric = AVEAccuracy(CLASSES)
    metric.update(estimate[:5], reference[:5])
    before, clone = float(metric.compute()), metric.clone()
    clone.update(estimate[5:], reference[5:])
    assert int(clone.segments) > int(metric.segments)
    assert float(metric.compute()) == before
    clone.reset()
    assert int(clone.segments) == 0
    clone.update(estimate[:5], reference[:5])
    assert float(clone.compute()) == before


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_without_videos_there_is_no_number():
    assert all(value.isnan() for value in LLPMetric().compute().values())
    assert AVEAccuracy(CLASSES).compute().isnan()


def score_shard(rank, store, results):
    """One of two processes: the first has four videos, the second nine, in two batches."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=100),
    )
    parts = [[slice(0, 4)], [slice(4, 11), slice(11, 13)]][rank]
    llp_metric, ave_metric = LLPMetric(), AVEAccuracy(CLASSES)
    for part in parts:
        llp_metric.update(*(side[part] for side in grids()))
        ave_metric.update(*(side[part] for side in labels()))
    found = [*llp_metric.compute().values(), ave_metric.compute()]
    np.save(results / f"{rank}.npy", torch.stack(found).numpy())
    distributed.destroy_process_group()


def test_two_processes_with_unequal_shares_agree_on_the_numbers_of_the_whole(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    multiprocessing.spawn(score_shard, (tmp_path / "store", tmp_path), nprocs=2)
    (estimate, reference), (estimated, marked) = grids(), labels()
    numbers = named(llp_scores(reference.numpy(), estimate.numpy()).percent()).values()
    expected = [
        *numbers,
        ave_scores(marked.numpy(), estimated.numpy(), classes=CLASSES).percent()[
            "accuracy"
        ],
    ]
    for rank in range(2):
        assert np.load(tmp_path / f"{rank}.npy").tolist() == pytest.approx(expected)


def test_without_torchmetrics_the_error_names_the_command(monkeypatch):
    monkeypatch.delitem(sys.modules, "vaplan.metrics.torchmetric")
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(MissingExtra, match="torchmetrics is not installed") as error:
        import vaplan.metrics.torchmetric  # noqa: F401
    assert "pip install 'vaplan[torchmetrics]'" in str(error.value)
