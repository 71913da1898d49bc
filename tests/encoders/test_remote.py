"""Requests to an encoder process: shared memory, and repetition when the process dies."""

import os
import threading
from collections.abc import Iterator
from multiprocessing.connection import Listener
from multiprocessing.reduction import recv_handle
from pathlib import Path

import numpy as np
import pytest

from tests.encoders.conftest import noise
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders import remote
from vaplan.encoders.compute import PLAIN
from vaplan.encoders.remote import (
    MAX_REPEATS,
    Description,
    DescriptionRequest,
    EncoderClient,
    Model,
    Pipeline,
    RemoteEncoder,
    share,
)
from vaplan.errors import MachineError

MODELS = [Model("embedded", modality, 1, PLAIN) for modality in (AUDIO, VISUAL)]
DESCRIPTION = Description("embedded", AUDIO, 3, 48_000, 1, 100.0, {})


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    yield
    remote.connect(None)


@pytest.mark.parametrize("model", MODELS, ids=["audio", "visual"])
def test_shared_memory_has_the_arrays_of_the_modality(model: Model) -> None:
    whole = noise(3)
    request, memory = share(model, whole)
    assert len(request.content) < 2_000
    with memory:
        segments = request.read(os.dup(memory.fileno()))
    np.testing.assert_array_equal(segments.mask, whole.mask)
    if model.modality == AUDIO:
        np.testing.assert_array_equal(segments.waveform, whole.waveform)
        assert segments.frames == (None, None, None)
    else:
        np.testing.assert_array_equal(np.stack(segments.frames), np.stack(whole.frames))
        assert not len(segments.waveform)


def mortal(listener: Listener, deaths: int) -> None:
    """Answer with the loudness of the first segment, but only after some deaths."""
    while True:
        try:
            connection = listener.accept()
            number, request = connection.recv()
        except (OSError, EOFError):
            return
        with connection:
            if deaths:
                deaths -= 1
                continue
            segments = request.read(recv_handle(connection))
            connection.send((number, segments.audio(0).max()))


@pytest.mark.parametrize("deaths", [0, 1, MAX_REPEATS])
def test_a_request_is_repeated_when_the_process_dies(
    tmp_path: Path, deaths: int
) -> None:
    whole = noise(2)
    with Listener(str(tmp_path / "socket")) as listener:
        threading.Thread(target=mortal, args=(listener, deaths), daemon=True).start()
        client = EncoderClient(str(tmp_path / "socket"))
        assert client.start(*share(MODELS[0], whole))() == whole.audio(0).max()
        client.close()


def test_a_request_that_the_process_dies_of_is_given_up(tmp_path: Path) -> None:
    with Listener(str(tmp_path / "socket")) as listener:
        thread = threading.Thread(
            target=mortal, args=(listener, MAX_REPEATS + 1), daemon=True
        )
        thread.start()
        client = EncoderClient(str(tmp_path / "socket"))
        with pytest.raises(MachineError, match="died 4 times"):
            client.start(*share(MODELS[0], noise(2)))()


def test_without_an_encoder_process_a_request_fails_at_once(tmp_path: Path) -> None:
    client = EncoderClient(str(tmp_path / "socket"))
    with pytest.raises(MachineError, match="or has ended"):
        client.start(DescriptionRequest(MODELS[0]))


def test_an_encoder_on_the_cpu_is_remote_only_if_that_is_forced(tmp_path: Path) -> None:
    assert remote.load(MODELS[0]) is None
    remote.connect(Pipeline((str(tmp_path / "socket"),)))
    assert remote.load(MODELS[0]) is None
    remote.connect(Pipeline((str(tmp_path / "socket"),), is_forced=True))
    with pytest.raises(MachineError):
        remote.load(MODELS[0])


def test_segments_without_the_modality_need_no_encoder_process() -> None:
    whole = noise(2)
    whole.mask[:, AUDIO] = False
    encoder = RemoteEncoder(DESCRIPTION, MODELS[:1], [EncoderClient("nowhere")])
    assert encoder.embed(whole).tolist() == [[0, 0, 0]] * 2
