"""Encoder processes: the vectors of encoders of this process, after any death."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.encoders.conftest import noise
from vaplan import encoders, media
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders import remote, service
from vaplan.encoders.compute import AUTOMATIC, PLAIN, Compute
from vaplan.encoders.remote import EncoderClient, Model, Pipeline, RemoteEncoder, share
from vaplan.encoders.service import EncoderProcess, EncoderService, open_pipeline
from vaplan.encoders.stacking import Stacker
from vaplan.errors import EncoderError, UsageError
from vaplan.media import MediaArrays, Segments
from vaplan.workers.processes import run_in_order

TWO_CPUS = Compute("cpu,cpu")


class Cluster:
    """An engine of several machines."""

    def count_cores(self) -> int:
        return 2

    def __call__(
        self, work: Any, items: Any, *, count: int, seconds: Any, watch: Any = None
    ) -> Iterator[Any]:
        return iter(())


CLUSTER = Cluster()


@pytest.fixture(scope="module")
def pids() -> list[int]:
    return []


@pytest.fixture(scope="module")
def pipeline(pids: list[int]) -> Iterator[Pipeline]:
    """Run two encoder processes for this module."""
    start = EncoderProcess._start

    def noting(self: EncoderProcess) -> Any:
        started = start(self)
        if started:
            pids.append(started[0].pid or 0)
        return started

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EncoderProcess, "_start", noting)
        opened = open_pipeline(TWO_CPUS, pipeline=True, engine=run_in_order)
        with opened as addresses:
            assert addresses is not None
            yield addresses


@pytest.fixture
def connected(pipeline: Pipeline) -> Iterator[None]:
    remote.connect(pipeline)
    yield
    remote.connect(None)


@pytest.mark.usefixtures("connected")
def test_an_encoder_in_another_process_equals_one_in_this_process(
    clip_folder: Path, clap_folder: Path
) -> None:
    for name, modality in (
        (f"clip:{clip_folder}", VISUAL),
        (f"clap:{clap_folder}", AUDIO),
        (f"clap:{clap_folder}?context=clip", AUDIO),
    ):
        there = encoders.load(name, modality, compute=PLAIN)
        here = encoders.ENCODERS[name.partition(":")[0]](
            name.partition(":")[2], modality, frames_per_segment=1, compute=PLAIN
        )
        assert isinstance(there, RemoteEncoder)
        assert isinstance(there, encoders.Encoder)
        for seed in (1, 2):  # in both encoder processes
            segments = noise(13, seed=seed)
            assert there.embed(segments).tobytes() == here.embed(segments).tobytes()
        assert there.text(["a dog"]).tobytes() == here.text(["a dog"]).tobytes()
        for key in ("name", "modality", "dimension", "rate_hz", "logit_scale"):
            assert getattr(there, key) == getattr(here, key)
        assert there.provenance == here.provenance
        assert there.frames_per_segment == here.frames_per_segment


@pytest.mark.usefixtures("connected")
def test_an_error_of_the_encoder_process_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"config\.json|is no folder|empty"):
        encoders.load(f"clip:{tmp_path}", VISUAL)
    encoder = encoders.load("embedded", AUDIO)
    with pytest.raises(RuntimeError, match="ValueError: embedded requires"):
        encoder.embed(noise(1, seed=1).__class__(**vars(noise(1)) | {"rate_hz": 8_000}))


@pytest.mark.usefixtures("connected")
def test_a_killed_encoder_process_is_started_again(pids: list[int]) -> None:
    encoder, segments = encoders.load("embedded", VISUAL), noise(5)
    before = encoder.embed(segments)
    for _ in range(2):
        for pid in pids[-2:]:
            os.kill(pid, signal.SIGKILL)
        assert encoder.embed(segments).tobytes() == before.tobytes()
    assert len(pids) > 2


@pytest.mark.usefixtures("connected")
def test_at_most_two_chunks_of_a_file_are_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded, in_flight, unanswered = 0, [], []
    stream, start = media.stream, EncoderClient.start

    def counting(*arguments: Any, **options: Any) -> Iterator[Segments]:
        nonlocal decoded
        for chunk in stream(*arguments, chunk=4, **options):
            decoded += 1
            yield chunk

    def noting(self: EncoderClient, *arguments: Any) -> Any:
        wait = start(self, *arguments)
        unanswered.append(len(self._calls))
        return wait

    models = [encoders.load("embedded", modality) for modality in (AUDIO, VISUAL)]
    monkeypatch.setattr(encoders, "stream", counting)
    monkeypatch.setattr(EncoderClient, "start", noting)
    frames = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    film = MediaArrays(frames, times=np.arange(40.0))
    encoded = encoders.encode(
        film, models, advance=lambda done, _: in_flight.append(decoded - done // 4 + 1)
    )
    assert len(encoded) == 40
    assert max(in_flight) == 2
    assert max(unanswered) <= len(models)


def waiting(
    service_: EncoderService, clients: list[EncoderClient], videos: list[Segments]
) -> tuple[list[Any], list[Any]]:
    """Send a video from each client, and receive them all."""
    model = Model("embedded", AUDIO, 1, PLAIN)
    answers = [
        client.start(*share(model, video))
        for client, video in zip(clients, videos, strict=True)
    ]
    received = list[Any]()
    while len(received) < len(videos):
        received += service_.receive(block=True)
    return answers, received


@pytest.fixture
def service_(tmp_path: Path) -> Iterator[EncoderService]:
    """Return the work of an encoder process, to be done step by step in this process."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        yield EncoderService(listener)


