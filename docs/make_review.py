"""Write the picture of docs/review.md: a review of rendered videos in Chromium.

    python docs/make_review.py

needs `pip install playwright` and /usr/bin/chromium. The events are the zero-shot timelines of
the embedded encoders, and the purple lanes are the reference of the rendered videos.
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from playwright.sync_api import sync_playwright

from vaplan import stages, synthetic
from vaplan.zero_shot import ZeroShotClassifier

IMAGE = Path(__file__).parent / "images" / "review.jpg"
COUNTS = {"train": 6, "val": 2, "test": 4}
SIZE = {"width": 1360, "height": 800}
EMBEDDED = ("embedded", "embedded")


def main() -> None:
    """Render videos, parse them, open the review and take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = synthetic.render(synthetic.plan_clips(COUNTS, seed=5), folder)
        data = stages.read_data(f"table:{table}")
        load = partial(ZeroShotClassifier.load, data.taxonomy, EMBEDDED)
        timelines = folder / "timelines"
        stages.parse([folder / "media"], timelines, load=load, scores=True, workers=1)
        _take_picture(folder, timelines, table)
    print(IMAGE, IMAGE.stat().st_size)


def _take_picture(folder: Path, timelines: Path, reference: Path) -> None:
    options = ["--media", str(folder / "media"), "--reference", str(reference)]
    command = [sys.executable, "-m", "vaplan", "review", str(timelines), *options]
    with (
        subprocess.Popen(
            [*command, "--no-browser"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as server,
        sync_playwright() as driver,
    ):
        try:
            assert server.stdout
            browser = driver.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=["--no-sandbox", "--disable-gpu"],
            )
            page = browser.new_page(viewport=SIZE)
            page.set_default_timeout(120_000)
            with page.expect_response(lambda reply: reply.url.endswith("/peaks")):
                page.goto(server.stdout.readline().strip())
            with page.expect_response(
                lambda reply: reply.url.endswith("/spectrogram") and reply.ok
            ):
                page.keyboard.press("g")
            page.keyboard.press("n")
            for _ in range(3):
                page.keyboard.press("ArrowRight")
            page.wait_for_timeout(2000)  # until the rest of the spectrogram is there
            page.screenshot(path=IMAGE, type="jpeg", quality=65)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
