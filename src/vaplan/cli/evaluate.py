"""How good a table is: against the dense labels, and against another table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json, stderr
from vaplan.cli.options import AnnotationsOption, DataOption, JsonOption

if TYPE_CHECKING:
    from vaplan.annotations import Annotations
    from vaplan.evaluation import Evaluation

SHORT = {
    "audio": "A",
    "visual": "V",
    "audio_visual": "AV",
    "type": "Type@AV",
    "event": "Event@AV",
}
BY_CLASS = ("audio", "visual", "audio_visual")
SplitOption = Annotated[
    str,
    typer.Option("--split", help="Split with dense labels; `--split ''` for all."),
]
WithoutOption = Annotated[
    Path | None,
    typer.Option(
        "--without",
        help="CSV with a column `video`: videos to leave out, such as `missing.csv` of "
        "`data check`.",
    ),
]


def evaluate(
    data: DataOption,
    estimate: Annotated[
        Path, typer.Option("--estimate", help="Table of events to score.")
    ],
    split: SplitOption = "test",
    annotations: AnnotationsOption = "",
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Also print the F of every class.")
    ] = False,
    ci: Annotated[
        bool,
        typer.Option("--ci", help="Also print 95 % bootstrap intervals over videos."),
    ] = False,
    without: WithoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score a table of events against dense labels: LLP's ten F-scores, or AVE's accuracy.

    A localisation data set, such as AVE, has an accuracy; all others have F-scores. Scores are
    in percent. A video without a row counts as empty. Rows of videos of other splits are ignored,
    and their number is printed. Reads a data set and a table.

    Example: `vaplan evaluate --data table:annotations.csv --estimate predictions.csv --ci`
    """
    reference = _reference(data, annotations)
    result = _score_table(reference, estimate, split, without)
    document = _describe(data, result, split) | {
        "missing": list(result.missing),
        "ignored": len(result.ignored),
    }
    document |= {"left_out": list(result.left_out)} | result.numbers()
    if per_class or as_json:
        document["per_class"] = result.per_class() if per_class else None
    if ci:
        document["ci"] = result.intervals()
    _print_omissions(result)
    if as_json:
        return print_json(document)
    return _print_tables(document, result)


