"""A suite's rows as jobs: which parsers and which pseudo labels its tables are made of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vaplan.bench.execute import truth
from vaplan.bench.jobs import Desk, Job, make_job, unique
from vaplan.bench.steps import Reference
from vaplan.bench.suite import Suite, Swept
from vaplan.errors import UsageError, unknown


@dataclass(frozen=True)
class Row:
    """A line of a table: one job for every seed, and the value of the sweep, if it depends on
    that."""

    title: str
    jobs: Mapping[int, Job]
    value: float | None = None


@dataclass(frozen=True)
class Plan:
    """Everything a suite asks for. `left_out` are titles that cannot be had from this data, and
    why."""

    suite: Swept
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    labels: tuple[Row, ...]
    differences: tuple[tuple[str, str], ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def jobs(self) -> list[Job]:
        """List all jobs, each once and in order of dependency."""
        return unique(
            job for row in (*self.rows, *self.labels) for job in row.jobs.values()
        )


def plan(
    suite: Swept, desk: Desk, *, seeds: Sequence[int], rows: Sequence[str] = ()
) -> Plan:
    """Find every job; a recipe that cannot be is an error here, before anything runs.

    Args:
        suite: Suite to run.
        desk: Data, store and folders of the bench.
        seeds: Seeds of the trainings.
        rows: Titles of the rows to run; by default all.
    """
    numbers = tuple(dict.fromkeys(seeds))
    left_out = dict[str, str]()
    _check_titles(suite, rows)

    def made(titles: Callable[[Suite], Mapping[str, str]]) -> Iterator[Row]:
        titles_done = set[str]()
        for variant in suite.variants:
            for title, name in titles(variant).items():
                if title in titles_done:
                    continue
                titles_done.add(title)
                if rows and title in variant.rows and title not in rows:
                    continue
                everywhere = all(title in titles(other) for other in suite.variants)
                row = _row(title, variant, name, numbers, desk)
                row = replace(row, value=None if everywhere else variant.value)
                if reason := _impossible(row, desk):
                    left_out[title] = reason
                else:
                    yield row

    selected = tuple(made(lambda variant: variant.rows))
    labels = tuple(made(lambda variant: variant.labels))
    if not selected:
        raise UsageError(
            "no row of the suite can be had from this data", fix="give --truth TABLE"
        )
    return Plan(
        suite, numbers, selected, labels, _differences(suite, selected), left_out
    )


def _check_titles(suite: Swept, rows: Sequence[str]) -> None:
    titles = {title for variant in suite.variants for title in variant.rows}
    for title in rows:
        if title not in titles:
            raise UsageError(unknown("row", title, titles))


def _row(
    title: str, suite: Suite, name: str, seeds: tuple[int, ...], desk: Desk
) -> Row:
    jobs = {seed: make_job(suite.steps, name, seed=seed, desk=desk) for seed in seeds}
    distinct = {
        job.name: seed for seed, job in reversed(jobs.items())
    }  # labels may not depend on the seed
    return Row(title, {seed: jobs[seed] for seed in sorted(distinct.values())})


def _impossible(row: Row, desk: Desk) -> str:
    """Return the reason for which a row with dense labels cannot be computed."""
    for job in next(iter(row.jobs.values())).needed():
        if isinstance(job.step, Reference) and desk.truth is None:
            try:
                truth(desk, job.step.reference)
            except UsageError as error:
                return str(error)
    return ""


def _differences(suite: Swept, rows: tuple[Row, ...]) -> tuple[tuple[str, str], ...]:
    titles = [row.title for row in rows]
    requested = [
        (pair[0], pair[1]) for variant in suite.variants for pair in variant.differences
    ]
    pairs = requested or [(title, titles[0]) for title in titles[1:]]
    return tuple(dict.fromkeys((a, b) for a, b in pairs if a in titles and b in titles))
