"""Measure the speed of the encoders in single and half precision, with PyTorch and with OpenVINO.

python benchmarks/bench_encoders.py [ENC…] [--device cpu] [--folder DIR] [--write]

Without ENC, a CLIP and a CLAP checkpoint of full size with random weights are made, in DIR if it is given. OpenVINO is
measured if it is installed. Rates are one-second segments per second of CPU time on one thread (of wall time on a GPU),
medians of interleaved rounds. The input is noise with the sizes of real media.
"""

import argparse
import importlib.metadata
import importlib.util
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from checkpoints import make_clap, make_clip
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import ClapFeatureExtractor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from vaplan import encoders
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.encoders import clap, clip, spectrogram
from vaplan.encoders.compute import HALF_DTYPES, Compute
from vaplan.media import Seconds, Segments

Work = Callable[[], Any]
RESULTS = Path(__file__).parent / "results" / "encoders.md"
ROUNDS, SECONDS, HEIGHT, WIDTH = 7, 10, 360, 640
SIDE = 1536  # of the matrices whose product gives the highest possible rate


def noise(rate_hz: int) -> Segments:
    """Make a video of random frames and random audio."""
    rng, length = np.random.default_rng(0), float(SECONDS)
    return Segments(
        frames=tuple(
            rng.integers(0, 256, size=(SECONDS, 1, HEIGHT, WIDTH, 3), dtype=np.uint8)
        ),
        waveform=rng.normal(0, 0.1, size=SECONDS * rate_hz).astype(np.float32),
        rate_hz=rate_hz,
        mask=np.ones((SECONDS, len(MODALITIES)), dtype=bool),
        seconds=Seconds(length, length, length),
    )


def preprocessings(
    encoder: encoders.Encoder, video: Segments
) -> tuple[Work, Work, float]:
    """Return the preprocessing of transformers, that of vaplan, and their largest difference."""
    settings = {
        key: value
        for key, value in encoder.provenance["preprocessing"].items()
        if not key.endswith("_type")
    }
    if isinstance(encoder, clip.ClipEncoder):
        images = CLIPImageProcessorPil(**settings)
        ours, theirs = (
            partial(our_pixels, encoder, video),
            partial(their_pixels, images, video),
        )
        levels = 255 * torch.tensor(images.image_std)[:, None, None]
        return theirs, ours, float(((ours() - theirs()) * levels).abs().max())
    extractor = ClapFeatureExtractor(**settings)
    ours, theirs = (
        partial(our_mels, encoder, video),
        partial(their_mels, extractor, video),
    )
    return theirs, ours, float((ours() - theirs()).abs().max())


def our_pixels(encoder: clip.ClipEncoder, video: Segments) -> Tensor:
    return torch.cat(
        [clip.preprocess(frames, encoder.preprocessing) for frames in video.frames]
    )


def their_pixels(processor: CLIPImageProcessorPil, video: Segments) -> Tensor:
    return processor(
        images=[frames[0] for frames in video.frames], return_tensors="pt"
    )["pixel_values"]


def our_mels(encoder: clap.ClapEncoder, video: Segments) -> Tensor:
    waveforms = (torch.from_numpy(video.audio(t))[None] for t in range(len(video)))
    return torch.cat(
        [
            spectrogram.log_mel(waveform, encoder.preprocessing, encoder.bank)
            for waveform in waveforms
        ]
    )


def their_mels(extractor: ClapFeatureExtractor, video: Segments) -> Tensor:
    waveforms = [video.audio(t) for t in range(len(video))]
    return extractor(
        waveforms, sampling_rate=extractor.sampling_rate, return_tensors="pt"
    )["input_features"][:, 0]


