"""VALOR's pseudo labels for LLP: raw logits of CLIP and CLAP above one published threshold for each class.

The prompts are kept to the letter, slips included, because the thresholds were chosen with them.
Source: Lai, Chen, Wang, "Modality-Independent Teachers Meet Weakly-Supervised Audio-Visual Event Parser", NeurIPS
2023, arXiv 2305.17343, and the code published with it.
"""

from collections.abc import Sequence

from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.errors import RecipeError, unknown
from vaplan.taxonomy import LLP

PREFIX = {AUDIO: "This is a sound of {}", VISUAL: "A photo of {}."}
CAPTIONS = {
    AUDIO: (
        "speech|car|cheering|dog|cat|frying (food)|basketball bounce|fire alarm|chainsaw|cello|banjo|singing|"
        "chicken, rooster|violin fiddle|vacuum cleaner|baby laughter|accordion|lawn mower|motorcycle|helicopter|"
        "acoustic guitar|telephone bell ringing|baby cry, infant cry|blender|clapping"
    ).split("|"),
    VISUAL: (
        "people talking|a car|people cheering|a dog|a cat|frying food|people playing basketball|a fire alarm|"
        "a chainsaw|a cello|a banjo|people singing|a chicken or a rooster|a violin|"
        "a vaccum cleaner|a laughing baby|"  # codespell:ignore vaccum
        "an accordion|a lawnmower|a motorcycle|a helicopter|"
        "a acoustic guiter|a ringing telephone|a crying baby|"  # codespell:ignore guiter
        "a blender|hands clapping"
    ).split("|"),
}
LOGITS = {
    AUDIO: (
        0,
        0,
        1,
        4,
        6,
        -2,
        4,
        4,
        2,
        2,
        2,
        1,
        2,
        3,
        0,
        2,
        2,
        2,
        0,
        2,
        -1,
        2,
        3,
        3,
        0,
    ),
    VISUAL: (
        20,
        15,
        18,
        14,
        15,
        18,
        18,
        15,
        15,
        15,
        15,
        18,
        15,
        15,
        15,
        15,
        15,
        15,
        15,
        16,
        14,
        15,
        15,
        15,
        18,
    ),
}


def valor_thresholds(classes: Sequence[str]) -> dict[str, list[float]]:
    """The logit that a label must exceed, per modality and class: for `thresholds` of the strategy "logit"."""
    places = [_place(name) for name in classes]
    return {
        MODALITIES[m]: [float(logits[place]) for place in places]
        for m, logits in LOGITS.items()
    }


def valor_prompts(classes: Sequence[str], modality: int) -> list[list[str]]:
    """The sentence of each class."""
    return [
        [PREFIX[modality].format(CAPTIONS[modality][_place(name)])] for name in classes
    ]


def _place(name: str) -> int:
    if name not in LLP.classes:
        raise RecipeError(
            unknown("class of VALOR", name, LLP.classes),
            fix="its thresholds and prompts are those of LLP",
        )
    return LLP.index(name)
