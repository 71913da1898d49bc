"""Documents, help texts, recipes and suites use the words of the glossary."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from vaplan import bench, cli
from vaplan import recipe as recipes

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"] + [
    path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "log.md"
]
SETTINGS = [*recipes.shipped().values(), *bench.shipped().values()]
# Former words and their replacements; the log of experiments keeps the words of its time.
REPLACED = {
    "mended": "refined, denoised or corrected",
    "witness": "source",
    "by heart": "memorised",
    "everyday things": "background prompts",
    "drawn world": "synthetic data",
    "oddity": "issue",
    "oddities": "issues, deviations",
    "soft label": "label probability",
    "soft labels": "label probabilities",
    "cross-fitted": "out of fold",
    "--choose": "--rule",
    "--threshold-rule": "--rule",
    "--trust": "--parser-weight",
    "--evidence": "--label-probability",
}


def former_words(text: str) -> list[str]:
    plain = " ".join(text.casefold().split())
    return [
        f"{word!r} (write: {better})"
        for word, better in REPLACED.items()
        if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", plain)
    ]


@pytest.mark.parametrize("path", [*DOCUMENTS, *SETTINGS], ids=lambda path: path.name)
def test_documents_recipes_and_suites_have_no_former_word(path: Path) -> None:
    assert former_words(path.read_text(encoding="utf-8")) == []


def command_names() -> list[list[str]]:
    names = [[name] for name in cli.COMMANDS]
    for group, (_, members) in cli.GROUPS.items():
        names += [[group, member] for member in members]
    return names


@pytest.mark.parametrize("name", command_names(), ids=" ".join)
def test_help_has_no_former_word_and_an_example(name: list[str]) -> None:
    shown = CliRunner().invoke(cli.app, [*name, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert former_words(shown.output) == []
    command = typer.main.get_command(cli.app)
    for part in name:
        command = command.commands[part]
    assert re.search(rf"vaplan {' '.join(name)}[ `]", command.help or "")


def test_a_former_word_is_found() -> None:
    assert former_words("labels that were\nmended") == [
        "'mended' (write: refined, denoised or corrected)"
    ]
    assert former_words("recommended, mended_labels") == []
