"""Ranges, by an own slow reading of the rule; identity of files; pipes do not block."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.errors import MediaError
from vaplan.review.files import RangeError, Span, identify, open_regular, parse_range

places = st.integers(0, 30)


def bytes_of(size: int, first: int | None, last: int | None) -> list[int]:
    """The places of the bytes that a range names, by asking for each byte."""
    if first is None:
        return [place for place in range(size) if place >= size - (last or 0)]
    return [p for p in range(size) if p >= first and (last is None or p <= last)]


@given(size=places, first=st.none() | places, last=st.none() | places)
def test_a_range_is_the_bytes_that_it_names_or_is_refused(
    size: int, first: int | None, last: int | None
) -> None:
    ends = ["" if end is None else str(end) for end in (first, last)]
    header = f"bytes={'-'.join(ends)}"
    expected = bytes_of(size, first, last)
    if not expected or (first is None and last is None):
        with pytest.raises(RangeError):
            parse_range(header, size)
    else:
        span = parse_range(header, size)
        assert [*range(span.start, span.start + span.length)] == expected


@given(st.text(max_size=80))
def test_any_text_is_a_range_inside_the_file_or_refused(text: str) -> None:
    try:
        span = parse_range(f"bytes={text}", 10)
    except RangeError:
        return
    assert 0 <= span.start < span.start + span.length <= 10


def test_the_forms_that_browsers_send() -> None:
    assert parse_range("bytes=0-", 10) == Span(0, 10)
    assert parse_range("bytes=0-1", 10) == Span(0, 2)
    assert parse_range("bytes=4-99", 10) == Span(4, 6)


@pytest.mark.parametrize("kind", ["pipe", "folder", "absent"])
def test_files_that_are_not_regular_are_refused_and_do_not_block(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(MediaError):
        open_regular(path)


def identity(path: Path) -> str:
    with open_regular(path) as file:
        return identify(file)


def test_the_identity_changes_with_content_and_time_and_not_with_the_name(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0" * 200_000)
    os.utime(path, ns=(0, 0))
    first = identity(path)
    renamed = path.rename(tmp_path / "b")
    assert identity(renamed) == first
    os.utime(renamed, ns=(0, 1))
    second = identity(renamed)
    assert second != first
    renamed.write_bytes(b"0" * 199_999 + b"1")
    os.utime(renamed, ns=(0, 0))
    assert identity(renamed) not in (first, second)
