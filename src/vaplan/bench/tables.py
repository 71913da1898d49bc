"""A bench's tables, and their text in Markdown, LaTeX and CSV."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from vaplan.arrays import MODALITIES
from vaplan.bench.execute import read_cost
from vaplan.bench.jobs import unique
from vaplan.bench.label_quality import Flips
from vaplan.bench.results import (
    LOCALISATION,
    SHORT,
    TEN,
    Method,
    Results,
    signed,
    spread,
)
from vaplan.metrics.llp import KINDS, LEVELS
from vaplan.report import Table

COSTS = ("wall", "cpu")
SHOWN = ("type", "event")  # of the ten, in differences
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
    """The methods, their differences, and the pseudo labels."""
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
    """
    rows = []
    for row in results.plan.rows:
        own = [read_cost(job, results.desk) for job in row.jobs.values()]
        everything = [
            _sum_costs([read_cost(needed, results.desk) for needed in unique([job])])
            for job in row.jobs.values()
        ]
        cells = [
            _mean_seconds(costs, key) for costs in (own, everything) for key in COSTS
        ]
        rows.append((row.title, *cells))
    return Table(
        "seconds",
        ("", "training", "on all cores", "all steps", "on all cores"),
        tuple(rows),
        note=f"Means over seeds {', '.join(map(str, results.plan.seeds))}.",
    )


def _sum_costs(costs: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    return {key: sum(cost.get(key, 0.0) for cost in costs) for key in COSTS}


def _mean_seconds(costs: Sequence[Mapping[str, float]], key: str) -> str | None:
    seconds = [cost[key] for cost in costs if key in cost]
    return f"{np.mean(seconds):.1f}" if seconds else None


def _methods(results: Results) -> Table:
    ten = results.numbers == TEN
    names = TEN if ten else tuple(_numbers(results))
    heads = (
        [SHORT[kind] for _ in LEVELS for kind in KINDS]
        if ten
        else [name.replace("_", " ") for name in names]
    )
    rows = [
        (m.title, *(spread(m.of(name)) if m.scores else None for name in names))
        for m in results.methods
    ]
    groups = (
        (("", 1), *((f"{level}-level F", len(KINDS)) for level in LEVELS))
        if ten
        else ()
    )
    return Table(
        results.plan.suite.name,
        ("", *heads),
        tuple(rows),
        note=note(results),
        groups=groups,
    )


def _numbers(results: Results) -> list[str]:
    return next(
        (list(s.numbers) for m in results.methods for s in m.scores.values()),
        list(LOCALISATION),
    )


def note(results: Results) -> str:
    """Describe the data, seeds, decision rules and weights of the scores."""
    data, seeds = results.desk.annotations, len(results.plan.seeds)
    seeds_text = (
        f"mean ± standard deviation of {seeds} seeds" if seeds > 1 else "one seed"
    )
    what = "Accuracy" if data.localisation else "F"
    parts = [
        f"{what} in percent on the {results.videos} {results.desk.split} videos of {results.desk.data}, {seeds_text}"
    ]
    parts.append(f"annotations: {data.version}")
    parts.append(f"decision rule: {_grouped(results, lambda method: method.decision)}")
    parts.append(f"weights: {_grouped(results, lambda method: method.selection)}")
    parts += [
        f"{method.title}: {_failures(method)}"
        for method in results.methods
        if method.failed
    ]
    parts += [
        f"{title} is left out: {reason}"
        for title, reason in results.plan.left_out.items()
    ]
    return "; ".join(part.rstrip(".") for part in parts) + "."


def _grouped(results: Results, describe: Callable[[Method], str]) -> str:
    """Describe a property that all methods share, or list the methods of each value."""
    titles = defaultdict[str, list[str]](list)
    for method in results.methods:
        if method.scores:
            titles[describe(method)].append(method.title)
    if len(titles) <= 1:
        return next(iter(titles), "none")
    return ", ".join(f"{what} ({', '.join(names)})" for what, names in titles.items())


def _failures(method: Method) -> str:
    seeds = ", ".join(map(str, method.failed))
    return f"seeds {seeds} failed ({next(iter(method.failed.values()))})"


def _differences(results: Results) -> Table:
    ten = results.numbers == TEN
    names = (
        [f"{level} {kind}" for level in LEVELS for kind in SHOWN]
        if ten
        else list(LOCALISATION)
    )
    rows = [
        (
            f"{better} − {worse}",
            *(f"{signed(n[k].value)} [{n[k].low:.1f}, {n[k].high:.1f}]" for k in names),
        )
        for better, worse, n in results.differences
    ]
    heads = [SHORT[kind] for _ in LEVELS for kind in SHOWN] if ten else names
    groups = (
        (("", 1), *((f"{level}-level F", len(SHOWN)) for level in LEVELS))
        if ten
        else ()
    )
    note = (
        "In points, with 95 % bootstrap intervals over videos and seeds; an interval "
        "without 0 is a difference."
    )
    return Table(
        "Paired differences", ("", *heads), tuple(rows), note, groups, highlight=False
    )


def _labels(results: Results) -> Iterator[Table]:
    for split in dict.fromkeys(
        split
        for group in results.labels.values()
        for quality in group
        for split in quality.f
    ):
        rows, flips = [], []
        for title, group in results.labels.items():
            f = [quality.f[split] for quality in group if split in quality.f]
            rows.append(
                (
                    title,
                    *(
                        spread([seed[m][level] for seed in f])
                        for m in MODALITIES
                        for level in LEVELS
                    ),
                )
            )
            changed = [
                quality.flips[split] for quality in group if split in quality.flips
            ]
            flips += [(title, *_of_flips(changed))] if changed else []
        groups = (("", 1), *((modality, len(LEVELS)) for modality in MODALITIES))
        note = (
            "Filtered by the videos' tags, as for training; never used as predictions."
        )
        columns = ("", *(level for _ in MODALITIES for level in LEVELS))
        yield Table(
            f"Pseudo labels of the {split} videos, F",
            columns,
            tuple(rows),
            note,
            groups,
        )
        if flips:
            columns = ("", "set (0→1)", "removed (1→0)", "right, %")
            yield Table(
                f"What PLD flips, {split} videos",
                columns,
                tuple(flips),
                highlight=False,
            )


def _of_flips(changed: list[Flips]) -> tuple[str, ...]:
    counts = [[float(f.set) for f in changed], [float(f.removed) for f in changed]]
    return *map(spread, counts), spread([f.share_right for f in changed])


def markdown(table: Table) -> str:
    """The table, its groups' names in the heads of their columns."""
    groups = [
        name.split("-")[0] for name, span in table.groups for _ in range(span)
    ] or [""] * len(table.columns)
    heads = [
        f"{group} {head}".strip()
        for group, head in zip(groups, table.columns, strict=True)
    ]
    lines = [
        heads,
        ["---", *["---:"] * (len(heads) - 1)],
        *([_cell(cell) for cell in row] for row in table.rows),
    ]
    body = "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
        for line in lines
    )
    return f"## {table.title}\n\n{body}\n" + (f"\n{table.note}\n" if table.note else "")


