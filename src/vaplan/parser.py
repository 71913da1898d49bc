"""Trained parsers: a run folder and a media file give a timeline."""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan import encoders, runs, training
from vaplan.arrays import AUDIO, Inputs, Prediction
from vaplan.encoders import Encoded, Encoder
from vaplan.encoders.compute import AUTO, AUTOMATIC, PLAIN, Compute
from vaplan.errors import RunError
from vaplan.media import CENTRE
from vaplan.runs import Run
from vaplan.taxonomy import Taxonomy, multi_hot
from vaplan.timeline import SegmentScores, Timeline, from_grid, missing_spans


class Parser:
    """A trained parser with its encoders.

    >>> parser = Parser.load("runs/mine")  # doctest: +SKIP
    >>> timeline = parser("dog.mp4")  # doctest: +SKIP

    Attributes:
        run: The trained run.
        encoders: The encoders of each modality.
    """

    def __init__(
        self, run: Run, encoders: tuple[tuple[Encoder, ...], tuple[Encoder, ...]]
    ) -> None:
        self.run = run
        self.encoders = encoders

    @classmethod
    def load(cls, folder: str | Path, *, compute: Compute = AUTOMATIC) -> "Parser":
        """Load a run and the encoders that it was trained with.

        Args:
            folder: Run folder of `vaplan train` or `vaplan fit`.
            compute: Device and precision of the encoders. A precision that is not given
                is the precision of the features that the run was trained on.

        Raises:
            RunError: The folder is not a finished run, or an encoder has other weights.
        """
        run = runs.load(Path(folder))
        audio, visual = (
            tuple(
                encoders.load(
                    name,
                    modality,
                    compute=_training_compute(run, name, modality, compute),
                )
                for name in names
            )
            for modality, names in enumerate(run.recipe.encoders)
        )
        for encoder in (*audio, *visual):
            _check_weights(run, encoder)
        return cls(run, (audio, visual))

    def __call__(
        self,
        path: str | Path,
        *,
        tags: Collection[str] | None = None,
        scores: bool = False,
    ) -> Timeline:
        """Parse a media file into a timeline of audio and visual events.

        Args:
            path: Media file.
            tags: Classes known to occur in the file; other classes are not marked.
            scores: Keep the probabilities of every segment in `Timeline.scores`.
        """
        sampling = self.run.inputs.get("sampling", CENTRE)
        encoded = encoders.encode(
            Path(path), [*chain(*self.encoders)], sampling=sampling
        )
        inputs = as_stored_inputs(encoded, audio_streams=len(self.encoders[AUDIO]))
        prediction = self.predict(inputs)
        marked = self.run.decide(prediction)[0]
        return make_timeline(
            Path(path),
            encoded,
            self.run.taxonomy,
            marked,
            prediction.segment[0],
            tags=tags,
            keep_scores=scores,
        )

    def predict(self, inputs: Inputs) -> Prediction:
        """Predict one video; a long one in half-overlapping windows.

        Windows have the length of the longest training video. Segment probabilities are
        averaged over windows; the probabilities of the video are their maximum.

        Args:
            inputs: Features of one video.
        """
        length = inputs.mask.shape[1]
        window = self.run.segments
        if length <= window:
            return training.predict(self.run.model, inputs)
        starts = list[int]()
        predictions = list[Prediction]()
        for start in window_starts(length, window):
            view = _cut(inputs, start, window)
            if view.mask.any():
                starts.append(start)
                predictions.append(training.predict(self.run.model, view))
        return _average_windows(starts, predictions, inputs.mask)


def _average_windows(
    starts: Sequence[int],
    predictions: Sequence[Prediction],
    mask: Bool[Tensor, "1 time modality"],
) -> Prediction:
    length = mask.shape[1]
    total = torch.zeros(1, length, *predictions[0].segment.shape[2:])
    count = torch.zeros(1, length, 1, 1)
    for start, prediction in zip(starts, predictions, strict=True):
        span = slice(start, start + prediction.mask.shape[1])
        total[:, span] += prediction.segment
        count[:, span] += 1
    modality = torch.stack([p.modality for p in predictions]).amax(dim=0)
    video = torch.stack([p.video for p in predictions]).amax(dim=0)
    return Prediction(total / count.clamp(min=1), modality, video, mask)


def as_stored_inputs(encoded: Encoded, *, audio_streams: int) -> Inputs:
    """Round the features of a file as a store does, so that both are parsed alike.

    Args:
        encoded: Features of one file.
        audio_streams: Number of audio feature arrays; they come first.
    """
    streams = tuple(
        torch.from_numpy(vectors.astype(np.float16).astype(np.float32))[None]
        for vectors in encoded.vectors
    )
    mask = torch.from_numpy(encoded.mask)[None]
    return Inputs((streams[:audio_streams], streams[audio_streams:]), mask)


def make_timeline(
    path: Path,
    encoded: Encoded,
    taxonomy: Taxonomy,
    marked: Bool[Tensor, "time modality class"],
    score: Float[Tensor, "time modality class"],
    *,
    tags: Collection[str] | None = None,
    keep_scores: bool = False,
) -> Timeline:
    """Turn marked segments into a timeline.

    Args:
        path: Media file, which names the timeline.
        encoded: Features of the file, for its missing spans and warnings.
        taxonomy: Names of the classes.
        marked: Decisions.
        score: Score of each segment; an event's score is their mean.
        tags: If given, only events of these classes are kept.
        keep_scores: Keep the scores of every segment in the timeline.
    """
    if tags is not None:
        marked = marked & torch.tensor(multi_hot([*tags], taxonomy))
    events = from_grid(marked.numpy(), taxonomy, score=score.numpy())
    missing = missing_spans(encoded.mask)
    segment_scores = None
    if keep_scores:
        segment_scores = SegmentScores(score.numpy(), encoded.mask, taxonomy.classes)
    return Timeline(
        path.stem,
        float(len(marked)),
        events,
        missing,
        encoded.warnings,
        segment_scores,
    )


def window_starts(length: int, window: int) -> Iterator[int]:
    """Yield the starts of half-overlapping windows; the last one ends with the video.

    Args:
        length: Number of segments of the video, at least `window`.
        window: Number of segments of a window.

    >>> list(window_starts(12, 5))
    [0, 2, 4, 6, 7]
    """
    yield from range(0, length - window, max(1, window // 2))
    yield length - window


def _cut(inputs: Inputs, start: int, window: int) -> Inputs:
    return inputs.map(lambda tensor: tensor[:, start : start + window])


def _training_compute(run: Run, name: str, modality: int, compute: Compute) -> Compute:
    """Fill in the precision of the features that the run was trained on."""
    key = f"precision of {encoders.store_name(name, modality)}"
    precision = run.inputs.get(key, PLAIN.precision)
    return compute.otherwise(Compute(AUTO, precision))


def _check_weights(run: Run, encoder: Encoder) -> None:
    """Raise RunError if the weights of an encoder have changed since the training."""
    name = encoders.store_name(encoder.name, encoder.modality)
    if run.inputs.get(f"weights of {name}") != encoder.provenance["weights_sha256"]:
        raise RunError(
            f"the weights of {name} have changed since this run was trained",
            file=run.folder,
            fix="restore those weights, or train again",
        )
