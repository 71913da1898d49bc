"""Tables of a bench, and their text in Markdown, LaTeX and CSV."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from vaplan.arrays import MODALITIES
from vaplan.bench.execute import read_cost
from vaplan.bench.jobs import unique
from vaplan.bench.results import (
    LOCALISATION,
    SHORT,
    TEN,
    Method,
    Results,
    format_mean_std,
    format_signed,
)
from vaplan.metrics.intervals import Interval
from vaplan.metrics.llp import KINDS, LEVELS
from vaplan.report import Table

COSTS = ("wall", "cpu")
DIFFERENCES = ("type", "event")  # kinds of F in the table of differences
TEX = str.maketrans(
    {
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "−": r"$-$",
        "–": "--",
        "→": r"$\to$",
        "α": r"$\alpha$",
        "θ": r"$\theta$",
        "λ": r"$\lambda$",
    }
)


def tables(results: Results) -> list[Table]:
    """Make the tables of the methods, of their differences and of the pseudo labels.

    Args:
        results: Results of a bench.
    """
    result = [_methods(results)]
    if results.differences:
        result.append(_differences(results))
    if any(results.labels.values()):
        result += _labels(results)
    return result


def times(results: Results) -> Table:
    """Make the table of the seconds that the rows took, as means over seeds.

    `training` is the last training of a row; `all steps` includes everything it needs, such
    as labels and earlier trainings.

    Args:
        results: Results of a bench.
    """
    rows = list[tuple[str | None, ...]]()
    for row in results.plan.rows:
        own = list[Mapping[str, float]]()
        total = list[Mapping[str, float]]()
        for job in row.jobs.values():
            steps = [read_cost(one, results.workspace) for one in unique([job])]
            own.append(read_cost(job, results.workspace))
            total.append({key: sum(s.get(key, 0.0) for s in steps) for key in COSTS})
        cells = [_mean_seconds(costs, key) for costs in (own, total) for key in COSTS]
        rows.append((row.title, *cells))
    return Table(
        "seconds",
        ("", "training", "on all cores", "all steps", "on all cores"),
        tuple(rows),
        note=f"Means over seeds {', '.join(map(str, results.plan.seeds))}.",
    )


def _mean_seconds(costs: Sequence[Mapping[str, float]], key: str) -> str | None:
    seconds = [cost[key] for cost in costs if key in cost]
    return f"{np.mean(seconds):.1f}" if seconds else None


def _methods(results: Results) -> Table:
    names = _score_names(results)
    rows = list[tuple[str | None, ...]]()
    for method in results.methods:
        cells = [
            format_mean_std(method.values(name)) if method.scores else None
            for name in names
        ]
        rows.append((method.title, *cells))
    headings, groups = column_headings(names, KINDS)
    return Table(
        results.plan.suite.name,
        ("", *headings),
        tuple(rows),
        note=note(results),
        groups=groups,
    )


def _score_names(results: Results) -> tuple[str, ...]:
    """Return the names of all scores; localisation has more than one for the split."""
    if results.numbers == TEN:
        return TEN
    for method in results.methods:
        for scores in method.scores.values():
            return tuple(scores.numbers)
    return LOCALISATION


def column_headings(
    names: Sequence[str], kinds: Sequence[str]
) -> tuple[list[str], tuple[tuple[str, int], ...]]:
    """Return the headings of score columns and of the groups above them.

    Args:
        names: Names of the scores.
        kinds: Kinds of F-scores in each level.

    Returns:
        A heading for every score, and for the scores of LLP the groups (heading, columns) of
        the levels with one column for titles before them.
    """
    if len(names) != len(LEVELS) * len(kinds):
        return [name.replace("_", " ") for name in names], ()
    groups = [("", 1)]
    groups += [(f"{level}-level F", len(kinds)) for level in LEVELS]
    return [SHORT[kind] for _ in LEVELS for kind in kinds], tuple(groups)


def note(results: Results) -> str:
    """Describe the data, seeds, decision rules and weights behind the scores.

    Args:
        results: Results of a bench.
    """
    data = results.workspace.annotations
    seeds = len(results.plan.seeds)
    measure = "Accuracy" if data.localisation else "F"
    videos = f"{results.videos} {results.workspace.split} videos"
    of_seeds = (
        f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    )
    parts = [
        f"{measure} in percent on the {videos} of {results.workspace.data}, {of_seeds}"
    ]
    parts.append(f"annotations: {data.version}")
    parts.append(f"decision rule: {_grouped(results, lambda method: method.decision)}")
    parts.append(f"weights: {_grouped(results, lambda method: method.selection)}")
    for method in results.methods:
        if method.failed:
            parts.append(f"{method.title}: {_describe_failures(method)}")
    for title, reason in results.plan.left_out.items():
        parts.append(f"{title} is left out: {reason}")
    return "; ".join(part.rstrip(".") for part in parts) + "."


def _grouped(results: Results, describe: Callable[[Method], str]) -> str:
    """Describe a property that all methods share, or list the methods of each value."""
    titles = defaultdict[str, list[str]](list)
    for method in results.methods:
        if method.scores:
            titles[describe(method)].append(method.title)
    if len(titles) <= 1:
        return next(iter(titles), "none")
    groups = [f"{text} ({', '.join(methods)})" for text, methods in titles.items()]
    return ", ".join(groups)


def _describe_failures(method: Method) -> str:
    seeds = ", ".join(map(str, method.failed))
    reason = next(iter(method.failed.values()))
    return f"seeds {seeds} failed ({reason})"


def _differences(results: Results) -> Table:
    names: tuple[str, ...] = LOCALISATION
    if results.numbers == TEN:
        names = tuple(f"{level} {kind}" for level in LEVELS for kind in DIFFERENCES)
    rows = list[tuple[str, ...]]()
    for better, worse, intervals in results.differences:
        cells = [format_interval(intervals[name]) for name in names]
        rows.append((difference_title(better, worse), *cells))
    headings, groups = column_headings(names, DIFFERENCES)
    note = (
        "In points, with 95 % bootstrap intervals over videos and seeds; an interval "
        "without 0 is a difference."
    )
    return Table(
        "Paired differences",
        ("", *headings),
        tuple(rows),
        note,
        groups,
        highlight=False,
    )


def difference_title(better: str, worse: str) -> str:
    """Name the difference of two rows.

    >>> difference_title("+ PLD", "+ PLE")
    'PLD − PLE'
    """
    return f"{better.removeprefix('+ ')} − {worse.removeprefix('+ ')}"


def format_interval(interval: Interval) -> str:
    """Format a difference with its interval, such as `+3.1 [1.8, 4.4]`.

    Args:
        interval: Difference in points.
    """
    return f"{format_signed(interval.value)} [{interval.low:.1f}, {interval.high:.1f}]"


def _labels(results: Results) -> Iterator[Table]:
    """Yield a table of the quality of labels and a table of flips for every split."""
    qualities = [one for group in results.labels.values() for one in group]
    for split in dict.fromkeys(split for one in qualities for split in one.f):
        yield _label_quality(results, split)
        flips = _flips(results, split)
        if flips.rows:
            yield flips


def _label_quality(results: Results, split: str) -> Table:
    rows = list[tuple[str, ...]]()
    for title, group in results.labels.items():
        f = [one.f[split] for one in group if split in one.f]
        cells = [
            format_mean_std([seed[modality][level] for seed in f])
            for modality in MODALITIES
            for level in LEVELS
        ]
        rows.append((title, *cells))
    return Table(
        f"Pseudo labels of the {split} videos, F",
        ("", *(level for _ in MODALITIES for level in LEVELS)),
        tuple(rows),
        "Filtered by the videos' tags, as for training; never used as predictions.",
        (("", 1), *((modality, len(LEVELS)) for modality in MODALITIES)),
    )


def _flips(results: Results, split: str) -> Table:
    rows = list[tuple[str, ...]]()
    for title, group in results.labels.items():
        flips = [one.flips[split] for one in group if split in one.flips]
        if flips:
            cells = (
                format_mean_std([float(counts.set) for counts in flips]),
                format_mean_std([float(counts.removed) for counts in flips]),
                format_mean_std([counts.percent_right for counts in flips]),
            )
            rows.append((title, *cells))
    return Table(
        f"Changed labels, {split} videos",
        ("", "set (0→1)", "removed (1→0)", "right, %"),
        tuple(rows),
        highlight=False,
    )


def markdown(table: Table) -> str:
    """Write a table in Markdown; a group's heading precedes those of its columns.

    Args:
        table: Table to write.
    """
    groups = [""] * len(table.columns)
    if table.groups:
        groups = [
            name.split("-")[0] for name, span in table.groups for _ in range(span)
        ]
    headings = [
        f"{group} {column}".strip()
        for group, column in zip(groups, table.columns, strict=True)
    ]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    lines += [[_cell(cell) for cell in row] for row in table.rows]
    body = "\n".join(f"| {' | '.join(map(_escape_pipe, line))} |" for line in lines)
    note = f"\n{table.note}\n" if table.note else ""
    return f"## {table.title}\n\n{body}\n{note}"


def _escape_pipe(cell: str) -> str:
    return cell.replace("|", "\\|")


def latex(table: Table) -> str:
    r"""Write a table as a `booktabs` float; the headings of groups span their columns.

    >>> print(latex(Table("F", ("", "A"), (("PLE_1", "61.2 ± 0.4"),))).splitlines()[5])
    PLE\_1 & 61.2 $\pm$ 0.4 \\
    """
    headings = [_line(table.columns)]
    if table.groups:
        cells = [
            rf"\multicolumn{{{span}}}{{c}}{{{_tex(name)}}}"
            for name, span in table.groups
        ]
        headings.insert(0, " & ".join(cells) + r" \\")
    body = [_line([_cell(cell) for cell in row]) for row in table.rows]
    caption = _tex(f"{table.title}. {table.note}".strip())
    lines = [
        r"\begin{table}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
        *headings,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{caption}}}",
        r"\end{table}",
        "",
    ]
    return "\n".join(lines)


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    return text.translate(TEX)


def _cell(cell: object) -> str:
    return "–" if cell in (None, "") else str(cell)


def csv_table(results: Results) -> str:
    """Write the methods as CSV: the mean and deviation of every score, unrounded.

    Args:
        results: Results of a bench.
    """
    names = _score_names(results)
    parameter = results.plan.suite.parameter
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["method", *([parameter] if parameter else [])]
    columns += ["seeds", "decision", "selection"]
    for name in names:
        columns += [name, f"{name} std"]
    writer.writerow(columns)
    for method in results.methods:
        row: list[object] = [method.title]
        if parameter:
            row.append(method.value)
        row += [len(method.scores), method.decision, method.selection]
        for name in names:
            values = method.values(name)
            row += [_number(np.mean, values), _number(np.std, values)]
        writer.writerow(row)
    return text.getvalue()


def _number(function: Callable[[list[float]], Any], values: list[float]) -> str:
    return f"{function(values):.6g}" if values else ""