def latex(table: Table) -> str:
    r"""The table as a `booktabs` float; the columns' groups span them.

    >>> print(latex(Table("F", ("", "A"), (("PLE_1", "61.2 ± 0.4"),))).splitlines()[5])
    PLE\_1 & 61.2 $\pm$ 0.4 \\
    """
    heads = [_line(table.columns)]
    if table.groups:
        heads.insert(
            0,
            " & ".join(
                rf"\multicolumn{{{n}}}{{c}}{{{_tex(name)}}}" for name, n in table.groups
            )
            + r" \\",
        )
    body = [_line([_cell(cell) for cell in row]) for row in table.rows]
    caption = _tex(f"{table.title}. {table.note}".strip())
    frame = rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}"
    lines = [
        r"\begin{table}",
        frame,
        r"\toprule",
        *heads,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([*lines, rf"\caption{{{caption}}}", r"\end{table}", ""])


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    return text.translate(TEX)


def _cell(cell: object) -> str:
    return "–" if cell in (None, "") else str(cell)


def csv_table(results: Results) -> str:
    """A line a method: every number's mean and deviation, unrounded, and how it was decided and
    selected."""
    names = _numbers(results)
    parameter = results.plan.suite.parameter
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [head for name in names for head in (name, f"{name} std")]
    writer.writerow(
        [
            "method",
            *([parameter] if parameter else []),
            "seeds",
            "decision",
            "selection",
            *heads,
        ]
    )
    for m in results.methods:
        numbers = [
            f"{f(m.of(name)):.6g}" if m.scores else ""
            for name in names
            for f in (np.mean, np.std)
        ]
        value = [m.value] if parameter else []
        writer.writerow(
            [m.title, *value, len(m.scores), m.decision, m.selection, *numbers]
        )
    return text.getvalue()
