"""Sentences by name."""

from pathlib import Path

import pytest

from vaplan.errors import RecipeError, UsageError
from vaplan.taxonomy import LLP, Taxonomy
from vaplan.zero_shot import replace_prompts


def test_valors_sentences_are_those_of_its_own_list() -> None:
    words = replace_prompts(LLP, "valor")
    assert words.classes == LLP.classes
    assert words.prompts("visual")[LLP.index("Speech")] == [
        "A photo of people talking."
    ]
    assert words.prompts("audio")[LLP.index("Frying_(food)")] == [
        "This is a sound of frying (food)"
    ]


def test_only_classes_of_llp_have_valors_sentences() -> None:
    assert replace_prompts(Taxonomy(("Cat", "Car")), "valor").prompts("visual") == [
        ["A photo of a cat."],
        ["A photo of a car."],
    ]
    with pytest.raises(RecipeError, match="unknown class of VALOR 'Bell'"):
        replace_prompts(Taxonomy(("Bell",)), "valor")


def test_default_takes_the_users_own_sentences_back() -> None:
    own = Taxonomy(
        ("Bell",),
        {"audio": ("hear {}",), "visual": ("see {}",)},
        {"audio": {"Bell": ("ding",)}},
    )
    assert replace_prompts(own, "default").prompts("audio") == [
        ["This sound contains the bell."]
    ]


def test_several_templates_are_several_sentences(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text('templates: {audio: ["a {}", "the sound of a {}"]}')
    assert replace_prompts(Taxonomy(("Bell",)), str(file)).prompts("audio") == [
        ["a bell", "the sound of a bell"]
    ]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        UsageError, match="unknown list of prompts 'valour'; did you mean 'valor'"
    ):
        replace_prompts(LLP, "valour")
