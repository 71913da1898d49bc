"""Command `vaplan search`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json, print_warning, stderr
from vaplan.cli.options import JsonOption, Modality, table_name
from vaplan.errors import UsageError

if TYPE_CHECKING:
    from vaplan.search.timelines import Answer
    from vaplan.search.vectors import Hit

EXAMPLES = (
    'write `vaplan search "dog barking" --store STORE`, or '
    "`vaplan search --timelines DIR --where 'audio:Dog'`"
)


def search(
    sentence: Annotated[
        str | None,
        typer.Argument(metavar="SENTENCE", help="A sound or a thing in words."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="The feature store to search.")
    ] = None,
    modality: Annotated[
        Modality | None,
        typer.Option("--modality", help="Only sounds or only frames. [default: both]"),
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(
            "--encoder",
            metavar="ENCODER",
            help="Encoder of the store, as `clip:NAME`, where a modality has several. Repeat the "
            "option for the other modality.",
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option("--top", min=1, help="Number of segments of each modality."),
    ] = 20,
    timelines: Annotated[
        Path | None,
        typer.Option(
            "--timelines",
            help="Table of events, or folder of JSON timelines, to search.",
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", help="Condition on events, as `audio:Dog and not visual:Dog`."
        ),
    ] = None,
    sql: Annotated[
        str | None,
        typer.Option(
            "--sql",
            help="SELECT statement on the tables `events` and `videos`; docs/search.md lists "
            "their columns.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Also write the segments as a table of events, `.csv` or `.parquet`, for "
            "`vaplan review`.",
            callback=table_name,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the segments that fit a sentence, or the spans in which a condition holds.

    Prints a table. One of `--store` and `--timelines` is needed; `vaplan fit` keeps its store in
    RUN/store.

    With `--store` every segment is compared with the sentence by CLIP and CLAP; the score is
    the margin over background prompts, as in `vaplan parse --zero-shot`.

    Example: `vaplan search "dog barking" --store store --modality audio --top 20`

    With `--out` they are also a table, which `vaplan review hits.csv --media videos` shows beside
    the playing videos.

    Example: `vaplan search "dog barking" --store store --out hits.csv`

    With `--timelines` the events are searched. `audio:Dog and not visual:Dog` is when a dog is
    heard and none is seen; `not video(visual:Dog)` is a video in which none is ever seen.
    Needs DuckDB: `pip install 'vaplan[search]'` (in a clone `'.[search]'`).

    Example: `vaplan search --timelines timelines --where "audio:Dog and not visual:Dog"`
    """
    if timelines is not None:
        if (
            sentence is not None
            or store is not None
            or out is not None
            or (where is None) == (sql is None)
        ):
            raise UsageError(
                "timelines are searched by --where or by --sql, and by nothing else",
                fix=EXAMPLES,
            )
        return _search_timelines(timelines, where, sql, as_json=as_json)
    if sentence is None or store is None or where is not None or sql is not None:
        raise UsageError(
            "a sentence needs --store, and a condition needs --timelines", fix=EXAMPLES
        )
    from vaplan.search.vectors import search_store, write_hits

    hits = search_store(
        sentence,
        store,
        modality=modality.value if modality else "",
        names=encoder or [],
        top=top,
    )
    if out is not None:
        write_hits(out, sentence, hits)
    if as_json:
        return print_json([vars(hit) for hit in hits])
    return _print_hits(hits)


def _search_timelines(
    timelines: Path, where: str | None, sql: str | None, *, as_json: bool
) -> None:
    from vaplan.search.timelines import find_spans, run_sql

    if where is not None:
        answer = find_spans(timelines, where)
    else:
        answer = run_sql(timelines, sql or "")
    for _, reason in answer.failed:
        print_warning(f"left out: {reason}")
    if as_json:
        rows = [map(_json_value, row) for row in answer.rows]
        return print_json([dict(zip(answer.columns, row, strict=True)) for row in rows])
    return _print_answer(answer)


def _print_hits(hits: "list[Hit]") -> None:
    for modality in dict.fromkeys(hit.modality for hit in hits):
        rows = [
            [hit.video, f"{hit.onset:g}", f"{hit.offset:g}", f"{hit.score:.2f}"]
            for hit in hits
            if hit.modality == modality
        ]
        _print_table(modality, ["video", "onset", "offset", "margin"], rows)


def _print_answer(answer: "Answer") -> None:
    rows = [[_cell(value) for value in row] for row in answer.rows]
    _print_table("", list(answer.columns), rows)
    videos = ""
    if "video" in answer.columns:
        column = answer.columns.index("video")
        videos = f" of {len({row[column] for row in answer.rows})} videos"
    stderr.print(f"{len(rows)} rows{videos}", highlight=False)


def _json_value(value: object) -> object:
    """Return a cell as a value of JSON; dates, decimals and other types become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_json_value(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _json_value(one) for key, one in value.items()}
    return str(value)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; names are texts, not markup."""
    from rich.markup import escape

    cells = [[escape(cell) for cell in row] for row in rows]
    Console().print(new_table(title, [*map(escape, columns)], cells))
