"""Measure how fast synthetic videos are rendered: `python benchmarks/bench_synthetic.py [VIDEOS]`.

Target: at least eight ten-second videos per second on two cores.
"""

import sys
import tempfile
import time
from pathlib import Path

from vaplan import synthetic


def main(videos: int = 64, workers: int = 2) -> None:
    clips = synthetic.plan_clips({"bench": videos}, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        synthetic.render(clips, Path(folder), workers=workers)
        seconds = time.perf_counter() - start
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.mp4"))
    print(
        f"render   {videos / seconds:6.1f} videos/s with {workers} workers, {size / videos / 1e3:.0f} kB per video"
    )
    for part in (synthetic.frames, synthetic.waveform):
        start = time.process_time()
        for clip in clips[:16]:
            part(clip)
        print(
            f"{part.__name__:8} {(time.process_time() - start) / 16 * 1e3:6.1f} ms of CPU time per video"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
