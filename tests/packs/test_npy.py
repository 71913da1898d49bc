"""A `.npy` file is read only if its header, its length and its number type agree with the pack."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vaplan.packs import PackError, npy

SHAPE = (4, 3)
DTYPES = ["float16", "float32", "float64", ">f4", ">f8"]


def content(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def with_header(
    text: bytes, *, magic: bytes = b"\x93NUMPY\x01\x00", numbers: bytes = b""
) -> bytes:
    return magic + struct.pack("<H", len(text)) + text + numbers


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_float_is_read_as_it_was_written(
    tmp_path: Path, dtype: str, order: str
) -> None:
    array = np.asarray(
        np.random.default_rng(0).standard_normal(SHAPE), dtype=dtype, order=order
    )
    np.save(tmp_path / "x.npy", array)
    read = npy.read(tmp_path / "x.npy", SHAPE)
    assert (read == array).all()
    assert read.dtype.isnative
    assert (
        read.dtype.name
        == npy.stored_dtype(tmp_path / "x.npy", SHAPE).name
        == np.dtype(dtype).name
    )


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4), np.float32), "shape 3 x 4, expected 4 x 3"),
        (np.zeros((4, 3, 1), np.float32), "shape 4 x 3 x 1, expected 4 x 3"),
        (np.zeros((), np.float32), "shape one number, expected 4 x 3"),
        (
            np.zeros(SHAPE, np.int64),
            "numbers of type int64, expected floating point numbers",
        ),
        (
            np.zeros(SHAPE, np.complex64),
            "numbers of type complex64, expected floating point numbers",
        ),
        (np.zeros(SHAPE, np.longdouble), "expected floating point numbers"),
        (
            np.full(SHAPE, None),
            "numbers of type object, expected floating point numbers",
        ),
        (np.zeros(SHAPE, "U2"), "numbers of type <U2, expected floating point numbers"),
        (np.zeros(SHAPE, [("a", "f4")]), "expected floating point numbers"),
    ],
)
def test_another_array_is_refused_and_named(
    tmp_path: Path, array: np.ndarray, message: str
) -> None:
    path = tmp_path / "ABCDEFGHIJK.npy"
    path.write_bytes(content(array) if array.dtype != object else b"")
    if array.dtype == object:
        np.save(path, array, allow_pickle=True)
    with pytest.raises(PackError, match=message) as caught:
        npy.read(path, SHAPE)
    assert str(path) in str(caught.value)


def test_a_header_that_claims_petabytes_needs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (800000000000000,)}\n"
    path.write_bytes(with_header(header))
    with pytest.raises(PackError, match="shape 800000000000000, expected 4 x 3"):
        npy.read(path, SHAPE)
    huge = 1 << 50, 3
    path.write_bytes(
        with_header(
            f"{{'descr': '<f4', 'fortran_order': False, 'shape': {huge}}}\n".encode()
        )
    )
    with pytest.raises(PackError, match=r"bytes, 13510798882111\d* by its header"):
        npy.read(path, huge)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_that_is_longer_or_shorter_than_by_its_header_is_refused(
    tmp_path: Path, change: int
) -> None:
    whole = content(np.zeros(SHAPE, np.float32))
    (tmp_path / "x.npy").write_bytes(whole[:change] if change < 0 else whole + b"\0")
    with pytest.raises(
        PackError,
        match=f"{len(whole) + change} bytes, {len(whole)} by its header",
    ):
        npy.read(tmp_path / "x.npy", SHAPE)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "real.npy", np.zeros(SHAPE))
    (tmp_path / "link.npy").symlink_to(tmp_path / "real.npy")
    (tmp_path / "folder.npy").mkdir()
    os.mkfifo(tmp_path / "pipe.npy")
    for name in ("link", "folder", "pipe"):
        with pytest.raises(PackError, match=rf"{name}\.npy: no regular file"):
            npy.read(tmp_path / f"{name}.npy", SHAPE)
    with pytest.raises(PackError, match="no such file"):
        npy.read(tmp_path / "nothing.npy", SHAPE)
    with pytest.raises(
        PackError, match=r"real\.npy/x\.npy: cannot be read: Not a directory"
    ):
        npy.read(tmp_path / "real.npy" / "x.npy", SHAPE)


def test_a_file_that_python_2_wrote_is_read(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4L, 3L)}\n"
    (tmp_path / "x.npy").write_bytes(
        with_header(header, numbers=np.ones(SHAPE, np.float32).tobytes())
    )
    assert (npy.read(tmp_path / "x.npy", SHAPE) == 1).all()


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x80\x04K\x01.")  # a pickle
@example(b"PK\x03\x04 no array but an archive")
@example(b"\x93NUMPY\x03\x00\x10\x00\x00\x00{}")
@example(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}")
@example(with_header(b"(" * 5000))
@example(with_header(b"{[]: 1}"))
@example(with_header(b"'open"))
@example(with_header(b"{'descr': {}, 'fortran_order': False, 'shape': (4, 3)}"))
@example(
    with_header(
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-4, -3)}",
        numbers=b"\0" * 48,
    )
)
@example(
    with_header(
        b"{'descr': [('a', '<f4', (0,)*9)], 'fortran_order': False, 'shape': (4, 3)}"
    )
)
def test_any_bytes_are_read_or_give_one_error(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    path = tmp_path_factory.mktemp("noise") / "x.npy"
    for start in (b"", b"\x93NUMPY\x01\x00"):
        path.write_bytes(start + noise)
        with pytest.raises(PackError) as caught:
            npy.read(path, SHAPE)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_array_of_many_gigabytes_is_refused_before_it_is_read(
    tmp_path: Path,
) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (600000000,)}\n"
    path = tmp_path / "x.npy"
    path.write_bytes(with_header(header))
    os.truncate(path, path.stat().st_size + 8 * 600_000_000)  # a hole, not on the disk
    with pytest.raises(PackError, match="an array of 4,800,000,000 bytes, expected at"):
        npy.read(path, None)
