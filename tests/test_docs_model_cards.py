"""The model cards in docs/ describe the files in the package."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from tests.encoders.test_embedded import compare_new_segments
from vaplan import synthetic
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.encoders.embedded import WEIGHTS
from vaplan.taxonomy import display_name

PAGE = (Path(__file__).parents[1] / "docs" / "model_cards.md").read_text(
    encoding="utf-8"
)
KINDS = {VISUAL: "clip", AUDIO: "clap"}
BOTH = pytest.mark.parametrize("modality", [AUDIO, VISUAL], ids=MODALITIES)
SPECIAL_TOKENS, ENDS = 4, 2


def cell(row: str, modality: int) -> str:
    """A cell of the table; "the same" is the cell at its left."""
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {row} |"))
    visual, audio = (part.strip() for part in line.strip("|").split("|")[1:])
    return audio if modality == AUDIO and audio != "the same" else visual


def config(modality: int, name: str) -> dict:
    path = WEIGHTS / KINDS[modality] / name
    return json.loads(path.read_text(encoding="utf-8"))


@BOTH
def test_size_and_number_of_parameters(modality: int) -> None:
    path = WEIGHTS / KINDS[modality] / "model.safetensors"
    with safe_open(path, "np") as file:
        parameters = sum(
            np.prod(file.get_slice(key).get_shape())
            for key in file.keys()
            if "running" not in key and file.get_slice(key).get_dtype() == "F32"
        )
    assert cell("parameters", modality) == f"{parameters / 1e6:.2f} million"
    assert cell("file", modality) == f"{path.stat().st_size / 1e6:.1f} MB, fp32"


@BOTH
def test_vocabulary_and_longest_prompt(modality: int) -> None:
    tokenizer = config(modality, "tokenizer.json")
    words = len(tokenizer["model"]["vocab"]) - SPECIAL_TOKENS
    assert cell("vocabulary", modality).startswith(f"{words} words:")
    longest = config(modality, "tokenizer_config.json")["model_max_length"] - ENDS
    assert f"longer than {longest} words" in " ".join(PAGE.split())


def test_the_classes_are_those_of_the_synthetic_data() -> None:
    (names,) = re.findall(r"The 16 classes are (.*?)\.", PAGE, flags=re.DOTALL)
    classes = re.split(r", | and ", " ".join(names.split()))
    assert classes == [display_name(name) for name in synthetic.TAXONOMY.classes]


@BOTH
def test_training_data_and_steps_are_those_of_the_card_in_the_package(
    modality: int,
) -> None:
    card = (WEIGHTS / KINDS[modality] / "README.md").read_text(encoding="utf-8")
    (clips, steps) = re.search(r"on (\d+) clips.*?\((\d+) steps", card, re.S).groups()
    assert f"{int(clips):,} rendered clips" in cell("training data", modality)
    assert f"{int(steps):,} steps" in cell("training", modality)


@BOTH
def test_accuracy_and_weakest_classes_are_as_measured(modality: int) -> None:
    cosine, truth = compare_new_segments(modality)
    single = truth.sum(axis=1) == 1
    is_right = cosine.argmax(axis=1) == truth.argmax(axis=1)
    accuracy = 100 * is_right[single].mean()
    row = "single events named right, of 16"
    assert cell(row, modality) == f"{accuracy:.0f} %"
    for name in cell("weakest classes", modality).split(", "):
        column = synthetic.TAXONOMY.classes.index(name.capitalize())
        assert is_right[single & truth[:, column]].mean() < 0.5
