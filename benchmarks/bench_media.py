"""What cutting a video into segments costs beside bare decoding, and how much memory a film of hours needs.

python benchmarks/bench_media.py [FILE…] [--write]

Besides the files named, a clip of the synthetic world and three rendered films are read. CPU milliseconds on one
thread, medians of interleaved rounds. Where there is a program `ffmpeg`, its bare decoding is measured beside.
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
SPARING = media.Sampling(every_frame=False)
FFMPEG = shutil.which("ffmpeg")
RESULTS = Path(__file__).parent / "results" / "media.md"
FILMS = {  # codec, width, height, seconds
    "film-360p-h264.mp4": ("libx264", 640, 360, 10),
    "film-720p-h264.mp4": ("libx264", 1280, 720, 5),
    "film-360p-hevc.mp4": ("libx265", 640, 360, 10),
}
MINUTES = (10, 60)


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
                if used and kind == "audio":
                    resampler.resample(frame)
                elif used and frame.time >= due:
                    reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
                    due += 1


def exact(path: Path, cut: media.Sampling) -> str:
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
    """What some work costs here and in the programs that it runs."""
    start = _cpu_seconds()
    work()
    return 1e3 * (_cpu_seconds() - start)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def ffmpeg(*arguments: str) -> str:
    """Run the program and return what it says; nothing where there is none."""
    command = [FFMPEG, "-nostdin", "-v", "error", *arguments]
    return (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if FFMPEG
        else ""
    )


def version() -> str:
    return f"ffmpeg {ffmpeg('-version').split()[2]}" if FFMPEG else "no program ffmpeg"


def left_out(path: Path) -> float:
    """The share of the pictures that no other builds on, by the decoder's word."""
    counts = []
    for skip in ("DEFAULT", "NONREF"):
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.skip_frame = skip
            counts.append(sum(1 for _ in container.decode(video=0)))
    return 1 - counts[1] / counts[0]


def measured(path: Path) -> dict[str, np.ndarray]:
    """CPU milliseconds of every way to read a file, in every round."""
    decode = ["-i", str(path), "-f", "null", "-"]
    works = {
        "start": lambda: ffmpeg("-version"),
        "ffmpeg": lambda: ffmpeg("-threads", "1", *decode),
        "bare": lambda: bare(path),
        "used": lambda: bare(path, used=True),
        "segments": lambda: media.segments(path),
        "ffmpeg noref": lambda: ffmpeg(
            "-threads", "1", "-skip_frame", "noref", *decode
        ),
        "bare noref": lambda: bare(path, skip="NONREF"),
        "sparingly": lambda: media.segments(path, SPARING),
    }
    rounds = np.array(
        [[cpu_ms(work) for work in works.values()] for _ in range(ROUNDS)]
    )
    return dict(zip(works, rounds.T, strict=True))


def rows(path: Path) -> tuple[str, str]:
    """What one file costs with every frame decoded, and without those that no other builds on."""
    cost = measured(path)
    inner = {name: cost[name] - cost["start"] for name in ("ffmpeg", "ffmpeg noref")}

    def ms(name: str) -> str:
        return f"{np.median(cost[name]):.0f}" if FFMPEG or "ffmpeg" not in name else "-"

    def over(mine: str, other: np.ndarray, *, program: bool = False) -> str:
        return f"{np.median(cost[mine] / other):.2f}" if FFMPEG or not program else "-"

    every = [
        *map(ms, ("ffmpeg", "bare", "used", "segments")),
        over("segments", cost["ffmpeg"], program=True),
        over("segments", inner["ffmpeg"], program=True),
        over("segments", cost["bare"]),
        over("segments", cost["used"]),
        exact(path, media.Sampling()),
    ]
    sparing = [
        f"{left_out(path):.0%}",
        *map(ms, ("ffmpeg noref", "bare noref", "sparingly")),
        over("sparingly", inner["ffmpeg noref"], program=True),
        over("sparingly", cost["bare noref"]),
        over("bare noref", cost["bare"]),
        over("sparingly", inner["ffmpeg"], program=True),
        over("sparingly", cost["bare"]),
        exact(path, SPARING),
    ]
    return (
        f"| {path.name} | {' | '.join(every)} |",
        f"| {path.name} | {' | '.join(sparing)} |",
    )


def peak_megabytes() -> float:
    """The most memory this process has had."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1e3 if found else float("nan")


def decoded_only(path: Path) -> float:
    assert sum(len(part) for part in media.stream(path))
    return peak_megabytes()


def encoded(path: Path) -> float:
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
        for work in (decoded_only, encoded):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                peaks.append(pool.apply(work, [path]))
        rows.append(f"| {minutes} | {peaks[0]:.0f} | {peaks[1]:.0f} |")
    return rows


def report(paths: list[Path]) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = next(iter(synthetic.plan_clips({"bench": 1}, seed=0)))
        made = [synthetic.write(clip, folder / "synthetic-128p.mp4")]
        for title, (codec, width, height, seconds) in FILMS.items():
            made.append(
                film(
                    folder / title,
                    codec,
                    (width, height),
                    moving(width, height, 25 * seconds),
                    25,
                )
            )
        speed, memory = [rows(path) for path in [*paths, *made]], memory_rows(folder)
        start = np.median([cpu_ms(lambda: ffmpeg("-version")) for _ in range(ROUNDS)])
    lines = [
        "# Media: cutting a file into segments",
        "",
        f"Python {platform.python_version()}, PyAV {av.__version__}, {version()}, {platform.machine()}, one thread.",
        f"CPU milliseconds a file, medians of {ROUNDS} interleaved rounds; ratios are medians of the rounds' ratios.",
        "",
        "## Every frame decoded",
        "",
        f"- ffmpeg: `ffmpeg -threads 1 -i FILE -f null -`, a program whose start (`ffmpeg -version`: {start:.0f} ms)",
        "  'less start' takes away",
        "- bare: PyAV decodes every frame of both tracks in a running process, and all is thrown away",
        "- used: the same, with the sound brought to 48 kHz mono and a picture a second to RGB: the least that anyone",
        "  has to do who wants what `segments` gives",
        "- segments: `media.segments`, and its ratios to these",
        "- exact: pictures equal to those of a reader that keeps every frame and looks them up afterwards",
        "",
        "| file | ffmpeg | bare | used | segments | / ffmpeg | / less start | / bare | / used | exact |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *[every for every, _ in speed],
        "",
        "## Without the pictures that no other builds on",
        "",
        "- unbuilt: their share",
        "- ffmpeg, bare: as above with `-skip_frame noref`, and none of what is left out can be had",
        "- sparingly: `media.segments` without those that nobody sees, as `vaplan features` reads, and its ratios to",
        "  these two, the program's less its start",
        "- allows: this bare to the one above: what a file lets anyone save",
        "- / all: sparingly to ffmpeg less start, and to bare, both with every frame decoded",
        "",
        "| file | unbuilt | ffmpeg | bare | sparingly | / ffmpeg | / bare | allows | / all | / all | exact |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *[sparing for _, sparing in speed],
        "",
        "## Memory",
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
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"keep the tables in benchmarks/results/{RESULTS.name}",
    )
    options = parser.parse_args()
    text = report(options.files)
    print(text, end="")
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
