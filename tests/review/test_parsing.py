"""Score curves of a trained parser, made in the background, are those of `vaplan parse`."""

from pathlib import Path

import pytest

from tests.conftest import World
from vaplan import recipe as recipes
from vaplan import runs, stages
from vaplan.exports.plain import segment_scores_csv
from vaplan.parser import Parser
from vaplan.review.background import Background, JobState
from vaplan.review.collection import read_score_curves
from vaplan.review.parsing import write_scores
from vaplan.review.preparation import KINDS, SCORES, MediaSource, Preparation


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    changes = [*world.changes, f"labels={world.labels}"]
    recipe = recipes.read("plg", changes=changes)
    return stages.train(recipe, tmp_path_factory.mktemp("parsing") / "run")


def test_scores_are_those_of_the_parser(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    media = world.folder / world.data.videos[0].path
    timeline = Parser.load(run.folder)(media, scores=True)
    write_scores(run.folder, media, tmp_path / "a.scores")
    assert (tmp_path / "a.scores").read_text() == segment_scores_csv(timeline)


def test_scores_are_made_in_the_background_for_a_run(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    media = world.folder / world.data.videos[0].path
    background = Background(KINDS)
    preparation = Preparation(
        [MediaSource(media)], tmp_path, run=run.folder, background=background
    )
    try:
        assert preparation.scores(0).state is JobState.ABSENT
        preparation.start(0)
        key = (SCORES, preparation._ids[0])
        assert background.wait(key, seconds=300.0).state is JobState.READY
        file = preparation.scores_file(0)
    finally:
        preparation.close()
    assert file is not None
    curves = read_score_curves(file)
    assert curves["classes"] == list(run.taxonomy.classes)
    assert len(curves["audio"]) == 10
