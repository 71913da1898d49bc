"""The first network for audio-visual event localisation: audio-guided attention, one LSTM a
modality, one classifier.

Trained by the labels of segments or, through the maximum over time, by that of the video: the
losses decide.
Source: Tian, Shi, Li, Duan, Xu, "Audio-Visual Event Localization in Unconstrained Videos", ECCV
2018 (arXiv 1803.08842), sections 4.2 (attention) and 4.3 ("dmrn", the dual multimodal residual
network).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaplan.arrays import AUDIO, VISUAL, Inputs
from vaplan.errors import RecipeError, UsageError, unknown
from vaplan.localisation import Localisation, make_localisation
from vaplan.models.recurrent import BiLSTM

FUSIONS = ("concat", "dmrn")


@dataclass(frozen=True)
class AVEAttentionSettings:
    """The size of an `AVEAttention`; the defaults are the published ones.

    Args:
        positions: How many places of a map a segment's visual feature holds (49 as published); 1
            for one vector.
        attention: The size in which places and sound are compared.
        hidden: Of each LSTM, both directions together.
        fusion: "concat", or "dmrn": each modality is changed by what both say, and the two are
            averaged.
    """

    positions: int = 1
    attention: int = 49
    places: int = 512
    hidden: int = 256
    classifier: int = 64
    fusion: str = "concat"

    def __post_init__(self) -> None:
        for name in ("positions", "attention", "places", "hidden", "classifier"):
            if getattr(self, name) < 1:
                raise RecipeError(
                    f"{name} must be at least 1, not {getattr(self, name)}"
                )
        if self.hidden % 2:
            raise RecipeError(f"hidden must be even, not {self.hidden}")
        if self.fusion not in FUSIONS:
            raise RecipeError(unknown("fusion", self.fusion, FUSIONS))


class LookWhereItSounds(nn.Module):
    """The mean of a map's places, weighed by how well they go with the sound."""

    def __init__(self, place: int, audio: int, *, size: int, attention: int) -> None:
        super().__init__()
        self.see, self.hear = nn.Linear(place, size), nn.Linear(audio, size)
        self.compare_place = nn.Linear(size, attention, bias=False)
        self.compare_audio = nn.Linear(size, attention, bias=False)
        self.score = nn.Linear(attention, 1, bias=False)

    def forward(
        self,
        places: Float[Tensor, "video time place size"],
        audio: Float[Tensor, "video time audio"],
    ) -> Float[Tensor, "video time size"]:
        heard = self.compare_audio(self.hear(audio).relu())[:, :, None]
        score = self.score((self.compare_place(self.see(places).relu()) + heard).tanh())
        pooled: Tensor = (score.softmax(dim=2) * places).sum(dim=2)
        return pooled


class ResidualFusion(nn.Module):
    """Add the mean of both transformed modalities to each of them and average the two."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.transform = nn.ModuleList(
            nn.Sequential(
                nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, hidden)
            )
            for _ in (AUDIO, VISUAL)
        )

    def forward(
        self,
        audio: Float[Tensor, "video time hidden"],
        visual: Float[Tensor, "video time hidden"],
    ) -> Float[Tensor, "video time hidden"]:
        merged = (self.transform[AUDIO](audio) + self.transform[VISUAL](visual)) / 2
        fused: Tensor = ((audio + merged).tanh() + (visual + merged).tanh()) / 2
        return fused


class AVEAttention(nn.Module):
    """Label segments with audio-guided visual attention."""

    def __init__(
        self,
        settings: AVEAttentionSettings | None = None,
        *,
        feature_sizes: tuple[tuple[int, ...], tuple[int, ...]],
        classes: int,
    ) -> None:
        super().__init__()
        network_settings = settings or AVEAttentionSettings()
        if any(len(sizes) != 1 for sizes in feature_sizes):
            raise UsageError(
                "this network reads one stream of each modality",
                fix="name one encoder for each",
            )
        (audio,), (visual,) = feature_sizes
        if visual % network_settings.positions:
            what = f"{visual} features are no map of {network_settings.positions} positions"
            raise UsageError(what, fix="set positions to 1, or to 49")
        self.place = visual // network_settings.positions
        sizes = {
            "size": network_settings.places,
            "attention": network_settings.attention,
        }
        self.look = (
            LookWhereItSounds(self.place, audio, **sizes)
            if network_settings.positions > 1
            else None
        )
        self.over_time = nn.ModuleList(
            BiLSTM(size, network_settings.hidden) for size in (audio, self.place)
        )
        self.fuse = (
            ResidualFusion(network_settings.hidden)
            if network_settings.fusion == "dmrn"
            else None
        )
        self.classify = _classifier(network_settings, classes + 1)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, inputs: Inputs) -> Localisation:
        present = inputs.mask.all(dim=-1)
        (audio,), (visual,) = inputs.streams
        audio, visual = (
            stream.masked_fill(~present[..., None], 0) for stream in (audio, visual)
        )
        places = visual.reshape(*visual.shape[:2], -1, self.place)
        visual_attended = self.look(places, audio) if self.look else places[:, :, 0]
        audio_attended, visual_attended = (
            read(stream, present)
            for read, stream in zip(
                self.over_time, (audio, visual_attended), strict=True
            )
        )
        logit = self.classify(
            self.fuse(audio_attended, visual_attended)
            if self.fuse
            else torch.cat((audio_attended, visual_attended), dim=-1)
        )
        lowest = torch.finfo(logit.dtype).min
        video_logit = logit.masked_fill(~present[..., None], lowest).amax(dim=1)
        segment_log = logit.log_softmax(dim=-1)
        video = video_logit.softmax(dim=-1)[:, :-1]
        return make_localisation(
            segment_log, video, inputs.mask, video_logit=video_logit
        )


def _classifier(settings: AVEAttentionSettings, labels: int) -> nn.Module:
    if settings.fusion == "dmrn":
        return nn.Linear(settings.hidden, labels)
    widths = 2 * settings.hidden, settings.classifier
    return nn.Sequential(
        nn.ReLU(), nn.Linear(*widths), nn.ReLU(), nn.Linear(settings.classifier, labels)
    )
