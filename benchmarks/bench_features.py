"""What a job of `vaplan features` costs beside its parts and beside a plain script, and its memory.

python benchmarks/bench_features.py [FILE…] [--models DIR] [--write]

CLIP ViT-B/32 and CLAP HTSAT of full size with random weights are made in DIR unless they are there. Besides the files
named, a clip of the synthetic world and a rendered film are read. CPU seconds on one thread, medians of interleaved
rounds; with OpenVINO too where it is installed.
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
PARTS = ("decode", "prepare pictures", "prepare sounds", "CLIP", "CLAP")


@dataclass
class Clock:
    """CPU seconds of this process, by what they were spent on."""

    spent: dict[str, float] = field(default_factory=dict)

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        self.spent[name] = time.process_time() - start
        return result


class Parts:
    """What the job has to do at least, each for itself."""

    def __init__(self, picture_model: str, sound_model: str, compute: Compute) -> None:
        self.clip = encoders.load(picture_model, VISUAL, compute=compute)
        self.clap = encoders.load(sound_model, AUDIO, compute=compute)
        self.cut = media.Sampling(self.clap.rate_hz, every_frame=False)

    def __call__(self, path: Path, clock: Clock) -> None:
        chunks = clock("decode", lambda: list(media.stream(path, self.cut)))
        frames = [chunk.frames[t] for chunk in chunks for t in range(len(chunk))]
        sounds = [
            torch.from_numpy(chunk.audio(t).copy())[None]
            for chunk in chunks
            for t in range(len(chunk))
        ]
        pictures = clock(
            "prepare pictures",
            lambda: [clip.preprocess(f, self.clip.preprocessing) for f in frames],
        )
        mels = clock("prepare sounds", lambda: [self.mel(sound) for sound in sounds])
        size = self.clip.batch_size
        clock(
            "CLIP",
            lambda: [
                self.run(self.clip, self.clip._encode_images, b)
                for b in batches(torch.cat(pictures), size)
            ],
        )
        clock(
            "CLAP",
            lambda: [
                self.run(self.clap, self.clap._encode_audio, b)
                for b in batches(torch.stack(mels), size)
            ],
        )

    def mel(self, sound: torch.Tensor) -> torch.Tensor:
        return spectrogram.log_mel(sound, self.clap.preprocessing, self.clap.bank)

    def run(
        self, encoder: Any, tower: Callable[[torch.Tensor], Any], batch: torch.Tensor
    ) -> torch.Tensor:
        return encoder.pretrained.run(tower, batch)


def batches(rows: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    """Of one shape, the last one filled up."""
    for part in torch.split(rows, size):
        yield torch.cat([part, part[:1].expand(size - len(part), *part.shape[1:])])


@dataclass
class Measuring:
    """An engine in this process that also does each video's parts, and the video in the plain way."""

    others: Sequence[Callable[[Path, Clock], None]]
    files: int  # in a round
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
    """Every file so many times, in turns, under ids of its own."""
    folder.mkdir(parents=True)
    for copy in range(copies):
        for place, file in enumerate(files):
            (folder / f"{copy:06d} {place}{file.suffix}").symlink_to(file.resolve())
    return data_of(sorted(path.stem for path in folder.iterdir()), folder)


def speed(
    files: Sequence[Path], models: Path, folder: Path, compute: Compute
) -> list[str]:
    """The rows of the table for one way to encode."""
    pictures, sounds = (
        make_clip(models / "clip-vit-b32"),
        make_clap(models / "clap-htsat"),
    )
    names = (f"clap:{sounds}",), (f"clip:{pictures}",)
    parts = Parts(f"clip:{pictures}", f"clap:{sounds}", compute)
    plain = Plain(pictures, sounds)
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
    for place, file in enumerate(files):
        spent = [
            clock.spent
            for name, clock in measuring.videos[len(files) :]
            if name.endswith(f" {place}")
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
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1e3 if found else float("nan")


def memory_row(count: int, file: Path, folder: Path) -> str:
    """The most memory that a job of so many videos ever had: itself, and its worker."""
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
        drawn = synthetic.write(
            next(iter(synthetic.plan_clips({"bench": 1}, seed=0))),
            folder / "synthetic-128p.mp4",
        )
        made = film(
            folder / "film-360p-h264.mp4",
            "libx264",
            (640, 360),
            moving(640, 360, 250),
            25,
        )
        flat, all_files = memory(folder), [*files, drawn, made]
        rows = [
            row
            for way in ways()
            for row in speed(all_files, models, folder / way.device, way)
        ]
    lines = [
        "# Features: a whole job beside its parts, beside a plain script, and its memory",
        "",
        f"Python {platform.python_version()}, PyTorch {torch.__version__}, PyAV {av.__version__}{openvino()},",
        f"{machine()}, one thread. CPU seconds a video, medians of {ROUNDS} interleaved rounds.",
        "CLIP ViT-B/32 and CLAP HTSAT of full size with random weights. The job: `stages.features` with its store,",
        "without loading the models; its ratio is to the sum of the parts. The plain script: jpg files at 8 a second,",
        "by PyAV and Pillow as the command `ffmpeg` would make them, and a wav file; one picture and one second of",
        "sound a second through the library's processors and models in fp32; its ratio is to the job.",
        "",
        f"| file | ours in | {' | '.join(PARTS)} | sum | job | ratio | plain script | ratio |",
        f"|---|---|{'---:|' * (len(PARTS) + 5)}",
        *rows,
        "",
        "Peak memory in MB of a job on clips of 3 s with the embedded encoders:",
        "",
        "| videos | the job's own process | its worker |",
        "|---:|---:|---:|",
        *flat,
    ]
    return "\n".join(lines) + "\n"


def ways() -> list[Compute]:
    """How to encode: as `auto` does, and with OpenVINO where it is installed."""
    return [
        Compute(device).resolve()
        for device in ("cpu", *(["openvino"] if openvino() else []))
    ]


def openvino() -> str:
    """Its version, where it is measured."""
    there = importlib.util.find_spec("openvino")
    return f", OpenVINO {importlib.metadata.version('openvino')}" if there else ""


def machine() -> str:
    """What the processor is."""
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
        help=f"keep the tables in benchmarks/results/{RESULTS.name}",
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
