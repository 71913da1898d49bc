"""Measure everything that a GPU changes, in at most 8 minutes, and write one JSON file and one page.

python benchmarks/bench_gpu.py [--out FOLDER]
python benchmarks/bench_gpu.py --small --device cpu --out FOLDER

Each part runs in a process of its own with a limit of time, and its numbers are written as they are measured: a part
that fails or is too slow loses its own other numbers only. Numbers that were not measured stay empty. No network is
needed: the models have their full size and random weights, the clips are rendered. `--small` is a trial with tiny
models and few videos.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve()
RESULTS = SCRIPT.parent / "results"
# Longest seconds of each part; together 8 minutes with the time to start them.
LIMITS = {
    "machine": 30,
    "encoders": 120,
    "features": 140,
    "training": 95,
    "agreement": 45,
    "memory": 45,
}
MODELS = {
    "clip_base": "CLIP ViT-B/32",
    "clip_large": "CLIP ViT-L/14",
    "clap": "CLAP HTSAT",
}
Numbers = Mapping[str, Any]
# Titles of the numbers of each part.
ROWS = {
    "machine": {
        "card": "card",
        "cards": "number of cards",
        "memory_gb": "memory of the card, GB",
        "driver": "driver",
        "cuda": "CUDA",
        "processor": "processor",
        "cores": "cores",
        "python": "Python",
        "torch": "torch",
        "transformers": "transformers",
        "matrix_bf16_tflops": "product of matrices in bf16, TFLOP/s",
        "matrix_fp32_tflops": "product of matrices in fp32, TFLOP/s",
    },
    "encoders": {
        "precision": "precision",
        **{
            f"{model}_{key}": f"{name}: {title}"
            for model, name in MODELS.items()
            for key, title in {
                "per_s": "segments / s, input on the device",
                "batch": "batch size of this rate",
                "share": "share of the rate of a product of matrices",
                "per_s_with_copies": "segments / s with copies, vaplan's batch size",
                "per_s_embed": "segments / s from 640 x 360 frames or audio",
                "gflop": "GFLOP of a segment",
            }.items()
        },
    },
    "features": {
        "clips": "rendered clips of 10 s",
        "features_done": "clips encoded",
        "features_failed": "clips failed",
        "features_reason": "reason of the first failure",
        "features_videos_per_s": "videos / s of the job",
        "decode_videos_per_s": "videos / s of decoding alone on all cores",
        "features_start_s": "seconds until the first video",
        "features_seconds": "seconds of the job",
        "gpu_busy_share": "busy share of the GPU",
        "gpu_memory_gb": "most memory of the card in use, GB",
    },
    "training": {
        "videos": "videos of 10 segments",
        "epochs": "epochs",
        "epochs_done": "epochs done",
        "training_s": "seconds of all epochs",
        "first_epoch_s": "seconds of the first epoch",
        "epoch_s": "seconds of a further epoch",
        "training_memory_gb": "most memory of the card in use, GB",
    },
    "agreement": {
        **{
            f"{model}_{precision}_{key}": f"{MODELS[model]} in {precision}: {title}"
            for model in ("clip_base", "clap")
            for precision in ("fp32", "bf16", "fp16")
            for key, title in {
                "difference": "largest difference of a vector's numbers",
                "cosine": "smallest cosine",
                "neighbours": "1 - cosine of a row alone and in a batch",
            }.items()
        },
        "segment_difference": "HAN: largest difference of a segment's probability",
        "video_difference": "HAN: largest difference of a video's probability",
    },
    "memory": {
        "one_process_per_s": "ViT-B/32 images / s of one process",
        "two_processes_per_s": "ViT-B/32 images / s of two processes together",
        "two_processes_gain": "ratio",
        "out_of_memory": "encoding with too little memory",
        "after_out_of_memory_difference": "largest difference of vectors after it",
        "full_card": "`features` on 8 clips with 1 GiB of the card left",
    },
}


@dataclass(frozen=True)
class Target:
    """A number that a GPU should reach.

    Attributes:
        part: Part that measures it.
        key: Name of the number.
        limit: Smallest or largest good value.
        title: Description.
        is_least: Whether the limit is the smallest good value.
    """

    part: str
    key: str
    limit: float
    title: str
    is_least: bool = True

    def shortfall(self, numbers: Numbers) -> str:
        """Describe how a number falls short of the target; empty if it reaches it."""
        bound = f"{'at least' if self.is_least else 'below'} {self.limit:g}"
        value = numbers.get(self.key)
        if value is None:
            return f"{self.title}: not measured, expected {bound}"
        is_reached = value >= self.limit if self.is_least else value < self.limit
        return "" if is_reached else f"{self.title}: {shown(value)}, expected {bound}"


TARGETS = (
    Target("encoders", "clip_large_share", 0.5, "ViT-L/14, share of the matrix rate"),
    Target("encoders", "clip_base_share", 0.3, "ViT-B/32, share of the matrix rate"),
    Target(
        "features",
        "features_share_of_decoding",
        0.8,
        "features, share of the rate of decoding alone on all cores",
    ),
    Target("training", "training_s", 60, "training at LLP's size, s", is_least=False),
)


def shown(value: Any) -> str:
    """Format a number for the page; nothing if it was not measured."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def add_ratios(numbers: dict[str, Any]) -> dict[str, Any]:
    """Add the rate of the features job as a share of the rate of decoding."""
    job = numbers.get("features_videos_per_s")
    decoding = numbers.get("decode_videos_per_s")
    if job and decoding:
        numbers["features_share_of_decoding"] = job / decoding
    return numbers


