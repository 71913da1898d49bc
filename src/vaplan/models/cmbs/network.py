"""The two networks: what both share, and how each turns it into labels."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from vaplan.arrays import AUDIO, VISUAL, Inputs
from vaplan.errors import UsageError
from vaplan.localisation import Localisation, make_localisation
from vaplan.models.cmbs.places import AudioGuidedAttention
from vaplan.models.cmbs.segments import (
    Decoder,
    Encoder,
    Meeting,
    Present,
    ReadingLayer,
    Segments,
    highest,
    top_mean,
)
from vaplan.models.cmbs.settings import CMBSSettings, FullCMBSSettings
from vaplan.models.recurrent import BiLSTM

Sizes = tuple[tuple[int, ...], tuple[int, ...]]


class Trunk(nn.Module):
    """Common part of both CMBS networks, over segments with both modalities.

    Args:
        feature_sizes: One stream for each modality; the visual one holds `positions` places of
            equal size.
        audio: The size of audio after it was read over time, where that is done; else that of its
            stream.
    """

    def __init__(
        self, settings: CMBSSettings, feature_sizes: Sizes, *, audio: int | None = None
    ) -> None:
        super().__init__()
        heard, place = _stream_sizes(feature_sizes, settings.positions)
        audio = audio or heard
        self.settings, self.place = settings, place
        self.see_place, self.place_dropout = (
            nn.Linear(place, settings.map_hidden),
            nn.Dropout(settings.map_dropout),
        )
        self.look = AudioGuidedAttention(
            settings.map_hidden,
            heard,
            settings.hidden,
            places=settings.positions,
            strength=settings.map_strength,
            dropout=settings.position_dropout,
        )
        self.encode = nn.ModuleList(
            _encoder(size, settings) for size in (audio, settings.map_hidden)
        )
        self.decode = nn.ModuleList(
            _decoder(size, settings) for size in (audio, settings.map_hidden)
        )
        self.gate = nn.ModuleList(
            nn.Linear(settings.hidden, 1) for _ in (AUDIO, VISUAL)
        )
        self.meet = nn.ModuleList(_meeting(settings) for _ in (AUDIO, VISUAL))

    def streams(self, inputs: Inputs, present: Present) -> tuple[Tensor, Tensor]:
        """What is heard, and what is seen where the sound says to look, with zeros where a
        segment does not exist."""
        (audio,), (visual,) = inputs.streams
        audio, visual = (
            stream.masked_fill(~present[..., None], 0) for stream in (audio, visual)
        )
        places = self.see_place(visual.reshape(*visual.shape[:2], -1, self.place))
        return audio, self.look(self.place_dropout(places.relu()), audio)

    def read(
        self, streams: tuple[Tensor, Tensor], present: Present
    ) -> tuple[list[Segments], list[Segments], Tensor]:
        """Each modality by itself, each as it reads the other, and the logits of the gates
        ("video time modality")."""
        own = [
            encode(stream, present)
            for encode, stream in zip(self.encode, streams, strict=True)
        ]
        read = [
            decode(stream, other, present)
            for decode, stream, other in zip(
                self.decode, streams, reversed(own), strict=True
            )
        ]
        return (
            own,
            read,
            torch.cat(
                [gate(segments) for gate, segments in zip(self.gate, own, strict=True)],
                dim=-1,
            ),
        )

    def fuse(self, audio: Segments, visual: Segments, present: Present) -> Segments:
        """Bring the modalities together: visual first, then audio with the visual one as just
        updated."""
        visual = self.meet[VISUAL](visual, audio, present)
        audio = self.meet[AUDIO](audio, visual, present)
        return (visual + audio) / 2


class WeakCMBS(Trunk):
    """CMBS trained by the label of the video.

    A segment's own scores say which label it has, the gate whether it holds an event at all; the
    probability of background is what both leave. The published system computes both and then asks
    neither (`localisation`).
    """

    def __init__(
        self,
        settings: CMBSSettings | None = None,
        *,
        feature_sizes: Sizes,
        classes: int,
    ) -> None:
        network_settings = settings or CMBSSettings()
        super().__init__(network_settings, feature_sizes)
        self.score = nn.ModuleList(
            nn.Linear(network_settings.hidden, classes + 1) for _ in (AUDIO, VISUAL)
        )
        self.classify = nn.Linear(network_settings.hidden, classes + 1, bias=False)

    def forward(self, inputs: Inputs) -> Localisation:
        present = inputs.mask.all(dim=-1)
        _, (audio, visual), gate_logit = self.read(
            self.streams(inputs, present), present
        )
        strength, gates = self.settings.gate_strength, gate_logit.sigmoid()
        audio = (1 - strength) * audio + strength * gates[..., AUDIO, None] * audio
        visual = (1 - strength) * visual + strength * gates[..., VISUAL, None] * visual
        weight = (
            self.score[VISUAL](visual).sigmoid() + self.score[AUDIO](audio).sigmoid()
        )
        fused = self.fuse(audio, visual, present)
        score = self.settings.score_strength * weight * self.classify(fused)
        gate = gates.mean(dim=-1)
        video_logit = highest(
            gate[..., None]
            * top_mean(score, present, share=self.settings.top)[:, None],
            present,
        )
        segment_log = _gated(score.log_softmax(dim=-1), gate_logit)
        video = video_logit.softmax(dim=-1)[:, :-1]
        return make_localisation(
            segment_log, video, inputs.mask, video_logit=video_logit, gate=gate
        )


class FullCMBS(Trunk):
    """Fully supervised CMBS: one class for the video, and its segments."""

    def __init__(
        self,
        settings: FullCMBSSettings | None = None,
        *,
        feature_sizes: Sizes,
        classes: int,
    ) -> None:
        network_settings = settings or FullCMBSSettings()
        super().__init__(network_settings, feature_sizes, audio=network_settings.hidden)
        heard, _ = _stream_sizes(feature_sizes, network_settings.positions)
        self.over_time = nn.ModuleList(
            (
                BiLSTM(heard, network_settings.hidden),
                BiLSTM(network_settings.map_hidden, network_settings.map_hidden),
            )
        )
        self.score = nn.ModuleList(
            nn.Linear(network_settings.hidden, classes) for _ in (AUDIO, VISUAL)
        )
        self.event = nn.Linear(network_settings.hidden, 1)
        self.classify = nn.Linear(network_settings.hidden, classes)

    def forward(self, inputs: Inputs) -> Localisation:
        present = inputs.mask.all(dim=-1)
        heard, seen = (
            read(stream, present)
            for read, stream in zip(
                self.over_time, self.streams(inputs, present), strict=True
            )
        )
        _, (audio, visual), gate_logit = self.read((heard, seen), present)
        strength, gates = self.settings.gate_strength, gate_logit.sigmoid()
        visual = visual * (
            1 + strength * gates[..., AUDIO, None]
        )  # as published, each by the other's gate
        audio = audio * (1 + strength * gates[..., VISUAL, None])
        scores = [
            score(stream)
            for score, stream in zip(self.score, (audio, visual), strict=True)
        ]
        activation = torch.stack(
            [top_mean(score, present, share=self.settings.top) for score in scores]
        ).mean(dim=0)
        fused = self.fuse(audio, visual, present)
        event = self.event(fused)[..., 0]
        class_logit = (
            self.classify(highest(fused, present))
            + self.settings.score_strength * activation
        )
        log_class = class_logit.log_softmax(dim=-1)
        segment_log = torch.cat(
            (
                logsigmoid(event)[..., None] + log_class[:, None],
                logsigmoid(-event)[..., None],
            ),
            -1,
        )
        return make_localisation(
            segment_log,
            log_class.exp(),
            inputs.mask,
            event_logit=event,
            gate=gates.prod(dim=-1),
            class_logits=(class_logit, activation),
        )


def _gated(
    label_log: Float[Tensor, "video time label"],
    gate_logit: Float[Tensor, "video time modality"],
) -> Float[Tensor, "video time label"]:
    """Log probabilities of the labels where the mean gate is open; where it is shut there is
    background."""
    halves = torch.tensor(
        gate_logit.shape[-1], dtype=gate_logit.dtype, device=gate_logit.device
    ).log()
    is_open, shut = (
        logsigmoid(sign * gate_logit).logsumexp(dim=-1, keepdim=True) - halves
        for sign in (1, -1)
    )
    classes = is_open + label_log[..., :-1]
    return torch.cat(
        (classes, torch.logaddexp(shut, is_open + label_log[..., -1:])), dim=-1
    )


def _stream_sizes(feature_sizes: Sizes, positions: int) -> tuple[int, int]:
    """The sizes of the audio stream and of one place of the visual one."""
    if any(len(sizes) != 1 for sizes in feature_sizes):
        raise UsageError(
            "CMBS reads one stream of each modality, not "
            f"{' and '.join(str(len(sizes)) for sizes in feature_sizes)}",
            fix="name one encoder for each modality",
        )
    (audio,), (visual,) = feature_sizes
    if visual % positions:
        raise UsageError(
            f"{visual} features are no map of {positions} positions",
            fix="set positions to 1, or to 49",
        )
    return audio, visual // positions


def _layer(settings: CMBSSettings, feedforward: int) -> ReadingLayer:
    return ReadingLayer(settings.hidden, settings.heads, feedforward, settings.dropout)


def _encoder(size: int, settings: CMBSSettings) -> Encoder:
    return Encoder(size, _layer(settings, settings.feedforward), settings.layers)


def _decoder(size: int, settings: CMBSSettings) -> Decoder:
    return Decoder(size, _layer(settings, settings.decoder_feedforward))


def _meeting(settings: CMBSSettings) -> Meeting:
    return Meeting(
        settings.hidden,
        settings.fusion_heads,
        attention_dropout=settings.fusion_dropout,
        dropout=settings.dropout,
    )
