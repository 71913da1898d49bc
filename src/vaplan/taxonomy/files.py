"""Taxonomy files: the user's own classes, in order, with optional prompts.

A YAML file:

```yaml
classes: [Dog, Rain]
task: localisation                    # optional: at most one class in a segment
templates:                            # optional: a sentence or a list of sentences
  audio: "This sound contains the {}."
prompts:                              # optional: sentences that replace the templates
  Dog: {audio: [a dog barking, a howl], visual: a dog}
```

A CSV file has the column `class` and, optionally, `audio` and `visual` with prompts. A
class has one row for each of its prompts; where it has none, the templates are used.
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
MAX_NAME_LENGTH = 200  # characters
MAX_SENTENCE_LENGTH = 1000  # characters
MAX_CSV_BYTES = 64 * 1024 * 1024
EXAMPLE = "write `classes: [Dog, Rain]`"
# YAML reads a bare No as false and a bare 1e3 as a number
QUOTE = 'put it in quotes, as in "No"'

FindFault = Callable[[str], str]  # returns the fault of a sentence, or an empty text


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
    templates = {**TEMPLATES, **content.templates}
    try:
        return Taxonomy(content.classes, templates, content.prompts)
    except AnnotationError as error:  # no class, or far too many
        raise AnnotationError(error.what, fix=error.fix, file=path) from error


def read_task(path: Path) -> str:
    """Read the task of a taxonomy file, one of `TASKS`."""
    return _read(path).task


def with_prompts(taxonomy: Taxonomy, path: Path) -> Taxonomy:
    """Replace templates and prompts of a taxonomy by the content of a file.

    Args:
        taxonomy: Classes with their present prompts.
        path: Taxonomy file; it may contain only some of the classes.

    Raises:
        AnnotationError: The file has neither templates nor prompts, or another fault.
    """
    content = _read(path, class_names=taxonomy.classes)
    if not content.templates and not any(content.prompts.values()):
        raise AnnotationError(
            "neither templates nor prompts",
            file=path,
            fix="write how the classes are described",
        )
    prompts = {}
    for modality in MODALITIES:
        present_prompts = taxonomy.own_prompts.get(modality, {})
        new_prompts = content.prompts.get(modality, {})
        prompts[modality] = {**present_prompts, **new_prompts}
    templates = {**taxonomy.templates, **content.templates}
    return replace(taxonomy, templates=templates, own_prompts=prompts)


def _read(path: Path, *, class_names: Collection[str] | None = None) -> _Content:
    """Read the content of a file and check its classes.

    Args:
        path: Taxonomy file.
        class_names: Classes that the file may contain; by default any.
    """
    readers = {".yaml": _from_yaml, ".yml": _from_yaml, ".csv": _from_csv}
    if path.suffix not in readers:
        raise AnnotationError(
            f"a taxonomy file cannot end with {path.suffix!r}",
            file=path,
            fix=f"use {' or '.join(readers)}",
        )
    try:
        return readers[path.suffix](path, class_names)
    except AnnotationError as error:
        raise AnnotationError(
            error.what, fix=error.fix, file=path, line=error.line
        ) from error


def _from_yaml(path: Path, class_names: Collection[str] | None) -> _Content:
    document = yaml_document(plain_text(path, at_most=MAX_BYTES), error=AnnotationError)
    if document.value is None:
        raise AnnotationError("the file is empty", fix=EXAMPLE)
    tree = _mapping(document, document.value, (), kind="key", keys=KEYS)
    classes = _classes(document, tree.get("classes", []), class_names)
    task = tree.get("task", TASKS[0])
    if task not in TASKS:
        raise AnnotationError(
            unknown("task", str(task), TASKS), line=document.line("task")
        )
    templates = _templates(document, tree.get("templates", {}))
    prompts = _prompts(document, tree.get("prompts", {}), class_names or classes)
    return _Content(classes, templates, prompts, task)


def _templates(document: Document, value: Any) -> dict[str, tuple[str, ...]]:
    """Read the templates of each modality."""
    by_modality = _mapping(
        document, value, ("templates",), kind="modality", keys=MODALITIES
    )
    templates = {}
    for modality, sentences in by_modality.items():
        key_path = ("templates", modality)
        templates[modality] = _sentences(document, sentences, key_path, _template_fault)
    return templates


def _prompts(
    document: Document, value: Any, class_names: Collection[str]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Read the prompts of each modality and class."""
    prompts: dict[str, dict[str, tuple[str, ...]]]
    prompts = {modality: {} for modality in MODALITIES}
    by_class = _mapping(document, value, ("prompts",), kind="class", keys=class_names)

    for name, entry in by_class.items():
        class_path = ("prompts", name)
        by_modality = _mapping(
            document, entry, class_path, kind="modality", keys=MODALITIES
        )
        for modality, sentences in by_modality.items():
            prompts[modality][name] = _sentences(
                document, sentences, (*class_path, modality), _prompt_fault
            )
    return prompts


def _mapping(
    document: Document,
    value: Any,
    key_path: Place,
    *,
    kind: str,
    keys: Collection[str],
) -> dict[str, Any]:
    """Check that a value is a mapping with valid keys.

    Args:
        document: Document of the value.
        value: Value at `key_path`.
        key_path: Keys that lead to the value.
        kind: Word for a key, for error messages.
        keys: Valid keys.
    """
    line = document.line(*key_path)
    if not isinstance(value, dict):
        raise AnnotationError(
            f"{_name_of(key_path)} is {_excerpt(value)}, expected one `{kind}: …` "
            "or several",
            line=line,
            fix=f"name one of {', '.join(list(keys)[:4])}",
        )
    for key in value:
        if not isinstance(key, str):
            raise AnnotationError(f"{kind} {key!r} is no text", line=line, fix=QUOTE)
        if key not in keys:
            raise AnnotationError(
                unknown(kind, key, keys), line=document.line(*key_path, key)
            )
    return value


