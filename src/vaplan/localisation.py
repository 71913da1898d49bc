"""Predictions of audio-visual event localisation.

Every segment has one label: the class of an event that is both audible and visible, or
background, which is the last label.

Source: Tian, Shi, Li, Duan, Xu, ECCV 2018, arXiv 1803.08842; Xia, Zhao, CVPR 2022 (CMBS).
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES, Prediction


@dataclass(frozen=True, kw_only=True)
class Localisation(Prediction):
    """Prediction of a network that gives each segment one label.

    `segment`, `modality` and `video` are probabilities of the classes, equal in both
    modalities; the rest to 1 is the probability of background.

    Attributes:
        segment_log: Log probabilities of the labels of each segment.
        video_logit: Logits of the video's labels, background included.
        event_logit: Logit that a segment contains an event of any class.
        gate: Weight of a segment in the network, in [0, 1].
        class_logits: Sets of logits of the video's classes without background; each set
            is trained by its own cross entropy.
    """

    segment_log: Float[Tensor, "video time label"]
    video_logit: Float[Tensor, "video label"] | None = None
    event_logit: Float[Tensor, "video time"] | None = None
    gate: Float[Tensor, "video time"] | None = None
    class_logits: tuple[Float[Tensor, "video class"], ...] = ()


def make_localisation(
    segment_log: Float[Tensor, "video time label"],
    video: Float[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    video_logit: Float[Tensor, "video label"] | None = None,
    event_logit: Float[Tensor, "video time"] | None = None,
    gate: Float[Tensor, "video time"] | None = None,
    class_logits: tuple[Float[Tensor, "video class"], ...] = (),
) -> Localisation:
    """Arrange the output of a localisation network on the grid.

    A segment that lacks one of the modalities is background.

    Args:
        segment_log: Log probabilities of the labels of each segment.
        video: Probabilities of the video's classes.
        mask: Segments that exist.
        video_logit: As in `Localisation`.
        event_logit: As in `Localisation`.
        gate: As in `Localisation`.
        class_logits: As in `Localisation`.
    """
    exists = mask.all(dim=-1)
    segment = segment_log[..., :-1].exp().masked_fill(~exists[..., None], 0)
    video = video.masked_fill(~exists.any(dim=1, keepdim=True), 0)

    modalities = len(MODALITIES)
    return Localisation(
        segment=segment[:, :, None].expand(-1, -1, modalities, -1),
        modality=video[:, None].expand(-1, modalities, -1),
        video=video,
        mask=mask,
        segment_log=segment_log,
        video_logit=video_logit,
        event_logit=event_logit,
        gate=gate,
        class_logits=class_logits,
    )
