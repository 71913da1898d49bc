"""Text that people wrote: tables and YAML, read strictly, where every fault names the file and
the line.

The reader of a kind of document says which error its faults are: a recipe's are the user's, a
table's the data's.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import yaml

from vaplan.errors import AnnotationError, VaplanError
from vaplan.objects import local_copy

Place = tuple[
    str | int, ...
]  # the keys and positions that lead to a value, from the outside in
Error = type[VaplanError]

MAX_BYTES = 256 * 1024  # of YAML
MAX_JSON_BYTES = 64 * 1024 * 1024
MAX_XML_BYTES = 64 * 1024 * 1024
MAX_ROWS = 10_000_000  # of a Parquet table, which may be packed into a few bytes
MAX_TEXT_BYTES = 2 * 1024**3  # of a table: 10 million rows of 200 bytes
PIECE_BYTES = 1024 * 1024  # that are read at once
MAX_DEPTH = 20
MAX_SEED = 2**63 - 1  # of the random numbers of PyTorch
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def plain_text(
    path: Path, *, error: Error = AnnotationError, at_most: int = MAX_TEXT_BYTES
) -> str:
    """Read a text file in UTF-8, or in UTF-16 with a byte order mark.

    Args:
        path: File to read.
        error: Class of the error that is raised.
        at_most: Largest size in bytes.

    Raises:
        VaplanError: The file cannot be read, is too large, or is not plain text.
    """
    try:
        with local_copy(path) as copy, copy.open("rb") as file:
            data = _read_at_most(file, at_most + 1)
    except OSError as fault:
        raise error(
            f"cannot read: {fault.strerror}", file=path, fix="check the path"
        ) from fault
    if len(data) > at_most:
        raise error(
            f"larger than {at_most:,} bytes",
            file=path,
            fix="check that this is the file you meant, or split it",
        )
    try:
        text = data.decode("utf-16" if data[:2] in UTF16_MARKS else "utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data[: fault.start].count(b"\n") + 1
        raise error(
            "not UTF-8 text", file=path, line=line, fix="save it as UTF-8"
        ) from fault
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise error(
            "a NUL character", file=path, line=line, fix="save it as UTF-8 text"
        )
    return text


def _read_at_most(file: BinaryIO, count: int) -> bytes:
    """Read bytes piece by piece, so that only what is there takes memory."""
    data = bytearray()
    while len(data) < count:
        piece = file.read(min(PIECE_BYTES, count - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)


def plain_number(text: str) -> float | None:
    """Return the number that a text writes with ASCII digits; None if it is no number.

    >>> plain_number("1e-4"), plain_number("１"), plain_number("1_000")
    (0.0001, None, None)
    """
    if text.isascii() and "_" not in text:  # Python would also read the others
        with suppress(ValueError):
            return float(text)
    return None


def csv_rows(
    path: Path,
    *,
    delimiter: str = ",",
    skip_spaces: bool = False,
    error: Error = AnnotationError,
    at_most: int = MAX_TEXT_BYTES,
) -> Iterator[tuple[int, list[str]]]:
    """Yield the non-empty rows of a file with their line numbers, as text.

    Args:
        path: File to read.
        delimiter: Character between two fields.
        skip_spaces: Quotes may follow a delimiter and spaces.
        error: Class of the errors that are raised.
        at_most: Largest size in bytes.

    Raises:
        VaplanError: The file cannot be read, or is no CSV.
    """
    reader = csv.reader(
        io.StringIO(plain_text(path, error=error, at_most=at_most), newline=""),
        delimiter=delimiter,
        skipinitialspace=skip_spaces,
        strict=True,
    )
    last = 0
    try:
        for values in reader:
            line, last = last + 1, reader.line_num
            if values:
                yield line, [value.strip() for value in values]
    except csv.Error as fault:
        fix = "close the quotes"
        if "limit" in str(fault):
            fix = (
                f"shorten the field to {csv.field_size_limit():,} characters, or {fix}"
            )
        raise error(f"not CSV: {fault}", file=path, line=last + 1, fix=fix) from fault


def csv_text(
    path: Path,
    *,
    delimiter: str = ",",
    error: Error = AnnotationError,
    at_most: int = MAX_TEXT_BYTES,
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Read the header of a table, and its non-empty rows with their line numbers, as text.

    The caller checks the columns.

    Args:
        path: File to read.
        delimiter: Character between two fields.
        error: Class of the errors that are raised.
        at_most: Largest size in bytes.

    Raises:
        VaplanError: The file is empty, cannot be read, or is no CSV.
    """
    rows = csv_rows(path, delimiter=delimiter, error=error, at_most=at_most)
    header = next(rows, None)
    if header is None:
        raise error(
            "the file is empty", file=path, fix="start it with a line of column names"
        )
    return header[1], rows


def check_row_count(count: int, path: Path) -> None:
    """Check the number of rows of a Parquet table before they are read.

    Args:
        count: Number of rows by the metadata of the file.
        path: File of the table.

    Raises:
        AnnotationError: There are too many.
    """
    if count > MAX_ROWS:
        raise AnnotationError(
            f"{count:,} rows, expected at most {MAX_ROWS:,}",
            file=path,
            fix="divide the table",
        )


