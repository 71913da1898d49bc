"""CLAP models: vectors of audio and prompts (Wu et al. 2023, arXiv 2211.06687).

Any ClapModel of the transformers library can be loaded. Options may follow the folder or Hub
id after a question mark, as in `clap:laion/clap-htsat-unfused?padding=zeros&context=clip`:

- `padding` extends audio that is shorter than the model's input (10 s in the published
  models): `repeat` repeats it, `zeros` adds silence. The default is the setting of the
  model's own preprocessor_config.json.
- `context=segment`, the default, encodes each segment alone, as whole clips were in the
  training.
  `context=clip` encodes the whole audio window by window, averages the tokens of the model
  over each segment, and projects them. That is one pass a window instead of one a segment,
  and a segment is encoded among its neighbours. But a token contains some of its
  surroundings, and the projection was trained on the mean of a whole window only: the vector
  is not that of the segment alone, and the same audio elsewhere in a video has another one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from vaplan.arrays import AUDIO
from vaplan.encoders import pretrained
from vaplan.encoders.compute import AUTO_COMPUTE, Compute
from vaplan.encoders.pretrained import Pretrained
from vaplan.encoders.spectrogram import AudioPreprocessing, log_mel, mel_bank
from vaplan.errors import EncoderError, unknown
from vaplan.media import Segments

BATCH_SIZE = 10
PADDINGS = {"repeat": "repeat", "zeros": "pad"}  # names of vaplan and of the library
CONTEXTS = ("segment", "clip")
OPTIONS = {"padding": tuple(PADDINGS), "context": CONTEXTS}
FUSED_VIEWS = 4  # a fused model takes short audio four times


@dataclass(frozen=True, eq=False)
class ClapEncoder:
    """A ClapModel that embeds each segment alone or in its context.

    Attributes:
        name: Name by which it was loaded.
        pretrained: The model.
        preprocessing: Settings of the spectrogram.
        bank: Mel filter bank of these settings.
        frames_per_segment: Not used; every encoder has it.
        batch_size: Number of segments, or prompts, of a batch.
        modality: AUDIO.
        context: `segment` or `clip`.
    """

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
        """The sample rate that segments must have."""
        return self.preprocessing.rate_hz

    @property
    def dimension(self) -> int:
        """The dimension of a vector."""
        return self.pretrained.dimension

    @property
    def logit_scale(self) -> float:
        """The factor of a cosine in the training of the model."""
        scale = self.pretrained.model.logit_scale_a.exp()
        return float(scale)

    @property
    def provenance(self) -> dict[str, Any]:
        """All that an embedding depends on."""
        settings = {"name": self.name, "padding": self.preprocessing.padding}
        if self.context != "segment":
            settings = {"context": self.context, **settings}
        return self.pretrained.provenance(**settings, batch_size=self.batch_size)

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment as a unit vector; zeros where audio is missing.

        Raises:
            ValueError: The segments have another sample rate.
        """
        if segments.rate_hz != self.rate_hz:
            raise ValueError(
                f"{self.name} needs audio at {self.rate_hz} Hz; "
                f"the segments have {segments.rate_hz} Hz"
            )
        present = np.flatnonzero(segments.mask[:, AUDIO])
        rows = np.zeros((len(segments), self.dimension), np.float32)
        if not len(present):
            return rows
        if self.context == "clip":
            rows[present] = self._embed_in_context(segments)[present]
        else:
            waveforms = (segments.sound(t) for t in present.tolist())
            rows[present] = self.pretrained.embed_rows(
                self._embed_batch,
                self._preprocess(waveforms),
                batch_size=self.batch_size,
            )
        return rows

    def embed_text(
        self, prompts: Sequence[str]
    ) -> Float32[np.ndarray, "prompt feature"]:
        """Embed each prompt as a unit vector."""
        return self.pretrained.embed_text(prompts, batch_size=self.batch_size)

    def _preprocess(
        self, waveforms: Iterator[Float32[np.ndarray, " sample"]]
    ) -> Iterator[Tensor]:
        """Yield the spectrograms of waveforms, as "view frame band"."""
        views = FUSED_VIEWS if self.preprocessing.fused else 1
        for samples in waveforms:
            waveform = torch.from_numpy(np.ascontiguousarray(samples))[None]
            spectrogram = log_mel(waveform, self.preprocessing, self.bank)
            yield spectrogram.expand(views, -1, -1)

    def _embed_batch(self, batch: Tensor) -> Tensor:
        output = self.pretrained.model.get_audio_features(
            input_features=batch, is_longer=_mark_as_short(batch)
        )
        return pretrained.unwrap_features(output)

    def _embed_in_context(
        self, segments: Segments
    ) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment from the tokens of the window that contains it."""
        waveform = _silence_missing_segments(segments)
        rows = np.zeros((len(segments), self.dimension), np.float32)
        segment_samples = len(waveform) / len(segments)
        segments_per_window = int(self.preprocessing.samples / segment_samples)
        window_length = min(len(segments), max(1, segments_per_window))
        segment_share = segment_samples / self.preprocessing.samples
        edges = torch.arange(window_length + 1) * segment_share  # in windows
        for start in _window_starts(len(segments), window_length):
            end = start + window_length
            first_sample = round(start * segment_samples)
            last_sample = round(end * segment_samples)
            window = waveform[first_sample:last_sample]
            rows[start:end] = self._embed_window(window, edges)
        return rows

    def _embed_window(
        self, window: Float32[np.ndarray, " sample"], edges: Float[Tensor, " edge"]
    ) -> Float32[np.ndarray, "time feature"]:
        (spectrogram,) = self._preprocess(iter([window]))
        (tokens,) = self.pretrained.run(self._time_tokens, spectrogram[None])
        means = average_between(tokens, edges * len(tokens))
        projection = self.pretrained.model.audio_projection
        vectors = self.pretrained.run(projection, means)
        return pretrained.normalise_rows(vectors.numpy())

    def _time_tokens(self, batch: Tensor) -> Float[Tensor, "window token feature"]:
        """Average the tokens of the audio tower over frequency, for each time step."""
        output = self.pretrained.model.audio_model(
            input_features=batch, is_longer=_mark_as_short(batch)
        )
        tokens: Tensor = output.last_hidden_state.mean(dim=2).transpose(1, 2)
        return tokens


def average_between(
    tokens: Float[Tensor, "token feature"], edges: Float[Tensor, " edge"]
) -> Float[Tensor, "time feature"]:
    """Average the tokens between neighbouring edges.

    The weight of a token is the part of it that lies between the edges.

    >>> edges = torch.tensor([0.0, 1.5, 3.0])
    >>> average_between(torch.tensor([[1.0], [2.0], [3.0]]), edges).tolist()
    [[1.3333333730697632], [2.6666667461395264]]

    Args:
        tokens: Token k reaches from position k to k + 1.
        edges: Positions, ascending.
    """
    token_start = torch.arange(len(tokens)).to(edges)
    start = torch.maximum(token_start, edges[:-1, None])
    end = torch.minimum(token_start + 1, edges[1:, None])
    weight = (end - start).clamp(min=0)
    return weight @ tokens / weight.sum(dim=1, keepdim=True)


def load(
    source: str,
    modality: int,
    *,
    frames_per_segment: int = 1,
    compute: Compute = AUTO_COMPUTE,
    name: str = "",
) -> ClapEncoder:
    """Load a ClapModel.

    Args:
        source: Folder or Hub id, with options after a question mark.
        modality: AUDIO.
        frames_per_segment: Not used; every encoder has it.
        compute: Device and precision.
        name: Name of the encoder; by default `clap:` and the source.

    Raises:
        EncoderError: The modality is visual, an option is unknown, or the model cannot be
            loaded.
    """
    if modality != AUDIO:
        raise EncoderError(
            "a CLAP encoder embeds audio and no frames",
            fix="name a clip: encoder for the frames",
        )
    folder_or_id, options = split_options(source)
    model = pretrained.load(folder_or_id, "clap", compute=compute)
    settings = AudioPreprocessing.from_config(model.preprocessing)
    if "padding" in options:
        settings = replace(settings, padding=PADDINGS[options["padding"]])
    return ClapEncoder(
        name=name or f"clap:{source}",
        pretrained=model,
        preprocessing=settings,
        bank=mel_bank(settings),
        frames_per_segment=frames_per_segment,
        context=options.get("context", CONTEXTS[0]),
    )


def split_options(source: str) -> tuple[str, dict[str, str]]:
    """Split a source into the folder or Hub id and the options after the question mark.

    >>> split_options("laion/clap-htsat-unfused?padding=zeros")
    ('laion/clap-htsat-unfused', {'padding': 'zeros'})

    Raises:
        EncoderError: An option or its value is unknown.
    """
    folder_or_id, _, query = source.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key, value in options.items():
        if key not in OPTIONS:
            raise EncoderError(unknown("option of a clap: encoder", key, OPTIONS))
        if value not in OPTIONS[key]:
            raise EncoderError(unknown(key, value, OPTIONS[key]))
    return folder_or_id, options


def _mark_as_short(batch: Tensor) -> Tensor:
    """Tell the model that no audio of the batch is longer than its input."""
    return torch.zeros(len(batch), 1, dtype=torch.bool, device=batch.device)


def _silence_missing_segments(
    segments: Segments,
) -> Float32[np.ndarray, " sample"]:
    """Replace the samples of missing segments by silence."""
    waveform = segments.waveform.copy()
    for t in np.flatnonzero(~segments.mask[:, AUDIO]).tolist():
        start = round(t * segments.segment_seconds * segments.rate_hz)
        end = start + len(segments.sound(t))
        waveform[start:end] = 0
    return waveform


def _window_starts(total: int, window: int) -> list[int]:
    """Return the starts of windows that cover all segments; the last one ends with them.

    >>> _window_starts(25, 10), _window_starts(7, 10)
    ([0, 10, 15], [0])
    """
    last_start = max(0, total - window)
    return [*range(0, last_start, window), last_start]