def shortfalls(results: Mapping[str, Any]) -> list[str]:
    """List what falls short of the targets."""
    parts = results["parts"]
    texts = (
        target.shortfall(parts.get(target.part, {}).get("numbers", {}))
        for target in TARGETS
    )
    return [text for text in texts if text]


def page(results: Mapping[str, Any]) -> str:
    """Write the page of the results."""
    parts = results["parts"]
    card = parts.get("machine", {}).get("numbers", {}).get("card")
    size = "small trial" if results["small"] else "full size, random weights"
    lines = [f"# GPU: {card or results['device']}", "", f"A {size}; "]
    lines[-1] += f"{results['seconds']:.0f} s in all, `python benchmarks/bench_gpu.py`."
    lines += ["An empty cell was not measured.", ""]
    lines += ["What falls short of the targets for a GPU:", ""]
    lines += [f"- {text}" for text in shortfalls(results)] or ["- nothing"]
    for part, titles in ROWS.items():
        result = parts.get(part, {})
        numbers = result.get("numbers", {})
        lines += ["", f"## {part.capitalize()}", ""]
        lines += [f"{result.get('status', 'not begun')}.", ""]
        lines += ["| | |", "|---|---:|"]
        lines += [
            f"| {title} | {shown(numbers.get(key)).replace('|', '/')} |"
            for key, title in titles.items()
        ]
    return "\n".join(lines) + "\n"


def run_part(
    name: str, arguments: list[str], folder: Path, limit: float
) -> dict[str, Any]:
    """Run a part in its own process; keep its numbers if it fails or is too slow."""
    numbers_file, log = folder / f"{name}.json", folder / f"{name}.log"
    paths = [str(SCRIPT.parents[1] / "src"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, str(SCRIPT), "--part", name]
    command += ["--numbers", str(numbers_file), *arguments]
    start = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=limit)
            status = "done" if code == 0 else f"failed: {last_line(log)}"
        except subprocess.TimeoutExpired:
            status = f"ended after {limit:.0f} s"
        finally:
            end_group(process)
    numbers = {}
    if numbers_file.exists():
        numbers = json.loads(numbers_file.read_text(encoding="utf-8"))
    seconds = time.perf_counter() - start
    return {"status": status, "seconds": seconds, "numbers": add_ratios(numbers)}


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_line(log: Path) -> str:
    """Return the last line of a log, which names the error."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "without a message"


def run_all(options: argparse.Namespace) -> dict[str, Any]:
    """Run the parts, and write both files after each one."""
    start = time.perf_counter()
    results: dict[str, Any] = {
        "device": options.device,
        "small": options.small,
        "seconds": 0.0,
        "parts": {},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        arguments = ["--device", options.device, "--folder", str(folder)]
        arguments += ["--small"] if options.small else []
        for part in options.parts:
            limit = LIMITS[part] * options.patience
            result = run_part(part, arguments, Path(name), limit)
            print(f"{part}: {result['status']} ({result['seconds']:.0f} s)", flush=True)
            results["parts"][part] = result
            results["seconds"] = time.perf_counter() - start
            write(results, options.out)
    return results


def write(results: Mapping[str, Any], folder: Path) -> None:
    """Write the results as JSON and as a page."""
    text = json.dumps(results, indent=1) + "\n"
    (folder / "gpu.json").write_text(text, encoding="utf-8")
    (folder / "gpu.md").write_text(page(results), encoding="utf-8")


def finds_gpu() -> bool:
    """Return whether PyTorch finds a GPU."""
    import torch

    return torch.cuda.is_available()


def measure(options: argparse.Namespace) -> None:
    """Measure one part in this process, and write every number at once."""
    import gpu_parts

    numbers: dict[str, Any] = {}

    def record(key: str, value: Any) -> None:
        numbers[key] = value
        unfinished = options.numbers.with_suffix(".part")
        unfinished.write_text(json.dumps(numbers), encoding="utf-8")
        unfinished.replace(options.numbers)

    setup = gpu_parts.Setup(options.device, options.small, options.folder)
    gpu_parts.PARTS[options.part](setup, record)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--small", action="store_true", help="a trial of a minute")
    parser.add_argument(
        "--out", type=Path, help="folder of gpu.json and gpu.md [benchmarks/results]"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="folder of the models and clips; missing ones are made",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=1.0,
        help="factor of the limits of time, for slow or busy machines",
    )
    parser.add_argument(
        "--parts", nargs="+", choices=LIMITS, default=[*LIMITS], metavar="PART"
    )
    parser.add_argument("--part", choices=LIMITS, help=argparse.SUPPRESS)
    parser.add_argument("--numbers", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        measure(options)
        return
    if options.out is None:
        if options.small or options.device == "cpu":
            parser.error("a trial needs --out FOLDER")
        options.out = RESULTS
    if options.device != "cpu" and not finds_gpu():
        parser.error("PyTorch finds no GPU; try --small --device cpu --out FOLDER")
    results = run_all(options)
    for text in shortfalls(results) or ["nothing"]:
        print(f"falls short: {text}")
    print(options.out / "gpu.md")


if __name__ == "__main__":
    main()
