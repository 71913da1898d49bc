"""Soft labels on files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import EMBEDDED, World
from vaplan import recipe as recipes
from vaplan import stages
from vaplan.annotations.sheet import Row
from vaplan.annotations.table import write_rows
from vaplan.errors import AnnotationError
from vaplan.stages.data import read_inputs
from vaplan.stages.evidence import gather
from vaplan.stages.soft import read_soft
from vaplan.stages.train import read_labels


@pytest.fixture(scope="module")
def soft(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("soft")
    stages.label(
        world.data,
        world.store,
        folder / "l.csv",
        names=EMBEDDED,
        choose="mixture",
        soft=folder / "soft.csv",
    )
    return folder / "soft.csv"


def test_a_label_is_where_its_probability_exceeds_one_half(
    world: World, soft: Path
) -> None:
    found = gather(world.data, world.store, names=EMBEDDED)
    read = read_soft(soft, found.data, found.mask)
    labels = read_labels(soft.with_name("l.csv"), found.data, _inputs(world))
    assert torch.equal(labels, read > 0.5)


def test_what_is_written_is_read_again_and_nothing_outside_the_tags(
    world: World, soft: Path
) -> None:
    found = gather(world.data, world.store, names=EMBEDDED)
    read = read_soft(soft, found.data, found.mask)
    possible = found.weak_label[:, None, None] & found.mask[..., None]
    expected = found.mixture().probability(found.values) * possible
    assert torch.allclose(read, expected, atol=1e-6)
    assert not read[~possible].any()


def test_a_training_on_soft_labels_differs_from_one_on_hard_ones(
    world: World, soft: Path, tmp_path: Path
) -> None:
    weights = []
    for kind in ("hard", "soft", "weighted"):
        changes = [
            *world.changes,
            f"labels={world.labels}",
            f"soft={soft}",
            f"losses={{segment: {{labels: {kind}}}}}",
        ]
        run = stages.train(
            recipes.read("segment_bce", changes=changes), tmp_path / kind
        )
        weights.append(next(iter(run.model.parameters())).detach().numpy())
        assert str(soft) in run.inputs
    assert not np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_soft_labels_that_lack_a_video_or_are_no_probabilities_are_refused(
    world: World, tmp_path: Path
) -> None:
    mask = _inputs(world).mask
    table = write_rows(tmp_path / "few.csv", [Row(world.data.ids[0])])
    with pytest.raises(AnnotationError, match="no soft labels for 25 of 26 videos"):
        read_soft(table, world.data, mask)
    name, tag = world.data.videos[0].video, world.data.videos[0].tags[0]
    table = write_rows(tmp_path / "odd.csv", [Row(name, "audio", tag, 0.0, 1.0, 1.5)])
    with pytest.raises(
        AnnotationError, match=r"odd.csv:2: score 1.5 is no probability"
    ):
        read_soft(table, world.data, mask)


def _inputs(world: World):
    return read_inputs(world.store, EMBEDDED, world.data.ids)


def test_soft_labels_are_no_labels_and_labels_are_not_soft(
    world: World, soft: Path
) -> None:
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids)
    with pytest.raises(AnnotationError, match="it holds soft labels"):
        read_labels(soft, world.data, inputs)
    with pytest.raises(AnnotationError, match="rows of some tags only"):
        read_soft(world.labels, world.data, inputs.mask)
