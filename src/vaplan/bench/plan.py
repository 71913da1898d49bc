"""The plan of a bench: the jobs behind the rows of its tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vaplan.bench.execute import read_dense_labels
from vaplan.bench.jobs import Job, Workspace, make_job, unique
from vaplan.bench.steps import Reference
from vaplan.bench.suite import Suite, Variant
from vaplan.errors import UsageError, unknown


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        title: Title of the row.
        jobs: Job of every seed; one job if its result does not depend on the seed.
        value: Value of the sweep; none for a row that all values share.
    """

    title: str
    jobs: Mapping[int, Job]
    value: float | None = None


@dataclass(frozen=True)
class Plan:
    """Rows and comparisons of a suite.

    Attributes:
        suite: Suite to run.
        seeds: Seeds of the trainings.
        rows: Rows of the table of parsers.
        labels: Rows of the table of pseudo labels.
        differences: Pairs of row titles to compare: the better one and its baseline.
        left_out: Reasons why rows are not possible with this data, by title.
    """

    suite: Suite
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    labels: tuple[Row, ...]
    differences: tuple[tuple[str, str], ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def jobs(self) -> list[Job]:
        """List all jobs, each once and in order of dependency."""
        rows = (*self.rows, *self.labels)
        return unique(job for row in rows for job in row.jobs.values())


def plan(
    suite: Suite,
    workspace: Workspace,
    *,
    seeds: Sequence[int],
    rows: Sequence[str] = (),
) -> Plan:
    """Plan the jobs of a suite and check all recipes before the first job starts.

    Args:
        suite: Suite to run.
        workspace: Data, store and folder of the bench.
        seeds: Seeds of the trainings.
        rows: Titles of the rows to run; by default all.

    Raises:
        UsageError: A title is unknown, or no row is possible with this data.
        RecipeError: A recipe or a change is not valid.
    """
    distinct_seeds = tuple(dict.fromkeys(seeds))
    _check_titles(suite, rows)
    left_out = dict[str, str]()

    def possible_rows(titles: Callable[[Variant], Mapping[str, str]]) -> Iterator[Row]:
        for row in _plan_rows(suite, titles, distinct_seeds, workspace):
            is_parser = any(row.title in variant.rows for variant in suite.variants)
            if rows and is_parser and row.title not in rows:
                continue
            if reason := _reason_to_leave_out(row, workspace):
                left_out[row.title] = reason
            else:
                yield row

    parsers = tuple(possible_rows(lambda variant: variant.rows))
    labels = tuple(possible_rows(lambda variant: variant.labels))
    if not parsers:
        raise UsageError(
            "no row of the suite is possible with this data", fix="give --truth TABLE"
        )
    differences = _plan_differences(suite, parsers)
    return Plan(suite, distinct_seeds, parsers, labels, differences, left_out)


def _check_titles(suite: Suite, rows: Sequence[str]) -> None:
    titles = {title for variant in suite.variants for title in variant.rows}
    for title in rows:
        if title not in titles:
            raise UsageError(unknown("row", title, titles))


def _plan_rows(
    suite: Suite,
    titles: Callable[[Variant], Mapping[str, str]],
    seeds: tuple[int, ...],
    workspace: Workspace,
) -> Iterator[Row]:
    """Yield the rows of all variants; a title that several variants share comes once."""
    planned = set[str]()
    for variant in suite.variants:
        for title, step in titles(variant).items():
            if title in planned:
                continue
            planned.add(title)
            row = _plan_row(title, variant, step, seeds, workspace)
            if not all(title in titles(other) for other in suite.variants):
                row = replace(row, value=variant.value)
            yield row


def _plan_row(
    title: str,
    variant: Variant,
    step: str,
    seeds: tuple[int, ...],
    workspace: Workspace,
) -> Row:
    jobs = dict[int, Job]()
    names = set[str]()
    for seed in sorted(seeds):
        job = make_job(variant.steps, step, seed=seed, workspace=workspace)
        if job.name not in names:  # pseudo labels may not depend on the seed
            jobs[seed] = job
        names.add(job.name)
    return Row(title, jobs)


def _reason_to_leave_out(row: Row, workspace: Workspace) -> str:
    """Return why a row is not possible: its dense labels do not exist; else nothing."""
    for job in next(iter(row.jobs.values())).with_inputs():
        if isinstance(job.step, Reference) and workspace.truth is None:
            try:
                read_dense_labels(workspace, job.step.reference)
            except UsageError as error:
                return str(error)
    return ""


def _plan_differences(
    suite: Suite, rows: tuple[Row, ...]
) -> tuple[tuple[str, str], ...]:
    titles = [row.title for row in rows]
    pairs = list[tuple[str, str]]()
    for variant in suite.variants:
        pairs += [(better, worse) for better, worse in variant.differences]
    pairs = pairs or [(title, titles[0]) for title in titles[1:]]
    return tuple(
        (better, worse)
        for better, worse in dict.fromkeys(pairs)
        if better in titles and worse in titles
    )
