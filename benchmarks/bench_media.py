"""What cutting a video into segments costs beside bare decoding, and how much memory a film of hours needs.

python benchmarks/bench_media.py [FILE…] [--write]

Besides the files named, a clip of the synthetic world and three rendered films are read. CPU milliseconds on one
thread, medians of interleaved rounds.
"""

import argparse
import multiprocessing
import platform
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from vaplan import encoders, media, synthetic
from vaplan.arrays import AUDIO, VISUAL

ROUNDS = 5
RATE_HZ = 48_000
SPARING = media.Cut(every_frame=False)
RESULTS = Path(__file__).parent / "results" / "media.md"
FILMS = {  # codec, width, height, seconds
    "film-360p-h264.mp4": ("libx264", 640, 360, 10),
    "film-720p-h264.mp4": ("libx264", 1280, 720, 5),
    "film-360p-hevc.mp4": ("libx265", 640, 360, 10),
}
MINUTES = (10, 60)


def film(path: Path, codec: str, sides: tuple[int, int], pictures: Iterable[np.ndarray], rate: int) -> Path:
    """A film of these pictures with the encoder's usual settings, and soft noise as its sound."""
    generator = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        video = container.add_stream(codec, rate=rate, options=options)
        video.width, video.height = sides
        video.pix_fmt, video.codec_context.thread_count = "yuv420p", 2
        audio = container.add_stream("aac", rate=44_100, layout="stereo")
        for number, picture in enumerate(pictures):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture)))
            sound = generator.normal(0, 0.05, (2, 44_100 // rate)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base = 44_100, Fraction(1, 44_100)
            frame.pts = number * sound.shape[1]
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def moving(width: int, height: int, count: int) -> Iterator[np.ndarray]:
    """A coarse pattern that drifts, with grain."""
    generator = np.random.default_rng(1)
    coarse = generator.integers(0, 256, (height // 16 + 1, width // 8 + 1, 3), dtype=np.uint8)
    pattern = coarse.repeat(16, axis=0).repeat(16, axis=1)
    for number in range(count):
        left = number * 4 % width
        seen = pattern[:height, left : left + width].astype(np.int16)
        yield np.clip(seen + generator.integers(-6, 7, seen.shape), 0, 255).astype(np.uint8)


def still(count: int) -> Iterator[np.ndarray]:
    for number in range(count):
        yield np.full((240, 320, 3), number % 256, np.uint8)


def bare(path: Path, *, skip: str = "DEFAULT", used: bool = False) -> None:
    """Decode every frame of both tracks and keep nothing: the floor.

    Args:
        skip: Which frames the decoder may leave out.
        used: Bring the sound to mono at the usual rate, and a picture a second to RGB.
    """
    for kind in ("video", "audio"):
        with av.open(str(path)) as container:
            stream = container.streams.best(kind)
            if stream is None:
                continue
            stream.codec_context.thread_type, stream.codec_context.thread_count = "NONE", 1
            if kind == "video":
                stream.codec_context.skip_frame = skip
            resampler, reformatter, due = av.AudioResampler("fltp", "mono", RATE_HZ), VideoReformatter(), 0.5
            for frame in container.decode(stream):
                if used and kind == "audio":
                    resampler.resample(frame)
                elif used and frame.time >= due:
                    reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                    due += 1


def exact(path: Path, cut: media.Cut) -> str:
    """How many pictures equal those of a reader that keeps every frame and looks them up afterwards."""
    found = media.segments(path, cut)
    shown = dict.fromkeys(range(len(found)))
    with av.open(str(path)) as container:
        zero = (container.start_time or 0) / av.time_base
        for frame in container.decode(video=0):
            for t in range(len(found)):
                if frame.time - zero <= t + 0.5 + 1e-6:
                    shown[t] = frame
    pictures = [shown[t].to_ndarray(format="rgb24") for t in shown]
    return f"{sum(np.array_equal(a[0], b) for a, b in zip(found.frames, pictures, strict=True))}/{len(found)}"


def cpu_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def left_out(path: Path) -> float:
    """The share of the pictures that no other builds on, by the decoder's word."""
    counts = []
    for skip in ("DEFAULT", "NONREF"):
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.skip_frame = skip
            counts.append(sum(1 for _ in container.decode(video=0)))
    return 1 - counts[1] / counts[0]


def speed_row(path: Path) -> str:
    works = [
        lambda: bare(path),
        lambda: bare(path, used=True),
        lambda: media.segments(path),
        lambda: bare(path, skip="NONREF"),
        lambda: media.segments(path, SPARING),
    ]
    rounds = np.array([[cpu_ms(work) for work in works] for _ in range(ROUNDS)])
    floor, used, whole, skipped, spared = np.median(rounds, axis=0)
    over_floor = np.median(rounds / rounds[:, :1], axis=0)
    over_used = np.median(rounds[:, 2] / rounds[:, 1])
    cells = [
        path.name,
        f"{floor:.0f}",
        f"{used:.0f}",
        f"{whole:.0f}",
        f"{over_floor[2]:.2f}",
        f"{over_used:.2f}",
        f"{left_out(path):.0%}",
        f"{skipped:.0f}",
        f"{over_floor[3]:.2f}",
        f"{spared:.0f}",
        f"{over_floor[4]:.2f}",
        f"{exact(path, media.Cut())}, {exact(path, SPARING)}",
    ]
    return f"| {' | '.join(cells)} |"


def peak_megabytes() -> float:
    """The most memory this process has had."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1e3 if found else float("nan")


def decoded_only(path: Path) -> float:
    assert sum(len(part) for part in media.stream(path))
    return peak_megabytes()


def encoded(path: Path) -> float:
    encoders.encode(path, [encoders.load("embedded", AUDIO), encoders.load("embedded", VISUAL)])
    return peak_megabytes()


def memory_rows(folder: Path) -> list[str]:
    rows = []
    for minutes in MINUTES:
        path = film(folder / f"{minutes}.mp4", "libx264", (320, 240), still(60 * minutes), 1)
        peaks = []
        for work in (decoded_only, encoded):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peaks.append(pool.apply(work, [path]))
        rows.append(f"| {minutes} | {peaks[0]:.0f} | {peaks[1]:.0f} |")
    return rows


def report(paths: list[Path]) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = next(iter(synthetic.world({"bench": 1}, seed=0)))
        made = [synthetic.write(clip, folder / "synthetic-128p.mp4")]
        for title, (codec, width, height, seconds) in FILMS.items():
            made.append(film(folder / title, codec, (width, height), moving(width, height, 25 * seconds), 25))
        speed, memory = [speed_row(path) for path in [*paths, *made]], memory_rows(folder)
    lines = [
        "# Media: cutting a file into segments",
        "",
        f"Python {platform.python_version()}, PyAV {av.__version__}, {platform.machine()}, one thread.",
        f"CPU milliseconds a file, medians of {ROUNDS} interleaved rounds.",
        "",
        "- bare: PyAV decodes every frame of both tracks, and all is thrown away",
        "- used: the same, with the sound brought to 48 kHz mono and a picture a second to RGB: the least that anyone",
        "  has to do who wants what `segments` gives",
        "- segments: `media.segments`, every frame decoded, and its ratios to bare and to used",
        "- unbuilt: the share of pictures that no other builds on",
        "- skipped: bare without those pictures, nothing used, and its ratio to bare: what a file allows",
        "- sparingly: `media.segments` without pictures that nobody sees and no other one needs, as `vaplan features`",
        "  reads, and its ratio to bare",
        "- exact: pictures equal to those of a reader that keeps every frame, all decoded and sparingly",
        "",
        "| file | bare | used | segments | / bare | / used | unbuilt | skipped | / bare | sparingly | / bare | exact |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *speed,
        "",
        "Peak memory in MB of a process that reads a film of 320 x 240 pixels with one picture a second and sound:",
        "",
        "| minutes | decoding | with the embedded encoders |",
        "|---:|---:|---:|",
        *memory,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--write", action="store_true", help=f"keep the tables in benchmarks/results/{RESULTS.name}")
    options = parser.parse_args()
    text = report(options.files)
    print(text, end="")
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
