"""Compare the time of a job of `vaplan features` with its parts and with a plain script; measure its memory.

python benchmarks/bench_features.py [FILE…] [--models DIR] [--write]

CLIP ViT-B/32 and CLAP HTSAT of full size with random weights are made in DIR unless they exist. Besides the given
files, a synthetic clip and a rendered film are read. Times are CPU seconds on one thread, medians of interleaved
rounds, with PyTorch and, if it is installed, with OpenVINO.
"""

import argparse
import importlib.metadata
import importlib.util
import multiprocessing
import platform
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from checkpoints import make_clap, make_clip
from films import film, moving, still
from plain_script import Plain

from vaplan import encoders, media, stages, synthetic
from vaplan.annotations import Annotations, Video
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders import clip, spectrogram
from vaplan.encoders.compute import Compute
from vaplan.taxonomy import Taxonomy
from vaplan.workers import Work

RESULTS = Path(__file__).parent / "results" / "features.md"
ROUNDS = 3
MANY = (100, 1_000)
PARTS = ("decode", "preprocess frames", "preprocess audio", "CLIP", "CLAP")


@dataclass
class Clock:
    """CPU seconds of this process, by name of the work."""

    spent: dict[str, float] = field(default_factory=dict)

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        self.spent[name] = time.process_time() - start
        return result


class Parts:
    """The necessary steps of a job, each timed separately."""

    def __init__(self, clip_model: str, clap_model: str, compute: Compute) -> None:
        self.clip = encoders.load(clip_model, VISUAL, compute=compute)
        self.clap = encoders.load(clap_model, AUDIO, compute=compute)
        self.sampling = media.Sampling(self.clap.rate_hz, every_frame=False)

    def __call__(self, path: Path, clock: Clock) -> None:
        chunks = clock("decode", lambda: list(media.stream(path, self.sampling)))
        frames = [chunk.frames[t] for chunk in chunks for t in range(len(chunk))]
        waveforms = [
            torch.from_numpy(chunk.audio(t).copy())[None]
            for chunk in chunks
            for t in range(len(chunk))
        ]
        images = clock(
            "preprocess frames",
            lambda: [clip.preprocess(f, self.clip.preprocessing) for f in frames],
        )
        mels = clock(
            "preprocess audio",
            lambda: [self.log_mel(waveform) for waveform in waveforms],
        )
        size = self.clip.batch_size
        clock(
            "CLIP",
            lambda: [
                self.run(self.clip, self.clip._encode_images, b)
                for b in batches(torch.cat(images), size)
            ],
        )
        clock(
            "CLAP",
            lambda: [
                self.run(self.clap, self.clap._encode_audio, b)
                for b in batches(torch.stack(mels), size)
            ],
        )

    def log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        return spectrogram.log_mel(waveform, self.clap.preprocessing, self.clap.bank)

    def run(
        self, encoder: Any, tower: Callable[[torch.Tensor], Any], batch: torch.Tensor
    ) -> torch.Tensor:
        return encoder.pretrained.run(tower, batch)


