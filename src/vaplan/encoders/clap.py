"""Any ClapModel: sounds and sentences to vectors (Wu et al. 2023, arXiv 2211.06687).

Behind the folder or hub id may stand `?padding=…` and `&context=…`, as in
`clap:laion/clap-htsat-unfused?context=clip`:

- `padding` fills a sound that is shorter than the model's window (10 s in the published models):
`repeat` repeats it,
  `zeros` adds silence. Without it, it is as the model's own preprocessor_config.json says.
- `context=segment`, the default, plays each segment to the model by itself, as whole clips were
in its training.
  `context=clip` plays the whole sound, a window at a time; what the model makes of every moment
  is averaged over each segment and projected. That is one pass instead of one a segment, and a
  segment is heard among its neighbours. But a moment's token holds some of what lies around it,
  and the projection was trained on the mean of a whole window only: it is not the vector of the
  segment's own sound, and the same sound elsewhere in a video has another one.
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
from vaplan.encoders.compute import AUTOMATIC, Compute
from vaplan.encoders.pretrained import Pretrained
from vaplan.encoders.spectrogram import SoundPreprocessing, log_mel, mel_bank
from vaplan.errors import EncoderError, unknown
from vaplan.media import Segments

BATCH_SIZE = 10
PADDINGS = {"repeat": "repeat", "zeros": "pad"}  # our names and the library's
CONTEXTS = ("segment", "clip")
OPTIONS = {"padding": tuple(PADDINGS), "context": CONTEXTS}


@dataclass(frozen=True, eq=False)
class ClapEncoder:
    """A ClapModel that embeds each segment alone or in its context."""

    name: str
    pretrained: Pretrained
    preprocessing: SoundPreprocessing
    bank: Float64[Tensor, "frequency band"]
    frames_per_segment: int = 1
    batch_size: int = BATCH_SIZE
    modality: int = AUDIO
    context: str = "segment"

    @property
    def rate_hz(self) -> int:
        """The sample rate its segments must have."""
        return self.preprocessing.rate_hz

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self.pretrained.dimension

    @property
    def logit_scale(self) -> float:
        """The factor the model was trained to multiply a cosine with."""
        return float(self.pretrained.model.logit_scale_a.exp())

    @property
    def provenance(self) -> dict[str, Any]:
        """Everything an embedding depends on."""
        settings = {"context": self.context} if self.context != "segment" else {}
        settings |= {"name": self.name, "padding": self.preprocessing.padding}
        return self.pretrained.provenance(**settings, batch_size=self.batch_size)

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """One unit vector a segment; zeros where there was no sound."""
        if segments.rate_hz != self.rate_hz:
            raise ValueError(
                f"{self.name} listens at {self.rate_hz} Hz; the segments have {segments.rate_hz} Hz"
            )
        present = np.flatnonzero(segments.mask[:, AUDIO])
        rows = np.zeros((len(segments), self.dimension), np.float32)
        if len(present) and self.context == "clip":
            rows[present] = self._in_context(segments)[present]
        elif len(present):
            sounds = (segments.audio(t) for t in present.tolist())
            rows[present] = self.pretrained.vectors(
                self._listen, self._inputs(sounds), batch_size=self.batch_size
            )
        return rows

    def text(self, prompts: Sequence[str]) -> Float32[np.ndarray, "prompt feature"]:
        """One unit vector a sentence."""
        return self.pretrained.text(prompts, batch_size=self.batch_size)

    def _inputs(
        self, sounds: Iterator[Float32[np.ndarray, " sample"]]
    ) -> Iterator[Tensor]:
        views = (
            4 if self.preprocessing.fused else 1
        )  # a fused model reads a short sound four times over
        for sound in sounds:
            waveform = torch.from_numpy(np.ascontiguousarray(sound))[None]
            yield log_mel(waveform, self.preprocessing, self.bank).expand(views, -1, -1)

    def _listen(self, batch: Tensor) -> Tensor:
        output = self.pretrained.model.get_audio_features(
            input_features=batch, is_longer=_not_longer(batch)
        )
        return pretrained.pooled(output)

    def _in_context(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Every segment's vector from the window of the whole sound that it lies in."""
        waveform, rows = (
            _silenced(segments),
            np.zeros((len(segments), self.dimension), np.float32),
        )
        length = len(waveform) / len(segments)  # of a segment, in samples
        together = min(len(segments), max(1, int(self.preprocessing.samples / length)))
        edges = torch.arange(together + 1) * (
            length / self.preprocessing.samples
        )  # in windows
        for start in _window_starts(len(segments), together):
            window = waveform[
                round(start * length) : round((start + together) * length)
            ]
            rows[start : start + together] = self._by_segment(window, edges)
        return rows

    def _by_segment(
        self, window: Float32[np.ndarray, " sample"], edges: Float[Tensor, " edge"]
    ) -> Float32[np.ndarray, "time feature"]:
        batch = next(self._inputs(iter([window])))[None]
        moments = self.pretrained.ran(self._moments, batch)[0]
        projected = self.pretrained.ran(
            self.pretrained.model.audio_projection,
            mean_between(moments, edges * len(moments)),
        )
        return pretrained.unit_rows(projected.numpy())

    def _moments(self, batch: Tensor) -> Float[Tensor, "sound moment feature"]:
        """Average the tokens of the audio tower over frequency, for each time step."""
        heard = self.pretrained.model.audio_model(
            input_features=batch, is_longer=_not_longer(batch)
        )
        moments: Tensor = heard.last_hidden_state.mean(dim=2).transpose(1, 2)
        return moments


