"""Documents, help texts, recipes, suites, scripts and names of tests use the words of the glossary."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from vaplan import bench, cli
from vaplan import recipe as recipes

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((BENCHMARKS / "results").glob("*.md")),
]
SETTINGS = [
    *recipes.shipped().values(),
    *bench.shipped().values(),
    *sorted((BENCHMARKS / "suites").glob("*.yaml")),
]
SCRIPTS = [
    path
    for folder in (BENCHMARKS, ROOT / "tools", ROOT / "docs")
    for path in sorted(folder.glob("*.py"))
]
# Former words and their replacements.
REPLACED = {
    "mend": "refine, denoise or correct",
    "mends": "refines, denoises or corrects",
    "mended": "refined, denoised or corrected",
    "mending": "refinement",
    "judge": "predict, score or diagnose",
    "judges": "predicts, scores or diagnoses",
    "judged": "predicted, scored or diagnosed",
    "told": "reported, predicted or given",
    "witness": "source",
    "witnesses": "sources",
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
    "--evidence": "--out-probability",
}
UNCLEAR_IN_NAMES = {word for word in REPLACED if word.isalpha()} | {
    *("said", "says", "heard", "seen", "nobody"),
}


def former_words(text: str) -> list[str]:
    plain = " ".join(text.casefold().split())
    return [
        f"{word!r} (write: {better})"
        for word, better in REPLACED.items()
        if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", plain)
    ]


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, *SETTINGS, *SCRIPTS], ids=lambda path: path.name
)
def test_documents_settings_and_scripts_have_no_former_word(path: Path) -> None:
    assert former_words(path.read_text(encoding="utf-8")) == []


def unclear_names(source: str) -> list[str]:
    names = re.findall(r"^\s*def (test_\w+)", source, flags=re.MULTILINE)
    return [name for name in names if not UNCLEAR_IN_NAMES.isdisjoint(name.split("_"))]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.name
)
def test_names_of_tests_are_plain(path: Path) -> None:
    assert unclear_names(path.read_text(encoding="utf-8")) == []


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
    source = "def test_a_teacher_mends():\n    ...\n\ndef test_mending_tools():"
    assert unclear_names(source) == ["test_a_teacher_mends", "test_mending_tools"]
    assert unclear_names("def test_recommended_labels():") == []
