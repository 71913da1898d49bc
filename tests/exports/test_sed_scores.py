import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import AnnotationError
from vaplan.exports.sed_scores import file_name, read_scores, write, write_scores
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import SegmentScores, Timeline

DOG_AND_CAT = Taxonomy(("Dog, barking", "Cat"))
ids = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20
)


@st.composite
def scored(draw):
    """Ids, probabilities and a mask in which the longest video reaches the end of the grid."""
    names = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    shape = len(names), draw(st.integers(1, 4)), 2
    mask = draw(arrays(bool, shape))
    mask[0, -1, AUDIO] = True
    score = draw(arrays(np.float32, (*shape, 2), elements=st.floats(0, 1, width=32)))
    return names, score, mask


@given(scored())
def test_scores_come_back_bit_by_bit(tmp_path_factory, case):
    names, score, mask = case
    folder = tmp_path_factory.mktemp("scores")
    write_scores(folder, names, score, mask, DOG_AND_CAT)
    back, grid, exists = read_scores(folder, DOG_AND_CAT)
    assert back == sorted(names)
    order = [names.index(name) for name in back]
    assert np.array_equal(exists, mask[order])
    assert grid.dtype == np.float32
    assert np.array_equal(grid, np.where(mask[..., None], score, 0)[order])


def test_a_file_holds_times_and_a_column_a_class(tmp_path):
    score = np.zeros((1, 3, 2, 2), dtype=np.float32)
    score[0, 0, AUDIO] = 0.1, 1
    mask = np.array([[[True, True], [True, False], [False, False]]])
    write_scores(
        tmp_path, ["-DSN_30_40"], score, mask, DOG_AND_CAT, segment_seconds=0.5
    )
    assert (tmp_path / "audio" / "-DSN_30_40.tsv").read_text().split("\n") == [
        "onset\toffset\tDog, barking\tCat",
        "0\t0.5\t0.100000001\t1",
        "0.5\t1\t0\t0",
        "",
    ]
    assert (tmp_path / "visual" / "-DSN_30_40.tsv").read_text().split("\n")[1:] == [
        "0\t0.5\t0\t0",
        "0.5\t1\t-1\t-1",
        "",
    ]


@pytest.mark.parametrize(
    "video", ["-DSN_30_40", "RUhOCu3LNXM@0", "AP0061o0Nvk_101.8_111.8", "my dog (2)"]
)
def test_an_ordinary_id_is_the_name_of_its_file(video):
    assert file_name(video) == f"{video}.tsv"


@pytest.mark.parametrize(
    "video", ["..", "a/b", "a\\b", "a\0b", "50%", "50%25", "a\nb", "ä"]
)
def test_no_id_leaves_the_folder(tmp_path, video):
    write_scores(
        tmp_path,
        [video],
        np.ones((1, 1, 2, 2), dtype=np.float32),
        np.ones((1, 1, 2), dtype=bool),
        DOG_AND_CAT,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio", "visual"]
    assert len(list((tmp_path / "audio").iterdir())) == 1
    assert read_scores(tmp_path, DOG_AND_CAT)[0] == [video]


def test_columns_may_stand_in_another_order_and_a_modality_may_be_absent(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "v.tsv").write_text(
        "onset\toffset\tCat\tDog, barking\n0.0\t1.0\t0.25\t0.5\n"
    )
    names, grid, mask = read_scores(tmp_path, DOG_AND_CAT)
    assert names == ["v"]
    assert grid[0, 0, AUDIO].tolist() == [0.5, 0.25]
    assert mask[0, 0].tolist() == [True, False]
    assert grid[0, 0, VISUAL].tolist() == [0, 0]


HEADER = "onset\toffset\tDog, barking\tCat\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"v\.tsv:1: columns are missing"),
        (
            "onset\toffset\tDog\n0\t1\t0.5\n",
            r"v\.tsv:1: columns are onset, offset, Dog; expected",
        ),
        (HEADER, "no segments"),
        (HEADER + "0\t1\t0.5\n", r"v\.tsv:2: 3 cells, expected 4"),
        (
            HEADER + "0\t1\t0.5\thalf\n",
            r"v\.tsv:2: 'half', expected a number",
        ),
        (
            HEADER + "0\t1\t0.5\t0.5\n2\t3\t0.5\t0.5\n",
            r"v\.tsv:3: the segment from 2 to 3 s leaves a gap",
        ),
        (HEADER + "1\t0\t0.5\t0.5\n", r"v\.tsv:2: the segment from 1 to 0 s"),
        (HEADER + "0\t1\t0.5\tnan\n", r"v\.tsv:2: a score is no probability"),
        (HEADER + "0\t1\t0.5\t-1\n", r"v\.tsv:2: a score is no probability"),
    ],
)
def test_an_invalid_score_file_is_an_error_with_its_line(tmp_path, text, message):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "v.tsv").write_text(text)
    with pytest.raises(AnnotationError) as error:
        read_scores(tmp_path, DOG_AND_CAT)
    assert re.search(message, str(error.value))


def test_a_file_in_another_encoding_is_an_error(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "v.tsv").write_bytes(
        HEADER.replace("Dog", "Dög").encode("latin-1")
    )
    with pytest.raises(AnnotationError, match="not UTF-8"):
        read_scores(tmp_path, DOG_AND_CAT)


def test_a_folder_without_scores_is_an_error(tmp_path):
    with pytest.raises(AnnotationError, match="no score files"):
        read_scores(tmp_path, DOG_AND_CAT)


def test_values_that_the_format_cannot_hold_are_refused(tmp_path):
    one, here = np.ones((1, 1, 2, 1), dtype=np.float32), np.ones((1, 1, 2), dtype=bool)
    with pytest.raises(AnnotationError, match="cannot name a column"):
        write_scores(tmp_path, ["v"], one, here, Taxonomy(("a\tb",)))
    with pytest.raises(ValueError, match="probabilities lie in"):
        write_scores(tmp_path, ["v"], 2 * one, here, Taxonomy(("Dog",)))
    with pytest.raises(ValueError, match="an id is repeated"):
        write_scores(
            tmp_path,
            ["v", "v"],
            np.ones((2, 1, 2, 1)),
            np.ones((2, 1, 2), dtype=bool),
            Taxonomy(("Dog",)),
        )
    assert not list(tmp_path.iterdir())


def scored_timeline(values, mask):
    scores = SegmentScores(values, mask, ("Dog", "Rain"))
    return Timeline("a/b", 3.0, scores=scores)


def test_a_timeline_with_segment_scores_is_the_file_of_its_probabilities(tmp_path):
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 2, 2)
    mask = np.array([[True, True], [True, False], [False, False]])
    files = write([scored_timeline(values, mask)])
    write_scores(tmp_path, ["a/b"], values[None], mask[None], Taxonomy(("Dog", "Rain")))
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_text()
        for path in tmp_path.rglob("*.tsv")
    }
    assert files == written
    assert [*files] == ["audio/a%2Fb.tsv", "visual/a%2Fb.tsv"]


def test_margins_and_absent_scores_are_no_probabilities():
    mask = np.ones((3, 2), bool)
    margins = np.full((3, 2, 2), 5.0, np.float32)
    with pytest.raises(AnnotationError, match="are no probabilities"):
        write([scored_timeline(margins, mask)])
    with pytest.raises(AnnotationError, match="has no scores of its segments"):
        write([Timeline("a", 3.0)])
