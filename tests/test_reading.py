"""Text files of users are read correctly, or refused with the line of the fault."""

import codecs
import csv
import io
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vaplan.errors import AnnotationError, RecipeError
from vaplan.reading import (
    MAX_DEPTH,
    csv_rows,
    csv_text,
    json_value,
    plain_text,
    xml_tree,
    yaml_document,
)

CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(
    str.strip
)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "text"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("é,犬\n".encode(), id="plain"),
        pytest.param(codecs.BOM_UTF8 + "é,犬\n".encode(), id="marked"),
        pytest.param(
            codecs.BOM_UTF16_LE + "é,犬\n".encode("utf-16-le"),
            id="UTF-16, little end first",
        ),
        pytest.param(
            codecs.BOM_UTF16_BE + "é,犬\n".encode("utf-16-be"),
            id="UTF-16, big end first",
        ),
    ],
)
def test_a_mark_at_the_start_is_not_part_of_the_text(
    tmp_path: Path, data: bytes
) -> None:
    assert plain_text(written(tmp_path, data)) == "é,犬\n"


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        ("a\nb\né".encode("latin-1"), 3, "not UTF-8 text"),
        (b"a\nb\0c", 2, "a NUL character"),
        ("é,犬\n".encode("utf-16-le"), 1, "a NUL character|not UTF-8 text"),
        (codecs.BOM_UTF16_LE + b"a", 1, "not UTF-8 text"),
    ],
)
def test_bytes_that_are_not_text_are_refused(
    tmp_path: Path, data: bytes, line: int, message: str
) -> None:
    with pytest.raises(AnnotationError, match=message) as fault:
        plain_text(written(tmp_path, data))
    assert fault.value.line == line


def test_a_text_may_be_as_long_as_allowed_and_no_longer(tmp_path: Path) -> None:
    path = written(tmp_path, b"12345")
    assert plain_text(path, at_most=5) == "12345"
    with pytest.raises(AnnotationError, match="larger than 4 bytes"):
        plain_text(path, at_most=4)


def test_the_caller_chooses_the_type_of_the_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        plain_text(tmp_path / "absent", error=RecipeError)
    with pytest.raises(RecipeError, match="Is a directory"):
        csv_text(tmp_path, error=RecipeError)
    with pytest.raises(RecipeError, match="not YAML"):
        yaml_document("[", error=RecipeError)


@given(
    rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1),
    delimiter=st.sampled_from(",;\t|"),
)
def test_a_table_reads_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    header, lines = csv_text(
        written(tmp_path_factory.mktemp("t"), text.getvalue().encode()),
        delimiter=delimiter,
    )
    assert [header, *(cells for _, cells in lines)] == rows


def test_a_row_has_the_line_on_which_it_starts(tmp_path: Path) -> None:
    header, rows = csv_text(written(tmp_path, b'a,b\n\n1,"x\ny"\r\n 2 ,z\n'))
    assert header == ["a", "b"]
    assert list(rows) == [(3, ["1", "x\ny"]), (5, ["2", "z"])]


def test_a_header_with_another_separator_is_one_field(tmp_path: Path) -> None:
    assert csv_text(written(tmp_path, b"a;b\n1;2\n"))[0] == ["a;b"]


def test_an_open_quote_names_the_line_where_it_opens(tmp_path: Path) -> None:
    _, rows = csv_text(written(tmp_path, b'a,b\n1,2\n3,"4\n5,6\n'))
    with pytest.raises(AnnotationError, match="not CSV") as fault:
        list(rows)
    assert fault.value.line == 3


@pytest.mark.parametrize("data", [b"", b"\n\n", codecs.BOM_UTF8])
def test_a_table_without_a_header_is_empty(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(AnnotationError, match="the file is empty"):
        csv_text(written(tmp_path, data))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="ascii", categories=["L", "N"]))
)
TREES = st.recursive(
    SCALARS,
    lambda t: (
        st.lists(t, max_size=3) | st.dictionaries(st.text("abcxyz"), t, max_size=3)
    ),
)


