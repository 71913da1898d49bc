"""MA's exchange: a tag is taken away from a modality that no longer says it when the other one is a stranger's.

Each video is parsed once more with the sound of a video that shares no tag with it, and once with its pictures.
Source: Wu, Yang, "Exploring Heterogeneous Clues for Weakly-Supervised Audio-Visual Video Parsing", CVPR 2021, and the
code published with it.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaplan.arrays import AUDIO, VISUAL, Inputs

DRAWS = 100  # after so many the partners that are left are looked for one by one


def draw_partners(
    weak_label: Bool[Tensor, "video class"], *, seed: int
) -> Int[Tensor, " video"]:
    """For each video one other, drawn evenly from those that share no tag with it; -1 where there is none."""
    videos, random = len(weak_label), torch.Generator().manual_seed(seed)
    partner = torch.full((videos,), -1)
    waiting = torch.arange(videos)
    for _ in range(DRAWS):
        drawn = torch.randint(videos, waiting.shape, generator=random)
        fits = ~(weak_label[waiting] & weak_label[drawn]).any(dim=1) & (
            drawn != waiting
        )
        partner[waiting[fits]] = drawn[fits]
        waiting = waiting[~fits]
        if not len(waiting):
            break
    for video in waiting.tolist():
        fitting = torch.nonzero(~(weak_label & weak_label[video]).any(dim=1))[:, 0]
        fitting = fitting[fitting != video]
        if len(fitting):
            partner[video] = fitting[
                int(torch.randint(len(fitting), (), generator=random))
            ]
    return partner


def exchanged(inputs: Inputs, partner: Int[Tensor, " video"], modality: int) -> Inputs:
    """The same videos with the partner's features in one modality."""
    streams, mask = list(inputs.streams), inputs.mask.clone()
    streams[modality] = tuple(stream[partner] for stream in streams[modality])
    mask[:, :, modality] = inputs.mask[partner][:, :, modality]
    return Inputs((streams[AUDIO], streams[VISUAL]), mask)


def error_rates(
    probability: Float[Tensor, "video modality class"],
    weak_label: Bool[Tensor, "video class"],
    present: Bool[Tensor, "video modality"],
) -> Float[Tensor, "modality class"]:
    """How often each modality of the videos that have it disagrees with the tags."""
    wrong = ((probability > 0.5) ^ weak_label[:, None]) & present[..., None]
    return wrong.sum(dim=0) / present.sum(dim=0).clamp(min=1)[:, None]


def removed_by_exchange(
    weak_label: Bool[Tensor, "video class"],
    foreign: tuple[
        Float[Tensor, "video modality class"], Float[Tensor, "video modality class"]
    ],
    error: Float[Tensor, "modality class"],
) -> Bool[Tensor, "video modality class"]:
    """Which tags to take away from which modality.

    A tag leaves a modality if neither modality says it once the other one is foreign. "Says" means half the class's
    error rate in the modality under test, divided by the highest of that modality; both modalities are held to that
    same bar, as published. A class that the modality never errs on has a bar of 0, so that it loses no tag.

    Args:
        foreign: What the parser says of the videos with foreign audio, and with foreign visual.
    """
    bar = (
        0.5
        * error
        / error.amax(dim=1, keepdim=True).clamp(min=torch.finfo(error.dtype).tiny)
    )
    with_foreign_audio, with_foreign_visual = foreign
    under_test = {AUDIO: with_foreign_visual, VISUAL: with_foreign_audio}
    silent = torch.stack(
        [(under_test[m] < bar[m]).all(dim=1) for m in (AUDIO, VISUAL)], dim=1
    )
    return silent & weak_label[:, None]
