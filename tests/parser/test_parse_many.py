"""Many files and arrays by one parser."""

import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.conftest import World
from vaplan import recipe as recipes
from vaplan import stages
from vaplan.errors import MediaError, UsageError, VaplanError
from vaplan.media import Media, MediaArrays
from vaplan.parser import MediaParser, Parser
from vaplan.timeline import Timeline
from vaplan.workers.read_ahead import read_ahead
from vaplan.zero_shot import ZeroShotClassifier

PARSERS = ("trained", "zero-shot")


@pytest.fixture(scope="module")
def parsers(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, MediaParser]:
    recipe = recipes.read("han", changes=world.changes)
    run = stages.train(recipe, tmp_path_factory.mktemp("runs") / "run")
    names = ("embedded", "embedded")
    return {
        "trained": Parser.load(run.folder),
        "zero-shot": ZeroShotClassifier.load(world.data.taxonomy, names),
    }


@pytest.fixture
def files(world: World) -> list[Path]:
    return [world.folder / v.path for v in world.data.select("test").videos[:3]]


def decode(path: Path) -> MediaArrays:
    """Decode a file of the synthetic data into arrays."""
    frames, times, blocks = [], [], []
    with av.open(str(path)) as container:
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                frames.append(frame.to_ndarray(format="rgb24"))
                times.append(frame.time)
            else:
                blocks.append(frame.to_ndarray())
                rate_hz = frame.sample_rate
    return MediaArrays(
        np.stack(frames),
        np.array(times),
        np.concatenate(blocks, axis=1),
        rate_hz,
        name=path.stem,
    )


@pytest.mark.parametrize("kind", PARSERS)
def test_the_arrays_of_a_decoded_file_have_the_timeline_of_the_file(
    parsers: dict[str, MediaParser], files: list[Path], kind: str
) -> None:
    for path in files:
        of_file = parsers[kind](path, scores=True)
        of_arrays = parsers[kind](decode(path), scores=True)
        assert of_arrays == of_file
        assert of_file.scores is not None
        assert of_arrays.scores is not None
        assert np.array_equal(of_arrays.scores.values, of_file.scores.values)


@pytest.mark.parametrize("kind", PARSERS)
def test_many_files_have_the_timelines_of_each_alone(
    parsers: dict[str, MediaParser], files: list[Path], kind: str
) -> None:
    assert list(parsers[kind].parse_many(files)) == [
        (path, parsers[kind](path)) for path in files
    ]


def test_a_video_of_several_chunks_has_the_timeline_that_it_has_alone(
    parsers: dict[str, MediaParser],
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 45 * 8_000).astype(np.float32)
    long = MediaArrays(waveform=noise, rate_hz=8_000)
    results = dict(parsers["trained"].parse_many([long, long]))
    assert results == {long: parsers["trained"](long)}
    assert results[long].seconds == 45


def test_a_broken_file_is_an_error_of_its_own_and_the_others_are_parsed(
    parsers: dict[str, MediaParser], files: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    steps = list[tuple[int, int, str]]()
    media: list[Media] = [files[0], broken, tmp_path / "absent.mp4", str(files[1])]
    results = list(
        parsers["trained"].parse_many(media, progress=lambda *step: steps.append(step))
    )
    assert [source for source, _ in results] == media
    first, second, third, last = (result for _, result in results)
    assert isinstance(first, Timeline)
    assert isinstance(second, MediaError)
    assert "broken.mp4: not a media file vaplan reads" in str(second)
    assert isinstance(third, MediaError)
    assert "absent.mp4: no such file" in str(third)
    assert last == parsers["trained"](files[1])
    assert steps == [(1, 4, ""), (2, 4, str(second)), (3, 4, str(third)), (4, 4, "")]


def test_an_error_that_is_no_vaplan_error_fails_one_video_too(
    world: World, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = ZeroShotClassifier.load(world.data.taxonomy, ("embedded", "embedded"))
    evidence, calls = parser.evidence, list[int]()

    def fail_once(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of luck")
        return evidence(*arguments)

    monkeypatch.setattr(parser, "evidence", fail_once)
    (_, failure), (_, timeline) = parser.parse_many(files[:2])
    assert isinstance(failure, VaplanError)
    assert str(failure) == f"{files[0]}: RuntimeError: out of luck."
    assert isinstance(failure.__cause__, RuntimeError)
    assert isinstance(timeline, Timeline)


def test_tags_are_given_by_name_and_scores_are_kept(
    parsers: dict[str, MediaParser], world: World, files: list[Path]
) -> None:
    results = dict(
        parsers["zero-shot"].parse_many(
            files[:2], tags={files[0].stem: ()}, scores=True
        )
    )
    assert results[files[0]].events == ()
    assert results[files[1]].events == parsers["zero-shot"](files[1]).events != ()
    assert results[files[0]].scores.values.shape[2] == len(world.data.taxonomy)


def test_an_iterator_is_read_one_video_ahead_and_its_total_is_0(
    parsers: dict[str, MediaParser],
) -> None:
    read = list[int]()

    def sounds() -> Iterator[MediaArrays]:
        for number in range(9):
            read.append(number)
            yield MediaArrays(waveform=np.zeros(8_000), rate_hz=8_000, name=str(number))

    steps = list[tuple[int, int, str]]()
    results = parsers["zero-shot"].parse_many(
        sounds(), progress=lambda *step: steps.append(step)
    )
    assert read == []
    for _ in range(3):
        next(results)
    assert read[-1] <= 4
    assert steps == [(1, 0, ""), (2, 0, ""), (3, 0, "")]
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("read-ahead")]


def test_an_exception_of_the_iterator_comes_after_the_videos_before_it(
    parsers: dict[str, MediaParser],
) -> None:
    def sounds() -> Iterator[MediaArrays]:
        yield MediaArrays(waveform=np.zeros(8_000), rate_hz=8_000)
        raise ConnectionError("no more sounds")

    results = parsers["zero-shot"].parse_many(sounds())
    assert isinstance(next(results)[1], Timeline)
    with pytest.raises(ConnectionError, match="no more sounds"):
        next(results)


def test_a_single_path_is_refused(parsers: dict[str, MediaParser]) -> None:
    with pytest.raises(UsageError, match="is a single path"):
        next(parsers["trained"].parse_many("a.mp4"))


def test_the_next_item_is_computed_while_the_caller_has_this_one() -> None:
    computed = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, event in enumerate(computed):
            event.set()
            yield number

    ahead = read_ahead(items())
    assert next(ahead) == 0
    assert computed[1].wait(timeout=60)
    assert not computed[2].is_set()
    assert list(ahead) == [1, 2]


def test_an_exception_comes_in_the_place_of_its_item() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("second")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="second"):
        next(ahead)


def test_items_are_closed_when_the_caller_stops() -> None:
    closed = list[bool]()

    def items() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            closed.append(True)

    ahead = read_ahead(items())
    next(ahead)
    ahead.close()
    assert closed == [True]
