"""Benches: run a suite on a data set and write its tables, figures and report page."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib

from vaplan import report
from vaplan.bench.execute import execute
from vaplan.bench.figures import figures
from vaplan.bench.jobs import Workspace
from vaplan.bench.plan import plan
from vaplan.bench.results import Results, collect
from vaplan.bench.suite import Suite
from vaplan.bench.synthetic_data import TRUTH, Bars, make_data
from vaplan.bench.tables import csv_table, latex, markdown, tables, times
from vaplan.errors import UsageError
from vaplan.report import Picture
from vaplan.workers import Engine
from vaplan.workers.processes import run_in_order
from vaplan.writing import write_atomically, write_json, write_text

# networks, batches and trainings of the size of the synthetic data, alike for all methods
SYNTHETIC_CHANGES = (
    "model.settings.hidden=128",
    "model.settings.feedforward=128",
    "training.epochs=20",
    "training.batch_size=32",
    "training.learning_rate=5e-4",
    "training.schedule=constant",
    "training.select=last",
)
DOTS_PER_INCH = 160


@dataclass(frozen=True)
class Bench:
    """Data, folders and settings of a bench.

    Without `data` and `store` the bench renders and encodes synthetic videos first.

    Attributes:
        out: Folder of tables, figures and the report page.
        work: Folder of the results of all jobs; suites that share it share the results.
        data: Data set, `KIND:PATH`.
        store: Feature store of the data set.
        split: Split on which parsers are scored.
        labels: Table of pseudo labels that replaces all `label` steps.
        truth: Table of the dense labels of the training videos, for oracle rows.
        changes: Changes of every recipe, `KEY=VALUE`.
        videos: Number of synthetic videos.
        synthetic_seed: Seed of the synthetic videos.
    """

    out: Path
    work: Path
    data: str = ""
    store: Path | None = None
    split: str = "test"
    labels: Path | None = None
    truth: Path | None = None
    changes: tuple[str, ...] = ()
    videos: int = 600
    synthetic_seed: int = 1

    def workspace(self, bars: Bars) -> Workspace:
        """Return the workspace of the bench; synthetic videos are rendered and encoded first.

        Args:
            bars: Makes a progress callback from a name.

        Raises:
            UsageError: Only one of `data` and `store` is given.
        """
        if self.data and self.store:
            return Workspace(
                self.data,
                self.store,
                self.work,
                self.split,
                ((), self.changes),
                self.labels,
                self.truth,
            )
        if self.data or self.store:
            raise UsageError(
                "data and a store belong together",
                fix="give --data and --store, or neither",
            )
        folder = self.work / f"synthetic-{self.synthetic_seed}-{self.videos}"
        store = folder / "store"
        table = make_data(
            folder / "data",
            store,
            videos=self.videos,
            seed=self.synthetic_seed,
            bars=bars,
        )
        return Workspace(
            f"table:{table}",
            store,
            self.work,
            self.split,
            (SYNTHETIC_CHANGES, self.changes),
            self.labels,
            self.truth or table.parent / TRUTH,
        )


def bench(
    suite: Suite,
    on: Bench,
    *,
    seeds: Sequence[int],
    bars: Bars,
    rows: Sequence[str] = (),
    processes: int = 1,
    engine: Engine = run_in_order,
) -> Results:
    """Run the steps of a suite that have no result yet, and write tables and figures.

    Args:
        suite: Suite to run.
        on: Data, folders and settings.
        seeds: Seeds of the trainings.
        rows: Titles of the rows to run; by default all.
        bars: Makes a progress callback from a name.
        processes: Number of trainings at the same time.
        engine: Runs the trainings.

    Returns:
        The results, including the reasons of failed steps.

    Raises:
        UsageError: The suite and the data set are for different tasks, or the split is unknown.
    """
    localises = suite.variants[0].localisation
    if localises and not on.data:
        raise UsageError(
            f"suite {suite.name} is for localisation; there are no such synthetic data",
            fix="give --data and --store, such as --data ave:DIR",
        )
    workspace = on.workspace(bars)
    if localises and not workspace.annotations.localisation:
        raise UsageError(
            f"suite {suite.name} is for localisation; this data set is not",
            file=workspace.annotations.source,
            fix="write `task: localisation` into its taxonomy file",
        )
    workspace.annotations.select(workspace.split)  # raises if the split is unknown
    planned = plan(suite, workspace, seeds=seeds, rows=rows)
    failures = execute(
        planned.jobs(),
        workspace,
        processes=processes,
        engine=engine,
        progress=bars("jobs"),
    )
    results = collect(planned, workspace, failures)
    write(results, on.out)
    return results


def write(results: Results, out: Path) -> None:
    """Write the results as JSON, tables, figures and a report page.

    The times of the rows have a file of their own, `times.md`; all other files are the same
    bytes for the same trainings.

    Args:
        results: Results of the bench.
        out: Folder of the files.
    """
    write_json(out / "results.json", results.document())
    result_tables = tables(results)
    drawings = figures(results)
    title = f"vaplan bench {results.plan.suite.name}"
    lead = results.plan.suite.about
    markdown_tables = "\n".join(map(markdown, result_tables))
    latex_tables = "\n".join(map(latex, result_tables))
    write_text(out / "table.md", f"# {title}\n\n{lead}\n\n{markdown_tables}")
    write_text(out / "table.tex", f"% needs \\usepackage{{booktabs}}\n{latex_tables}")
    write_text(out / "table.csv", csv_table(results))
    write_text(out / "times.md", markdown(times(results)))
    for name, picture in drawings.items():
        save(picture, out / "figures" / name)
    report.write(
        out / "report.html",
        title=title,
        lead=lead,
        tables=result_tables,
        pictures=list(drawings.values()),
        taxonomy=results.workspace.annotations.taxonomy,
    )


def save(picture: Picture, path: Path) -> None:
    """Save a figure as PNG and as PDF; the same figure gives the same bytes.

    Args:
        picture: Figure to save.
        path: File to write, without its ending.
    """
    picture.figure.draw_without_rendering()
    # The layout is computed by now. Computing it again takes as long as drawing.
    picture.figure.set_layout_engine("none")
    for kind, metadata in (("png", None), ("pdf", {"CreationDate": None})):
        draw = partial(
            picture.figure.savefig, format=kind, dpi=DOTS_PER_INCH, metadata=metadata
        )
        with matplotlib.rc_context({"pdf.fonttype": 42}):  # text stays text
            write_atomically(path.with_suffix(f".{kind}"), draw)
