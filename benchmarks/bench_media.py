"""Compare the time of reading the segments of a video with plain decoding; measure the memory of long films.

python benchmarks/bench_media.py [FILE…] [--write]

Besides the given files, a synthetic clip and three rendered films are read. Times are CPU milliseconds on one thread,
medians of interleaved rounds. If the program `ffmpeg` is installed, its decoding is measured too.
"""

import argparse
import multiprocessing
import platform
import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from films import film, moving, still

from vaplan import encoders, media, synthetic
from vaplan.arrays import AUDIO, VISUAL

ROUNDS = 9
RATE_HZ = 48_000
SKIPPING = media.Sampling(every_frame=False)
FFMPEG = shutil.which("ffmpeg")
RESULTS = Path(__file__).parent / "results" / "media.md"
FILMS = {  # codec, width, height, seconds
    "film-360p-h264.mp4": ("libx264", 640, 360, 10),
    "film-720p-h264.mp4": ("libx264", 1280, 720, 5),
    "film-360p-hevc.mp4": ("libx265", 640, 360, 10),
}
MINUTES = (10, 60)


def decode_with_pyav(
    path: Path, *, skip: str = "DEFAULT", convert: bool = False
) -> None:
    """Decode every frame of both tracks and discard it.

    Args:
        path: Media file.
        skip: Frames that the decoder may skip, in FFmpeg's words.
        convert: Resample the audio to mono at 48 kHz, and convert one frame per second to RGB.
    """
    for kind in ("video", "audio"):
        with av.open(str(path)) as container:
            stream = container.streams.best(kind)
            if stream is None:
                continue
            stream.codec_context.thread_type, stream.codec_context.thread_count = (
                "NONE",
                1,
            )
            if kind == "video":
                stream.codec_context.skip_frame = skip
            resampler, reformatter, due = (
                av.AudioResampler("fltp", "mono", RATE_HZ),
                VideoReformatter(),
                0.5,
            )
            for frame in container.decode(stream):
                if convert and kind == "audio":
                    resampler.resample(frame)
                elif convert and frame.time >= due:
                    reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                    due += 1


def count_equal_frames(path: Path, sampling: media.Sampling) -> str:
    """Count the frames that equal those of a reader that decodes every frame and chooses afterwards."""
    segments = media.segments(path, sampling)
    shown = dict.fromkeys(range(len(segments)))
    with av.open(str(path)) as container:
        zero = (container.start_time or 0) / av.time_base
        for frame in container.decode(video=0):
            for t in range(len(segments)):
                if frame.time - zero <= t + 0.5 + 1e-6:
                    shown[t] = frame
    expected = [shown[t].to_ndarray(format="rgb24") for t in shown]
    pairs = zip(segments.frames, expected, strict=True)
    return f"{sum(np.array_equal(a[0], b) for a, b in pairs)}/{len(segments)}"


def cpu_ms(work: Callable[[], object]) -> float:
    """Measure the CPU milliseconds of a function in this process and its child processes."""
    start = _cpu_seconds()
    work()
    return 1e3 * (_cpu_seconds() - start)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def ffmpeg(*arguments: str) -> str:
    """Run ffmpeg and return its output; do nothing if it is not installed."""
    command = [FFMPEG, "-nostdin", "-v", "error", *arguments]
    return (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if FFMPEG
        else ""
    )


def version() -> str:
    return f"ffmpeg {ffmpeg('-version').split()[2]}" if FFMPEG else "without ffmpeg"


def skippable_share(path: Path) -> float:
    """Compute the share of the frames that no other frame references, according to the decoder."""
    counts = []
    for skip in ("DEFAULT", "NONREF"):
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.skip_frame = skip
            counts.append(sum(1 for _ in container.decode(video=0)))
    return 1 - counts[1] / counts[0]


def measure(path: Path) -> dict[str, np.ndarray]:
    """Measure the CPU milliseconds of every way to read a file, in every round."""
    decode = ["-i", str(path), "-f", "null", "-"]
    works = {
        "start": lambda: ffmpeg("-version"),
        "ffmpeg": lambda: ffmpeg("-threads", "1", *decode),
        "PyAV": lambda: decode_with_pyav(path),
        "converted": lambda: decode_with_pyav(path, convert=True),
        "segments": lambda: media.segments(path),
        "ffmpeg noref": lambda: ffmpeg(
            "-threads", "1", "-skip_frame", "noref", *decode
        ),
        "PyAV noref": lambda: decode_with_pyav(path, skip="NONREF"),
        "skipping": lambda: media.segments(path, SKIPPING),
    }
    rounds = np.array(
        [[cpu_ms(work) for work in works.values()] for _ in range(ROUNDS)]
    )
    return dict(zip(works, rounds.T, strict=True))


