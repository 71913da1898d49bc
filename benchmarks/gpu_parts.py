"""The parts of `bench_gpu.py`; each one measures one thing and records every number at once."""

import importlib.metadata
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

Record = Callable[[str, Any], None]
Work = Callable[[], Any]

RATE_SECONDS = 2.0  # in which a rate is measured
RENDER_SECONDS = 45.0  # after which no further clip is rendered
BUSY_MILLISECONDS = 200  # between two readings of the load of the GPU
FREE_BYTES = 1 << 30  # of the card that a job finds almost full


@dataclass(frozen=True)
class Setup:
    """What to measure.

    Attributes:
        device: `cuda` or `cpu`.
        small: Use tiny models and few videos, as a trial.
        folder: Folder of the checkpoints and clips.
    """

    device: str
    small: bool
    folder: Path

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    def synchronise(self) -> None:
        """Wait until the GPU has done its work."""
        if self.on_gpu:
            torch.cuda.synchronize()


# Rates


def rate(work: Work, setup: Setup) -> float:
    """Measure how often a function can be called in a second, after two calls to warm up."""
    limit = 0.05 if setup.small else RATE_SECONDS
    for _ in range(2):
        work()
    setup.synchronise()
    calls, start, spent = 0, time.perf_counter(), 0.0
    group = 1  # calls before the clock is read
    while spent < limit:
        for _ in range(group):
            work()
        setup.synchronise()
        calls += group
        spent = time.perf_counter() - start
        group = max(1, int(calls / spent * limit / 8))
    return calls / spent


