"""MA: remove tags from a modality that does not predict them when the other is exchanged.

Each video is parsed again with the audio of a video that shares no tag with it, and with
the frames of that video.

Source: Wu, Yang, "Exploring Heterogeneous Clues for Weakly-Supervised Audio-Visual Video
Parsing", CVPR 2021, and the code published with it.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaplan.arrays import AUDIO, VISUAL, Inputs
from vaplan.ragged import Lengths, Ragged

MAX_DRAWS = 100  # then the partners of the remaining videos are listed one by one


def draw_partners(
    weak_label: Bool[Tensor, "video class"], *, seed: int
) -> Int[Tensor, " video"]:
    """Draw for each video another one that shares no tag with it.

    Args:
        weak_label: Tags of the videos.
        seed: Seed of the random draws.

    Returns:
        The index of each video's partner, or -1 where there is none.
    """
    videos = len(weak_label)
    random = torch.Generator().manual_seed(seed)
    partner = torch.full((videos,), -1)
    waiting = torch.arange(videos)

    for _ in range(MAX_DRAWS):
        drawn = torch.randint(videos, waiting.shape, generator=random)
        shares_tag = (weak_label[waiting] & weak_label[drawn]).any(dim=1)
        fits = ~shares_tag & (drawn != waiting)
        partner[waiting[fits]] = drawn[fits]
        waiting = waiting[~fits]
        if not len(waiting):
            break

    for video in waiting.tolist():
        shares_tag = (weak_label & weak_label[video]).any(dim=1)
        candidates = torch.nonzero(~shares_tag)[:, 0]
        candidates = candidates[candidates != video]
        if len(candidates):
            choice = int(torch.randint(len(candidates), (), generator=random))
            partner[video] = candidates[choice]
    return partner


def exchange_modality(
    inputs: Ragged[Inputs], partner: Int[Tensor, " video"], modality: int
) -> Ragged[Inputs]:
    """Replace the features of one modality by those of each video's partner.

    A video keeps its length: a longer partner is cut, and after the end of a shorter one
    the modality is absent.

    Args:
        inputs: Features of the videos.
        partner: Index of each video's partner.
        modality: Modality to replace.
    """
    lengths = inputs.lengths
    exists, position = partner_segments(lengths, partner.numpy())
    streams = list(inputs.values.streams)
    streams[modality] = tuple(stream[position] for stream in streams[modality])
    mask = inputs.values.mask.clone()
    mask[:, modality] = mask[position, modality] & torch.from_numpy(exists)
    return Ragged(Inputs((streams[AUDIO], streams[VISUAL]), mask), lengths)


def partner_segments(
    lengths: Lengths, partner: Int[np.ndarray, " video"]
) -> tuple[Bool[np.ndarray, " segment"], Int[np.ndarray, " segment"]]:
    """Find the segment of the partner at the same time as each segment of a video.

    Args:
        lengths: Number of segments of each video.
        partner: Index of each video's partner.

    Returns:
        Whether the partner has that segment, and its position, or else any position.
    """
    time = np.arange(lengths.total) - lengths.repeat(lengths.starts)
    exists = time < lengths.repeat(lengths.counts[partner])
    position = lengths.repeat(lengths.starts[partner]) + time
    return exists, np.where(exists, position, 0)


def error_rates(
    probability: Float[Tensor, "video modality class"],
    weak_label: Bool[Tensor, "video class"],
    present: Bool[Tensor, "video modality"],
) -> Float[Tensor, "modality class"]:
    """Compute how often the prediction of a modality differs from the tags.

    Args:
        probability: Probability of each class in each modality.
        weak_label: Tags of the videos.
        present: Modalities that each video has; only these count.
    """
    is_predicted = probability > 0.5
    is_wrong = is_predicted ^ weak_label[:, None]
    wrong_count = (is_wrong & present[..., None]).sum(dim=0)
    videos = present.sum(dim=0).clamp(min=1)
    return wrong_count / videos[:, None]


def removed_by_exchange(
    weak_label: Bool[Tensor, "video class"],
    exchanged: tuple[
        Float[Tensor, "video modality class"], Float[Tensor, "video modality class"]
    ],
    error: Float[Tensor, "modality class"],
) -> Bool[Tensor, "video modality class"]:
    """Mark the tags to remove from each modality.

    A tag is removed from a modality if neither modality predicts it once the other one is
    exchanged. The threshold is half of the class's error rate in the tested modality,
    divided by the highest error rate of that modality; as published, both modalities are
    compared with it. A class without errors has threshold 0 and loses no tag.

    Args:
        weak_label: Tags of the videos.
        exchanged: Predictions with exchanged audio, and with exchanged frames.
        error: Error rates; see `error_rates`.
    """
    smallest = torch.finfo(error.dtype).tiny
    highest_error = error.amax(dim=1, keepdim=True).clamp(min=smallest)
    threshold = 0.5 * error / highest_error
    exchanged_audio, exchanged_visual = exchanged
    prediction_for = {AUDIO: exchanged_visual, VISUAL: exchanged_audio}
    absences = list[Tensor]()
    for modality in (AUDIO, VISUAL):
        is_below = prediction_for[modality] < threshold[modality]
        absences.append(is_below.all(dim=1))
    is_absent = torch.stack(absences, dim=1)
    return is_absent & weak_label[:, None]