def _classes(
    document: Document, value: Any, class_names: Collection[str] | None
) -> tuple[str, ...]:
    """Read the list of classes; it may be empty if `class_names` are given."""
    list_line = document.line("classes")
    if not isinstance(value, list):
        raise AnnotationError(
            f"classes is {_excerpt(value)}, expected a list",
            line=list_line,
            fix=EXAMPLE,
        )
    classes = dict[str, None]()
    for position, item in enumerate(value):
        line = document.line("classes", position)
        name = _class_name(_text(item, "class", line), class_names, line)
        if name in classes:
            raise AnnotationError(
                f"class {name!r} is listed twice", line=line, fix="keep one of the two"
            )
        classes[name] = None
    if not classes and class_names is None:
        raise AnnotationError("no classes", line=list_line, fix=EXAMPLE)
    return tuple(classes)


def _sentences(
    document: Document, value: Any, key_path: Place, find_fault: FindFault
) -> tuple[str, ...]:
    """Read one sentence, or a list of sentences."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise AnnotationError(
            f"{_name_of(key_path)} is empty",
            line=document.line(*key_path),
            fix="write a sentence, or leave it out",
        )
    sentences = []
    for position, item in enumerate(items):
        line = document.line(*key_path, position)
        text = _text(item, "sentence", line)
        sentences.append(_sentence(text, find_fault, line))
    return tuple(sentences)


def _from_csv(path: Path, class_names: Collection[str] | None) -> _Content:
    header, rows = csv_text(path, at_most=MAX_CSV_BYTES)
    _check_header(header)
    first_lines: dict[str, int] = {}
    prompts: dict[str, dict[str, tuple[str, ...]]]
    prompts = {modality: {} for modality in MODALITIES}
    for line, cells in rows:
        if len(cells) != len(header):
            raise AnnotationError(
                f"{len(cells)} fields where the header has {len(header)}",
                line=line,
                fix="quote sentences that contain commas",
            )
        row = dict(zip(header, cells, strict=True))
        name = _class_name(row["class"], class_names, line)
        row_prompts = {
            modality: _sentence(row[modality], _prompt_fault, line)
            for modality in MODALITIES
            if row.get(modality)
        }
        if name in first_lines and not row_prompts:
            raise AnnotationError(
                f"class {name!r} is listed twice, first in line {first_lines[name]}",
                line=line,
                fix="keep one of the two",
            )
        first_lines.setdefault(name, line)
        for modality, sentence in row_prompts.items():
            earlier_prompts = prompts[modality].get(name, ())
            prompts[modality][name] = (*earlier_prompts, sentence)
    if not first_lines:
        raise AnnotationError("no classes", fix="write one class a row")
    return _Content(tuple(first_lines), {}, prompts)


def _check_header(header: list[str]) -> None:
    fix = f"start with {','.join(COLUMNS)}, separated by commas"
    if "class" not in header:
        columns = ", ".join(header)[:80]
        raise AnnotationError(
            f"column 'class' is missing; found: {columns}", line=1, fix=fix
        )
    for name in header:
        if name not in COLUMNS:
            raise AnnotationError(unknown("column", name, COLUMNS), line=1, fix=fix)
    if len(set(header)) < len(header):
        raise AnnotationError("a column occurs twice", line=1, fix=fix)


def _text(value: Any, kind: str, line: int | None) -> str:
    if not isinstance(value, str):
        raise AnnotationError(
            f"{kind} {_excerpt(value)} is no text", line=line, fix=QUOTE
        )
    return value


def _class_name(
    text: str, class_names: Collection[str] | None, line: int | None
) -> str:
    name = text.strip()
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
        raise AnnotationError(
            f"class {_excerpt(name)} cannot be used",
            line=line,
            fix=f"write a name of at most {MAX_NAME_LENGTH} printable characters",
        )
    if class_names is not None and name not in class_names:
        raise AnnotationError(unknown("class", name, class_names), line=line)
    return name


def _sentence(text: str, find_fault: FindFault, line: int | None) -> str:
    """Normalise the spaces of a sentence and check it."""
    sentence = " ".join(text.split())
    fault = find_fault(sentence)
    fix = "write a description in words"
    if not sentence or not sentence.isprintable():
        fault = "is empty or cannot be printed"
    elif len(sentence) > MAX_SENTENCE_LENGTH:
        fault = f"is longer than {MAX_SENTENCE_LENGTH} characters"
        fix = "text encoders read a short sentence"
    if fault:
        raise AnnotationError(
            f"sentence {_excerpt(sentence)} {fault}", line=line, fix=fix
        )
    return sentence


def _template_fault(sentence: str) -> str:
    has_one_gap = sentence.count("{}") == 1
    return "" if has_one_gap else "must contain one {} for the class name"


def _prompt_fault(sentence: str) -> str:
    return "contains {}, which only templates may" if "{}" in sentence else ""


def _name_of(key_path: Place) -> str:
    """Return the keys with dots between them."""
    return ".".join(str(key) for key in key_path) or "the file"


def _excerpt(value: Any) -> str:
    """Return the start of a value's `repr`."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
