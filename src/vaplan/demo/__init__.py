"""The whole path on the synthetic world: render, features, label, train, denoise, train,
evaluate, parse, report.

Every step is the stage a user would call, on files a user could have. The dense truth of the
training videos is read only here, at the end, to say how good the pseudo labels were.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vaplan import recipe as recipes
from vaplan import stages
from vaplan.annotations import Annotations, read_table
from vaplan.bench.label_quality import Flips, flips
from vaplan.bench.world import EMBEDDED, TRUTH, Bars, make_world
from vaplan.demo.numbers import (
    NAMES,
    Demo,
    difference,
    label_rows,
    method_rows,
    summary,
)
from vaplan.demo.page import examples_of, write_page
from vaplan.evaluation import align, evaluate
from vaplan.metrics.llp import label_f
from vaplan.parser import Parser
from vaplan.recipe import Recipe
from vaplan.runs import Run

__all__ = [
    "Demo",
    "Flips",
    "demo",
    "difference",
    "flips",
    "label_rows",
    "method_rows",
    "summary",
]

SEEDS = 3
SIZE = (
    "model.settings={hidden: 128, feedforward: 128, dropout: 0.5}",
    "training.epochs=20",
    "training.batch_size=32",
)


def demo(out: Path, *, videos: int, seed: int, bars: Bars, seeds: int = SEEDS) -> Demo:
    """Run everything into `out`; what is there from an earlier run with the same settings is used
    again."""
    store = out / "store"
    data = stages.read_data(
        f"table:{make_world(out / 'world', store, videos=videos, seed=seed, bars=bars)}"
    )
    labels = stages.label(data, store, out / "labels.csv", encoders=EMBEDDED).table
    paths = [f"data=table:{data.source}", f"store={store}"]
    runs, refined = _train(out, paths, labels, range(seeds), bars("train"))
    tables = _predict(out, runs, data, store)
    estimates = {
        name: [read_table(path, taxonomy=data.taxonomy) for path in paths]
        for name, paths in tables.items()
    }
    scores = {
        name: [evaluate(data, e, split="test").llp for e in group]
        for name, group in estimates.items()
    }
    refined_tables = [read_table(path, taxonomy=data.taxonomy) for path in refined]
    before = read_table(labels, taxonomy=data.taxonomy)
    test = data.select("test").labelled_ids()
    result = Demo(
        out / "report.html",
        runs["ple"][0].recipe.decision.rule,
        label_f(*align(data, before, test)),
        [label_f(*align(data, after, test)) for after in refined_tables],
        scores,
        [flips(data, before, after, test) for after in refined_tables],
    )
    truth = read_table(out / "world" / TRUTH, taxonomy=data.taxonomy)
    examples = examples_of(data, estimates, Parser.load(runs["pld"][0].folder))
    write_page(
        result,
        data=data,
        truth=truth,
        labels=(before, refined_tables),
        runs=runs,
        examples=examples,
    )
    return result


def _train(
    out: Path,
    changes: Sequence[str],
    labels: Path,
    seeds: Sequence[int],
    bar: Callable[[int, int, str], None],
) -> tuple[dict[str, list[Run]], list[Path]]:
    """Train every method with every seed; return the runs and each seed's denoised labels."""
    runs: dict[str, list[Run]] = {name: [] for name in NAMES}
    refined = []
    for seed in seeds:
        for name in NAMES:
            if name == "pld":
                made = stages.denoise(
                    runs["ple"][-1].folder, labels, out / f"labels_denoised_{seed}.csv"
                )
                refined.append(made.table)
            recipe = _recipe(
                name, changes, refined[-1] if name == "pld" else labels, seed
            )
            runs[name].append(stages.train(recipe, out / "runs" / f"{name}-{seed}"))
            bar(sum(map(len, runs.values())), len(NAMES) * len(seeds), "")
    return runs, refined


def _recipe(name: str, changes: Sequence[str], labels: Path, seed: int) -> Recipe:
    used = "" if name == "han" else str(labels)
    recipe = recipes.read(
        "ple" if name == "pld" else name,
        changes=[*changes, *SIZE, f"training.seed={seed}"],
    )
    return replace(recipe, labels=used)


def _predict(
    out: Path, runs: Mapping[str, list[Run]], data: Annotations, store: Path
) -> dict[str, list[Path]]:
    tables: dict[str, list[Path]] = {}
    for name, group in runs.items():
        tables[name] = [out / "predictions" / f"{run.folder.name}.csv" for run in group]
        for run, table in zip(group, tables[name], strict=True):
            stages.predict(run.folder, data, store, table, split="test")
    return tables