def seconds(work: Work, device: str) -> float:
    """Measure one call: its CPU seconds, or on a GPU the seconds until it is done."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start


def medians(works: Sequence[Work], device: str) -> np.ndarray:
    """Return the median seconds of each function over interleaved rounds, after one warm-up round."""
    return np.median(
        [[seconds(work, device) for work in works] for _ in range(ROUNDS + 1)][1:],
        axis=0,
    )


def highest_rate(device: str, precision: str) -> float:
    """Measure the operations per second of a product of large matrices."""
    a = torch.randn(
        SIDE, SIDE, device=device, dtype=HALF_DTYPES.get(precision, torch.float32)
    )
    return 2 * SIDE**3 / float(medians([lambda: a @ a], device)[0])


def preprocessing_row(name: str, modality: int) -> str:
    encoder = encoders.load(name, modality)
    theirs, ours, difference = preprocessings(encoder, noise(encoder.rate_hz or 8_000))
    library, own = 1e3 * medians([theirs, ours], "cpu") / SECONDS
    unit = "dB" if modality == AUDIO else "grey levels"
    numbers = (
        f"{library:.2f} | {own:.2f} | {own / library:.2f} | {difference:.1g} {unit}"
    )
    return f"| {shown(name)} | {MODALITIES[modality]} | {numbers} |"


def compute_settings(device: str) -> list[Compute]:
    """Return the devices and precisions to measure, PyTorch in fp32 first."""
    if device != "cpu":
        return [Compute(device, precision) for precision in ("fp32", *HALF_DTYPES)]
    backends = ["cpu", *(["openvino"] if importlib.util.find_spec("openvino") else [])]
    return [
        Compute(backend, precision)
        for backend in backends
        for precision in ("fp32", "bf16")
    ]


def versions(device: str) -> str:
    kinds = {compute.device for compute in compute_settings(device)}
    libraries = ["torch", "transformers", *(kinds & {"openvino"})]
    return ", ".join(
        f"{library} {importlib.metadata.version(library)}" for library in libraries
    )


def encoding_rows(name: str, modality: int, device: str) -> list[str]:
    settings = compute_settings(device)
    loaded = [encoders.load(name, modality, compute=compute) for compute in settings]
    video = noise(loaded[0].rate_hz or 8_000)
    first = [seconds(partial(encoder.embed, video), device) for encoder in loaded]
    vectors, flops = (
        [encoder.embed(video) for encoder in loaded],
        operations(loaded[0], video),
    )
    costs = (
        medians([partial(encoder.embed, video) for encoder in loaded], device) / SECONDS
    )
    rows = []
    for compute, first_call, cost, own in zip(
        settings, first, costs, vectors, strict=True
    ):
        share = flops / cost / highest_rate(device, compute.precision)
        cosine = float((own * vectors[0]).sum(axis=1).min())
        start = first_call - cost * SECONDS
        numbers = f"{1 / cost:.1f} | {costs[0] / cost:.2f} | {share:.0%} | {cosine:.5f} | {start:.1f}"
        rows.append(
            f"| {shown(name)} | {MODALITIES[modality]} | {compute.device} | {compute.precision} | {numbers} |"
        )
    return rows


def operations(encoder: Any, video: Segments) -> float:
    """Count the multiplications and additions of a segment, in matrix products and convolutions."""
    counter = FlopCounterMode(display=False)
    with counter:
        replace(encoder, batch_size=SECONDS).embed(video)
    return counter.get_total_flops() / SECONDS


def shown(name: str) -> str:
    kind, _, folder = name.partition(":")
    return f"{kind} {Path(folder).name}".strip()


def report(names: Sequence[str], device: str) -> str:
    kinds = {"embedded": (AUDIO, VISUAL), "clap": (AUDIO,), "clip": (VISUAL,)}
    pairs = [
        (name, modality) for name in names for modality in kinds[name.partition(":")[0]]
    ]
    where = "one CPU thread" if device == "cpu" else torch.cuda.get_device_name(device)
    instructions = ", ".join(
        key
        for key, is_available in torch.cpu.get_capabilities().items()
        if "bf16" in key and is_available
    )
    lines = [
        "# Encoders: time per second of video",
        "",
        f"Python {platform.python_version()}, {versions(device)},",
        f"{platform.machine()} ({instructions or 'no bf16'}). Medians of {ROUNDS} interleaved rounds over {SECONDS} s",
        f"of noise, {WIDTH} x {HEIGHT} pixels. ViT-B-32 and HTSAT have their full size and random weights.",
        "",
        "Preprocessing on one CPU thread: milliseconds per segment, and the largest difference between the results of",
        "vaplan and of transformers.",
        "",
        "| model | modality | transformers | vaplan | ratio | difference |",
        "|---|---|---:|---:|---:|---:|",
        *(preprocessing_row(*pair) for pair in pairs),
        "",
        f"Preprocessing and encoding on {where}. Columns: one-second segments per second; gain over fp32 of PyTorch;",
        f"share of the rate of PyTorch in a product of {SIDE} x {SIDE} matrices in the same precision; smallest cosine",
        "with the vectors of PyTorch in fp32; additional seconds for the first video.",
        "",
        "| model | modality | device | precision | segments / s | gain | share | cosine | first |",
        "|---|---|---|---|---:|---:|---:|---:|---:|",
        *(row for pair in pairs for row in encoding_rows(*pair, device)),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        metavar="ENC",
        nargs="*",
        help="encoders: embedded, clip:FOLDER or clap:FOLDER",
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--folder",
        type=Path,
        help="folder of the checkpoints; missing ones are made",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write the tables to benchmarks/results/{RESULTS.name}",
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as fresh:
        folder, names = options.folder or Path(fresh), options.names
        if not names:
            clip_folder, clap_folder = (
                make_clip(folder / "ViT-B-32"),
                make_clap(folder / "HTSAT"),
            )
            names = ["embedded", f"clip:{clip_folder}", f"clap:{clap_folder}"]
        text = report(names, options.device)
    print(text, end="")
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
