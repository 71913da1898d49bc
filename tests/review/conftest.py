"""A browser, films, and a running review for the tests of the page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.media.films import Film, make
from tests.review.browsing import ARGUMENTS, CHROMIUM, TABLE, Review, serve_copy


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A real browser; without one these tests are skipped and say so."""
    reason = "the browser tests need playwright"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    pytest.importorskip("fastapi", reason="the browser tests need vaplan[review]")
    if not CHROMIUM.exists():
        pytest.skip(f"the browser tests need {CHROMIUM}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=[*ARGUMENTS]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films") / "media"
    folder.mkdir()
    make(folder / "dogs.mp4", Film(seconds=5))
    make(folder / "birds.mp4", Film(seconds=4))
    make(folder / "silent.mp4", Film(seconds=3, audio=""))
    return folder


@pytest.fixture
def review(tmp_path: Path, media: Path) -> Iterator[Review]:
    with serve_copy(tmp_path, media, TABLE) as running:
        yield running