def print_scores(reference: "Annotations", estimate: Path, split: str) -> None:
    """Print the scores of a table of events.

    Args:
        reference: Data set with dense labels.
        estimate: Table of events to score.
        split: Split to score, or "" for all videos.
    """
    result = _score_table(reference, estimate, split, None)
    document = _describe(str(reference.source), result, split)
    _print_omissions(result)
    _print_tables(document, result)


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Table of events.")],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="Table of events of the same videos.")
    ],
    data: DataOption,
    split: SplitOption = "test",
    annotations: AnnotationsOption = "",
    without: WithoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two tables of events: the scores of A and B, and A − B with a 95 % interval.

    The interval is over resampled videos; it says nothing about the seeds of a training.

    Example: `vaplan compare ours.csv theirs.csv --data table:annotations.csv`
    """
    reference = _reference(data, annotations)
    a, b = (_score_table(reference, table, split, without) for table in (first, second))
    document = _describe(data, a, split) | {"a": str(first), "b": str(second)}
    document["missing"] = {"a": list(a.missing), "b": list(b.missing)}
    document |= {
        "numbers": {"a": a.numbers(), "b": b.numbers()},
        "difference": a.minus(b),
    }
    for result in (a, b):
        _print_omissions(result)
    if as_json:
        return print_json(document)
    rows = [
        [
            name,
            f"{one:.2f}",
            f"{other:.2f}",
            f"{by['value']:+.2f}",
            f"[{by['low']:+.2f}, {by['high']:+.2f}]",
        ]
        for (name, by), one, other in zip(
            _flatten(document["difference"]).items(),
            _flatten(a.numbers()).values(),
            _flatten(b.numbers()).values(),
            strict=False,
        )
    ]
    Console().print(
        new_table(_title(document), ["F", "A", "B", "A − B", "95 % interval"], rows)
    )
    return None


def _reference(data: str, annotations: str) -> "Annotations":
    from vaplan.annotations import read_data

    return read_data(data, annotations=annotations)


def _score_table(
    reference: "Annotations", table: Path, split: str, without: Path | None
) -> "Evaluation":
    from vaplan.annotations import merge_rows, read_rows
    from vaplan.evaluation import evaluate as score

    left_out = tuple[str, ...]()
    if without:
        from vaplan.stages import read_manifest  # slow to import

        left_out = read_manifest(without)
    estimate = merge_rows(
        read_rows(
            table, taxonomy=reference.taxonomy, may_be_empty=True, needs_modality=True
        )
    )
    return score(reference, estimate, split=split, without=left_out)


def _describe(data: str, result: "Evaluation", split: str) -> dict[str, Any]:
    return {
        "data": data,
        "annotations": result.data.version,
        "split": split,
        "videos": len(result.data.videos),
    }


def _print_omissions(result: "Evaluation") -> None:
    """Print the videos that were left out, missing or ignored."""
    table, videos = result.table.name, len(result.data.videos)
    if result.left_out:
        stderr.print(
            f"{videos} of {videos + len(result.left_out)} videos are left to evaluate",
            style="yellow",
        )
    if result.missing:
        text = (
            f"warning: {table} has no row for {len(result.missing)} of {videos} "
            "videos; they count as empty"
        )
        stderr.print(text, style="yellow", highlight=False, markup=False)
    if result.ignored:
        text = f"{table}: {len(result.ignored)} videos of other splits are ignored"
        stderr.print(text, highlight=False, markup=False)


def _title(document: dict[str, Any]) -> str:
    return (
        f"{document['split'] or 'all'}: {document['videos']} videos, "
        f"annotations: {document['annotations']}"
    )


def _print_tables(document: dict[str, Any], result: "Evaluation") -> None:
    numbers, intervals = _flatten(result.numbers()), _flatten(document.get("ci", {}))
    if result.data.localisation:
        rows = [
            [name, _format_score(value, intervals.get(name))]
            for name, value in numbers.items()
        ]
        table = new_table(_title(document), ["", "%"], rows)
    else:
        ci = document.get("ci", {})
        rows = [
            [
                level,
                *(
                    _format_score(value, ci.get(level, {}).get(kind))
                    for kind, value in kinds.items()
                ),
            ]
            for level, kinds in result.numbers().items()
        ]
        table = new_table(_title(document), ["F", *SHORT.values()], rows)
    console = Console()
    console.print(table)
    if per_class := document.get("per_class"):
        console.print(_class_table(per_class))


def _class_table(per_class: dict[str, Any]) -> Any:
    columns = _select_columns(per_class)
    names = list(next(iter(columns.values())))
    rows = [
        [
            name,
            *(
                "–" if column[name] is None else f"{column[name]:.1f}"
                for column in columns.values()
            ),
        ]
        for name in names
    ]
    return new_table("by class, counts summed over videos", ["", *columns], rows)


def _select_columns(per_class: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Select the scores by class that fit on a screen; `--json` has all.

    Returns:
        For each column the score of every class; None where it is not defined.
    """
    if not isinstance(next(iter(per_class.values())), dict):
        return {"accuracy": per_class}
    return {
        f"{level}\n{SHORT[kind]}": per_class[level][kind]
        for level in per_class
        for kind in BY_CLASS
    }


def _format_score(value: float, interval: list[float] | None) -> str:
    return (
        f"{value:.2f}"
        if interval is None
        else f"{value:.2f}\n{interval[0]:.1f}–{interval[1]:.1f}"
    )


def _flatten(numbers: dict[str, Any]) -> dict[str, Any]:
    """Give every number one name: `segment A`, or `accuracy`."""
    flat: dict[str, Any] = {}
    for name, value in numbers.items():
        inner = isinstance(value, dict) and "value" not in value
        flat |= (
            {f"{name} {SHORT[kind]}": number for kind, number in value.items()}
            if inner
            else {name: value}
        )
    return flat
