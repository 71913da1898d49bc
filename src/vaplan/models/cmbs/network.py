"""The weakly and the fully supervised CMBS network, and their common part."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from vaplan.arrays import AUDIO, VISUAL, FeatureSizes, Inputs
from vaplan.localisation import Localisation, make_localisation
from vaplan.models.cmbs.regions import SpatialChannelAttention
from vaplan.models.cmbs.segments import (
    CrossModalFusion,
    Decoder,
    Encoder,
    Present,
    Segments,
    TransformerLayer,
    highest,
    top_mean,
)
from vaplan.models.cmbs.settings import CMBSSettings, FullCMBSSettings
from vaplan.models.layers import existing_streams, single_stream_sizes
from vaplan.models.recurrent import BiLSTM


class Trunk(nn.Module):
    """Common part of both CMBS networks, over segments with both modalities.

    Args:
        settings: Sizes.
        feature_sizes: Feature size of the one stream of each modality; the visual
            feature contains `positions` regions of equal size.
        audio: Size of the audio vectors that `read` gets; by default that of the stream.
    """

    def __init__(
        self,
        settings: CMBSSettings,
        feature_sizes: FeatureSizes,
        *,
        audio: int | None = None,
    ) -> None:
        super().__init__()
        audio_size, self.region_size = single_stream_sizes(
            feature_sizes, settings.positions
        )
        sizes = (audio or audio_size, settings.map_hidden)

        self.settings = settings
        self.see_place = nn.Linear(self.region_size, settings.map_hidden)
        self.place_dropout = nn.Dropout(settings.map_dropout)
        self.look = SpatialChannelAttention(
            settings.map_hidden,
            audio_size,
            settings.hidden,
            regions=settings.positions,
            strength=settings.map_strength,
            dropout=settings.position_dropout,
        )

        self.encode = nn.ModuleList(_encoder(size, settings) for size in sizes)
        self.decode = nn.ModuleList(_decoder(size, settings) for size in sizes)
        self.gate = nn.ModuleList(_gate(settings) for _ in (AUDIO, VISUAL))
        self.meet = nn.ModuleList(_fusion(settings) for _ in (AUDIO, VISUAL))

    def streams(
        self, inputs: Inputs
    ) -> tuple[Float[Tensor, "video time audio"], Float[Tensor, "video time map"]]:
        """Return audio features and visual features that audio attends to."""
        audio, visual = existing_streams(inputs)
        videos, time, _ = visual.shape
        regions = visual.reshape(videos, time, -1, self.region_size)
        hidden_regions = self.see_place(regions).relu()
        hidden_regions = self.place_dropout(hidden_regions)
        return audio, self.look(hidden_regions, audio)

    def read(
        self, streams: tuple[Tensor, Tensor], present: Present
    ) -> tuple[tuple[Segments, Segments], Float[Tensor, "video time modality"]]:
        """Apply self-attention and then cross-modal attention to each modality.

        Args:
            streams: Audio and visual features.
            present: Segments that exist.

        Returns:
            The segments of both modalities, and the logits of their background gates.
        """
        audio, visual = streams
        audio_code = self.encode[AUDIO](audio, present)
        visual_code = self.encode[VISUAL](visual, present)
        audio_segments = self.decode[AUDIO](audio, visual_code, present)
        visual_segments = self.decode[VISUAL](visual, audio_code, present)
        audio_gate = self.gate[AUDIO](audio_code)
        visual_gate = self.gate[VISUAL](visual_code)
        gate_logit = torch.cat((audio_gate, visual_gate), dim=-1)
        return (audio_segments, visual_segments), gate_logit

    def fuse(self, audio: Segments, visual: Segments, present: Present) -> Segments:
        """Fuse the modalities: first visual with audio, then audio with the new visual.

        Args:
            audio: Audio segments.
            visual: Visual segments.
            present: Segments that exist.
        """
        new_visual = self.meet[VISUAL](visual, audio, present)
        new_audio = self.meet[AUDIO](audio, new_visual, present)
        fusion: Tensor = (new_visual + new_audio) / 2
        return fusion


@dataclass(frozen=True)
class WeakOutputs:
    """Outputs of a `WeakCMBS` for each segment, before they are pooled.

    Attributes:
        score: Score of each label.
        gate_logit: Logits of the background gates.
        gates: Probability that each gate is open.
        mask: Segments that exist.
    """

    score: Float[Tensor, "video time label"]
    gate_logit: Float[Tensor, "video time modality"]
    gates: Float[Tensor, "video time modality"]
    mask: Bool[Tensor, "video time modality"]


class WeakCMBS(Trunk):
    """CMBS trained by the label of the video.

    The scores of a segment determine its label, and the gate whether it contains an
    event; background has the remaining probability. The published system computes both
    but uses neither for localisation.

    Args:
        settings: Sizes; by default the published ones.
        feature_sizes: Feature size of the one stream of each modality.
        classes: Number of classes without background.
    """

    def __init__(
        self,
        settings: CMBSSettings | None = None,
        *,
        feature_sizes: FeatureSizes,
        classes: int,
    ) -> None:
        settings = settings or CMBSSettings()
        super().__init__(settings, feature_sizes)
        labels = classes + 1
        self.score = nn.ModuleList(
            nn.Linear(settings.hidden, labels) for _ in (AUDIO, VISUAL)
        )
        self.classify = nn.Linear(settings.hidden, labels, bias=False)

    def forward(self, inputs: Inputs) -> Localisation:
        """Label the segments in which both modalities exist."""
        return self.pool_segments(self.parse_segments(inputs))

    def parse_segments(self, inputs: Inputs) -> WeakOutputs:
        """Score the segments in which both modalities exist."""
        settings = self.settings
        present = inputs.mask.all(dim=-1)
        (audio, visual), gate_logit = self.read(self.streams(inputs), present)
        gates = gate_logit.sigmoid()
        audio = _suppress(audio, gates[..., AUDIO, None], settings.gate_strength)
        visual = _suppress(visual, gates[..., VISUAL, None], settings.gate_strength)
        audio_score = self.score[AUDIO](audio).sigmoid()
        visual_score = self.score[VISUAL](visual).sigmoid()
        fused_score = self.classify(self.fuse(audio, visual, present))
        label_weight = settings.score_strength * (visual_score + audio_score)
        score = label_weight * fused_score
        return WeakOutputs(score, gate_logit, gates, inputs.mask)

    def pool_segments(self, outputs: WeakOutputs) -> Localisation:
        """Label the segments and the video.

        Args:
            outputs: Outputs of all segments of the videos.
        """
        score = outputs.score
        present = outputs.mask.all(dim=-1)
        gate = outputs.gates.mean(dim=-1)

        top_score = top_mean(score, present, share=self.settings.top)
        gated_score = gate[..., None] * top_score[:, None]
        video_logit = highest(gated_score, present)
        video_probability = video_logit.softmax(dim=-1)

        return make_localisation(
            segment_log=_gated_log(score.log_softmax(dim=-1), outputs.gate_logit),
            video=video_probability[:, :-1],
            mask=outputs.mask,
            video_logit=video_logit,
            gate=gate,
        )


@dataclass(frozen=True)
class FullOutputs:
    """Outputs of a `FullCMBS` for each segment, before they are pooled.

    Attributes:
        score: Score of each class in each modality.
        fusion: Vectors of the segments, of both modalities together.
        gate: Weight of each segment.
        mask: Segments that exist.
    """

    score: Float[Tensor, "video time modality class"]
    fusion: Float[Tensor, "video time hidden"]
    gate: Float[Tensor, "video time"]
    mask: Bool[Tensor, "video time modality"]


class FullCMBS(Trunk):
    """Fully supervised CMBS: one class for the video, and the segments that contain it.

    Args:
        settings: Sizes; by default the published ones.
        feature_sizes: Feature size of the one stream of each modality.
        classes: Number of classes without background.
    """

    def __init__(
        self,
        settings: FullCMBSSettings | None = None,
        *,
        feature_sizes: FeatureSizes,
        classes: int,
    ) -> None:
        settings = settings or FullCMBSSettings()
        super().__init__(settings, feature_sizes, audio=settings.hidden)
        audio_size, _ = single_stream_sizes(feature_sizes, settings.positions)
        audio_lstm = BiLSTM(audio_size, settings.hidden)
        visual_lstm = BiLSTM(settings.map_hidden, settings.map_hidden)
        self.over_time = nn.ModuleList((audio_lstm, visual_lstm))
        self.score = nn.ModuleList(
            nn.Linear(settings.hidden, classes) for _ in (AUDIO, VISUAL)
        )
        self.event = nn.Linear(settings.hidden, 1)
        self.classify = nn.Linear(settings.hidden, classes)

    def forward(self, inputs: Inputs) -> Localisation:
        """Label the segments in which both modalities exist."""
        return self.pool_segments(self.parse_segments(inputs))

    def parse_segments(self, inputs: Inputs) -> FullOutputs:
        """Score the segments in which both modalities exist."""
        settings = self.settings
        present = inputs.mask.all(dim=-1)
        audio, visual = self.streams(inputs)
        audio = self.over_time[AUDIO](audio, present)
        visual = self.over_time[VISUAL](visual, present)
        (audio, visual), gate_logit = self.read((audio, visual), present)
        gates = gate_logit.sigmoid()
        # as published, the gate of each modality weights the other modality
        visual = visual * (1 + settings.gate_strength * gates[..., AUDIO, None])
        audio = audio * (1 + settings.gate_strength * gates[..., VISUAL, None])
        scores = (self.score[AUDIO](audio), self.score[VISUAL](visual))
        return FullOutputs(
            score=torch.stack(scores, dim=2),
            fusion=self.fuse(audio, visual, present),
            gate=gates.prod(dim=-1),
            mask=inputs.mask,
        )

    def pool_segments(self, outputs: FullOutputs) -> Localisation:
        """Label the segments and the video.

        Args:
            outputs: Outputs of all segments of the videos.
        """
        present = outputs.mask.all(dim=-1)
        activation = self._activation(outputs.score, present)
        event_logit = self.event(outputs.fusion)[..., 0]
        video_score = self.classify(highest(outputs.fusion, present))
        class_logit = video_score + self.settings.score_strength * activation
        class_log = class_logit.log_softmax(dim=-1)

        return make_localisation(
            segment_log=_event_log(event_logit, class_log),
            video=class_log.exp(),
            mask=outputs.mask,
            event_logit=event_logit,
            gate=outputs.gate,
            class_logits=(class_logit, activation),
        )

    def _activation(
        self, score: Float[Tensor, "video time modality class"], present: Present
    ) -> Float[Tensor, "video class"]:
        """Average the highest scores of both modalities."""
        share = self.settings.top
        audio_top = top_mean(score[:, :, AUDIO], present, share=share)
        visual_top = top_mean(score[:, :, VISUAL], present, share=share)
        return torch.stack((audio_top, visual_top)).mean(dim=0)


def _suppress(
    segments: Segments, gate: Float[Tensor, "video time 1"], strength: float
) -> Segments:
    """Weight segments by their gate."""
    ungated = (1 - strength) * segments
    return ungated + strength * gate * segments


def _gated_log(
    label_log: Float[Tensor, "video time label"],
    gate_logit: Float[Tensor, "video time modality"],
) -> Float[Tensor, "video time label"]:
    """Compute log probabilities of labels; a segment is background if its gate is closed.

    Args:
        label_log: Log probabilities of the labels where the gate is open.
        gate_logit: Logits of the gates; a gate is open with their mean probability.
    """
    open_log = _log_mean(logsigmoid(gate_logit))
    closed_log = _log_mean(logsigmoid(-gate_logit))
    class_log = open_log + label_log[..., :-1]
    open_background_log = open_log + label_log[..., -1:]
    background_log = torch.logaddexp(closed_log, open_background_log)
    return torch.cat((class_log, background_log), dim=-1)


def _log_mean(
    log_probability: Float[Tensor, "video time modality"],
) -> Float[Tensor, "video time 1"]:
    """Compute the logarithm of the mean over modalities."""
    modalities = log_probability.new_tensor(log_probability.shape[-1])
    total = log_probability.logsumexp(dim=-1, keepdim=True)
    return total - modalities.log()


def _event_log(
    event_logit: Float[Tensor, "video time"], class_log: Float[Tensor, "video class"]
) -> Float[Tensor, "video time label"]:
    """Compute log probabilities of labels: the class of the video, or background."""
    event_log = logsigmoid(event_logit)
    background_log = logsigmoid(-event_logit)
    class_logs = event_log[..., None] + class_log[:, None]
    return torch.cat((class_logs, background_log[..., None]), dim=-1)


def _layer(settings: CMBSSettings, feedforward: int) -> TransformerLayer:
    return TransformerLayer(
        settings.hidden, settings.heads, feedforward, settings.dropout
    )


def _encoder(size: int, settings: CMBSSettings) -> Encoder:
    layer = _layer(settings, settings.feedforward)
    return Encoder(size, layer, settings.layers)


def _decoder(size: int, settings: CMBSSettings) -> Decoder:
    layer = _layer(settings, settings.decoder_feedforward)
    return Decoder(size, layer)


def _gate(settings: CMBSSettings) -> nn.Linear:
    return nn.Linear(settings.hidden, 1)


def _fusion(settings: CMBSSettings) -> CrossModalFusion:
    return CrossModalFusion(
        settings.hidden,
        settings.fusion_heads,
        attention_dropout=settings.fusion_dropout,
        dropout=settings.dropout,
    )
