"""CLAP models: audio and prompts to vectors.

Options follow the folder or hub id, as in `clap:laion/clap-htsat-unfused?context=clip`:

- `padding` fills audio that is shorter than the model's window (10 s in the published models):
  `repeat` repeats it, `zeros` adds silence. The default is the setting of the model's
  preprocessor_config.json.
- `context=segment`, the default, encodes each segment separately, as the model was trained with
  whole clips.
- `context=clip` encodes windows of the whole audio. The model's tokens are averaged over each
  segment and projected. This is one pass a window instead of one a segment, and the vector of a
  segment depends on its neighbours. The projection was trained on means of whole windows only.

Source: Wu et al. 2023, arXiv 2211.06687.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from vaplan.arrays import AUDIO
from vaplan.encoders import pretrained
from vaplan.encoders.compute import AUTOMATIC, Compute
from vaplan.encoders.folders import errors_of
from vaplan.encoders.pretrained import Pretrained
from vaplan.encoders.spectrogram import AudioPreprocessing, log_mel, mel_bank
from vaplan.errors import EncoderError, unknown
from vaplan.media import Segments

BATCH_SIZE = 10
PADDINGS = {"repeat": "repeat", "zeros": "pad"}  # names of the library by our names
CONTEXTS = ("segment", "clip")
OPTIONS = {"padding": tuple(PADDINGS), "context": CONTEXTS}


@dataclass(frozen=True, eq=False)
class ClapEncoder:
    """A CLAP model that embeds each segment separately or in its context; see `Encoder`."""

    name: str
    pretrained: Pretrained
    preprocessing: AudioPreprocessing
    bank: Float64[Tensor, "frequency band"]
    frames_per_segment: int = 1
    batch_size: int = BATCH_SIZE
    modality: int = AUDIO
    context: str = "segment"

    @property
    def rate_hz(self) -> int:
        """Return the sample rate that it requires."""
        return self.preprocessing.rate_hz

    @property
    def dimension(self) -> int:
        """Return the size of a vector."""
        return self.pretrained.dimension

    @property
    def logit_scale(self) -> float:
        """Return the factor of cosines in the model's training."""
        return float(self.pretrained.model.logit_scale_a.exp())

    @property
    def provenance(self) -> dict[str, Any]:
        """Return the weights, preprocessing and versions that an embedding depends on."""
        settings = {"context": self.context} if self.context != "segment" else {}
        settings |= {"name": self.name, "padding": self.preprocessing.padding}
        return self.pretrained.provenance(**settings, batch_size=self.batch_size)

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment as a unit vector; zeros where audio is missing.

        Args:
            segments: Segments of one video, at `rate_hz`.
        """
        if segments.rate_hz != self.rate_hz:
            raise ValueError(
                f"{self.name} requires {self.rate_hz} Hz; the segments have {segments.rate_hz} Hz"
            )
        present = np.flatnonzero(segments.mask[:, AUDIO])
        rows = np.zeros((len(segments), self.dimension), np.float32)
        if len(present) and self.context == "clip":
            rows[present] = self._embed_in_context(segments)[present]
        elif len(present):
            waveforms = (segments.audio(t) for t in present.tolist())
            rows[present] = self.pretrained.vectors(
                self._encode_audio,
                self._inputs(waveforms),
                batch_size=self.batch_size,
            )
        return rows

    @property
    def is_stackable(self) -> bool:
        """Return whether the segments are encoded separately; see `Stackable`."""
        return self.context == "segment"

    def inputs(self, segments: Segments) -> Float32[Tensor, "segment view frame band"]:
        """Compute the spectrograms of all segments; see `Stackable`."""
        compute = self.pretrained.compute
        waveforms = [
            compute.upload(torch.from_numpy(np.ascontiguousarray(segments.audio(t))))
            for t in np.flatnonzero(segments.mask[:, AUDIO]).tolist()
        ]
        of_one_length = groupby(waveforms, key=len)
        spectrograms = [
            log_mel(torch.stack([*group]), self.preprocessing, self.bank)
            for _, group in of_one_length
        ]
        return torch.cat(spectrograms)[:, None].expand(-1, self._views, -1, -1)

    def encode(self, batch: Tensor) -> Tensor:
        """Encode spectrograms; see `Stackable`."""
        return self.pretrained.run_on_device(self._encode_audio, batch)

    def combine(
        self, segments: Segments, vectors: Float32[np.ndarray, "segment feature"]
    ) -> Float32[np.ndarray, "time feature"]:
        """Put the vectors of the segments in their places; see `Stackable`."""
        rows = np.zeros((len(segments), self.dimension), np.float32)
        rows[segments.mask[:, AUDIO]] = vectors
        return rows

    def text(self, prompts: Sequence[str]) -> Float32[np.ndarray, "prompt feature"]:
        """Embed each prompt as a unit vector.

        Args:
            prompts: Sentences.
        """
        return self.pretrained.text(prompts, batch_size=self.batch_size)

    def _inputs(
        self, waveforms: Iterator[Float32[np.ndarray, " sample"]]
    ) -> Iterator[Tensor]:
        for waveform in waveforms:
            samples = torch.from_numpy(np.ascontiguousarray(waveform))[None]
            spectrogram = log_mel(samples, self.preprocessing, self.bank)
            yield spectrogram.expand(self._views, -1, -1)

    @property
    def _views(self) -> int:
        """Return the number of views of a segment; a fused model reads it four times."""
        return 4 if self.preprocessing.fused else 1

    def _encode_audio(self, batch: Tensor) -> Tensor:
        output = self.pretrained.model.get_audio_features(
            input_features=batch, is_longer=_not_longer(batch)
        )
        return pretrained.projected_vectors(output)

    def _embed_in_context(
        self, segments: Segments
    ) -> Float32[np.ndarray, "time feature"]:
        """Embed every segment from the window of the audio that contains it."""
        waveform = _silence_missing(segments)
        rows = np.zeros((len(segments), self.dimension), np.float32)
        segment_samples = len(waveform) / len(segments)
        window_samples = self.preprocessing.samples
        window_segments = max(1, int(window_samples / segment_samples))
        window_segments = min(len(segments), window_segments)

        # Edges of the segments as shares of the window.
        edges = torch.arange(window_segments + 1) * (segment_samples / window_samples)

        for start in _window_starts(len(segments), window_segments):
            stop = start + window_segments
            first_sample = round(start * segment_samples)
            window = waveform[first_sample : round(stop * segment_samples)]
            rows[start:stop] = self._embed_window(window, edges)
        return rows

    def _embed_window(
        self, window: Float32[np.ndarray, " sample"], edges: Float[Tensor, " edge"]
    ) -> Float32[np.ndarray, "time feature"]:
        """Embed the segments between the edges of a window."""
        batch = next(self._inputs(iter([window])))[None]
        moments = self.pretrained.run(self._moments, batch)[0]
        projected = self.pretrained.run(
            self.pretrained.model.audio_projection,
            mean_between(moments, edges * len(moments)),
        )
        return pretrained.unit_rows(projected.numpy())

    def _moments(self, batch: Tensor) -> Float[Tensor, "sound moment feature"]:
        """Average the tokens of the audio tower over frequency, for each time step."""
        output = self.pretrained.model.audio_model(
            input_features=batch, is_longer=_not_longer(batch)
        )
        moments: Tensor = output.last_hidden_state.mean(dim=2).transpose(1, 2)
        return moments


def mean_between(
    tokens: Float[Tensor, "moment feature"], edges: Float[Tensor, " edge"]
) -> Float[Tensor, "time feature"]:
    """Average the tokens between neighbouring edges, weighted by their overlap.

    Args:
        tokens: Token k covers the time from k to k + 1.
        edges: Edges of the segments, in tokens.

    >>> mean_between(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0.0, 1.5, 3.0])).tolist()
    [[1.3333333730697632], [2.6666667461395264]]
    """
    start = torch.arange(len(tokens)).to(edges)
    overlap_end = torch.minimum(start + 1, edges[1:, None])
    overlap_start = torch.maximum(start, edges[:-1, None])
    weight = (overlap_end - overlap_start).clamp(min=0)
    return weight @ tokens / weight.sum(dim=1, keepdim=True)


def load(
    source: str,
    modality: int,
    *,
    frames_per_segment: int = 1,
    compute: Compute = AUTOMATIC,
    name: str = "",
) -> ClapEncoder:
    """Load a CLAP model; see `Loader`.

    Args:
        source: Folder or Hugging Face id, with options.
        modality: AUDIO.
        frames_per_segment: Has no effect on audio.
        compute: Device and precision.
        name: Name of the encoder, if it is not `clap:` and the source.

    Raises:
        EncoderError: The model cannot be loaded, or an option is unknown.
    """
    if modality != AUDIO:
        raise EncoderError(
            "a CLAP encoder embeds audio, not frames",
            fix="name a clip: encoder for the frames",
        )
    model, options = split_options(source)
    loaded = pretrained.load(model, "clap", compute=compute)
    with errors_of(loaded.folder):
        settings = AudioPreprocessing.from_config(loaded.preprocessing)
        bank = mel_bank(settings)
    if "padding" in options:
        settings = replace(settings, padding=PADDINGS[options["padding"]])
    return ClapEncoder(
        name=name or f"clap:{source}",
        pretrained=loaded,
        preprocessing=settings,
        bank=bank,
        frames_per_segment=frames_per_segment,
        context=options.get("context", CONTEXTS[0]),
    )


def split_options(source: str) -> tuple[str, dict[str, str]]:
    """Split a source into the folder or hub id and the options after the question mark.

    >>> split_options("laion/clap-htsat-unfused?padding=zeros")
    ('laion/clap-htsat-unfused', {'padding': 'zeros'})
    """
    model, _, query = source.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key, value in options.items():
        if key not in OPTIONS:
            raise EncoderError(unknown("option of a clap: encoder", key, OPTIONS))
        if value not in OPTIONS[key]:
            raise EncoderError(unknown(key, value, OPTIONS[key]))
    return model, options


def _not_longer(batch: Tensor) -> Tensor:
    """Return the flags of audio that is longer than the window: none is."""
    return torch.zeros(len(batch), 1, dtype=torch.bool, device=batch.device)


def _silence_missing(segments: Segments) -> Float32[np.ndarray, " sample"]:
    """Replace the samples of missing segments by silence."""
    waveform = segments.waveform.copy()
    for t in np.flatnonzero(~segments.mask[:, AUDIO]).tolist():
        start = round(t * segments.segment_seconds * segments.rate_hz)
        waveform[start : start + len(segments.audio(t))] = 0
    return waveform


def _window_starts(total: int, window: int) -> list[int]:
    """Return the first segments of windows that cover the audio; the last one ends with it.

    >>> _window_starts(25, 10), _window_starts(7, 10)
    ([0, 10, 15], [0])
    """
    return [*range(0, total - window, window), max(0, total - window)]
