"""The demo's report page."""

from collections.abc import Mapping, Sequence

import numpy as np

from vaplan import recipe as recipes
from vaplan import report
from vaplan.annotations import Annotations
from vaplan.arrays import MODALITIES, VISUAL
from vaplan.bench.label_quality import flips
from vaplan.bench.results import spread
from vaplan.demo.numbers import (
    NAMES,
    PAIRS,
    SHORT,
    Demo,
    difference,
    label_rows,
    method_rows,
    summary,
)
from vaplan.evaluation import align
from vaplan.metrics.llp import KINDS, LEVELS, class_f, label_f
from vaplan.parser import Parser
from vaplan.plots import plot_class_scores, plot_training_curves
from vaplan.runs import Run
from vaplan.timeline import Timeline

SHOWN = 6  # test videos on the page


def write_page(
    result: Demo,
    *,
    data: Annotations,
    truth: Annotations,
    labels: tuple[Annotations, list[Annotations]],
    runs: Mapping[str, list[Run]],
    examples: Sequence[report.Example],
) -> None:
    before, after = labels
    headings = [
        "method",
        *(kind.replace("audio_visual", "AV") for _ in LEVELS for kind in KINDS),
    ]
    groups = (("", 1), *((f"{level}-level F", len(KINDS)) for level in LEVELS))
    tables = [
        report.Table(
            "Parsers",
            tuple(headings),
            tuple(map(tuple, method_rows(result))),
            note=summary(result),
            groups=groups,
        ),
        report.Table(
            "Pseudo labels of the test videos",
            ("labels", *LEVELS),
            _cells(label_rows(result)),
            note="Filtered by the videos' tags, as for training; never used as predictions.",
            highlight=False,
        ),
        _flip_table(result, data=data, truth=truth, before=before, after=after),
        _paired_table(result),
    ]
    figures = [_class_figure(data, before, after[0], m) for m in range(len(MODALITIES))]
    curves = plot_training_curves(
        {NAMES[name]: group[0].history for name, group in runs.items()}
    )
    report.write(
        result.page,
        title="vaplan demo: from tags to timelines",
        lead=f"{len(data.taxonomy)} classes, drawn and synthesised, rendered to media files. The training videos' tags "
        "say what occurs; nothing says when, or whether it is heard or seen. The "
        "parsers are scored on test videos "
        "that no training saw.",
        tables=tables,
        pictures=[
            *figures,
            report.Picture(
                "Training", "Seed 0. The objectives differ, so do their losses.", curves
            ),
        ],
        examples=examples,
        details={"Recipe of + PLE": recipes.dump(runs["ple"][0].recipe)},
        taxonomy=data.taxonomy,
    )


def _cells(rows: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(map(tuple, rows))


def _flip_table(
    result: Demo,
    *,
    data: Annotations,
    truth: Annotations,
    before: Annotations,
    after: Sequence[Annotations],
) -> report.Table:
    known = {
        "test": (data, result.flips),
        "train (diagnosis)": (
            truth,
            [flips(truth, before, a, list(truth.ids)) for a in after],
        ),
    }
    rows = []
    for name, (reference, counted) in known.items():
        ids = (
            list(truth.ids)
            if reference is truth
            else data.select("test").labelled_ids()
        )
        old = label_f(*align(reference, before, ids))["visual"]["segment"]
        new = [label_f(*align(reference, a, ids))["visual"]["segment"] for a in after]
        shares = spread([f.share_right for f in counted])
        row = (
            name,
            spread([float(f.set) for f in counted]),
            spread([float(f.removed) for f in counted]),
            shares,
        )
        rows.append((*row, f"{old:.1f}", spread(new)))
    columns = (
        "videos",
        "set (0→1)",
        "removed (1→0)",
        "right, %",
        "segment F before",
        "after",
    )
    note = "The dense truth of the training videos is read for this row alone."
    return report.Table(
        "What PLD flips in the visual labels",
        columns,
        tuple(rows),
        note=note,
        highlight=False,
    )


def _paired_table(result: Demo) -> report.Table:
    """Differences of methods on the same videos, with 95 % bootstrap intervals over videos."""
    rows = []
    for better, worse in PAIRS:
        cells = [difference(result, better, worse, level) for level in LEVELS]
        rows.append((f"{SHORT[better]} − {SHORT[worse]}", *cells))
    columns = ("difference", *(f"{level} Type@AV" for level in LEVELS))
    note = "Mean over seeds for each video, then 95 % bootstrap intervals over videos."
    return report.Table(
        "Paired differences", columns, tuple(rows), note=note, highlight=False
    )


def _class_figure(
    data: Annotations, before: Annotations, after: Annotations, modality: int
) -> report.Picture:
    test, series = data.select("test").labelled_ids(), {"PLG": before, "PLD": after}
    if modality != VISUAL:
        del series["PLD"]
    level = list(LEVELS).index("segment")
    scores = {}
    for name, table in series.items():
        values = class_f(*align(data, table, test))[level, modality]
        scores[name] = {
            c: float(v)
            for c, v in zip(data.taxonomy.classes, values, strict=True)
            if not np.isnan(v)
        }
    title = f"Segment-level F of the {MODALITIES[modality]} pseudo labels by class"
    return report.Picture(
        title,
        "Test videos, counts summed over videos; seed 0.",
        plot_class_scores(scores, title=title),
    )


def examples_of(
    data: Annotations, estimates: Mapping[str, Sequence[Annotations]], parser: Parser
) -> list[report.Example]:
    """Several test videos: reference, each method, and the last parser run on the file itself."""
    test = data.select("test")
    chosen = sorted(
        test.videos,
        key=lambda video: -len({e.class_name for e in test.events[video.video]}),
    )[:SHOWN]
    examples = []
    for video in chosen:
        path = data.source.parent / video.path
        parsed = parser(path)
        lanes = [
            (
                "reference",
                Timeline(video.video, parsed.seconds, test.events[video.video]),
            )
        ]
        for name, tables in estimates.items():
            lanes.append(
                (
                    SHORT[name],
                    Timeline(
                        video.video, parsed.seconds, tables[0].events[video.video]
                    ),
                )
            )
        examples.append(report.Example(video.video, path, video.tags, tuple(lanes)))
    return examples
