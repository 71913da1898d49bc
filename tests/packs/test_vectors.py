"""Vectors of the user are read as they were written, from any kind of file, or the bad file is named."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vaplan.packs import PackError, files, open_vectors, read_text_vectors, vectors

h5py = pytest.importorskip("h5py")

Arrays = dict[str, np.ndarray]


def write_folder(path: Path, videos: Arrays) -> Path:
    for number, (video, array) in enumerate(videos.items()):
        file = path / video
        file.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            np.savez(f"{file}.npz", array)
        else:
            np.save(f"{file}.npy", array)
    return path


def write_npz(path: Path, videos: Arrays) -> Path:
    file = path.with_suffix(".npz")
    np.savez_compressed(file, **videos)
    return file


def write_h5(path: Path, videos: Arrays) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for video, array in videos.items():
            file[video] = array
    return path.with_suffix(".h5")


def write_parquet(path: Path, videos: Arrays) -> Path:
    rows = [
        {"video": video, "segment": segment, "vector": vector.tolist()}
        for video, array in videos.items()
        for segment, vector in enumerate(array)
    ]
    table = pa.Table.from_pylist(rows[::-1])
    pq.write_table(table, path.with_suffix(".parquet"), row_group_size=3)
    return path.with_suffix(".parquet")


WRITERS = [write_folder, write_npz, write_h5, write_parquet]


@settings(max_examples=12)
@given(st.data())
def test_vectors_are_read_from_every_kind_of_file(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ids = data.draw(
        st.lists(
            st.sampled_from(["a", "b.c", "2019/a", "2019/sea/0", "é"]),
            min_size=1,
            unique=True,
        )
    )
    width = data.draw(st.integers(1, 5))
    numbers = st.floats(-8, 8, width=16)
    videos = {
        video: data.draw(
            arrays.arrays(
                data.draw(st.sampled_from([np.float16, np.float32, np.float64])),
                (data.draw(st.integers(1, 4)), width),
                elements=numbers,
            )
        )
        for video in ids
    }
    for write in WRITERS:
        with open_vectors(write(tmp_path_factory.mktemp("x") / "v", videos)) as source:
            assert set(source.videos) == set(videos)
            read = dict(source.results(source.videos))
        for video, array in videos.items():
            assert read[video].mask.all()
            assert read[video].feature.dtype == np.float32
            assert np.array_equal(read[video].feature, array)


ROWS = np.ones((3, 4), np.float32)


@pytest.mark.parametrize("write", WRITERS[:3])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(4), "shape 4, expected segments x width"),
        (np.ones((2, 3, 4)), "shape 2 x 3 x 4, expected segments x width"),
        (np.ones((0, 4)), "shape 0 x 4, expected segments x width"),
        (np.ones((2, 4), int), "numbers of type int64, expected floating point"),
        (
            np.where(np.eye(6, 4), np.nan, 1),
            "NaN, infinite or too large numbers in segment 0, 1, 2 and 1 more",
        ),
        (np.full((1, 4), 1e300), "NaN, infinite or too large numbers in segment 0"),
    ],
)
def test_a_bad_array_fails_its_video_only(
    tmp_path: Path,
    write: Callable[[Path, Arrays], Path],
    array: np.ndarray,
    message: str,
) -> None:
    path = write(tmp_path / "x", {"good": ROWS, "bad": array, "fine": ROWS})
    with open_vectors(path) as source:
        found = dict(source.results(source.videos))
        place = source.place("bad")
    error = found.pop("bad")
    assert isinstance(error, PackError)
    assert message in str(error)
    assert str(error).startswith(f"{place}: ")
    assert "bad" in str(error)
    assert all(np.array_equal(one.feature, ROWS) for one in found.values())


def test_seconds_without_a_row_are_missing(tmp_path: Path) -> None:
    table = pa.table(
        {
            "video": ["a", "a", "b", "c", "d", "d", "e", "f", "f"],
            "segment": [4, 1, 0, -1, 2, 2, 0, 0, 1],
            "vector": [
                [1.0],
                [2.0],
                None,
                [1.0],
                [1.0],
                [1.0],
                [None],
                [1.0],
                [1.0, 2],
            ],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    with open_vectors(tmp_path / "x.parquet") as source:
        found = dict(source.results(source.videos))
    assert found["a"].mask.tolist() == [False, True, False, False, True]
    assert found["a"].feature.ravel().tolist() == [0, 2, 0, 0, 1]
    for video, what in {
        "b": "no vector",
        "c": "segment -1, expected 0 to 172,799",
        "d": "two rows of one segment",
        "e": "NaN, infinite or too large numbers in segment 0",
        "f": "vectors of 1, 2 numbers, expected one width",
    }.items():
        assert f"x.parquet: {video!r}: {what}" in str(found[video])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"video": ["a"], "segment": [0]}, "no column 'vector', only video, segment"),
        (
            {"video": [1], "segment": [0], "vector": [[1.0]]},
            "column 'video' has the type int64, expected texts",
        ),
        (
            {"video": ["a"], "segment": [0.5], "vector": [[1.0]]},
            "column 'segment' has the type double, expected whole numbers",
        ),
        (
            {"video": ["a"], "segment": [0], "vector": [["x"]]},
            "expected lists of floating point numbers",
        ),
        (
            {"video": [None], "segment": [0], "vector": [[1.0]]},
            "a row without a video or a segment",
        ),
    ],
)
def test_a_table_of_other_columns_is_refused(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    table = pa.table(columns)
    if columns["video"] == [None]:
        table = table.set_column(0, "video", pa.array([None], pa.string()))
    pq.write_table(table, tmp_path / "x.parquet")
    with (
        pytest.raises(PackError, match=message) as caught,
        open_vectors(tmp_path / "x.parquet"),
    ):
        pass
    assert str(tmp_path / "x.parquet") in str(caught.value)


def test_files_without_vectors_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    np.savez(tmp_path / "none.npz")
    for name, what in {
        "empty": "no .npy or .npz file in it",
        "notes.txt": "a file that ends in '.txt', expected .npz, .h5 or .parquet",
        "none.npz": "no array in it",
        "absent.npz": "no such file",
    }.items():
        with (
            pytest.raises(PackError, match=rf"{name}: {what}"),
            open_vectors(tmp_path / name),
        ):
            pass


def test_a_folder_reports_skipped_files_and_files_of_one_video(
    tmp_path: Path,
) -> None:
    for name in ("a.npy", "._a.npy", "b.npy"):
        np.save(tmp_path / name, ROWS)
    np.savez(tmp_path / "b.npz", ROWS)
    np.savez(tmp_path / "c.npz", ROWS, ROWS)
    (tmp_path / "readme.md").write_text("x")
    with open_vectors(tmp_path) as source:
        found = dict(source.results(source.videos))
    assert source.skipped == 2
    assert "b.npz holds vectors of the same video" in str(found["b"])
    assert "2 arrays in it, expected one" in str(found["c"])
    assert np.array_equal(found["a"].feature, ROWS)


@settings(max_examples=40)
@given(st.binary(max_size=120), st.integers(0, 400), st.sampled_from(WRITERS))
def test_a_damaged_file_is_one_line(
    tmp_path_factory: pytest.TempPathFactory,
    noise: bytes,
    at: int,
    write: Callable[[Path, Arrays], Path],
) -> None:
    path = write(tmp_path_factory.mktemp("x") / "v", {"a": ROWS})
    file = path / "a.npy" if path.is_dir() else path
    content = file.read_bytes()
    file.write_bytes(content[:at] + noise + content[at + len(noise) :])
    try:
        with open_vectors(path) as source:
            problems = [one for _, one in source.results(source.videos)]
    except PackError as error:
        problems = [error]
    for problem in problems:
        if isinstance(problem, PackError):
            assert str(file) in str(problem)
            assert "\n" not in str(problem)


def test_an_archive_cannot_bring_python_objects(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.array([None]), allow_pickle=True)
        archive.writestr("a.npy", buffer.getvalue())
    with open_vectors(tmp_path / "x.npz") as source:
        ((_, error),) = source.results(["a"])
    assert "numbers of type object, expected floating point" in str(error)


TEXT = {"Dog": [3.0, 4.0], "Rain": [[1.0, 0.0], [0.0, 1.0]]}


def write_text(path: Path, text: dict[str, list[object]]) -> Path:
    rows = [
        (name, row)
        for name, vectors in text.items()
        for row in np.atleast_2d(np.array(vectors, float)).tolist()
    ]
    if path.suffix == ".npz":
        np.savez(path, **{name: np.array(each) for name, each in text.items()})
    elif path.suffix == ".parquet":
        names, vectors = zip(*rows, strict=True)
        pq.write_table(pa.table({"class": names, "vector": vectors}), path)
    else:
        header = ",".join(["class", *map(str, range(len(rows[0][1])))])
        lines = [",".join([name, *map(str, row)]) for name, row in rows]
        path.write_text("\n".join([header, *lines]))
    return path


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".csv"])
def test_text_vectors_are_unit_means_of_the_sentences(
    tmp_path: Path, suffix: str
) -> None:
    vectors = read_text_vectors(write_text(tmp_path / f"text{suffix}", TEXT))
    assert list(vectors) == ["Dog", "Rain"]
    assert np.allclose(vectors["Dog"], [0.6, 0.8])
    assert np.allclose(vectors["Rain"], [0.5**0.5] * 2)


@pytest.mark.parametrize("suffix", [".npz", ".parquet", ".csv"])
@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([0.0, 0.0], "'Cat' has NaN or infinite numbers, or only zeros"),
        ([np.nan, 1.0], "'Cat' has NaN or infinite numbers, or only zeros"),
        ([1.0], "numbers"),
    ],
)
def test_a_bad_text_vector_is_named(
    tmp_path: Path, suffix: str, vector: list[float], message: str
) -> None:
    path = write_text(tmp_path / f"text{suffix}", {**TEXT, "Cat": vector})
    with pytest.raises(PackError, match=message) as caught:
        read_text_vectors(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value) or message in str(caught.value)


@pytest.mark.parametrize("write", WRITERS[1:])
def test_an_array_that_is_large_only_in_memory_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Path, Arrays], Path],
) -> None:
    path = write(tmp_path / "packed", {"a": np.zeros((10, 4), np.float32)})
    monkeypatch.setattr(files, "MAX_BYTES", 100)
    monkeypatch.setattr(vectors, "MAX_BYTES", 100)
    monkeypatch.setattr(vectors, "MAX_PACKING", 0)
    message = r"array of [0-9]+ bytes, expected at most 100|numbers are packed into"
    with pytest.raises(PackError, match=message), open_vectors(path) as source:
        source.read_video("a")
