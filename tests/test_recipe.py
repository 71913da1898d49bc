"""Recipes: unknown settings are errors, and omitted settings are written to the run."""

import re
from pathlib import Path

import pytest
import yaml

from vaplan import recipe as recipes
from vaplan.errors import RecipeError
from vaplan.recipe import Recipe


@pytest.mark.parametrize("name", recipes.shipped())
def test_every_shipped_recipe_can_be_read_and_names_its_source(name: str) -> None:
    text = recipes.shipped()[name].read_text(encoding="utf-8")
    assert isinstance(recipes.read(name), Recipe)
    assert text.startswith("#")
    assert "arXiv" in text or "CVPR" in text or "as `" in text.casefold()
    assert f"vaplan train {name} " in text


@pytest.mark.parametrize("name", recipes.shipped())
def test_a_resolved_recipe_reads_back_equal(name: str) -> None:
    recipe = recipes.read(
        name, changes=["training.epochs=3", "model.settings={hidden: 8}"]
    )
    assert recipes.parse(recipes.dump(recipe)) == recipe
    assert recipe.training.epochs == 3
    assert recipe.model.settings == {"hidden": 8}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "training: {epoch: 60}",
            "unknown setting of training 'epoch'; did you mean 'epochs'",
        ),
        ("trainig: {}", "unknown setting of recipe 'trainig'; did you mean 'training'"),
        ("training: {epochs: many}", "epochs is 'many', expected a whole number"),
        ("training: {epochs: true}", "epochs is True, expected a whole number"),
        (
            "training: {learning_rate: high}",
            "learning_rate is 'high', expected a number",
        ),
        ("losses: {vidoe: 1}", "unknown loss 'vidoe'; did you mean 'video'"),
        (
            "losses: {modality: {smothing: 1}}",
            "unknown setting of modality 'smothing'; did you mean 'smoothing'",
        ),
        (
            "losses: {modality: {smoothing: [a, b]}}",
            "modality.smoothing is 'a', expected a number",
        ),
        ("losses: {video: high}", "video.weight is 'high', expected a number"),
        (
            "training: {select_by: segment tpye}",
            "unknown select_by 'segment tpye'; did you mean 'segment type'",
        ),
        ("removal: {warm_up: none}", "unknown warm_up 'none'"),
        (
            "decision: {segments: guessed}",
            "unknown way to choose segment thresholds 'guessed'",
        ),
        ("model: {name: hann}", "unknown model 'hann'; did you mean 'han'"),
        ("decision: {rule: gate}", "unknown decision rule 'gate'"),
        ("audio: []", "no audio encoder"),
        ("- a\n- b", "a recipe is a mapping of settings"),
        ("a: &x 1\nb: *x", "aliases are not allowed"),
        ("data: a\ndata: b", "'data' is set twice"),
        ("data: !!python/object/apply:os.system [ls]", "not YAML"),
        ("data: 'open", "not YAML"),
        ("[" * 5000, "nested deeper|not YAML"),
        ("data: " + "x" * 300_000, "larger than"),
    ],
)
def test_a_faulty_recipe_is_one_clear_error(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipes.parse(text)


def test_a_number_that_yaml_reads_as_text_is_a_number() -> None:
    assert (
        recipes.parse("training: {learning_rate: 1e-4}").training.learning_rate == 1e-4
    )


@pytest.mark.parametrize("text", ["１e-4", "1_0e-4", "nan"])
def test_a_number_is_finite_and_written_with_ascii_digits(text: str) -> None:
    with pytest.raises(RecipeError, match=r"learning_rate is '.*', expected a number"):
        recipes.parse(f"training: {{learning_rate: {text}}}")


def test_changes_apply_to_nested_settings_and_invalid_ones_are_refused() -> None:
    assert (
        recipes.parse("", changes=["decision.threshold=0.4"]).decision.threshold == 0.4
    )
    with pytest.raises(RecipeError, match="'epochs' is no change"):
        recipes.parse("", changes=["epochs"])


@pytest.mark.parametrize(
    ("text", "location"),
    [
        (
            "model: {name: han}\ntraining:\n  epochs: 3\n  epoch: 4\n",
            "r.yaml:4: unknown",
        ),
        ("losses:\n  video: 1\n  vid: 3\n", "r.yaml:3: unknown loss"),
        ("training:\n\n  epochs: many\n", "r.yaml:3: epochs is 'many'"),
        ("audio:\n- embedded\n- 3\n", "r.yaml:3: audio is 3"),
        ("decision: {}\nmodel:\n  name: hann\n", "r.yaml:3: unknown model"),
        ("[1]", "r.yaml:1: a recipe is a mapping"),
        ("# nothing\n", "r.yaml: the recipe is empty"),
        ("{}", "r.yaml: the recipe is empty"),
        ("#" * 300_000, "larger than 262,144 bytes"),
    ],
)
def test_an_error_in_a_recipe_names_its_line(
    tmp_path: Path, text: str, location: str
) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError) as caught:
        recipes.read(file)
    assert re.search(location, str(caught.value))


def test_an_error_of_a_change_names_no_line_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("training:\n  epochs: 3\n")
    with pytest.raises(RecipeError, match=r"r\.yaml: epochs is 'x'"):
        recipes.read(file, changes=["training.epochs=x"])


def test_an_unknown_recipe_names_the_shipped_ones() -> None:
    with pytest.raises(RecipeError, match="unknown recipe 'hann'; did you mean 'han'"):
        recipes.read("hann")


def test_the_resolved_recipe_names_every_setting() -> None:
    named = yaml.safe_load(recipes.dump(Recipe()))
    assert {"epochs", "batch_size", "seed", "learning_rate"} <= set(named["training"])