def matrix_rate(setup: Setup, dtype: torch.dtype) -> float:
    """Measure the operations per second of a product of large matrices."""
    side = 8192 if setup.on_gpu else 1536
    if setup.small:
        side = 256
    a, b = (torch.randn(side, side, device=setup.device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(a)
    return 2 * side**3 * rate(lambda: torch.mm(a, b, out=product), setup)


def machine(setup: Setup, record: Record) -> None:
    """Describe the machine and measure its rate in products of matrices."""
    record("processor", _processor())
    record("cores", len(os.sched_getaffinity(0)))
    record("python", platform.python_version())
    record("torch", torch.__version__)
    if setup.on_gpu:
        properties = torch.cuda.get_device_properties(setup.device)
        record("card", properties.name)
        record("cards", torch.cuda.device_count())
        record("memory_gb", properties.total_memory / 1e9)
        record("driver", _query("driver_version"))
        record("cuda", torch.version.cuda)
    for name, dtype in {"bf16": torch.bfloat16, "fp32": torch.float32}.items():
        record(f"matrix_{name}_tflops", matrix_rate(setup, dtype) / 1e12)
    record("transformers", importlib.metadata.version("transformers"))


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _card() -> str:
    """Return the number or id by which the driver's program knows the first visible card."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0] or "0"


def _query(field: str) -> str | None:
    """Ask the driver's program for a property of the card."""
    command = ["nvidia-smi", f"--query-gpu={field}", "--format=csv,noheader"]
    command += ["-i", _card()]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else None


# Encoders


def encoder_name(model: str, setup: Setup) -> str:
    """Return the name of an encoder whose checkpoint is made if it is missing."""
    import checkpoints

    makers = {
        "clip_base": checkpoints.make_clip,
        "clip_large": checkpoints.make_large_clip,
        "clap": checkpoints.make_clap,
    }
    if setup.small:
        makers = {
            "clip_base": checkpoints.make_small_clip,
            "clip_large": checkpoints.make_small_clip,
            "clap": checkpoints.make_small_clap,
        }
    return f"{model.partition('_')[0]}:{makers[model](setup.folder / model)}"


def load_encoder(
    model: str, setup: Setup, precision: str = "auto", device: str = ""
) -> Any:
    """Load an encoder with random weights."""
    from vaplan import encoders
    from vaplan.arrays import AUDIO, VISUAL
    from vaplan.encoders.compute import Compute

    modality = AUDIO if model == "clap" else VISUAL
    compute = Compute(device or setup.device, precision)
    return encoders.load(encoder_name(model, setup), modality, compute=compute)


def tower_of(encoder: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the function that encodes a batch of inputs on the device."""
    encode = _encode_of(encoder)

    def run(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), encoder.pretrained.compute.autocast():
            return encode(batch)

    return run


def input_of(encoder: Any) -> torch.Tensor:
    """Return the input of one segment, preprocessed from noise."""
    if encoder.rate_hz:
        waveform = np.random.default_rng(0).normal(0, 0.1, encoder.rate_hz)
        return next(encoder._inputs(iter([waveform.astype(np.float32)])))
    return torch.randn(3, *encoder.preprocessing.crop)


def encoders(setup: Setup, record: Record) -> None:
    """Measure the rates of the encoders, and their shares of the rate of a product."""
    sizes = (2, 4) if setup.small else (10, 64, 256, 512)
    precision = "bf16" if setup.on_gpu else "fp32"
    record("precision", precision)
    dtype = torch.bfloat16 if setup.on_gpu else torch.float32
    highest = matrix_rate(setup, dtype)
    for model in ("clip_base", "clip_large", "clap"):
        encoder = load_encoder(model, setup, precision)
        run, one = tower_of(encoder), input_of(encoder)
        flops = _operations(run, one[None].to(setup.device))
        record(f"{model}_gflop", flops / 1e9)

        best = 0.0
        for size in sizes:
            batch = one.expand(size, *one.shape).contiguous().to(setup.device)
            segments = size * rate(partial(run, batch), setup)
            record(f"{model}_per_s_{size}", segments)
            if segments > best:
                best = segments
                record(f"{model}_per_s", best)
                record(f"{model}_batch", size)
                record(f"{model}_share", best * flops / highest)
            del batch

        batch = one.expand(encoder.batch_size, *one.shape).contiguous()
        with_copies = partial(encoder.pretrained.run, _encode_of(encoder), batch)
        copied = encoder.batch_size * rate(with_copies, setup)
        record(f"{model}_per_s_with_copies", copied)
        video = noise(encoder)
        embedded = len(video) * rate(partial(encoder.embed, video), setup)
        record(f"{model}_per_s_embed", embedded)
        del encoder, run, with_copies
        if setup.on_gpu:
            torch.cuda.empty_cache()


def _encode_of(encoder: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    return getattr(encoder, "_encode_images", None) or encoder._encode_audio


def _operations(run: Callable[[torch.Tensor], Any], batch: torch.Tensor) -> float:
    """Count the multiplications and additions in matrix products and convolutions."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        run(batch)
    return float(counter.get_total_flops()) / len(batch)


def noise(encoder: Any, seconds: int = 20, seed: int = 0) -> Any:
    """Make the segments of a video of random frames and random audio."""
    from vaplan.arrays import MODALITIES
    from vaplan.media import Seconds, Segments

    generator, length = np.random.default_rng(seed), float(seconds)
    shape, rate_hz = (seconds, 1, 360, 640, 3), encoder.rate_hz or 8_000
    return Segments(
        frames=tuple(generator.integers(0, 256, size=shape, dtype=np.uint8)),
        waveform=generator.normal(0, 0.1, seconds * rate_hz).astype(np.float32),
        rate_hz=rate_hz,
        mask=np.ones((seconds, len(MODALITIES)), dtype=bool),
        seconds=Seconds(length, length, length),
    )


# Features of a folder


def features(setup: Setup, record: Record) -> None:
    """Measure the job of `vaplan features` on rendered clips, and its parts alone."""
    from vaplan import stages
    from vaplan.encoders.compute import Compute

    cores = len(os.sched_getaffinity(0))
    names = (encoder_name("clap", setup),), (encoder_name("clip_base", setup),)
    files = _render(6 if setup.small else 500, setup.folder / "clips", cores)
    record("clips", len(files))
    record("decode_videos_per_s", _decoding_rate(files, cores))

    start, finished = time.perf_counter(), deque[float]()

    def progress(done: int, *_: Any) -> None:
        finished.append(time.perf_counter() - start)
        record("features_start_s", finished[0])
        if done > 1:
            seconds = finished[-1] - finished[0]
            record("features_videos_per_s", (done - 1) / seconds)

    with tempfile.TemporaryDirectory() as store, _load_of_card(setup) as readings:
        outcome = stages.features(
            _annotations(files),
            files[0].parent,
            Path(store) / "store",
            encoders=names,
            workers=min(cores, len(files)),
            compute=Compute(setup.device),
            progress=progress,
        )
        record("features_seconds", time.perf_counter() - start)
    record("features_done", outcome.done)
    record("features_failed", len(outcome.failed))
    if outcome.failed:
        record("features_reason", outcome.failed[0][1])
    busy = [
        load
        for moment, load, _ in readings
        if finished and finished[0] <= moment - start <= finished[-1]
    ]
    if busy:
        record("gpu_busy_share", statistics.mean(busy) / 100)
    if readings:
        record("gpu_memory_gb", max(memory for *_, memory in readings) / 1e3)


def _annotations(files: Sequence[Path]) -> Any:
    from vaplan.annotations import Annotations, Video
    from vaplan.taxonomy import Taxonomy

    videos = tuple(Video(file.stem) for file in files)
    return Annotations(Taxonomy(("any",)), videos, source=files[0])


def _render(count: int, folder: Path, workers: int) -> list[Path]:
    """Render clips for a limited time; those that exist count too."""
    from vaplan import synthetic

    folder.mkdir(parents=True, exist_ok=True)
    clips = synthetic.plan_clips({"bench": count}, seed=0)
    start = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = deque[Future[Path]]()
        for number, clip in enumerate(clips):
            if time.perf_counter() - start > RENDER_SECONDS:
                break
            if len(waiting) > 2 * workers:
                waiting.popleft().result()
            path = folder / f"{number:06}.mp4"
            if not path.exists():
                waiting.append(pool.submit(synthetic.write, clip, path))
    return sorted(folder.glob("*.mp4"))[:count]


def _decode(file: Path) -> None:
    from vaplan import media

    sampling = media.Sampling(48_000, every_frame=False)
    deque(media.stream(file, sampling), maxlen=0)


def _decoding_rate(files: Sequence[Path], workers: int) -> float:
    """Measure the files per second that processes on all cores decode and do nothing with."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        warm_up = [pool.submit(_decode, files[0]) for _ in range(4 * workers)]
        for future in as_completed(warm_up):
            future.result()
        start = time.perf_counter()
        for future in as_completed([pool.submit(_decode, file) for file in files]):
            future.result()
        return len(files) / (time.perf_counter() - start)


@contextmanager
def _load_of_card(setup: Setup) -> Iterator[list[tuple[float, float, float]]]:
    """Read the moment, the load in percent and the used megabytes of the card, repeatedly."""
    readings = list[tuple[float, float, float]]()
    if not setup.on_gpu:
        yield readings
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used"]
    command += ["--format=csv,noheader,nounits", "-i", _card()]
    command += ["-lms", str(BUSY_MILLISECONDS)]
    try:
        program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except OSError:
        yield readings
        return

    def read() -> None:
        for line in program.stdout or ():
            try:
                load, memory = map(float, line.split(","))
            except ValueError:
                continue
            readings.append((time.perf_counter(), load, memory))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield readings
    finally:
        program.terminate()
        program.wait()
        thread.join(timeout=5)


# Training


def training(setup: Setup, record: Record) -> None:
    """Train HAN on features of the size of LLP."""
    from bench_training import LOSSES, data, network

    from vaplan.training import Training, fit

    videos, epochs = (64, 2) if setup.small else (10_000, 40)
    inputs, target = data(videos)
    settings = Training(epochs=epochs, batch_size=64, device=setup.device)
    record("videos", videos)
    record("epochs", epochs)
    start, ends = time.perf_counter(), list[float]()

    def on_epoch(_: dict[str, float]) -> None:
        ends.append(time.perf_counter() - start)
        record("first_epoch_s", ends[0])
        record("epochs_done", len(ends))
        if len(ends) > 1:
            record("epoch_s", (ends[-1] - ends[0]) / (len(ends) - 1))

    fit(
        network(),
        inputs,
        target,
        settings=settings,
        losses=LOSSES,
        on_epoch=on_epoch,
    )
    setup.synchronise()
    record("training_s", time.perf_counter() - start)
    if setup.on_gpu:
        record("training_memory_gb", torch.cuda.max_memory_allocated() / 1e9)


# Equality of devices


def agreement(setup: Setup, record: Record) -> None:
    """Compare vectors and predictions of the device with those of the CPU in fp32."""
    from bench_training import data, network

    from vaplan.training import predict

    precisions = ("fp32", "bf16", "fp16") if setup.on_gpu else ("fp32", "bf16")
    for model in ("clip_base", "clap"):
        reference = load_encoder(model, setup, "fp32", device="cpu")
        video = noise(reference, seconds=10)
        expected = reference.embed(video)
        for precision in precisions:
            encoder = load_encoder(model, setup, precision)
            vectors = encoder.embed(video)
            difference = float(np.abs(vectors - expected).max())
            record(f"{model}_{precision}_difference", difference)
            cosine = float((vectors * expected).sum(axis=1).min())
            record(f"{model}_{precision}_cosine", cosine)
            record(f"{model}_{precision}_neighbours", _effect_of_batch(encoder, setup))

    parser, (inputs, _) = network().eval(), data(64 if setup.small else 640)
    expected = predict(parser, inputs)
    probability = predict(parser.to(setup.device), inputs)
    for name in ("segment", "video"):
        theirs, ours = getattr(expected, name), getattr(probability, name)
        record(f"{name}_difference", float((ours.cpu() - theirs).abs().max()))


def _effect_of_batch(encoder: Any, setup: Setup) -> float:
    """Return one minus the smallest cosine of a row alone and among other rows."""
    run, one = tower_of(encoder), input_of(encoder)
    generator = torch.Generator().manual_seed(0)
    rows = one + 0.1 * torch.randn(8, *one.shape, generator=generator)
    together = run(rows.to(setup.device)).float().cpu()
    alone = torch.cat([run(row[None].to(setup.device)).float().cpu() for row in rows])
    return float(1 - torch.cosine_similarity(together, alone).min())


# Memory, and two processes


def memory(setup: Setup, record: Record) -> None:
    """Measure what a full card does to an encoder and to a job, and two processes on it."""
    _two_processes(setup, record)
    if setup.on_gpu:
        _small_share(setup, record)
        _full_card(setup, record)


def _two_processes(setup: Setup, record: Record) -> None:
    """Measure the rate of one process, and of two at the same time."""
    alone = sum(_rates_of(1, setup))
    record("one_process_per_s", alone)
    together = sum(_rates_of(2, setup))
    record("two_processes_per_s", together)
    record("two_processes_gain", together / alone)


def _rates_of(count: int, setup: Setup) -> list[float]:
    context = get_context("spawn")
    barrier = context.Barrier(count)
    with ProcessPoolExecutor(
        count, mp_context=context, initializer=_keep, initargs=(barrier,)
    ) as pool:
        return [*pool.map(_process_rate, [setup] * count)]


def _keep(barrier: Any) -> None:
    globals()["BARRIER"] = barrier


def _process_rate(setup: Setup) -> float:
    """Measure the images per second of a process that begins together with the others."""
    encoder = load_encoder("clip_base", setup)
    size = 2 if setup.small else 64
    batch = input_of(encoder).expand(size, -1, -1, -1).contiguous().to(setup.device)
    work = partial(tower_of(encoder), batch)
    work()
    setup.synchronise()
    globals()["BARRIER"].wait(timeout=30)
    return size * rate(work, setup)


def _small_share(setup: Setup, record: Record) -> None:
    """Encode with too little memory, and again with enough."""
    encoder = load_encoder("clip_base", setup)
    video = noise(encoder, seconds=40)
    expected = encoder.embed(video)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(setup.device).total_memory
    used = torch.cuda.memory_reserved() + (1 << 20)
    torch.cuda.set_per_process_memory_fraction(used / total)
    record("out_of_memory", _result_of(partial(encoder.embed, video)))
    torch.cuda.set_per_process_memory_fraction(1.0)
    difference = float(np.abs(encoder.embed(video) - expected).max())
    record("after_out_of_memory_difference", difference)


def _full_card(setup: Setup, record: Record) -> None:
    """Run a job while another process has all but a little of the card."""
    from vaplan import stages
    from vaplan.encoders.compute import Compute

    files = _render(8, setup.folder / "clips", 4)
    names = (encoder_name("clap", setup),), (encoder_name("clip_base", setup),)
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    occupied = torch.empty(max(0, free - FREE_BYTES), dtype=torch.uint8, device="cuda")
    with tempfile.TemporaryDirectory() as store:
        job = partial(
            stages.features,
            _annotations(files),
            files[0].parent,
            Path(store) / "store",
            encoders=names,
            workers=1,
            compute=Compute(setup.device),
        )
        record("full_card", _result_of(job))
    del occupied


def _result_of(work: Work) -> str:
    """Describe the result of a job, or the error."""
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - the kind of error is the result
        lines = str(error).splitlines() or [""]
        return f"{type(error).__name__}: {lines[0][:200]}"
    if hasattr(result, "failed"):
        reason = f": {result.failed[0][1][:200]}" if result.failed else ""
        return f"{result.done} done, {len(result.failed)} failed{reason}"
    return "encoded"


PARTS: dict[str, Callable[[Setup, Record], None]] = {
    "machine": machine,
    "encoders": encoders,
    "features": features,
    "training": training,
    "agreement": agreement,
    "memory": memory,
}
