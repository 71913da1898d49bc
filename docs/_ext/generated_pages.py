"""Write the pages that follow from the code and from files outside docs/, before Sphinx reads.

Everything is written to docs/generated/, which is not kept in the repository: the command line
reference, the pages of public Python names and of plug-ins, results, and project files.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
import yaml
from sphinx.application import Sphinx

import vaplan
from vaplan import cli, decisions, encoders, exports, losses, models, pseudo_labels

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
GENERATED = DOCS / "generated"
RESULTS = ROOT / "benchmarks" / "results"
# Pages that are copies, and the files of the repository that they show.
ORIGINALS = {
    GENERATED / "project" / "changelog.md": ROOT / "CHANGELOG.md",
    GENERATED / "project" / "contributing.md": ROOT / "CONTRIBUTING.md",
    GENERATED / "project" / "style.md": ROOT / "STYLE.md",
} | {GENERATED / "results" / path.name: path for path in sorted(RESULTS.glob("*.md"))}


@dataclass(frozen=True)
class Registry:
    """A dict of plug-ins.

    Attributes:
        title: Title of its page.
        module: Module that has the dict.
        name: Name of the dict.
        usage: One sentence that says how a plug-in is selected.
    """

    title: str
    module: ModuleType
    name: str
    usage: str

    @property
    def entries(self) -> Mapping[str, Any]:
        """The plug-ins by name."""
        entries: Mapping[str, Any] = getattr(self.module, self.name)
        return entries

    @property
    def location(self) -> str:
        """The dict as one imports it."""
        return f"{self.module.__name__}.{self.name}"


REGISTRIES: Mapping[str, Registry] = {
    "models": Registry(
        "Models",
        models,
        "MODELS",
        "A recipe selects a network by `model: {name: NAME, settings: {…}}`.",
    ),
    "losses": Registry(
        "Losses",
        losses,
        "LOSSES",
        "A recipe selects losses and their weights by `losses: {NAME: 1.0}`.",
    ),
    "decisions": Registry(
        "Decision rules",
        decisions,
        "DECISIONS",
        "A recipe selects the rule that marks segments by `decision: {rule: NAME}`.",
    ),
    "label_rules": Registry(
        "Label rules",
        pseudo_labels,
        "LABEL_RULES",
        "`vaplan label --rule NAME` selects how pseudo labels are chosen.",
    ),
    "encoders": Registry(
        "Encoders",
        encoders,
        "ENCODERS",
        "Options such as `--visual` select an encoder by `NAME:SOURCE`, as `clip:FOLDER`.",
    ),
    "exports": Registry(
        "Formats",
        exports,
        "FORMATS",
        "`--format NAME` of `vaplan parse`, `vaplan export` and `vaplan import-events` selects "
        "the format of timelines.",
    ),
}


def first_paragraph(text: str | None) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def rst_title(text: str) -> str:
    """Return a title in reStructuredText."""
    return f"{text}\n{'=' * len(text)}\n\n"


def rst_table(header: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of two columns in reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: auto", ""]
    for left, right in (header, *rows):
        lines += [f"   * - {left}", f"     - {right}"]
    return "\n".join(lines) + "\n\n"


def toctree(names: Iterable[str]) -> str:
    """Return a hidden table of contents in reStructuredText."""
    return ".. toctree::\n   :hidden:\n\n" + "".join(f"   {name}\n" for name in names)


# --- Python names ---------------------------------------------------------------------


def python_pages() -> dict[str, str]:
    """Return one page for each public name of `vaplan`, and their index."""
    pages = {
        f"python/{name}.rst": python_page(name, getattr(vaplan, name))
        for name in vaplan.__all__
    }
    rows = [
        (
            f":doc:`vaplan.{name} <{name}>`",
            first_paragraph(getattr(vaplan, name).__doc__),
        )
        for name in vaplan.__all__
    ]
    pages["python/index.rst"] = (
        rst_title("Python")
        + "The public names of `vaplan`. `import vaplan` is fast: a name is imported when it "
        "is used first. Arrays have their shapes in the signature, as "
        '`Bool[Tensor, "video time class"]`; the axes are explained in the '
        ":doc:`glossary </glossary>`.\n\n"
        + rst_table(("name", "meaning"), rows)
        + toctree(vaplan.__all__)
    )
    return pages


def python_page(name: str, value: Any) -> str:
    """Return the page of one public name."""
    return rst_title(f"vaplan.{name}") + directive(value, "vaplan", name)


def directive(value: Any, module: str, name: str) -> str:
    """Return the autodoc directive that documents a class or a function."""
    if inspect.isclass(value):
        options = "   :members:\n   :special-members: __call__, __getitem__\n"
        return f".. autoclass:: {module}.{name}\n{options}\n"
    return f".. autofunction:: {module}.{name}\n\n"


# --- plug-ins -------------------------------------------------------------------------


def plugin_pages() -> dict[str, str]:
    """Return one page for each registry of plug-ins, and their index."""
    pages = {
        f"plugins/{page}.rst": plugin_page(registry)
        for page, registry in REGISTRIES.items()
    }
    rows = [
        (
            f":doc:`{registry.title} <{page}>`",
            f"`{registry.location}`. {registry.usage}",
        )
        for page, registry in REGISTRIES.items()
    ]
    pages["plugins/index.rst"] = (
        rst_title("Plug-ins")
        + "A plug-in is a function or a small class, and a line in a dict. "
        ":doc:`Contributing </generated/project/contributing>` explains how to add one.\n\n"
        + rst_table(("kind", "where and how it is selected"), rows)
        + toctree(REGISTRIES)
    )
    return pages


def plugin_page(registry: Registry) -> str:
    """Return the page of one registry: its names, then the documentation of each plug-in."""
    rows = [(f"`{name}`", summary(value)) for name, value in registry.entries.items()]
    documented = {
        (part.__module__, part.__qualname__): part
        for value in registry.entries.values()
        for part in parts(value)
    }
    return (
        rst_title(registry.title)
        + f"The dict `{registry.location}`. {registry.usage}\n\n"
        + rst_table(("name", "meaning"), rows)
        + "".join(directive(part, *place) for place, part in documented.items())
    )


def parts(value: Any) -> list[Any]:
    """Return the classes and functions that a plug-in is made of."""
    if isinstance(value, exports.Format):
        functions = (value.read, value.write or value.write_all)
        return [function for function in functions if function is not None]
    if isinstance(value, tuple):
        return [part for member in value for part in parts(member)]
    if isinstance(value, partial):
        arguments = [a for a in value.keywords.values() if inspect.isfunction(a)]
        return [value.func, *arguments]
    return [value]


def summary(value: Any) -> str:
    """Return one sentence about a plug-in: of its network, of its gate, or its own."""
    return first_paragraph(parts(value)[-1].__doc__)


# --- command line ---------------------------------------------------------------------


def command_pages() -> dict[str, str]:
    """Return one page for each command, made from the typer application, and their index."""
    application = typer.main.get_command(cli.app)
    by_panel: dict[str, dict[str, str]] = {}
    pages = {}
    for name, command in application.commands.items():
        if hasattr(command, "commands"):
            text, about = group_page(name, command), command.help
        else:
            text, about = command_page(f"vaplan {name}", command), command.short_help
        pages[f"commands/{name}.md"] = text
        by_panel.setdefault(command.rich_help_panel, {})[name] = about
    pages["commands/index.md"] = command_index(application, by_panel)
    return pages


def command_index(application: Any, by_panel: Mapping[str, Mapping[str, str]]) -> str:
    """Return the overview of all commands, by the headings of `vaplan --help`."""
    text = f"# Command line\n\n{application.help}\n\n{application.epilog}\n\n"
    for panel, names in by_panel.items():
        text += f"## {panel}\n\n| command | |\n|---|---|\n"
        for name, about in names.items():
            text += f"| [vaplan {name}]({name}.md) | {cell(about)} |\n"
        text += "\n"
    text += option_table(application, "vaplan", "Options of every command")
    names = "\n".join(name for names in by_panel.values() for name in names)
    return text + f"\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"


def command_page(title: str, command: Any, heading: str = "#") -> str:
    """Return the help of one command: usage, text and options."""
    context = typer.Context(command, info_name=title)
    usage = " ".join([title, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    tables = option_table(command, title, "Options", f"{heading}#")
    return f"{heading} {title}\n\n```text\n{usage}\n```\n\n{text}\n\n{tables}"


def group_page(name: str, group: Any) -> str:
    """Return the help of all commands of a group."""
    members = [
        command_page(f"vaplan {name} {member}", command, "##")
        for member, command in group.commands.items()
    ]
    return f"# vaplan {name}\n\n{group.help}\n\n" + "\n".join(members)


def option_table(command: Any, title: str, name: str, heading: str = "##") -> str:
    """Return a table of the arguments and options of a command."""
    context = typer.Context(command, info_name=title)
    records = [parameter.get_help_record(context) for parameter in command.params]
    rows = [
        f"| {option_name(record[0])} | {cell(record[1])} |\n"
        for record in records
        if record is not None
    ]
    header = f"{heading} {name}\n\n| option | meaning |\n|---|---|\n"
    return header + "".join(rows) + "\n"


def option_name(text: str) -> str:
    """Return `--name <type>` of a help record with the name as code and the type in italics."""
    name, _, kind = text.partition(" <")
    names = f"`{name}`".replace(" / ", "` / `").replace("|", "\\|")
    return f"{names} *{cell(kind.removesuffix('>'))}*" if kind else names


def cell(text: str) -> str:
    """Return text for a cell of a Markdown table: bars and, outside code, brackets escaped."""
    parts = " ".join(text.replace("|", "\\|").split()).split("`")
    parts[::2] = [part.replace("[", "\\[") for part in parts[::2]]
    return "`".join(parts)


# --- project --------------------------------------------------------------------------


def project_pages() -> dict[str, str]:
    """Return the page of citations and the index of results."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    results = [
        path.stem for path, _ in ORIGINALS.items() if path.parent.name == "results"
    ]
    rows = "".join(
        f"- [{heading(RESULTS / f'{name}.md')}]({name}.md)\n" for name in results
    )
    names = "\n".join(results)
    return {
        "project/citation.md": citation_page(citation),
        "results/index.md": "# Results\n\nEach page was written by a script in `benchmarks/`, "
        "which it names. [The log](../../log.md) says what was tried.\n\n"
        f"{rows}\n```{{toctree}}\n:hidden:\n\n{names}\n```\n",
    }


