"""Axis names, and the values that parsers and losses exchange.

Axes have one order everywhere: `video time modality class`. A mask over `time` and
`modality` marks the segments that exist; values under the mask are zero and change no
output.

The same classes hold a batch and a collection of videos. In a batch the axes `*segments`
are "video time", padded to the longest video; in a collection (`ragged.Ragged`) they are
one axis "segment", the segments of all videos end to end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.modalities import AUDIO as AUDIO
from vaplan.modalities import MODALITIES as MODALITIES
from vaplan.modalities import VISUAL as VISUAL

FeatureSizes = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Inputs:
    """Features of some videos: the input of a parser.

    Attributes:
        streams: For each modality any number of feature arrays, Float
            "*segments feature". Their feature sizes may differ.
        mask: Which segments of each modality exist.
    """

    streams: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
    mask: Bool[Tensor, "*segments modality"]

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, index: Any) -> "Inputs":
        """Select videos by a slice, a mask or an index tensor."""
        return self.map(lambda tensor: tensor[index])

    def map(self, function: Callable[[Tensor], Tensor]) -> "Inputs":
        """Apply a function to every feature array and to the mask."""
        audio, visual = (
            tuple(function(stream) for stream in streams) for streams in self.streams
        )
        return Inputs((audio, visual), function(self.mask))

    @property
    def feature_sizes(self) -> FeatureSizes:
        """The feature size of each stream, per modality."""
        audio, visual = (
            tuple(stream.shape[-1] for stream in streams) for streams in self.streams
        )
        return audio, visual


@dataclass(frozen=True)
class SegmentVectors:
    """Vectors of the segments inside a network, for losses that read them.

    A row is a video, or a window of a video that is longer than a window.

    Attributes:
        projected: Vectors before the modalities attend to each other.
        attended: Vectors after the modalities attend to each other.
        mask: Segments that exist.
    """

    projected: Float[Tensor, "row time modality hidden"]
    attended: Float[Tensor, "row time modality hidden"]
    mask: Bool[Tensor, "row time modality"]


@dataclass(frozen=True)
class WindowProbabilities:
    """Probabilities of the window around each segment, for videos longer than a window.

    Attributes:
        modality: Probability in each modality of the window.
        video: Probability in the window.
    """

    modality: Float[Tensor, "*segments modality class"]
    video: Float[Tensor, "*segments class"]


@dataclass(frozen=True)
class Prediction:
    """Output of a parser: probabilities of every class.

    Attributes:
        segment: Probability in each segment and modality.
        modality: Probability in each modality of the whole video.
        video: Probability in the video. HAN's attentive pooling can exceed 1; see
            `models.pooling`.
        mask: Which segments exist.
        logit: Segment logits, for losses that read them.
        vectors: Segment vectors, for losses that read them.
        window: Probabilities of the windows, if a video is longer than a window. Decision
            rules read them in place of those of the whole video.
    """

    PER_VIDEO: ClassVar[tuple[str, ...]] = ("modality", "video")

    segment: Float[Tensor, "*segments modality class"]
    modality: Float[Tensor, "video modality class"]
    video: Float[Tensor, "video class"]
    mask: Bool[Tensor, "*segments modality"]
    logit: Float[Tensor, "*segments modality class"] | None = None
    vectors: SegmentVectors | None = None
    window: WindowProbabilities | None = None

    def __getitem__(self, index: Any) -> "Prediction":
        """Select the probabilities of some videos of a batch."""
        return Prediction(
            self.segment[index],
            self.modality[index],
            self.video[index],
            self.mask[index],
        )

    def probabilities(self) -> "Prediction":
        """Return only the probabilities and the mask, on the CPU."""
        window = self.window and WindowProbabilities(
            self.window.modality.cpu(), self.window.video.cpu()
        )
        return Prediction(
            self.segment.cpu(),
            self.modality.cpu(),
            self.video.cpu(),
            self.mask.cpu(),
            window=window,
        )

    def video_gate(self) -> Float[Tensor, "video #time class"]:
        """Return the probability in the video, or in the window around each segment."""
        return self.video[:, None] if self.window is None else self.window.video

    def modality_gate(self) -> Float[Tensor, "video #time modality class"]:
        """Return the probability in each modality of the video, or of the window."""
        return self.modality[:, None] if self.window is None else self.window.modality


@dataclass(frozen=True)
class Target:
    """Labels that a loss compares with a prediction.

    Attributes:
        weak: Classes that occur somewhere in each video: its tags.
        pseudo: Pseudo labels of each segment, if there are any.
        label_probability: Probability that each pseudo label is 1, for losses that
            read it.
    """

    PER_VIDEO: ClassVar[tuple[str, ...]] = ("weak",)

    weak: Bool[Tensor, "video class"]
    pseudo: Bool[Tensor, "*segments modality class"] | None = None
    label_probability: Float[Tensor, "*segments modality class"] | None = None

    def __getitem__(self, index: Any) -> "Target":
        """Select the labels of some videos of a batch."""
        return self.map(lambda tensor: tensor[index])

    def map(self, function: Callable[[Tensor], Tensor]) -> "Target":
        """Apply a function to every label array."""
        return Target(
            function(self.weak),
            None if self.pseudo is None else function(self.pseudo),
            None
            if self.label_probability is None
            else function(self.label_probability),
        )