@given(tree=TREES)
def test_plain_yaml_is_read_like_by_the_safe_loader(tree: object) -> None:
    text = yaml.safe_dump(tree)
    assert yaml_document(text, error=RecipeError).value == yaml.safe_load(text)


def test_every_part_of_a_document_has_its_line() -> None:
    document = yaml_document(
        "a: 1\nb:\n  - x\n  - {c: y,\n     d: z}\n", error=RecipeError
    )
    assert [document.line(), document.line("a"), document.line("b")] == [1, 1, 2]
    assert [
        document.line("b", 0),
        document.line("b", 1),
        document.line("b", 1, "d"),
    ] == [3, 4, 5]
    assert document.line("b", 7, "e") == document.line("b")


def test_an_empty_document_is_none() -> None:
    document = yaml_document("# only a remark\n", error=RecipeError)
    assert (document.value, document.line("a")) == (None, None)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, "'a' is set twice"),
        ("a:\n  b: 1\n  b: 2", 3, "'b' is set twice"),
        ("a:\n  No: 1", 2, "the key No is no text but False"),
        ("a: [{1: 2}]", 1, "the key 1 is no text but 1"),
        ("a: &x 1\nb: *x", 2, "aliases are not allowed"),
        ("a: &x [1]\nb: {<<: *x}", 2, "aliases are not allowed"),
        ("? [a, b]\n: 1", 1, "a key that is not a word"),
        ("a: 1\n---\nb: 2", 2, "not YAML"),
        ("a: !!python/name:os.system x", 1, "not YAML"),
        ("a: 2020-99-99", None, "not YAML: month must be in"),
        ("a: " + "9" * 5000, None, "not YAML"),
        ("a: '\nb: 1", 2, "not YAML"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), None, "nested deeper than"),
        ("a: " + "x" * 300_000, None, "larger than"),
    ],
)
def test_yaml_outside_the_strict_subset_is_refused(
    text: str, line: int | None, message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as fault:
        yaml_document(text, error=RecipeError)
    assert fault.value.line == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', r"text:2: not JSON: Expecting ':' delimiter"),
        ('{"a": 1, "a": 2}', "key 'a' is there twice"),
        ('{"a": NaN}', "NaN is no number"),
        ("[" * 200_000, "not JSON that can be read"),
        ("1" * 5_000, "not JSON that can be read"),
    ],
)
def test_invalid_json_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        json_value(written(tmp_path, text.encode()))


def test_quotes_may_follow_a_space(tmp_path: Path) -> None:
    path = written(tmp_path, b'x, 0.5, "/m/a,/m/b"\n\ny, 1, "/m/a"\n')
    assert list(csv_rows(path, skip_spaces=True)) == [
        (1, ["x", "0.5", "/m/a,/m/b"]),
        (3, ["y", "1", "/m/a"]),
    ]


def test_xml_is_read_with_any_declared_encoding(tmp_path):
    text = '<?xml version="1.0" encoding="latin-1"?><a x="&lt;"><b>é&#x41;</b></a>'
    for data in (text.encode(), text.encode("utf-16")):
        root = xml_tree(written(tmp_path, data))
        assert (root.tag, root.get("x"), root.findtext("b")) == ("a", "<", "éA")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<a>\n<b></a>", "text:2: not XML: mismatched tag"),
        ("\n<!DOCTYPE a><a/>", "text:2: a document type is declared"),
        ("<a>&lol;</a>", "text:1: not XML: undefined entity"),
        ("<a/><b/>", "not XML: junk after document element"),
    ],
)
def test_xml_that_is_broken_or_defines_entities_is_refused(tmp_path, text, message):
    with pytest.raises(AnnotationError, match=message):
        xml_tree(written(tmp_path, text.encode()))


def test_xml_that_is_nested_deeply_is_read_or_refused(tmp_path):
    path = written(tmp_path, b"<a>" * 100_000 + b"</a>" * 100_000)
    assert xml_tree(path).tag == "a"