def batches(rows: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Yield batches of one size; the last one is padded with its first row."""
    for part in torch.split(rows, size):
        yield torch.cat([part, part[:1].expand(size - len(part), *part.shape[1:])])


@dataclass
class Measuring:
    """An engine in this process that also runs other functions on each video, and times all of them.

    Attributes:
        others: Functions that are run besides the job, in turns.
        files: Number of files of a round.
        videos: Name and times of each video.
        prepared: CPU seconds of this process when the models were loaded.
    """

    others: Sequence[Callable[[Path, Clock], None]]
    files: int
    videos: list[tuple[str, Clock]] = field(default_factory=list)
    prepared: float = 0.0

    def __call__(
        self, work: Work, items: Sequence[Any], **_: Any
    ) -> Iterator[tuple[Any, Any]]:
        if work.prepare:
            work.prepare(*work.arguments)
        self.prepared = time.process_time()
        for number, job in enumerate(items):
            clock, own = (
                Clock(),
                number // self.files % (len(self.others) + 1),
            )  # takes turns
            for other in self.others[:own]:
                other(job.path, clock)
            result = clock("job", lambda job=job: work.function(job))
            for other in self.others[own:]:
                other(job.path, clock)
            self.videos.append((job.video, clock))
            yield job, result


def data_of(ids: Sequence[str], folder: Path) -> Annotations:
    return Annotations(
        Taxonomy(("any",)),
        tuple(Video(name) for name in ids),
        source=folder / "none.csv",
    )


def linked(files: Sequence[Path], copies: int, folder: Path) -> Annotations:
    """Link every file several times, in turns, with a new id for each link."""
    folder.mkdir(parents=True)
    for copy in range(copies):
        for number, file in enumerate(files):
            (folder / f"{copy:06d} {number}{file.suffix}").symlink_to(file.resolve())
    return data_of(sorted(path.stem for path in folder.iterdir()), folder)


def speed(
    files: Sequence[Path], models: Path, folder: Path, compute: Compute
) -> list[str]:
    """Return the rows of the table for one device and precision."""
    clip_folder, clap_folder = (
        make_clip(models / "clip-vit-b32"),
        make_clap(models / "clap-htsat"),
    )
    names = (f"clap:{clap_folder}",), (f"clip:{clip_folder}",)
    parts = Parts(f"clip:{clip_folder}", f"clap:{clap_folder}", compute)
    plain = Plain(clip_folder, clap_folder)
    measuring = Measuring(
        [parts, lambda path, clock: clock("plain", lambda: plain(path))], len(files)
    )
    data = linked(files, ROUNDS + 1, folder / "media")  # the first round warms up
    outcome = stages.features(
        data,
        folder / "media",
        folder / "store",
        encoders=names,
        engine=measuring,
        compute=compute,
    )
    taken = time.process_time() - measuring.prepared
    assert outcome.done == len(data.videos), outcome
    store = (
        taken - sum(sum(clock.spent.values()) for _, clock in measuring.videos)
    ) / len(data.videos)
    rows = []
    for number, file in enumerate(files):
        spent = [
            clock.spent
            for name, clock in measuring.videos[len(files) :]
            if name.endswith(f" {number}")
        ]
        rows.append(
            row(f"{file.name} | {compute.device} {compute.precision}", spent, store)
        )
    return rows


def row(name: str, spent: Sequence[dict[str, float]], store: float) -> str:
    parts = {part: np.median([costs[part] for costs in spent]) for part in PARTS}
    job = np.array([costs["job"] + store for costs in spent])
    least = np.array([sum(costs[part] for part in PARTS) for costs in spent])
    plain = np.array([costs["plain"] for costs in spent])
    cells = [f"{parts[part]:.2f}" for part in PARTS] + [
        f"{np.median(least):.2f}",
        f"{np.median(job):.2f}",
    ]
    ratios = [
        f"**{np.median(job / least):.2f}**",
        f"{np.median(plain):.2f}",
        f"**{np.median(plain / job):.2f}**",
    ]
    return f"| {name} | {' | '.join(cells + ratios)} |"


def peak_megabytes(pid: int | str) -> float:
    match = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) / 1e3 if match else float("nan")


def memory_row(count: int, file: Path, folder: Path) -> str:
    """Measure the peak memory of a job of some videos, and of its worker."""
    data, worker = linked([file], count, folder / "media"), 0.0

    def progress(done: int, *_: Any) -> None:
        nonlocal worker
        if done % 25 == 0:
            worker = max(
                peak_megabytes(child.pid) for child in multiprocessing.active_children()
            )

    names = (("embedded",), ("embedded",))
    stages.features(
        data,
        folder / "media",
        folder / "store",
        encoders=names,
        workers=1,
        progress=progress,
    )
    return f"| {count:,} | {peak_megabytes('self'):.0f} | {worker:.0f} |"


def memory(folder: Path) -> list[str]:
    rows, file = [], film(folder / "short.mp4", "libx264", (160, 120), still(3), 1)
    for count in MANY:
        with ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn")
        ) as pool:
            rows.append(
                pool.submit(memory_row, count, file, folder / str(count)).result()
            )
    return rows


def report(files: Sequence[Path], models: Path) -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip_file = synthetic.write(
            next(iter(synthetic.plan_clips({"bench": 1}, seed=0))),
            folder / "synthetic-128p.mp4",
        )
        film_file = film(
            folder / "film-360p-h264.mp4",
            "libx264",
            (640, 360),
            moving(640, 360, 250),
            25,
        )
        memory_rows, all_files = memory(folder), [*files, clip_file, film_file]
        rows = [
            row
            for compute in compute_settings()
            for row in speed(all_files, models, folder / compute.device, compute)
        ]
    lines = [
        "# Features: a job compared with its parts and with a plain script, and its memory",
        "",
        f"Python {platform.python_version()}, PyTorch {torch.__version__}, PyAV {av.__version__}{openvino()},",
        f"{machine()}, one thread. CPU seconds per video, medians of {ROUNDS} interleaved rounds.",
        "CLIP ViT-B/32 and CLAP HTSAT of full size with random weights. The job is `stages.features` with its store,",
        "without loading the models; the first ratio is job / sum of the parts. The plain script writes 8 jpg files",
        "per second by PyAV and Pillow, as the command `ffmpeg` would, and a wav file, and encodes one frame and one",
        "second of audio per second by the processors and models of transformers in fp32; the second ratio is",
        "plain script / job.",
        "",
        f"| file | device and precision of the job | {' | '.join(PARTS)} | sum | job | ratio | plain script | ratio |",
        f"|---|---|{'---:|' * (len(PARTS) + 5)}",
        *rows,
        "",
        "Peak memory in MB of a job on clips of 3 s with the embedded encoders:",
        "",
        "| videos | main process | worker |",
        "|---:|---:|---:|",
        *memory_rows,
    ]
    return "\n".join(lines) + "\n"


def compute_settings() -> list[Compute]:
    """Return the precision that `auto` chooses, for PyTorch and, if it is installed, for OpenVINO."""
    return [
        Compute(device).resolve()
        for device in ("cpu", *(["openvino"] if openvino() else []))
    ]


def openvino() -> str:
    """Return the version of OpenVINO, or nothing if it is not installed."""
    if importlib.util.find_spec("openvino") is None:
        return ""
    return f", OpenVINO {importlib.metadata.version('openvino')}"


def machine() -> str:
    """Return the name of the processor."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{names[0] if names else ''} {platform.machine()}".strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument(
        "--models", type=Path, default=Path(tempfile.gettempdir()) / "vaplan-models"
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write the tables to benchmarks/results/{RESULTS.name}",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = report(options.files, options.models)
    print(text, end="")
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