def mean_between(
    tokens: Float[Tensor, "moment feature"], edges: Float[Tensor, " edge"]
) -> Float[Tensor, "time feature"]:
    """The mean of the tokens between neighbouring edges, a token counting by how much of it lies
    there.

    Args:
        edges: In tokens: token k reaches from k to k + 1.

    >>> mean_between(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0.0, 1.5, 3.0])).tolist()
    [[1.3333333730697632], [2.6666667461395264]]
    """
    start = torch.arange(len(tokens)).to(edges)
    overlap = torch.minimum(start + 1, edges[1:, None]) - torch.maximum(
        start, edges[:-1, None]
    )
    weight = overlap.clamp(min=0)
    return weight @ tokens / weight.sum(dim=1, keepdim=True)


def load(
    source: str,
    modality: int,
    *,
    frames_per_segment: int = 1,
    compute: Compute = AUTOMATIC,
    name: str = "",
) -> ClapEncoder:
    """A ClapModel from a folder or by its hub id."""
    if modality != AUDIO:
        raise EncoderError(
            "a CLAP encoder hears and does not see",
            fix="name a clip: encoder for the frames",
        )
    place, options = split_options(source)
    loaded = pretrained.load(place, "clap", compute=compute)
    settings = SoundPreprocessing.from_config(loaded.preprocessing)
    if "padding" in options:
        settings = replace(settings, padding=PADDINGS[options["padding"]])
    return ClapEncoder(
        name=name or f"clap:{source}",
        pretrained=loaded,
        preprocessing=settings,
        bank=mel_bank(settings),
        frames_per_segment=frames_per_segment,
        context=options.get("context", CONTEXTS[0]),
    )


def split_options(source: str) -> tuple[str, dict[str, str]]:
    """The folder or hub id, and the options behind the question mark.

    >>> split_options("laion/clap-htsat-unfused?padding=zeros")
    ('laion/clap-htsat-unfused', {'padding': 'zeros'})
    """
    place, _, query = source.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key, value in options.items():
        if key not in OPTIONS:
            raise EncoderError(unknown("option of a clap: encoder", key, OPTIONS))
        if value not in OPTIONS[key]:
            raise EncoderError(unknown(key, value, OPTIONS[key]))
    return place, options


def _not_longer(batch: Tensor) -> Tensor:
    """No sound is fused with longer context."""
    return torch.zeros(len(batch), 1, dtype=torch.bool, device=batch.device)


def _silenced(segments: Segments) -> Float32[np.ndarray, " sample"]:
    """Replace the samples of missing segments by silence."""
    waveform = segments.waveform.copy()
    for t in np.flatnonzero(~segments.mask[:, AUDIO]).tolist():
        start = round(t * segments.segment_seconds * segments.rate_hz)
        waveform[start : start + len(segments.audio(t))] = 0
    return waveform


def _window_starts(total: int, window: int) -> list[int]:
    """Where windows begin that cover everything; the last one ends with the sound.

    >>> _window_starts(25, 10), _window_starts(7, 10)
    ([0, 10, 15], [0])
    """
    return [*range(0, total - window, window), max(0, total - window)]
