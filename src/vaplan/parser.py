"""Trained parsers: a run folder and a media file give a timeline."""

from abc import ABC, abstractmethod
from collections.abc import (
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import chain, groupby
from operator import itemgetter, length_hint
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan import encoders, runs
from vaplan.arrays import AUDIO, Inputs, Prediction
from vaplan.encoders import Advance, Encoder
from vaplan.encoders.checkpoints import Checkpoint
from vaplan.encoders.compute import AUTO, AUTOMATIC, PLAIN, Compute
from vaplan.encoders.encoded import Encoded
from vaplan.errors import MediaError, RunError, UsageError, VaplanError
from vaplan.media import CENTRE, Media, MediaArrays, Segments
from vaplan.ragged import Ragged
from vaplan.runs import Run
from vaplan.taxonomy import Taxonomy, multi_hot
from vaplan.timeline import SegmentScores, Timeline, from_grid, missing_spans
from vaplan.workers import Progress
from vaplan.workers.read_ahead import read_ahead


class MediaParser(ABC):
    """A parser of media files, and of frames and waveforms in memory."""

    @property
    @abstractmethod
    def all_encoders(self) -> Sequence[Encoder]:
        """The encoders of both modalities, audio first."""

    @property
    def sampling(self) -> str:
        """Name of the frame sampling."""
        return CENTRE

    @abstractmethod
    def parse_features(
        self,
        encoded: Encoded,
        *,
        name: str,
        tags: Collection[str] | None = None,
        scores: bool = False,
    ) -> Timeline:
        """Parse the features of one video.

        Args:
            encoded: Features of `all_encoders`.
            name: Name of the timeline.
            tags: Classes known to occur in the video; other classes are not marked.
            scores: Keep the scores of every segment in `Timeline.scores`.
        """

    def __call__(
        self,
        media: Media,
        *,
        tags: Collection[str] | None = None,
        scores: bool = False,
        checkpoint: Checkpoint | None = None,
        advance: Advance | None = None,
    ) -> Timeline:
        """Parse one video into a timeline of audio and visual events.

        Args:
            media: Media file, or `MediaArrays`.
            tags: Classes known to occur in the video; other classes are not marked.
            scores: Keep the scores of every segment in `Timeline.scores`: probabilities of
                a trained parser, margins of a zero-shot classifier.
            checkpoint: Keeps the features of a long file on disk while it is encoded.
            advance: Called with the number of finished segments and of all.

        Raises:
            MediaError: The file cannot be decoded.
        """
        encoded = encoders.encode(
            media,
            self.all_encoders,
            sampling=self.sampling,
            checkpoint=checkpoint,
            advance=advance,
        )
        name = name_of(media)
        return self.parse_features(encoded, name=name, tags=tags, scores=scores)

    def parse_many(
        self,
        media: Iterable[Media],
        *,
        tags: Mapping[str, Collection[str]] | None = None,
        scores: bool = False,
        progress: Progress | None = None,
    ) -> Iterator[tuple[Media, Timeline | VaplanError]]:
        """Parse videos one after the other, and go on after a video that cannot be parsed.

        One thread decodes while the caller's thread encodes and parses. Memory does not
        grow with the number or the length of the files. To write the timelines of many
        files on all cores, use `vaplan.parse`.

        Args:
            media: Media files or `MediaArrays`. An iterator is read as the videos are
                parsed.
            tags: Classes known to occur, by file name without the ending or name of
                `MediaArrays`. A video without an entry may contain any class.
            scores: Keep the scores of every segment in `Timeline.scores`.
            progress: Called after every video.

        Yields:
            Each element of `media` in order, with its timeline, or with the error that
            names the file and the problem.

        Raises:
            UsageError: `media` is a single path.
        """
        if isinstance(media, str):
            raise UsageError(f"{media!r} is a single path", fix="give a list of paths")

        total = length_hint(media)
        chunks = read_ahead(self._decode_many(media))
        for (number, source), group in groupby(chunks, key=itemgetter(0, 1)):
            items = (item for _, _, item in group)
            name = name_of(source)
            outcome: Timeline | VaplanError
            try:
                encoded = encoders.encode_segments(_until_end(items), self.all_encoders)
                outcome = self.parse_features(
                    encoded, name=name, tags=(tags or {}).get(name), scores=scores
                )
            except Exception as error:  # noqa: BLE001 - an error of any kind costs one video
                outcome = _as_vaplan_error(error, source)

            if progress:
                problem = str(outcome) if isinstance(outcome, VaplanError) else ""
                progress(number + 1, total, problem)
            yield source, outcome

    def _decode_many(
        self, media: Iterable[Media]
    ) -> Generator[tuple[int, Media, Segments | Exception | None], None, None]:
        """Yield the number of each video, the video, and its segments in chunks.

        The last item of a video has None, or the exception of the decoder, in place of a
        chunk.
        """
        for number, source in enumerate(media):
            try:
                chunks = encoders.decode(
                    source, self.all_encoders, sampling=self.sampling
                )
                for chunk in chunks:
                    yield number, source, chunk
                yield number, source, None
            except Exception as error:  # noqa: BLE001 - raised again where it is handled
                yield number, source, error


def _until_end(items: Iterable[Segments | Exception | None]) -> Iterator[Segments]:
    """Yield the chunks of one video; raise the exception of its decoder."""
    for item in items:
        if item is None:
            return
        if isinstance(item, Exception):
            raise item
        yield item


def _as_vaplan_error(error: Exception, source: Media) -> VaplanError:
    if isinstance(error, VaplanError):
        return error
    file = source.name if isinstance(source, MediaArrays) else source
    problem = MediaError(f"{type(error).__name__}: {error}", file=file)
    problem.__cause__ = error
    return problem


def name_of(media: Media) -> str:
    """Return the name of a timeline: the name of the arrays, or of the file without its ending.

    Args:
        media: Media file, or arrays in memory.
    """
    return media.name if isinstance(media, MediaArrays) else Path(media).stem


class Parser(MediaParser):
    """A trained parser with its encoders.

    >>> parser = Parser.load("runs/mine")  # doctest: +SKIP
    >>> timeline = parser("dog.mp4")  # doctest: +SKIP
    >>> for path, result in parser.parse_many(["dog.mp4", "rain.mp4"]):  # doctest: +SKIP
    ...     print(path, result)  # a timeline, or the error of this file

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
    def load(
        cls,
        folder: str | Path,
        *,
        gate: float | None = None,
        thresholds: Mapping[str, float] | None = None,
        compute: Compute = AUTOMATIC,
    ) -> "Parser":
        """Load a run and the encoders that it was trained with.

        Args:
            folder: Run folder of `vaplan train` or `vaplan fit`.
            gate: Threshold of the gate: the probability of a class in the video from which
                its segments count; by default that of the run.
            thresholds: Segment thresholds by modality; by default those of the run.
            compute: Device and precision of the encoders. A precision that is not given
                is the precision of the features that the run was trained on.

        Raises:
            RunError: The folder is not a finished run, or an encoder has other weights.
        """
        run = runs.load(Path(folder)).with_decision(gate=gate, segments=thresholds)
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

    @property
    def all_encoders(self) -> Sequence[Encoder]:
        """The encoders of both modalities, audio first."""
        return [*chain(*self.encoders)]

    @property
    def sampling(self) -> str:
        """Name of the frame sampling that the run was trained with."""
        return self.run.inputs.get("sampling", CENTRE)

    def parse_features(
        self,
        encoded: Encoded,
        *,
        name: str,
        tags: Collection[str] | None = None,
        scores: bool = False,
    ) -> Timeline:
        """Parse the features of one video; see `MediaParser.parse_features`."""
        inputs = as_stored_inputs(encoded, audio_streams=len(self.encoders[AUDIO]))
        prediction = self.predict(inputs)
        marked = self.run.decide(prediction)[0]
        return make_timeline(
            name,
            encoded,
            self.run.taxonomy,
            marked,
            prediction.segment[0],
            tags=tags,
            keep_scores=scores,
        )

    def predict(self, inputs: Inputs) -> Prediction:
        """Predict one video; see `Run.predict`.

        Args:
            inputs: Features of one video.
        """
        return self.run.predict(Ragged.of(inputs)).batch()


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
    name: str,
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
        name: Name of the timeline.
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
        name,
        float(len(marked)),
        events,
        missing,
        encoded.warnings,
        segment_scores,
    )


def _training_compute(run: Run, name: str, modality: int, compute: Compute) -> Compute:
    """Fill in the precision of the features that the run was trained on."""
    key = f"precision of {encoders.store_name(name, modality)}"
    precision = run.inputs.get(key, PLAIN.precision)
    return compute.with_defaults(Compute(AUTO, precision))


def _check_weights(run: Run, encoder: Encoder) -> None:
    """Raise RunError if the weights of an encoder have changed since the training."""
    name = encoders.store_name(encoder.name, encoder.modality)
    if run.inputs.get(f"weights of {name}") != encoder.provenance["weights_sha256"]:
        raise RunError(
            f"the weights of {name} have changed since this run was trained",
            file=run.folder,
            fix="restore those weights, or train again",
        )
