"""The scores of a bench are those of its files; an interrupted bench continues, and failures are reported."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import SMALL, World
from tests.official import write_ave
from vaplan import bench as benches
from vaplan import read_table, stages, training
from vaplan.bench import suite as suites
from vaplan.bench.results import TEN, Results, flatten_numbers
from vaplan.errors import UsageError
from vaplan.evaluation import evaluate
from vaplan.metrics.intervals import bootstrap_over_seeds
from vaplan.metrics.llp import label_f
from vaplan.store import Entry, Store

pytestmark = pytest.mark.slow

SUITE = """
about: Everything that a suite can ask for, small.
steps:
  labels: {label: fitted}
  truth: {reference: train}
  ple: {train: ple, labels: labels}
  refined: {denoise: ple, labels: labels, settings: {keep: $K}}
  pld: {train: ple, labels: refined, set: {decision.rule: segment}}
  base: {train: ma_base}
  exchanged: {exchange: base}
  ma: {train: ma, labels: exchanged}
  estimator: {train: jomold_estimator, set: {training.select: last}}
  ratios: {noise: estimator}
  jomold: {train: jomold, ratios: ratios, set: {training.select: last}}
  oracle: {train: segment_bce, labels: truth}
rows: {MA: ma, JoMoLD: jomold, PLD K = $K: pld, oracle: oracle}
labels: {PLG: labels, PLD K = $K: refined}
sweep: {K: [1, 4]}
"""
QUICK = """
about: Two trainings.
steps: {labels: {label: fitted}, plg: {train: plg, labels: labels}}
rows: {PLG: plg}
labels: {PLG: labels}
"""
TINY = (
    *SMALL[1:],
    "model.settings.hidden=8",
    "model.settings.feedforward=8",
    "training.epochs=1",
)

Bench = Callable[..., Results]


def silent(_: str) -> Any:
    return lambda *_: None


@pytest.fixture(scope="module")
def run(world: World) -> Bench:
    def go(
        out: Path,
        text: str = SUITE,
        *,
        processes: int = 1,
        seeds: int = 2,
        **options: Any,
    ) -> Results:
        given = {
            "data": f"table:{world.table}",
            "store": world.store,
            "truth": world.folder / "train_truth.csv",
        }
        on = benches.Bench(out, out / "work", **{**given, "changes": TINY, **options})
        suite = suites.parse(text, name="small")
        return benches.bench(
            suite, on, seeds=range(seeds), bars=silent, processes=processes
        )

    return go


@pytest.fixture(scope="module")
def results(run: Bench, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run(tmp_path_factory.mktemp("bench"))


def place(results: Results) -> Path:
    return results.workspace.work.parent


def document(results: Results) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((place(results) / "results.json").read_text())
    return found


# ---- numbers


def test_the_scores_of_a_seed_are_those_of_its_run(
    results: Results, world: World
) -> None:
    rows = document(results)["rows"]
    assert list(rows) == ["MA", "JoMoLD", "PLD K = 1", "oracle", "PLD K = 4"]
    for row in rows.values():
        assert list(row["seeds"]) == ["0", "1"]
        for seed in row["seeds"].values():
            metrics = json.loads((Path(seed["run"]) / "metrics.json").read_text())
            assert seed["numbers"] == pytest.approx(
                flatten_numbers({k: metrics["test"][k] for k in ("segment", "event")})
            )
            assert seed["val"] == pytest.approx(
                flatten_numbers({k: metrics["val"][k] for k in ("segment", "event")})
            )
            table = read_table(
                Path(seed["run"]) / "test.csv", taxonomy=world.data.taxonomy
            )
            again = flatten_numbers(evaluate(world.data, table, split="test").numbers())
            assert seed["numbers"] == pytest.approx(again)


def test_mean_and_deviation_are_over_seeds(results: Results) -> None:
    for row in document(results)["rows"].values():
        for name in TEN:
            values = [seed["numbers"][name] for seed in row["seeds"].values()]
            assert row["mean"][name] == pytest.approx(np.mean(values))
            assert row["std"][name] == pytest.approx(np.std(values))


def test_every_result_names_its_annotations_decision_and_selection(
    results: Results,
) -> None:
    found = document(results)
    assert found["annotations"] == "annotations.csv"
    assert (found["split"], found["videos"], found["seeds"]) == ("test", 6, [0, 1])
    described = {
        title: (row["decision"], row["selection"])
        for title, row in found["rows"].items()
    }
    assert described["MA"] == ("modality_gate 0.5", "last epoch")
    assert described["PLD K = 4"] == ("segment 0.5", "last epoch")
    for text in (
        "annotations: annotations.csv",
        "segment 0.5 (PLD K = 1, PLD K = 4)",
        "weights: last epoch",
    ):
        assert text in (place(results) / "table.md").read_text()


def test_the_seeds_are_those_of_the_trainings(results: Results) -> None:
    for method in results.methods:
        for seed, folder in method.runs.items():
            assert f"seed: {seed}\n" in (folder / "recipe.yaml").read_text()


def test_a_difference_is_that_of_the_means_and_its_interval_holds_it(
    results: Results,
) -> None:
    rows = document(results)["rows"]
    found = document(results)["differences"]
    assert [(one["of"], one["to"]) for one in found] == [
        (title, "MA") for title in list(rows)[1:]
    ]
    for one in found:
        for name, interval in one["numbers"].items():
            ahead = rows[one["of"]]["mean"][name] - rows[one["to"]]["mean"][name]
            assert interval["value"] == pytest.approx(ahead)
            assert interval["low"] <= ahead <= interval["high"]


def test_labels_are_compared_with_the_dense_ones_of_test_and_train(
    results: Results, world: World
) -> None:
    found = document(results)["labels"]
    (plg,) = found["PLG"]  # they do not depend on the seed
    truth = read_table(world.folder / "train_truth.csv", taxonomy=world.data.taxonomy)
    table = read_table(Path(plg["table"]), taxonomy=world.data.taxonomy)
    ids = list(truth.ids)
    expected = label_f(
        truth.select_videos(ids).reference(10), table.select_videos(ids).reference(10)
    )
    assert plg["f"]["train"] == expected
    assert len(found["PLD K = 4"]) == 2
    for seed in found["PLD K = 4"]:
        for flips in seed["flips"].values():
            assert flips["right"] <= flips["set"] + flips["removed"]


def test_the_oracle_learns_from_the_dense_labels(
    results: Results, world: World
) -> None:
    (oracle,) = (row for row in results.plan.rows if row.title == "oracle")
    table = oracle.jobs[0].inputs["labels"].output(results.workspace.work)
    taught = read_table(table, taxonomy=world.data.taxonomy)
    truth = read_table(world.folder / "train_truth.csv", taxonomy=world.data.taxonomy)
    assert {
        video: set(map(str, events)) for video, events in taught.events.items()
    } == {video: set(map(str, events)) for video, events in truth.events.items()}


# ---- files


def test_a_bench_writes_tables_figures_and_a_page(results: Results) -> None:
    out = place(results)
    made = {
        str(path.relative_to(out))
        for path in out.rglob("*")
        if "work" not in path.parts
    }
    figures = {
        f"figures/{name}.{kind}"
        for name in ("sweep", "sweep_labels")
        for kind in ("png", "pdf")
    }
    assert made == {
        "figures",
        "report.html",
        "results.json",
        "table.csv",
        "times.md",
        "table.md",
        "table.tex",
        *figures,
    }
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["K"], row["seeds"]) for row in rows] == [
        *(("MA", "", "2"), ("JoMoLD", "", "2"), ("PLD K = 1", "1.0", "2")),
        *(("oracle", "", "2"), ("PLD K = 4", "4.0", "2")),
    ]
    mean = document(results)["rows"]["MA"]["mean"]["segment type"]
    assert float(rows[0]["segment type"]) == pytest.approx(mean, rel=1e-5)


def test_a_suite_without_a_sweep_draws_classes_and_timelines(
    run: Bench, tmp_path: Path
) -> None:
    run(tmp_path, QUICK, seeds=1)
    names = {path.name for path in (tmp_path / "figures").glob("*.png")}
    assert names == {
        "labels_audio.png",
        "labels_visual.png",
        *(f"timelines_{k}.png" for k in (1, 2, 3, 4)),
    }
    assert (tmp_path / "figures" / "timelines_1.pdf").read_bytes()[:5] == b"%PDF-"
    assert "data:image/svg+xml" in (tmp_path / "report.html").read_text()


# ---- interruptions


def test_a_second_run_trains_nothing_and_writes_the_same_bytes(
    run: Bench, results: Results
) -> None:
    out = place(results)
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in out.rglob("*")
        if path.is_file()
    }
    run(out)
    after = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in out.rglob("*")
        if path.is_file()
    }
    assert {path: content for path, (content, _) in after.items()} == {
        p: c for p, (c, _) in before.items()
    }
    in_work = [path for path in before if "work" in path.parts]
    assert [path for path in in_work if after[path][1] != before[path][1]] == []


@pytest.mark.usefixtures("no_figures")
def test_an_interrupted_or_parallel_bench_has_the_same_results(
    run: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_two = run(tmp_path / "two", QUICK, processes=2)
    train, calls = stages.train, list[Path]()

    def interrupted(recipe: Any, folder: Path, **options: Any) -> Any:
        calls.append(folder)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(recipe, folder, **options)

    monkeypatch.setattr(stages, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "one", QUICK)
    assert not (tmp_path / "one" / "results.json").exists()
    gone_on = run(tmp_path / "one", QUICK)
    assert len(calls) == 3  # the second training twice
    for one, other in zip(in_two.methods, gone_on.methods, strict=True):
        assert {seed: s.numbers for seed, s in one.scores.items()} == {
            s: o.numbers for s, o in other.scores.items()
        }


@pytest.mark.usefixtures("no_figures")
def test_the_scores_of_another_split_need_no_training(
    run: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(tmp_path, QUICK, seeds=1)
    monkeypatch.setattr(training, "fit", None)
    of_val = run(tmp_path, QUICK, seeds=1, split="val")
    assert of_val.videos == 4
    assert of_val.methods[0].scores[0].numbers == pytest.approx(found.methods[0].val[0])


# ---- failures


@pytest.mark.usefixtures("no_figures")
def test_failed_steps_are_listed_and_the_others_run(
    run: Bench, results: Results, tmp_path: Path
) -> None:
    shutil.copytree(results.workspace.work, tmp_path / "work")
    hot = "ma_hot: {train: ma_base, set: {training.learning_rate: 1e30}}\n  cold: {exchange: ma_hot}\n"
    text = SUITE.replace(
        "  base:", f"  {hot}  after: {{train: ma, labels: cold}}\n  base:"
    )
    found = run(tmp_path, text.replace("rows: {MA: ma", "rows: {MA: ma, hot: after"))
    assert (
        len(found.failures) == 6
    )  # two seeds: the training, the exchange after it, the training after that
    assert sum("the loss is nan" in reason for reason in found.failures.values()) == 2
    (hot_row,) = (method for method in found.methods if method.title == "hot")
    assert hot_row.failed.keys() == {0, 1}
    assert all(method.scores for method in found.methods if method is not hot_row)
    assert document(found)["rows"]["hot"]["failed"]["0"].startswith("needs exchange-")
    assert "| hot | – |" in (tmp_path / "table.md").read_text()
    assert "hot: seeds 0, 1 failed" in (tmp_path / "table.md").read_text()


@pytest.mark.usefixtures("no_figures")
def test_given_pseudo_labels_are_trained_on(
    run: Bench, world: World, tmp_path: Path
) -> None:
    found = run(tmp_path, QUICK, seeds=1, labels=world.labels)
    (given,) = found.labels["PLG"]
    taken, expected = (
        read_table(path, taxonomy=world.data.taxonomy)
        for path in (given.table, world.labels)
    )
    grids = [
        table.select_videos(world.data.ids).reference(10) for table in (taken, expected)
    ]
    np.testing.assert_array_equal(*grids)


@pytest.mark.usefixtures("no_figures")
def test_labels_are_refined_by_the_encoders_and_out_of_fold_parsers(
    run: Bench, world: World, tmp_path: Path
) -> None:
    steps = "plg: {train: plg, labels: labels}, refined: {refine: plg, labels: labels, folds: 2}}"
    text = QUICK.replace("plg: {train: plg, labels: labels}}", steps).replace(
        "PLG: labels}", "refined: refined}"
    )
    (given,) = run(tmp_path / "given", text, seeds=1, labels=world.labels).labels[
        "refined"
    ]
    assert given.table.read_text() != world.labels.read_text()
    (refined,) = run(tmp_path, text, seeds=1).labels["refined"]
    assert (
        json.loads(refined.table.with_suffix(".json").read_text())["rule"] == "fusion"
    )
    assert refined.flips


@pytest.mark.usefixtures("no_figures")
def test_label_probabilities_are_trained_on_and_evidence_is_smoothed(
    run: Bench, tmp_path: Path
) -> None:
    soft = "{train: segment_bce, labels: labels, label_probability: true, set: {losses: {segment: {labels: soft}}}}"
    text = QUICK.replace("fitted", "mixture, smooth: 0.7").replace(
        "{train: plg, labels: labels}", soft
    )
    found = run(tmp_path, text, seeds=1)
    assert not found.failures
    (labels,) = found.labels["PLG"]
    about = json.loads(labels.table.with_suffix(".json").read_text())
    assert about["smooth"] == 0.7
    assert "from tagged and untagged videos" in about["reason"]


# ---- intervals


def test_with_one_seed_only_the_videos_are_resampled() -> None:
    scores = np.random.default_rng(0).random((1, 40, 2))
    one, two = bootstrap_over_seeds(scores, seed=1)
    again = bootstrap_over_seeds(np.concatenate([scores, scores]), seed=1)
    assert one.value == pytest.approx(scores[0, :, 0].mean())
    assert [two.value] == pytest.approx([again[1].value])
    assert one.low < one.value < one.high


def test_seeds_that_disagree_widen_the_interval() -> None:
    videos = np.random.default_rng(0).normal(size=(1, 100, 1))
    shifts = np.array([-3.0, 0.0, 3.0])[:, None, None]
    (alike,), (apart,) = (
        bootstrap_over_seeds(x, seed=1) for x in (videos + 0 * shifts, videos + shifts)
    )
    assert alike.value == pytest.approx(apart.value)
    assert apart.high - apart.low > 4 * (alike.high - alike.low)


def test_a_constant_difference_has_an_interval_of_width_zero() -> None:
    (found,) = bootstrap_over_seeds(np.full((3, 5, 1), 1.5), seed=0)
    assert (found.value, found.low, found.high) == (1.5, 1.5, 1.5)
    with pytest.raises(ValueError, match="nothing to resample"):
        bootstrap_over_seeds(np.empty((3, 0, 1)), seed=0)


# ---- localisation


@pytest.mark.usefixtures("no_figures")
def test_a_localisation_data_set_has_accuracies(run: Bench, tmp_path: Path) -> None:
    data = f"ave:{write_ave(tmp_path / 'ave')}"
    ids, random = stages.read_data(data).ids, np.random.default_rng(0)
    for name in ("audio:legacy:vggish", "visual:legacy:vgg19"):
        folder = Store.create(
            tmp_path / "store",
            name,
            {"dimension": 6, "weights_sha256": "0"},
            planned=ids,
        )
        rows = [
            Entry(
                video, random.normal(size=(10, 6)).astype(np.float32), np.ones(10, bool)
            )
            for video in ids
        ]
        folder.add(rows)
    text = "about: One.\nsteps: {a: {train: han}, b: {train: han, set: {losses: {video: 1}}}}\nrows: {A: a, B: b}\n"
    found = run(tmp_path / "out", text, data=data, store=tmp_path / "store", truth=None)
    assert not found.failures
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert set(rows["A"]["mean"]) == {
        f"{kind}accuracy" for kind in ("", "event_", "foreground_", "background_")
    }
    table = (tmp_path / "out" / "table.md").read_text()
    assert (
        f"| A | {np.mean([s['numbers']['accuracy'] for s in rows['A']['seeds'].values()]):.1f} ±"
        in table
    )
    assert "Accuracy in percent" in table
    assert "|  | accuracy |" in table.split("Paired differences")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "is for localisation; this data set is not"),
        ({"data": ""}, "there are no such synthetic data"),
    ],
)
def test_a_localisation_suite_needs_a_localisation_data_set(
    run: Bench, tmp_path: Path, arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(tmp_path, f"{QUICK}localisation: true\n", **arguments)


def test_the_time_of_every_row_is_in_a_file_of_its_own(results: Results) -> None:
    text = (place(results) / "times.md").read_text()
    for method in results.methods:
        (line,) = [line for line in text.splitlines() if f"| {method.title} " in line]
        training, cpu, steps, _ = [float(cell) for cell in line.split("|")[2:6]]
        assert 0 < training <= steps
        assert cpu > 0
