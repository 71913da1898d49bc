"""An interrupted encoding of a long file continues and gives the same features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaplan import encoders
from vaplan.arrays import AUDIO
from vaplan.encoders import checkpoints
from vaplan.encoders.checkpoints import FOLDER, Checkpoint, delete_checkpoint
from vaplan.encoders.encoded import Encoded
from vaplan.media import Seconds, Segments

RATE_HZ = 4


class Interrupted(Exception):
    """Stands for a killed process."""


@dataclass
class Counter:
    """An encoder whose feature is the first sample; it counts segments and may stop."""

    stop_at: int = 10**6
    weights: str = "a"
    count: int = 0
    name: str = "counter"
    modality: int = AUDIO
    dimension: int = 1
    rate_hz: int = RATE_HZ
    frames_per_segment: int = 1
    logit_scale: float = 1.0
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.provenance = {"weights_sha256": self.weights}

    def embed(self, segments: Segments) -> np.ndarray:
        self.count += len(segments)
        if self.count > self.stop_at:
            raise Interrupted
        first_samples = segments.waveform[::RATE_HZ]
        return first_samples[:, None].copy()

    def text(self, prompts: Sequence[str]) -> np.ndarray:
        return np.zeros((len(prompts), 1), np.float32)


def chunks(total: int, size: int = 5) -> Iterator[Segments]:
    """Yield a file whose sample is the index of its segment, without audio in each 7th."""
    for first in range(0, total, size):
        index = np.arange(first, min(first + size, total))
        mask = np.stack([index % 7 != 3, index < 0], axis=1)
        is_last = index[-1] == total - 1
        yield Segments(
            frames=(None,) * len(index),
            waveform=index.repeat(RATE_HZ).astype(np.float32),
            rate_hz=RATE_HZ,
            mask=mask,
            seconds=Seconds(float(total), None, float(total)),
            warnings=("end",) if is_last else (),
            first=first,
        )


@pytest.fixture
def media(tmp_path: Path) -> Path:
    file = tmp_path / "film.mp4"
    file.write_bytes(b"film")
    return file


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "PART_SEGMENTS", 10)


def encode(media: Path, encoder: Counter, total: int = 43, **options: Any) -> Encoded:
    checkpoint = Checkpoint(
        media.parent / FOLDER, media, [encoder], sampling="centre", **options
    )
    return encoders.encode_segments(chunks(total), [encoder], checkpoint=checkpoint)


def assert_same(one: Encoded, other: Encoded) -> None:
    np.testing.assert_array_equal(one.vectors[0], other.vectors[0])
    np.testing.assert_array_equal(one.mask, other.mask)
    assert one.warnings == other.warnings


def unbroken(total: int = 43) -> Encoded:
    return encoders.encode_segments(chunks(total), [Counter()])


def test_the_rest_is_encoded_after_an_interruption(media: Path) -> None:
    with pytest.raises(Interrupted):
        encode(media, Counter(stop_at=27))
    again = Counter()
    assert_same(encode(media, again), unbroken())
    assert again.count == 43 - 20


@settings(max_examples=25, deadline=None)
@given(total=st.integers(1, 60), stops=st.lists(st.integers(0, 60), max_size=4))
def test_any_interruptions_give_the_features_of_one_run(
    tmp_path_factory: pytest.TempPathFactory, total: int, stops: list[int]
) -> None:
    media = tmp_path_factory.mktemp("film") / "film.mp4"
    media.write_bytes(b"film")
    for stop in stops:
        try:
            result = encode(media, Counter(stop_at=stop), total)
        except Interrupted:
            continue
        assert_same(result, unbroken(total))
    assert_same(encode(media, Counter(), total), unbroken(total))


def test_a_file_shorter_than_a_part_writes_nothing(media: Path) -> None:
    encode(media, Counter(), total=9)
    assert not (media.parent / FOLDER).exists()


def test_slow_work_is_written_before_a_part_is_full(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "PART_SECONDS", 0.0)
    sizes = list[int]()
    encode(media, Counter(), total=9, on_part=lambda part: sizes.append(len(part)))
    assert sizes == [5, 9]


def test_each_written_part_is_reported_with_all_features_so_far(media: Path) -> None:
    reported = list[Encoded]()
    encode(media, Counter(), on_part=reported.append)
    assert [len(part) for part in reported] == [10, 20, 30, 40]
    np.testing.assert_array_equal(reported[1].vectors[0], unbroken().vectors[0][:20])


@pytest.mark.parametrize("change", ["file", "weights", "card"])
def test_parts_of_something_else_are_not_used(media: Path, change: str) -> None:
    with pytest.raises(Interrupted):
        encode(media, Counter(stop_at=27))
    again = Counter()
    if change == "file":
        media.write_bytes(b"another film")
    if change == "weights":
        again = Counter(weights="b")
    if change == "card":
        (card,) = media.parent.rglob("card.json")
        card.unlink()
    encode(media, again)
    assert again.count == 43


def test_parts_after_a_damaged_one_are_encoded_again(media: Path) -> None:
    with pytest.raises(Interrupted):
        encode(media, Counter(stop_at=37))
    second = sorted(media.parent.rglob("*.npz"))[1]
    second.write_bytes(second.read_bytes()[:-40])
    again = Counter()
    assert_same(encode(media, again), unbroken())
    assert again.count == 43 - 10


def test_a_finished_file_leaves_nothing(media: Path) -> None:
    encode(media, Counter())
    folder = media.parent / FOLDER
    assert folder.exists()
    delete_checkpoint(folder, media)
    assert not folder.exists()


def test_progress_is_reported_after_every_chunk() -> None:
    steps = list[tuple[int, int]]()
    encoders.encode_segments(
        chunks(12), [Counter()], advance=lambda done, total: steps.append((done, total))
    )
    assert steps == [(5, 12), (10, 12), (12, 12)]


def test_a_part_of_an_earlier_call_is_not_joined_behind_other_segments(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts have other lengths when the work is slower, and old ones may stay behind."""
    with pytest.raises(Interrupted):
        encode(media, Counter(stop_at=40))  # parts of 10: 0, 10, 20, 30
    second = sorted(media.parent.rglob("*.npz"))[1]
    second.write_bytes(b"damaged")
    monkeypatch.setattr(checkpoints, "PART_SECONDS", 0.0)
    with pytest.raises(Interrupted):
        encode(media, Counter(stop_at=5))  # one part of 5 behind the first one
    assert_same(encode(media, Counter()), unbroken())
