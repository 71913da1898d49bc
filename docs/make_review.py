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
SIZE = {"width": 1200, "height": 800}
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
            page.goto(server.stdout.readline().strip())
            page.wait_for_selector(".event")
            page.wait_for_timeout(4000)  # until the waveform is there
            page.keyboard.press("n")
            for _ in range(3):
                page.keyboard.press("ArrowRight")
            page.wait_for_timeout(500)
            page.screenshot(path=IMAGE, type="jpeg", quality=70)
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
