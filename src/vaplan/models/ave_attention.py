"""Audio-guided attention and LSTMs: the first network for audio-visual event localisation.

The losses decide whether it learns from labels of segments or, through the maximum over
time, from the label of the video.

Source: Tian, Shi, Li, Duan, Xu, "Audio-Visual Event Localization in Unconstrained
Videos", ECCV 2018, arXiv 1803.08842, sections 4.2 (attention) and 4.3 ("dmrn", the dual
multimodal residual network).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaplan.arrays import AUDIO, VISUAL, FeatureSizes, Inputs
from vaplan.errors import RecipeError, unknown
from vaplan.localisation import Localisation, make_localisation
from vaplan.models.layers import check_size, existing_streams, single_stream_sizes
from vaplan.models.recurrent import BiLSTM

FUSIONS = ("concat", "dmrn")


@dataclass(frozen=True)
class AVEAttentionSettings:
    """The size of an `AVEAttention`; the defaults are the published ones.

    Args:
        positions: Number of regions of the feature map in the visual feature of a
            segment (49 as published); 1 if the feature is one vector.
        attention: Size of the space in which regions are compared with audio.
        regions: Size to which regions and audio are projected before.
        hidden: Size of each LSTM, both directions together.
        classifier: Size of the hidden layer of the classifier, for "concat".
        fusion: "concat" of both modalities, or "dmrn": each modality adds the mean of
            both, and the two are averaged.
    """

    positions: int = 1
    attention: int = 49
    regions: int = 512
    hidden: int = 256
    classifier: int = 64
    fusion: str = "concat"

    def __post_init__(self) -> None:
        for name in ("positions", "attention", "regions", "hidden", "classifier"):
            check_size(name, getattr(self, name))
        if self.hidden % 2:
            raise RecipeError(f"hidden must be even, not {self.hidden}")
        if self.fusion not in FUSIONS:
            raise RecipeError(unknown("fusion", self.fusion, FUSIONS))


class AudioGuidedVisualAttention(nn.Module):
    """Average the regions of a segment, weighted by their agreement with its audio.

    Args:
        region: Feature size of a region.
        audio: Feature size of audio.
        size: Size to which both are projected.
        attention: Size of the space in which they are compared.
    """

    def __init__(self, region: int, audio: int, *, size: int, attention: int) -> None:
        super().__init__()
        self.see = nn.Linear(region, size)
        self.hear = nn.Linear(audio, size)
        self.compare_place = nn.Linear(size, attention, bias=False)
        self.compare_audio = nn.Linear(size, attention, bias=False)
        self.score = nn.Linear(attention, 1, bias=False)

    def forward(
        self,
        regions: Float[Tensor, "video time region size"],
        audio: Float[Tensor, "video time audio"],
    ) -> Float[Tensor, "video time size"]:
        """Return the weighted mean of the regions of each segment."""
        audio_key = self.compare_audio(self.hear(audio).relu())
        region_key = self.compare_place(self.see(regions).relu())
        agreement = (region_key + audio_key[:, :, None]).tanh()
        weight = self.score(agreement).softmax(dim=2)
        mean: Tensor = (weight * regions).sum(dim=2)
        return mean


class ResidualFusion(nn.Module):
    """Add the mean of both transformed modalities to each of them and average the two."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.transform = nn.ModuleList(
            nn.Sequential(
                nn.Linear(hidden, hidden),
                nn.Tanh(),
                nn.Linear(hidden, hidden),
            )
            for _ in (AUDIO, VISUAL)
        )

    def forward(
        self,
        audio: Float[Tensor, "video time hidden"],
        visual: Float[Tensor, "video time hidden"],
    ) -> Float[Tensor, "video time hidden"]:
        """Fuse the modalities segment by segment."""
        audio_change = self.transform[AUDIO](audio)
        visual_change = self.transform[VISUAL](visual)
        residual = (audio_change + visual_change) / 2
        audio_output = (audio + residual).tanh()
        visual_output = (visual + residual).tanh()
        fusion: Tensor = (audio_output + visual_output) / 2
        return fusion


@dataclass(frozen=True)
class LabelOutputs:
    """Logits of the labels of each segment, before they are pooled.

    Attributes:
        logit: Logit of each class and of background.
        mask: Segments that exist.
    """

    logit: Float[Tensor, "video time label"]
    mask: Bool[Tensor, "video time modality"]


class AVEAttention(nn.Module):
    """Label segments with audio-guided visual attention.

    Args:
        settings: Sizes; by default the published ones.
        feature_sizes: Feature size of the one stream of each modality.
        classes: Number of classes without background.
    """

    def __init__(
        self,
        settings: AVEAttentionSettings | None = None,
        *,
        feature_sizes: FeatureSizes,
        classes: int,
    ) -> None:
        super().__init__()
        settings = settings or AVEAttentionSettings()
        audio_size, self.region_size = single_stream_sizes(
            feature_sizes, settings.positions
        )
        self.look: AudioGuidedVisualAttention | None = None
        if settings.positions > 1:
            self.look = AudioGuidedVisualAttention(
                self.region_size,
                audio_size,
                size=settings.regions,
                attention=settings.attention,
            )
        self.over_time = nn.ModuleList(
            BiLSTM(size, settings.hidden) for size in (audio_size, self.region_size)
        )
        self.fuse: ResidualFusion | None = None
        if settings.fusion == "dmrn":
            self.fuse = ResidualFusion(settings.hidden)
        self.classify = _classifier(settings, classes + 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, inputs: Inputs) -> Localisation:
        """Label the segments in which both modalities exist."""
        return self.pool_segments(self.parse_segments(inputs))

    def parse_segments(self, inputs: Inputs) -> LabelOutputs:
        """Compute the logits of the labels of each segment."""
        return LabelOutputs(self.classify(self._fused_segments(inputs)), inputs.mask)

    def pool_segments(self, outputs: LabelOutputs) -> Localisation:
        """Label the segments and the video.

        Args:
            outputs: Outputs of all segments of the videos.
        """
        logit = outputs.logit
        present = outputs.mask.all(dim=-1)
        lowest = torch.finfo(logit.dtype).min
        existing_logit = logit.masked_fill(~present[..., None], lowest)
        video_logit = existing_logit.amax(dim=1)
        video_probability = video_logit.softmax(dim=-1)

        return make_localisation(
            segment_log=logit.log_softmax(dim=-1),
            video=video_probability[:, :-1],
            mask=outputs.mask,
            video_logit=video_logit,
        )

    def _fused_segments(self, inputs: Inputs) -> Float[Tensor, "video time hidden"]:
        """Attend to regions, read both modalities over time, and fuse them."""
        present = inputs.mask.all(dim=-1)
        audio, visual = existing_streams(inputs)

        videos, time, _ = visual.shape
        regions = visual.reshape(videos, time, -1, self.region_size)
        visual = regions[:, :, 0]
        if self.look is not None:
            visual = self.look(regions, audio)

        audio = self.over_time[AUDIO](audio, present)
        visual = self.over_time[VISUAL](visual, present)
        if self.fuse is None:
            return torch.cat((audio, visual), dim=-1)
        fusion: Tensor = self.fuse(audio, visual)
        return fusion


def _classifier(settings: AVEAttentionSettings, labels: int) -> nn.Module:
    if settings.fusion == "dmrn":
        return nn.Linear(settings.hidden, labels)
    return nn.Sequential(
        nn.ReLU(),
        nn.Linear(2 * settings.hidden, settings.classifier),
        nn.ReLU(),
        nn.Linear(settings.classifier, labels),
    )
