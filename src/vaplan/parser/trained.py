"""A trained parser for any file: run folder + media file -> Timeline."""

from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path

import torch

from vaplan import encoders, runs, training
from vaplan.arrays import AUDIO, Inputs, Prediction
from vaplan.encoders import Encoder
from vaplan.encoders.compute import AUTO, AUTOMATIC, PLAIN, Compute
from vaplan.errors import RunError
from vaplan.media import CENTRE
from vaplan.parser.files import as_timeline, stored_inputs
from vaplan.runs import Run
from vaplan.timeline import Timeline


class Parser:
    """Turns media files into timelines.

    >>> parser = Parser.load("runs/mine")  # doctest: +SKIP
    >>> timeline = parser("dog.mp4")  # doctest: +SKIP
    """

    def __init__(
        self, run: Run, loaded: tuple[tuple[Encoder, ...], tuple[Encoder, ...]]
    ) -> None:
        self.run, self.encoders = run, loaded

    @classmethod
    def load(cls, folder: str | Path, *, compute: Compute = AUTOMATIC) -> "Parser":
        """Load the run and the encoders it was trained with; a precision that is left open is that of its features."""
        run = runs.load(Path(folder))
        audio, visual = (
            tuple(
                encoders.load(
                    name, modality, compute=_trained_with(run, name, modality, compute)
                )
                for name in names
            )
            for modality, names in enumerate(run.recipe.encoders)
        )
        for encoder in (*audio, *visual):
            _check_weights(run, encoder)
        return cls(run, (audio, visual))

    def __call__(
        self, path: str | Path, *, tags: Collection[str] | None = None
    ) -> Timeline:
        """Say what is heard and what is seen in a file, and when; with `tags`, of these classes alone."""
        sampling = self.run.inputs.get("sampling", CENTRE)
        encoded = encoders.encode(
            Path(path), [*chain(*self.encoders)], sampling=sampling
        )
        prediction = self.predict(
            stored_inputs(encoded, heard=len(self.encoders[AUDIO]))
        )
        marked = self.run.decide(prediction)[0]
        return as_timeline(
            Path(path),
            encoded,
            self.run.taxonomy,
            marked,
            prediction.segment[0],
            tags=tags,
        )

    def predict(self, inputs: Inputs) -> Prediction:
        """What the network says of one video; a long one is seen in half-overlapping windows of the training length.

        Segment probabilities are averaged over windows; the video is as sure as its surest window.
        """
        length, window = inputs.mask.shape[1], self.run.segments
        if length <= window:
            return training.predict(self.run.model, inputs)
        starts = list(window_starts(length, window))
        views = [_cut(inputs, start, window) for start in starts]
        said = [
            training.predict(self.run.model, view) for view in views if view.mask.any()
        ]
        kept = [
            start for start, view in zip(starts, views, strict=True) if view.mask.any()
        ]
        summed, seen = (
            torch.zeros(1, length, *said[0].segment.shape[2:]),
            torch.zeros(1, length, 1, 1),
        )
        for start, view in zip(kept, said, strict=True):
            summed[:, start : start + window] += view.segment
            seen[:, start : start + window] += 1
        modality, video = (
            torch.stack([getattr(p, name) for p in said]).amax(dim=0)
            for name in ("modality", "video")
        )
        return Prediction(summed / seen.clamp(min=1), modality, video, inputs.mask)


def _trained_with(run: Run, name: str, modality: int, compute: Compute) -> Compute:
    said = run.inputs.get(
        f"precision of {encoders.store_name(name, modality)}", PLAIN.precision
    )
    return compute.otherwise(Compute(AUTO, said))


def _check_weights(run: Run, encoder: Encoder) -> None:
    """Refuse an encoder whose weights are not those of the features that the run was trained on."""
    name = encoders.store_name(encoder.name, encoder.modality)
    if run.inputs.get(f"weights of {name}") != encoder.provenance["weights_sha256"]:
        what = f"{name} has other weights now than when this run was trained"
        raise RunError(
            what, file=run.folder, fix="bring those weights back, or train again"
        )


def window_starts(length: int, window: int) -> Iterator[int]:
    """Where windows begin that overlap by half and cover everything; the last one ends with the video.

    >>> list(window_starts(12, 5))
    [0, 2, 4, 6, 7]
    """
    yield from range(0, length - window, max(1, window // 2))
    yield length - window


def _cut(inputs: Inputs, start: int, window: int) -> Inputs:
    audio, visual = (
        tuple(stream[:, start : start + window] for stream in streams)
        for streams in inputs.streams
    )
    return Inputs((audio, visual), inputs.mask[:, start : start + window])