def json_value(
    path: Path, *, error: Error = AnnotationError, at_most: int = MAX_TEXT_BYTES
) -> Any:
    """Read a JSON file strictly: no key twice, and no number that is not finite.

    Args:
        path: File to read.
        error: Class of the errors that are raised.
        at_most: Largest size in bytes.

    Raises:
        VaplanError: The file cannot be read, or is no JSON.
    """
    text = plain_text(path, error=error, at_most=at_most)
    fail = partial(error, file=path)
    try:
        return json.loads(
            text,
            object_pairs_hook=partial(_unique_keys, fail),
            parse_constant=partial(_refuse_constant, fail),
        )
    except json.JSONDecodeError as fault:
        raise error(
            f"not JSON: {fault.msg}",
            file=path,
            line=fault.lineno,
            fix="check that the download is complete",
        ) from fault
    except (ValueError, RecursionError) as fault:
        is_number = isinstance(fault, ValueError)
        what = "a number has too many digits" if is_number else "nested too deep"
        raise error(
            f"not JSON that can be read: {what}",
            file=path,
            fix="check that this is the file you meant",
        ) from fault


def _unique_keys(
    fail: Callable[..., VaplanError], pairs: list[tuple[str, Any]]
) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise fail(f"key {twice!r} is there twice", fix="keep one")
    return value


def _refuse_constant(fail: Callable[..., VaplanError], name: str) -> NoReturn:
    raise fail(f"{name} is no number", fix="write a plain number")


def json_object(path: Path, *, what: str, fix: str, error: Error) -> dict[str, Any]:
    """Read a JSON file that holds one object, of finite numbers and of valid Unicode.

    Args:
        path: File to read.
        what: Name of the content, for errors.
        fix: What to do if the file is not that.
        error: Class of the errors that are raised.

    Raises:
        VaplanError: The file cannot be read, or is not a JSON object.
    """
    try:
        value = json_value(path, error=error, at_most=MAX_JSON_BYTES)
    except VaplanError as fault:
        raise error(
            f"not {what}: {fault.what}", file=path, line=fault.line, fix=fix
        ) from fault
    if not isinstance(value, dict):
        raise error(f"not {what}: no JSON object", file=path, fix=fix)
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as fault:  # 1e999 is infinite, and an escape may be no character
        raise error(f"not {what}: {fault}", file=path, fix=fix) from fault
    return value


def xml_tree(
    path: Path, *, error: Error = AnnotationError, at_most: int = MAX_XML_BYTES
) -> Element:
    """Read an XML file without a document type, so that no entity can be defined.

    Args:
        path: File to read.
        error: Class of the errors that are raised.
        at_most: Largest size in bytes.

    Raises:
        VaplanError: The file cannot be read, is no XML, or declares a document type.
    """
    text = plain_text(path, error=error, at_most=at_most)
    builder = TreeBuilder()
    parser = expat.ParserCreate("utf-8")

    def refuse(*_: object) -> None:
        raise error(
            "a document type is declared, which may define entities",
            file=path,
            line=parser.CurrentLineNumber,
            fix="remove the declaration <!DOCTYPE …>",
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(text.encode("utf-8"), True)
        return builder.close()
    except expat.ExpatError as fault:
        raise error(
            f"not XML: {expat.errors.messages[fault.code]}",
            file=path,
            line=fault.lineno,
            fix="check that the file is complete",
        ) from fault


@dataclass(frozen=True)
class Document:
    """A YAML value, and the line on which each part of it starts."""

    value: Any
    lines: dict[Place, int]

    def line(self, *place: str | int) -> int | None:
        """The line of a part, or of the nearest part around it."""
        return next(
            (
                self.lines[place[:n]]
                for n in range(len(place), -1, -1)
                if place[:n] in self.lines
            ),
            None,
        )


def yaml_document(text: str, *, error: Error) -> Document:
    """Read YAML of its own plain types: no aliases, no key twice, of a limited size and depth."""
    if len(text.encode()) > MAX_BYTES:
        raise error(f"larger than {MAX_BYTES} bytes", fix="such a file has a few lines")
    try:
        loader = _Loader(text)
        loader.error = error
        node = loader.get_single_node()
        return (
            Document(None, {})
            if node is None
            else Document(loader.construct_document(node), dict(_lines(node)))
        )
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        what = f"not YAML: {getattr(fault, 'problem', None) or fault}"
        raise error(
            what, line=mark.line + 1 if mark else None, fix="check quotes and indents"
        ) from None
    except (
        ValueError
    ) as fault:  # a date that no calendar has, a whole number of thousands of digits
        raise error(f"not YAML: {fault}", fix="put texts in quotes") from None


class _Loader(yaml.SafeLoader):
    """The safe loader, without aliases; keys are texts and occur once."""

    error: Error = AnnotationError
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
            raise self.error(
                "aliases are not allowed", line=line, fix="write the value out"
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(
                f"nested deeper than {MAX_DEPTH}", fix="two or three levels are enough"
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise self.error(
                    "a key that is not a word", line=line, fix="write `key: value`"
                )
            if key.value in seen:
                raise self.error(
                    f"{key.value!r} is set twice", line=line, fix="keep one"
                )
            seen.add(key.value)
        mapping = super().construct_mapping(node, deep)
        for key, _ in node.value:
            value = self.construct_object(key)
            if not isinstance(value, str):  # a bare No is false, a bare 1 a number
                raise self.error(
                    f"the key {key.value} is no text but {value!r}",
                    line=key.start_mark.line + 1,
                    fix=f'put it in quotes, as in "{key.value}"',
                )
        return mapping


def _lines(node: yaml.Node, place: Place = ()) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            value_place = (*place, key.value)
            yield from _lines(value, value_place)
            # last, so that it is the line of the key, not of its value
            yield value_place, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield from _lines(item, (*place, position))
