"""A taxonomy file, YAML or CSV: the user's own classes, in order, and sentences that describe them.

```yaml
classes: [Dog, Rain]
task: localisation                                                 # optional: a segment holds one
class or none
templates: {audio: "This sound contains the {}."}                  # optional, a sentence or a list
prompts: {Dog: {audio: [a dog barking, a howl], visual: a dog}}    # optional, instead of the
templates ```

As CSV the columns are `class` and, optionally, `audio` and `visual` with prompts; a class has as
many rows as it has prompts, and an empty cell leaves it to the templates.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vaplan.errors import AnnotationError, unknown
from vaplan.modalities import MODALITIES
from vaplan.reading import (
    MAX_BYTES,
    Document,
    Place,
    csv_text,
    plain_text,
    yaml_document,
)
from vaplan.taxonomy.taxonomy import TEMPLATES, Taxonomy

KEYS = ("classes", "task", "templates", "prompts")
TASKS = ("parsing", "localisation")
COLUMNS = ("class", *MODALITIES)
LONGEST_NAME, LONGEST_SENTENCE = 200, 1000  # characters
MAX_CSV_BYTES = 64 * 1024 * 1024
QUOTE = (
    'put it in quotes, as in "No"'  # YAML reads a bare No as false and 1e3 as a number
)

Check = Callable[[str], str]  # what is wrong with a sentence, empty if nothing is


@dataclass(frozen=True)
class _Content:
    """Content of a taxonomy file: classes, templates, prompts and task."""

    classes: tuple[str, ...]
    templates: Mapping[str, tuple[str, ...]]
    prompts: Mapping[str, Mapping[str, tuple[str, ...]]]
    task: str = TASKS[0]


def read_taxonomy(path: Path) -> Taxonomy:
    """Read a taxonomy file; missing prompts come from the default templates."""
    content = _read(path)
    return Taxonomy(
        content.classes, {**TEMPLATES, **content.templates}, content.prompts
    )


def read_task(path: Path) -> str:
    """Read the task of a taxonomy file, one of `TASKS`."""
    return _read(path).task


def with_prompts(taxonomy: Taxonomy, path: Path) -> Taxonomy:
    """Replace templates and prompts of a taxonomy by those of a file.

    The file may name some of the classes only.

    Args:
        taxonomy: Classes.
        path: Taxonomy file.
    """
    content = _read(path, known=taxonomy.classes)
    if not content.templates and not any(content.prompts.values()):
        raise AnnotationError(
            "neither templates nor prompts",
            file=path,
            fix="say how the classes are described",
        )
    prompts = {
        m: {**taxonomy.own_prompts.get(m, {}), **content.prompts.get(m, {})}
        for m in MODALITIES
    }
    return replace(
        taxonomy,
        templates={**taxonomy.templates, **content.templates},
        own_prompts=prompts,
    )


def _read(path: Path, *, known: Collection[str] | None = None) -> _Content:
    """Read the content of a file and check its classes."""
    readers = {".yaml": _from_yaml, ".yml": _from_yaml, ".csv": _from_csv}
    if path.suffix not in readers:
        what = f"a taxonomy file cannot end with {path.suffix!r}"
        raise AnnotationError(what, file=path, fix=f"use {' or '.join(readers)}")
    try:
        return readers[path.suffix](path, known)
    except AnnotationError as error:
        raise AnnotationError(
            error.what, fix=error.fix, file=path, line=error.line
        ) from error


def _from_yaml(path: Path, known: Collection[str] | None) -> _Content:
    document = yaml_document(plain_text(path, at_most=MAX_BYTES), error=AnnotationError)
    if document.value is None:
        raise AnnotationError("the file is empty", fix="write `classes: [Dog, Rain]`")
    tree = _named(document, document.value, (), kind="key", known=KEYS)
    classes = _classes(document, tree.get("classes", []), known)
    task = tree.get("task", TASKS[0])
    if task not in TASKS:
        raise AnnotationError(
            unknown("task", str(task), TASKS), line=document.line("task")
        )
    templates = _named(
        document,
        tree.get("templates", {}),
        ("templates",),
        kind="modality",
        known=MODALITIES,
    )
    own = _named(
        document,
        tree.get("prompts", {}),
        ("prompts",),
        kind="class",
        known=known or classes,
    )
    prompts: dict[str, dict[str, tuple[str, ...]]] = {
        modality: {} for modality in MODALITIES
    }
    for name, by_modality in own.items():
        said = _named(
            document, by_modality, ("prompts", name), kind="modality", known=MODALITIES
        )
        for modality, value in said.items():
            prompts[modality][name] = _sentences(
                document, value, ("prompts", name, modality), _no_prompt
            )
    filled = {
        m: _sentences(document, value, ("templates", m), _no_template)
        for m, value in templates.items()
    }
    return _Content(classes, filled, prompts, task)


def _named(
    document: Document, value: Any, place: Place, *, kind: str, known: Collection[str]
) -> dict[str, Any]:
    """Check that a value is a mapping with valid keys."""
    if not isinstance(value, dict):
        what = (
            f"{'.'.join(map(str, place)) or 'the file'} is {_shown(value)}, expected "
            f"one `{kind}: …` or several"
        )
        raise AnnotationError(
            what,
            line=document.line(*place),
            fix=f"name one of {', '.join(list(known)[:4])}",
        )
    for key in value:
        if not isinstance(key, str):
            raise AnnotationError(
                f"{kind} {key!r} is no text", line=document.line(*place), fix=QUOTE
            )
        if key not in known:
            raise AnnotationError(
                unknown(kind, key, known), line=document.line(*place, key)
            )
    return value


def _classes(
    document: Document, value: Any, known: Collection[str] | None
) -> tuple[str, ...]:
    if not isinstance(value, list):
        what, line = (
            f"classes is {_shown(value)}, expected a list",
            document.line("classes"),
        )
        raise AnnotationError(what, line=line, fix="write `classes: [Dog, Rain]`")
    classes = dict[str, None]()
    for position, item in enumerate(value):
        line = document.line("classes", position)
        name = _class(_text(item, "class", line), known, line)
        if name in classes:
            raise AnnotationError(
                f"class {name!r} is listed twice", line=line, fix="keep one of the two"
            )
        classes[name] = None
    if not classes and known is None:
        raise AnnotationError(
            "no classes",
            line=document.line("classes"),
            fix="write `classes: [Dog, Rain]`",
        )
    return tuple(classes)


def _sentences(
    document: Document, value: Any, place: Place, wrong: Check
) -> tuple[str, ...]:
    """One sentence, or a list of them."""
    items = value if isinstance(value, list) else [value]
    if not items:
        line = document.line(*place)
        raise AnnotationError(
            f"{'.'.join(map(str, place))} is empty",
            line=line,
            fix="write a sentence, or leave it out",
        )
    lines = [document.line(*place, position) for position in range(len(items))]
    return tuple(
        _sentence(_text(item, "sentence", n), wrong, n)
        for item, n in zip(items, lines, strict=True)
    )


def _from_csv(path: Path, known: Collection[str] | None) -> _Content:
    header, rows = csv_text(path, at_most=MAX_CSV_BYTES)
    _check_header(header)
    classes = dict[str, int]()  # and the line of each
    prompts: dict[str, dict[str, list[str]]] = {modality: {} for modality in MODALITIES}
    for line, cells in rows:
        if len(cells) != len(header):
            what = f"{len(cells)} fields where the header has {len(header)}"
            raise AnnotationError(
                what, line=line, fix="quote sentences that hold commas"
            )
        row = dict(zip(header, cells, strict=True))
        name = _class(row["class"], known, line)
        said = {
            m: _sentence(row[m], _no_prompt, line) for m in MODALITIES if row.get(m)
        }
        if name in classes and not said:
            what = f"class {name!r} is listed twice, first in line {classes[name]}"
            raise AnnotationError(what, line=line, fix="keep one of the two")
        classes.setdefault(name, line)
        for modality, sentence in said.items():
            prompts[modality].setdefault(name, []).append(sentence)
    if not classes:
        raise AnnotationError("no classes", fix="write one class a row")
    return _Content(
        tuple(classes),
        {},
        {m: {name: tuple(own) for name, own in prompts[m].items()} for m in MODALITIES},
    )


def _check_header(header: list[str]) -> None:
    fix = f"start with {','.join(COLUMNS)}, separated by commas"
    if "class" not in header:
        raise AnnotationError(
            f"column 'class' is missing; found: {', '.join(header)[:80]}",
            line=1,
            fix=fix,
        )
    for name in header:
        if name not in COLUMNS:
            raise AnnotationError(unknown("column", name, COLUMNS), line=1, fix=fix)
    if len(set(header)) < len(header):
        raise AnnotationError("a column occurs twice", line=1, fix=fix)


def _text(value: Any, kind: str, line: int | None) -> str:
    if not isinstance(value, str):
        raise AnnotationError(
            f"{kind} {_shown(value)} is no text", line=line, fix=QUOTE
        )
    return value


def _class(name: str, known: Collection[str] | None, line: int | None) -> str:
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        what = f"class {_shown(name)} cannot be used"
        raise AnnotationError(
            what,
            line=line,
            fix=f"write a name of at most {LONGEST_NAME} printable characters",
        )
    if known is not None and name not in known:
        raise AnnotationError(unknown("class", name, known), line=line)
    return name


def _sentence(text: str, wrong: Check, line: int | None) -> str:
    sentence = " ".join(text.split())
    fault, fix = wrong(sentence), "write what one would say of it"
    if not sentence or not sentence.isprintable():
        fault = "is empty or cannot be printed"
    elif len(sentence) > LONGEST_SENTENCE:
        fault, fix = (
            f"is longer than {LONGEST_SENTENCE} characters",
            "text encoders read a short sentence",
        )
    if fault:
        raise AnnotationError(
            f"sentence {_shown(sentence)} {fault}", line=line, fix=fix
        )
    return sentence


def _no_template(sentence: str) -> str:
    return "" if sentence.count("{}") == 1 else "must hold one {} for the class name"


def _no_prompt(sentence: str) -> str:
    return "holds {}, which only templates may" if "{}" in sentence else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