@pytest.fixture
def clients(tmp_path: Path, service_: EncoderService) -> list[EncoderClient]:
    return [EncoderClient(str(tmp_path / "socket")) for _ in range(3)]


def test_on_a_gpu_the_videos_of_several_processes_share_batches(
    monkeypatch: pytest.MonkeyPatch,
    service_: EncoderService,
    clients: list[EncoderClient],
) -> None:
    videos = [noise(count, seed=count) for count in (1, 2, 3)]
    encoder = encoders.load("embedded", AUDIO)
    stacked = list[int]()
    launch = Stacker.launch

    def noting(self: Stacker, group: Any) -> Any:
        stacked.append(len(group))
        return launch(self, group)

    monkeypatch.setattr(Stacker, "launch", noting)
    monkeypatch.setattr(Compute, "is_gpu", True)
    answers, received = waiting(service_, clients, videos)
    for finish in service_.launch(received):
        finish()
    assert stacked == [3]
    for answer, video in zip(answers, videos, strict=True):
        assert (answer() * encoder.embed(video)).sum(axis=1).min() > 1 - 1e-5


def test_a_fault_of_one_video_in_a_shared_batch_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
    service_: EncoderService,
    clients: list[EncoderClient],
) -> None:
    monkeypatch.setattr(Compute, "is_gpu", True)
    good, bad = noise(2), noise(2)
    bad = Segments(**vars(bad) | {"waveform": np.zeros((0,), np.float32)})
    answers, received = waiting(service_, clients, [good, bad, good])
    assert service_.launch(received) == []
    with pytest.raises(RuntimeError):
        answers[1]()
    assert answers[0]().shape == answers[2]().shape


def test_a_decoder_that_dies_costs_no_other_one_its_answer(
    service_: EncoderService, clients: list[EncoderClient]
) -> None:
    answers, received = waiting(service_, clients, [noise(1)] * 3)
    clients[1].close()
    assert service_.launch(received) == []
    assert answers[0]().shape == answers[2]().shape
    service_.receive(block=True)
    assert len(service_.clients) == 2


def test_encoder_processes_are_used_where_they_pay_or_are_wanted() -> None:
    for compute, wanted, engine in (
        (PLAIN, None, run_in_order),
        (PLAIN, False, run_in_order),
        (AUTOMATIC, None, CLUSTER),
    ):
        with open_pipeline(compute, pipeline=wanted, engine=engine) as opened:
            assert opened is None


def test_a_cluster_and_several_devices_need_other_options() -> None:
    with (
        pytest.raises(UsageError, match="not a Ray cluster"),
        open_pipeline(PLAIN, pipeline=True, engine=CLUSTER),
    ):
        pass
    with (
        pytest.raises(UsageError, match="an encoder process each"),
        open_pipeline(TWO_CPUS, pipeline=None, engine=run_in_order),
    ):
        pass


def test_processes_end_with_the_job_and_leave_no_folder() -> None:
    with open_pipeline(PLAIN, pipeline=True, engine=run_in_order) as opened:
        assert opened is not None
        folder = Path(opened.addresses[0]).parent
        assert (
            EncoderClient(opened.addresses[0])
            .start(remote.TextRequest(Model("embedded", AUDIO, 1, PLAIN), ("dog",)))()
            .shape
        )
        children = psutil.Process().children(recursive=True)
        assert folder.is_dir()
    assert not folder.exists()
    assert any(not child.is_running() for child in children)


def test_a_process_that_cannot_start_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "serve", os._exit)  # its argument is no number
    with open_pipeline(PLAIN, pipeline=True, engine=run_in_order) as opened:
        assert opened is not None
        remote.connect(opened)
        with pytest.raises(Exception, match="or has ended"):
            encoders.load("embedded", AUDIO)
    remote.connect(None)
