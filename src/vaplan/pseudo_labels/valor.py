"""VALOR's prompts and thresholds for LLP: one published logit threshold for each class.

The prompts have the published spelling, errors included, because the thresholds were
chosen with them.

Source: Lai, Chen, Wang, "Modality-Independent Teachers Meet Weakly-Supervised Audio-Visual
Event Parser", NeurIPS 2023, arXiv 2305.17343, and the code published with it.
"""

from collections.abc import Sequence

from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.errors import RecipeError, unknown
from vaplan.taxonomy import LLP

PREFIX = {AUDIO: "This is a sound of {}", VISUAL: "A photo of {}."}
CAPTIONS = {
    AUDIO: (
        "speech|car|cheering|dog|cat|frying (food)|basketball bounce|fire "
        "alarm|chainsaw|cello|banjo|singing|"
        "chicken, rooster|violin fiddle|vacuum cleaner|baby "
        "laughter|accordion|lawn mower|motorcycle|helicopter|"
        "acoustic guitar|telephone bell ringing|baby cry, infant cry|blender|clapping"
    ).split("|"),
    VISUAL: (
        "people talking|a car|people cheering|a dog|a cat|frying food|people "
        "playing basketball|a fire alarm|"
        "a chainsaw|a cello|a banjo|people singing|a chicken or a rooster|a violin|"
        "a vaccum cleaner|a laughing baby|"  # codespell:ignore vaccum
        "an accordion|a lawnmower|a motorcycle|a helicopter|"
        "a acoustic guiter|a ringing telephone|a crying baby|"  # codespell:ignore guiter
        "a blender|hands clapping"
    ).split("|"),
}
# fmt: off
LOGITS = {
    AUDIO: (
        0, 0, 1, 4, 6, -2, 4, 4, 2, 2, 2, 1, 2, 3, 0, 2, 2, 2, 0, 2, -1, 2, 3, 3, 0,
    ),
    VISUAL: (
        20, 15, 18, 14, 15, 18, 18, 15, 15, 15, 15, 18, 15, 15, 15, 15, 15, 15, 15, 16,
        14, 15, 15, 15, 18,
    ),
}
# fmt: on


def valor_thresholds(classes: Sequence[str]) -> dict[str, list[float]]:
    """Return the published logit threshold of each class, per modality.

    Raises:
        RecipeError: A class is not one of LLP's.
    """
    indices = [_llp_index(name) for name in classes]
    return {
        MODALITIES[modality]: [float(logits[index]) for index in indices]
        for modality, logits in LOGITS.items()
    }


def valor_prompts(classes: Sequence[str], modality: int) -> list[list[str]]:
    """Return the published prompt of each class.

    Args:
        classes: Classes of LLP.
        modality: `AUDIO` or `VISUAL`.

    Raises:
        RecipeError: A class is not one of LLP's.
    """
    captions = CAPTIONS[modality]
    prefix = PREFIX[modality]
    return [[prefix.format(captions[_llp_index(name)])] for name in classes]


def _llp_index(name: str) -> int:
    if name not in LLP.classes:
        raise RecipeError(
            unknown("class of VALOR", name, LLP.classes),
            fix="VALOR has thresholds and prompts for the classes of LLP only",
        )
    return LLP.index(name)
