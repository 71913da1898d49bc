"""Features of a published sampling: recorded in the store, kept separate, and used by the parser."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import EMBEDDED, World
from vaplan import encoders, parser, stages
from vaplan import recipe as recipes
from vaplan.arrays import VISUAL
from vaplan.dataset import input_hashes
from vaplan.encoders.encoded import Encoded
from vaplan.errors import StoreError, UsageError
from vaplan.parser import Parser
from vaplan.store import Store


@pytest.fixture(scope="module")
def valor(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two videos with the pictures of VALOR."""
    store = tmp_path_factory.mktemp("valor") / "store"
    data = world.data.select_videos(world.data.ids[:2])
    stages.features(
        data, world.folder, store, encoders=EMBEDDED, workers=1, sampling="valor"
    )
    return store


def test_the_store_has_the_features_of_its_sampling(world: World, valor: Path) -> None:
    video = world.data.videos[0]
    for sampling, same in (("valor", True), ("centre", False)):
        listener = encoders.load("embedded", VISUAL)
        encoded = encoders.encode(
            world.folder / video.path, [listener], sampling=sampling
        )
        vectors, _, _ = Store.open(valor, "visual:embedded").read([video.video])
        assert np.array_equal(vectors, encoded.vectors[0].astype(np.float16)) is same


@pytest.mark.parametrize("other", ["centre", "han"])
def test_a_store_of_another_sampling_is_refused(
    world: World, valor: Path, other: str
) -> None:
    with pytest.raises(
        StoreError, match=f"started with --sampling valor, not {other}"
    ) as caught:
        stages.features(
            world.data,
            world.folder,
            valor,
            encoders=EMBEDDED,
            workers=1,
            sampling=other,
        )
    assert "--sampling valor" in caught.value.fix


def test_an_unknown_sampling_makes_no_store(world: World, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown sampling 'centr'"):
        stages.features(
            world.data,
            world.folder,
            tmp_path / "store",
            encoders=EMBEDDED,
            sampling="centr",
        )
    assert not (tmp_path / "store").exists()


def test_a_run_records_the_sampling_of_its_features(world: World, valor: Path) -> None:
    assert input_hashes(world.data, valor, EMBEDDED)["sampling"] == "valor"
    assert "sampling" not in input_hashes(world.data, world.store, EMBEDDED)


def test_encoders_of_several_samplings_do_not_mix(world: World, tmp_path: Path) -> None:
    data, store = world.data.select_videos(world.data.ids[:1]), tmp_path / "store"
    stages.features(
        data,
        world.folder,
        store,
        encoders=(["embedded"], []),
        workers=1,
        sampling="valor",
    )
    stages.features(data, world.folder, store, encoders=([], ["embedded"]), workers=1)
    with pytest.raises(StoreError, match="different samplings: centre, valor"):
        input_hashes(data, store, EMBEDDED)


def test_a_parser_samples_frames_like_its_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.read("han", changes=[*world.changes, "training.epochs=1"])
    loaded = Parser.load(stages.train(recipe, tmp_path / "run").folder)
    asked, attempt = list[str](), encoders.encode

    def watched(
        path: Path,
        listeners: list[encoders.Encoder],
        *,
        sampling: str,
        **options: Any,
    ) -> Encoded:
        asked.append(sampling)
        return attempt(path, listeners, sampling=sampling, **options)

    monkeypatch.setattr(encoders, "encode", watched)
    video = world.folder / world.data.videos[0].path
    loaded(video)
    parser.Parser(
        replace(loaded.run, inputs={**loaded.run.inputs, "sampling": "han"}),
        loaded.encoders,
    )(video)
    assert asked == ["centre", "han"]