def heading(path: Path) -> str:
    """Return the first heading of a Markdown file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(line.removeprefix("# ") for line in lines if line.startswith("# "))


def citation_page(citation: Mapping[str, Any]) -> str:
    """Return how to cite the software and the paper, from CITATION.cff."""
    (paper,) = citation["references"]
    software = {
        "title": citation["title"],
        "author": " and ".join(f"{{{a['name']}}}" for a in citation["authors"]),
        "version": citation["version"],
        "license": citation["license"],
    }
    article = {
        "title": paper["title"],
        "author": " and ".join(a["family-names"] for a in paper["authors"]),
        "journal": paper["journal"],
        "year": paper["year"],
        "note": paper["notes"],
    }
    return (
        f"# Citation\n\n{citation['message']}\n\n## The software\n\n"
        f"{bibtex('software', 'vaplan', software)}\n## The paper\n\n"
        f"{bibtex('article', 'zhou2024advancing', article)}"
    )


def bibtex(kind: str, key: str, fields: Mapping[str, object]) -> str:
    """Return a BibTeX entry in a block of text."""
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"```text\n@{kind}{{{key},\n{lines}}}\n```\n"


WRITERS: tuple[Callable[[], dict[str, str]], ...] = (
    python_pages,
    plugin_pages,
    command_pages,
    project_pages,
)


def write_pages(_: Sphinx | None = None) -> None:
    """Write all pages; a page that has not changed keeps its time, so Sphinx skips it."""
    pages = {
        GENERATED / name: text for writer in WRITERS for name, text in writer().items()
    }
    for page, original in ORIGINALS.items():
        pages[page] = original.read_text(encoding="utf-8")
    for path in [p for p in GENERATED.rglob("*") if p.is_file() and p not in pages]:
        path.unlink()
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages when the builder is there and before it lists the sources."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
