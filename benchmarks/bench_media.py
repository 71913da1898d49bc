"""What cutting a video into segments costs beside bare decoding: `python benchmarks/bench_media.py [FILE…]`.

Without files, three clips of the synthetic world. CPU milliseconds on one thread, medians of interleaved rounds.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from vaplan import media, synthetic

ROUNDS = 7


def bare(path: Path) -> int:
    """Decode every frame of both tracks and keep nothing: the floor."""
    frames = 0
    for kind in ("video", "audio"):
        with av.open(str(path)) as container:
            stream = container.streams.best(kind)
            if stream is not None:
                stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
                frames += sum(1 for _ in container.decode(stream))
    return frames


def exact(path: Path) -> str:
    """How many pictures equal those of a reader that keeps every frame and looks them up afterwards."""
    found = media.segments(path)
    with av.open(str(path)) as container:
        zero = (container.start_time or 0) / av.time_base
        frames = [(frame.time - zero, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    shown = [[picture for start, picture in frames if start <= t + 0.5 + 1e-6][-1] for t in range(len(found))]
    equal = sum(np.array_equal(ours[0], theirs) for ours, theirs in zip(found.frames, shown, strict=True))
    return f"{equal}/{len(found)}"


def cpu_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def main(paths: list[Path]) -> None:
    print("| file | seconds | bare decode | segments | ratio | probe | exact pictures |")
    print("|---|---|---|---|---|---|---|")
    for path in paths:
        works = [lambda p=path: bare(p), lambda p=path: media.segments(p), lambda p=path: media.probe(p)]
        rounds = [[cpu_ms(work) for work in works] for _ in range(ROUNDS)]
        floor, ours, probe = np.median(rounds, axis=0)
        seconds = media.segments(path).seconds.declared
        numbers = f"{seconds:.1f} | {floor:.1f} | {ours:.1f} | {ours / floor:.2f} | {probe:.1f}"
        print(f"| {path.name} | {numbers} | {exact(path)} |")


if __name__ == "__main__":
    if sys.argv[1:]:
        main([Path(name) for name in sys.argv[1:]])
    else:
        with tempfile.TemporaryDirectory() as folder:
            clips = synthetic.world({"bench": 3}, seed=0)
            main([synthetic.write(clip, Path(folder) / f"{clip.video}.mp4") for clip in clips])