def rows(path: Path) -> tuple[str, str]:
    """Measure one file with every frame decoded, and without frames that no other frame references."""
    cost = measure(path)
    less_start = {
        name: cost[name] - cost["start"] for name in ("ffmpeg", "ffmpeg noref")
    }

    def ms(name: str) -> str:
        return f"{np.median(cost[name]):.0f}" if FFMPEG or "ffmpeg" not in name else "-"

    def over(mine: str, other: np.ndarray, *, program: bool = False) -> str:
        return f"{np.median(cost[mine] / other):.2f}" if FFMPEG or not program else "-"

    every = [
        *map(ms, ("ffmpeg", "PyAV", "converted", "segments")),
        over("segments", cost["ffmpeg"], program=True),
        over("segments", less_start["ffmpeg"], program=True),
        over("segments", cost["PyAV"]),
        over("segments", cost["converted"]),
        count_equal_frames(path, media.Sampling()),
    ]
    skipping = [
        f"{skippable_share(path):.0%}",
        *map(ms, ("ffmpeg noref", "PyAV noref", "skipping")),
        over("skipping", less_start["ffmpeg noref"], program=True),
        over("skipping", cost["PyAV noref"]),
        over("PyAV noref", cost["PyAV"]),
        over("skipping", less_start["ffmpeg"], program=True),
        over("skipping", cost["PyAV"]),
        count_equal_frames(path, SKIPPING),
    ]
    return (
        f"| {path.name} | {' | '.join(every)} |",
        f"| {path.name} | {' | '.join(skipping)} |",
    )


def peak_megabytes() -> float:
    """Return the peak memory of this process in MB."""
    match = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(match[1]) / 1e3 if match else float("nan")


def peak_of_decoding(path: Path) -> float:
    assert sum(len(part) for part in media.stream(path))
    return peak_megabytes()


def peak_of_encoding(path: Path) -> float:
    encoders.encode(
        path, [encoders.load("embedded", AUDIO), encoders.load("embedded", VISUAL)]
    )
    return peak_megabytes()


def memory_rows(folder: Path) -> list[str]:
    rows = []
    for minutes in MINUTES:
        path = film(
            folder / f"{minutes}.mp4", "libx264", (320, 240), still(60 * minutes), 1
        )
        peaks = []
        for work in (peak_of_decoding, peak_of_encoding):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peaks.append(pool.apply(work, [path]))
        rows.append(f"| {minutes} | {peaks[0]:.0f} | {peaks[1]:.0f} |")
    return rows


def report(paths: list[Path]) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = next(iter(synthetic.plan_clips({"bench": 1}, seed=0)))
        rendered = [synthetic.write(clip, folder / "synthetic-128p.mp4")]
        for title, (codec, width, height, seconds) in FILMS.items():
            rendered.append(
                film(
                    folder / title,
                    codec,
                    (width, height),
                    moving(width, height, 25 * seconds),
                    25,
                )
            )
        speed = [rows(path) for path in [*paths, *rendered]]
        memory = memory_rows(folder)
        start = np.median([cpu_ms(lambda: ffmpeg("-version")) for _ in range(ROUNDS)])
    lines = [
        "# Media: reading the segments of a file",
        "",
        f"Python {platform.python_version()}, PyAV {av.__version__}, {version()}, {platform.machine()}, one thread.",
        f"CPU milliseconds per file, medians of {ROUNDS} interleaved rounds; ratios are medians of the rounds' ratios.",
        "",
        "## Every frame decoded",
        "",
        "- ffmpeg: `ffmpeg -threads 1 -i FILE -f null -`; 'less start' subtracts the time that the program needs to",
        f"  start (`ffmpeg -version`: {start:.0f} ms)",
        "- PyAV: decodes every frame of both tracks in a running process and discards it",
        "- converted: as PyAV, with the audio resampled to 48 kHz mono and one frame per second converted to RGB, which",
        "  is the least work that gives the result of `segments`",
        "- segments: `media.segments`, and its ratios to these",
        "- exact: frames that equal those of a reader that decodes every frame and chooses afterwards",
        "",
        "| file | ffmpeg | PyAV | converted | segments | / ffmpeg | / less start | / PyAV | / converted | exact |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *[every for every, _ in speed],
        "",
        "## Without frames that no other frame references",
        "",
        "- skippable: the share of these frames",
        "- ffmpeg, PyAV: as above with `-skip_frame noref`; the skipped frames are not available",
        "- skipping: `media.segments` without those of these frames that are not sampled, as `vaplan features` reads,",
        "  and its ratios to ffmpeg less start and to PyAV",
        "- possible: PyAV here / PyAV above, the largest saving that the file allows",
        "- / all: skipping / ffmpeg less start, and skipping / PyAV, both with every frame decoded",
        "",
        "| file | skippable | ffmpeg | PyAV | skipping | / ffmpeg | / PyAV | possible | / all | / all | exact |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *[skipping for _, skipping in speed],
        "",
        "## Memory",
        "",
        "Peak memory in MB of a process that reads a film of 320 x 240 pixels with one frame per second and audio:",
        "",
        "| minutes | decoding | with the embedded encoders |",
        "|---:|---:|---:|",
        *memory,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write the tables to benchmarks/results/{RESULTS.name}",
    )
    options = parser.parse_args()
    text = report(options.files)
    print(text, end="")
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
