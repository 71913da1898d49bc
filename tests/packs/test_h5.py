"""An `.h5` file gives rows of the known shape, from itself alone, or one error that names it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaplan.errors import MissingExtra
from vaplan.packs import PackError, h5

h5py = pytest.importorskip("h5py")

SHAPE = (4, 3)
ROWS = np.arange(24.0).reshape(2, *SHAPE)


def written(path: Path, rows: Any = ROWS, **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(h5.KEY, data=rows, **options)
    return path


def refused(path: Path, what: str) -> None:
    with pytest.raises(PackError, match=what) as caught, h5.open_rows(path, SHAPE):
        pass
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f8"])
@pytest.mark.parametrize(
    "options", [{}, {"chunks": (1, 4, 3)}, {"compression": "gzip"}]
)
def test_rows_are_read_as_they_were_written(
    tmp_path: Path, dtype: str, options: dict[str, Any]
) -> None:
    path = written(tmp_path / "x.h5", ROWS.astype(dtype), **options)
    with h5.open_rows(path, SHAPE) as rows:
        read = h5.read_row(rows, 1, path)
        assert (read == ROWS[1]).all()
        assert read.dtype.name == np.dtype(dtype).name
        assert read.dtype.isnative
        with pytest.raises(PackError, match="it has no row 2, only 2 rows"):
            h5.read_row(rows, 2, path)


def test_another_shape_or_type_is_refused_and_named(tmp_path: Path) -> None:
    refused(
        written(tmp_path / "a.h5", ROWS.reshape(2, 3, 4)),
        "shape 2 x 3 x 4, expected videos x 4 x 3",
    )
    refused(
        written(tmp_path / "b.h5", 1.0), "shape one number, expected videos x 4 x 3"
    )
    refused(
        written(tmp_path / "c.h5", ROWS.astype(int)),
        "numbers of type int64, expected floating point",
    )
    texts = np.full((2, *SHAPE), "x", dtype=object)
    refused(
        written(tmp_path / "d.h5", texts, dtype=h5py.string_dtype()),
        "numbers of type object",
    )
    refused(written(tmp_path / "e.h5", h5py.Empty("f8")), "expected videos x 4 x 3")


def test_nothing_outside_the_file_is_read(tmp_path: Path) -> None:
    other = written(tmp_path / "other.h5")
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file[h5.KEY] = h5py.ExternalLink(other.name, h5.KEY)
    with h5py.File(tmp_path / "soft.h5", "w") as file:
        file["other"] = ROWS
        file[h5.KEY] = h5py.SoftLink("/other")
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(ROWS.shape, ROWS.dtype)
        layout[:] = h5py.VirtualSource(other, h5.KEY, ROWS.shape)
        file.create_virtual_dataset(h5.KEY, layout)
    (tmp_path / "numbers.raw").write_bytes(ROWS.tobytes())
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        external = [(str(tmp_path / "numbers.raw"), 0, ROWS.nbytes)]
        file.create_dataset(h5.KEY, ROWS.shape, ROWS.dtype, external=external)
    for name in ("external", "soft"):
        refused(tmp_path / f"{name}.h5", "is a link")
    for name in ("virtual", "raw"):
        refused(tmp_path / f"{name}.h5", "its numbers are in other files")


def test_numbers_that_were_never_written_are_not_zeros(tmp_path: Path) -> None:
    for name, chunks in (("contiguous.h5", None), ("chunked.h5", (1, 4, 3))):
        with h5py.File(tmp_path / name, "w") as file:
            rows = file.create_dataset(h5.KEY, ROWS.shape, ROWS.dtype, chunks=chunks)
            if chunks:
                rows[0] = ROWS[0]
        refused(tmp_path / name, "a part of its numbers is missing")


def test_a_small_file_that_unpacks_into_a_large_piece_is_refused(
    tmp_path: Path,
) -> None:
    count = h5.CHUNK_BYTES // ROWS[0].nbytes + 1
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset(
            h5.KEY, (count, *SHAPE), "f8", chunks=(count, *SHAPE), compression="gzip"
        )
    assert (tmp_path / "bomb.h5").stat().st_size < 10_000
    refused(tmp_path / "bomb.h5", "too large to unpack")


def test_a_missing_or_invalid_file_is_an_error(tmp_path: Path) -> None:
    refused(tmp_path / "none.h5", "no such file")
    (tmp_path / "text.h5").write_text("no numbers")
    refused(tmp_path / "text.h5", "no valid HDF5 file")
    whole = written(tmp_path / "whole.h5", np.zeros((100, *SHAPE))).read_bytes()
    (tmp_path / "torn.h5").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "torn.h5", "no valid HDF5 file")
    os.mkfifo(tmp_path / "pipe.h5")
    refused(tmp_path / "pipe.h5", "no regular file")
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file.create_group(h5.KEY)
    refused(tmp_path / "group.h5", "is a group, expected a data set")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["labels"] = ROWS
    refused(tmp_path / "other.h5", "no data set 'avadataset' in it, only labels")


def test_a_damaged_row_leaves_the_others_readable(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((2, *SHAPE))
    path = written(
        tmp_path / "x.h5",
        noise,
        chunks=(1, *SHAPE),
        compression="gzip",
        fletcher32=True,
    )
    with h5py.File(path) as file:
        damaged = file[h5.KEY].id.get_chunk_info(1).byte_offset
    content = bytearray(path.read_bytes())
    content[damaged + 8] ^= 0xFF
    path.write_bytes(content)
    with h5.open_rows(path, SHAPE) as rows:
        assert (h5.read_row(rows, 0, path) == noise[0]).all()
        with pytest.raises(PackError, match=r"x\.h5: row 1 cannot be unpacked"):
            h5.read_row(rows, 1, path)


def test_a_missing_h5py_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with (
        pytest.raises(MissingExtra, match=r"pip install 'vaplan\[h5\]'"),
        h5.open_rows(Path("x.h5"), SHAPE),
    ):
        pass
