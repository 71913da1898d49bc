"""A suite from its file to its results: what `vaplan bench` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib

from vaplan import report
from vaplan.bench.execute import work_through
from vaplan.bench.figures import pictures
from vaplan.bench.jobs import Desk
from vaplan.bench.plan import plan
from vaplan.bench.results import Results, collect
from vaplan.bench.suite import Swept
from vaplan.bench.tables import csv_table, latex, markdown, tables, times
from vaplan.bench.world import TRUTH, Bars, make_world
from vaplan.errors import UsageError
from vaplan.report import Picture
from vaplan.stages import read_data
from vaplan.writing import write_atomically, write_json, write_text

# networks, batches and trainings of the drawn world's size, alike for all methods
WORLD_CHANGES = (
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
    """Data, folders and settings that a suite runs with.

    Without `data` and `store` it is the drawn world of so many `videos`. `work` is where the
    files of all jobs are
    kept: suites that share it share them.
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
    world_seed: int = 1

    def desk(self, bars: Bars) -> Desk:
        """Return data and features; synthetic data are rendered and encoded first."""
        if self.data and self.store:
            no_defaults = ((), self.changes)
            return Desk(
                self.data,
                self.store,
                self.work,
                self.split,
                no_defaults,
                self.labels,
                self.truth,
            )
        if self.data or self.store:
            raise UsageError(
                "data and a store belong together",
                fix="give --data and --store, or neither",
            )
        folder = self.work / f"world-{self.world_seed}-{self.videos}"
        table = make_world(
            folder / "world",
            folder / "store",
            videos=self.videos,
            seed=self.world_seed,
            bars=bars,
        )
        truth, changes = (
            self.truth or table.parent / TRUTH,
            (WORLD_CHANGES, self.changes),
        )
        return Desk(
            f"table:{table}",
            folder / "store",
            self.work,
            self.split,
            changes,
            self.labels,
            truth,
        )


def bench(
    suite: Swept,
    on: Bench,
    *,
    seeds: Sequence[int],
    bars: Bars,
    rows: Sequence[str] = (),
    processes: int = 1,
) -> Results:
    """Run the steps of a suite that are not done yet and write the results.

    Args:
        suite: Suite to run.
        on: Data and folders.
        seeds: Seeds of the trainings.
        rows: Titles of the rows to run; by default all.
        bars: Makes a progress callback from a name.
        processes: Number of worker processes.
    """
    localises = suite.variants[0].localisation
    if localises and not on.data:
        what = (
            f"suite {suite.name} is about localisation, and no such world is drawn here"
        )
        raise UsageError(what, fix="give --data and --store, such as --data ave:DIR")
    desk = on.desk(bars)
    if localises and not desk.annotations.localisation:
        what = f"suite {suite.name} is about localisation, and this data set is not"
        raise UsageError(
            what,
            file=desk.annotations.source,
            fix="write `task: localisation` into its taxonomy file",
        )
    read_data(desk.data).select(desk.split)  # an unknown split is an error now
    planned = plan(suite, desk, seeds=seeds, rows=rows)
    failures = work_through(
        planned.jobs(), desk, processes=processes, progress=bars("jobs")
    )
    results = collect(planned, desk, failures)
    write(results, on.out)
    return results


def write(results: Results, out: Path) -> None:
    """Write the results as JSON, tables, a report page and figures.

    Times are in a file of their own, `times.md`, so that the same trainings give the same
    bytes in all others.

    Args:
        results: Results of the bench.
        out: Folder or file to write.
    """
    write_json(out / "results.json", results.document())
    result_tables, figures = tables(results), pictures(results)
    title = f"vaplan bench {results.plan.suite.name}"
    lead = results.plan.suite.about
    write_text(
        out / "table.md",
        f"# {title}\n\n{lead}\n\n" + "\n".join(map(markdown, result_tables)),
    )
    write_text(
        out / "table.tex",
        "% needs \\usepackage{booktabs}\n" + "\n".join(map(latex, result_tables)),
    )
    write_text(out / "table.csv", csv_table(results))
    write_text(out / "times.md", markdown(times(results)))
    for name, picture in figures.items():
        save(picture, out / "figures" / name)
    report.write(
        out / "report.html",
        title=title,
        lead=lead,
        tables=result_tables,
        pictures=list(figures.values()),
        taxonomy=results.desk.annotations.taxonomy,
    )


def save(picture: Picture, path: Path) -> None:
    """A figure as PNG and as PDF, the same bytes for the same figure.

    Args:
        picture: Figure to save.
        path: File to write, without its ending.
    """
    picture.figure.draw_without_rendering()
    picture.figure.set_layout_engine(
        "none"
    )  # which it has done: it takes as long as drawing, every time
    for kind, metadata in (("png", None), ("pdf", {"CreationDate": None})):
        draw = partial(
            picture.figure.savefig, format=kind, dpi=DOTS_PER_INCH, metadata=metadata
        )
        with matplotlib.rc_context({"pdf.fonttype": 42}):  # letters as letters
            write_atomically(path.with_suffix(f".{kind}"), draw)
