"""Text vectors beside the features of a store: read as written, or refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.encoders.own import describe_vectors
from vaplan.errors import StoreError
from vaplan.store import Entry, Store, TextVectors


def make_store(root: Path, width: int = 4) -> Store:
    return Store.create(
        root,
        "audio:own:mine",
        describe_vectors("mine", width),
        planned=["a", "b"],
        dtype="float32",
    )


@given(
    st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=4, unique=True),
    st.floats(0.1, 200),
    st.integers(0, 99),
)
def test_text_vectors_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    scale: float,
    seed: int,
) -> None:
    store = make_store(tmp_path_factory.mktemp("store"))
    assert store.read_text() is None
    rows = np.random.default_rng(seed).standard_normal((len(names), 4))
    written = TextVectors.of(
        dict(zip(names, rows, strict=True)),
        logit_scale=scale,
    )
    store.write_text(written)
    read = store.read_text()
    assert read is not None
    assert (read.classes, read.logit_scale) == (tuple(names), scale)
    assert np.array_equal(read.vectors, written.vectors)
    assert np.allclose(np.linalg.norm(read.vectors, axis=1), 1)


def test_vectors_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the text vector of 'Dog' has the length 0"):
        TextVectors.of({"Cat": np.ones(4), "Dog": np.zeros(4)})
    with pytest.raises(StoreError, match="has the length nan"):
        TextVectors.of({"Dog": np.full(4, np.nan)})
    with pytest.raises(StoreError, match="no text vector"):
        TextVectors.of({})
    with pytest.raises(StoreError, match="text vectors of 5 numbers, but audio:own:mi"):
        make_store(tmp_path).write_text(TextVectors.of({"Dog": np.ones(5)}))


@pytest.mark.parametrize("at", [0, 20, 60, -40, -1])
def test_a_changed_byte_is_damage(tmp_path: Path, at: int) -> None:
    store = make_store(tmp_path)
    store.write_text(TextVectors.of({"Dog": np.ones(4)}))
    assert store.verify() == []
    path = store.folder / "text.json"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"text\.json: changed since it was written"):
        store.read_text()
    assert store.verify() == ["text.json: changed since it was written"]


def test_only_entries_that_change_something_are_selected(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    mask = np.ones(2, dtype=bool)
    ones = Entry("a", np.ones((2, 4), np.float32), mask)
    fault = Entry("b", None, mask[:0], "failed", "no file")
    assert list(store.select_changed([ones, fault])) == [ones, fault]
    store.add([ones, fault])
    assert list(store.select_changed([ones, fault])) == []
    twos = Entry("a", np.full((2, 4), 2, np.float32), mask)
    broken = Entry("a", None, mask[:0], "failed", "no file")
    other = Entry("b", None, mask[:0], "failed", "no array")
    corrected = Entry("b", np.ones((2, 4), np.float32), mask)
    assert list(store.select_changed([twos])) == [twos]
    assert list(store.select_changed([broken])) == []  # never replaces features
    assert list(store.select_changed([other])) == [other]
    assert list(store.select_changed([corrected])) == [corrected]
