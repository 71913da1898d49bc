"""Suite files are validated, and a step that several rows need runs once."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from vaplan.bench import suite as suites
from vaplan.bench.jobs import Workspace, unique
from vaplan.bench.plan import Plan, plan
from vaplan.bench.steps import Denoise, Train
from vaplan.cli.bench import read_seeds
from vaplan.errors import RecipeError, UsageError

SMALL = """
about: Small.
steps:
  labels: {label: fitted}
  ple: {train: ple, labels: labels}
  refined: {denoise: ple, labels: labels, settings: {keep: 3}}
  pld: {train: ple, labels: refined}
rows: {PLE: ple, PLD: pld}
"""
SWEPT = (
    SMALL.replace("keep: 3", "keep: $K").replace("PLD: pld", "PLD K = $K: pld")
    + "sweep: {K: [1, 2, 5]}\n"
)


@pytest.fixture
def workspace(world: World, tmp_path: Path) -> Workspace:
    return Workspace(f"table:{world.table}", world.store, tmp_path)


def planned(text: str, workspace: Workspace, seeds: int = 2, **options: Any) -> Plan:
    suite = suites.parse(text, name="small")
    return plan(suite, workspace, seeds=range(seeds), **options)


# ---- the file


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("label: fitted", "label: fited", "did you mean 'fitted'"),
        (
            "train: ple, labels: labels",
            "trainig: ple",
            "verb of step 'ple' 'trainig'; did you mean 'train'",
        ),
        (
            "labels: refined}",
            "labels: refind}",
            "unknown step 'refind'; did you mean 'refined'",
        ),
        (
            "labels: refined}",
            "labels: ple}",
            "'ple' is no step that begins with label or reference",
        ),
        ("PLE: ple,", "PLE: refined,", "'refined' is no step that begins with train"),
        ("keep: 3", "keep: three", "keep is 'three', expected a whole number"),
        ("keep: 3", "kep: 3", "did you mean 'keep'"),
        ("keep: 3", "keep: 0", "keep must be at least 1"),
        (
            "denoise: ple, labels: labels, settings: {keep: 3}",
            "refine: ple, labels: labels, rule: x",
            "unknown rule",
        ),
        ("denoise: ple", "denoise: pld", "needs itself: "),
        ("rows:", "set: [1]\nrows:", "expected names and values"),
        ("about: Small.", "abut: Small.", "unknown setting of suite 'abut'"),
        ("about: Small.\n", "", "suite lacks 'about'"),
        ("rows:", "differences: [[PLE, PLX]]\nrows:", "unknown row 'PLX'"),
        ("rows:", "sweep: {K: 3}\nrows:", "a sweep has one name and its values"),
        ("rows:", "sweep: {K: [a]}\nrows:", "K is 'a', expected a number"),
    ],
)
def test_an_invalid_suite_is_an_error(old: str, new: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(RecipeError) as error:
        suites.parse(SMALL.replace(old, new), name="small")
    assert message in str(error.value)


def test_a_fault_names_the_file(tmp_path: Path) -> None:
    (path := tmp_path / "mine.yaml").write_text("about: [1")
    with pytest.raises(RecipeError, match=r"mine\.yaml"):
        suites.read(path)
    with pytest.raises(RecipeError, match="did you mean 'methods'"):
        suites.read("method")


def test_a_sweep_fills_its_value_into_texts_and_settings() -> None:
    swept = suites.parse(SWEPT, name="small")
    assert swept.parameter == "K"
    assert [variant.value for variant in swept.variants] == [1, 2, 5]
    assert [list(variant.rows) for variant in swept.variants] == [
        ["PLE", f"PLD K = {k}"] for k in (1, 2, 5)
    ]
    refined = [variant.steps["refined"] for variant in swept.variants]
    assert [step.settings.keep for step in refined if isinstance(step, Denoise)] == [
        1,
        2,
        5,
    ]


def test_a_recipe_that_is_a_file_lies_beside_the_suite(
    tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "mine.yaml").write_text("training: {epochs: 7}\n")
    (path := tmp_path / "suite.yaml").write_text(
        "about: Mine.\nsteps: {a: {train: mine.yaml}}\nrows: {A: a}\n"
    )
    (variant,) = suites.read(path).variants
    step = variant.steps["a"]
    assert isinstance(step, Train)
    assert workspace.recipe(step, 0).training.epochs == 7


@pytest.mark.parametrize("name", suites.shipped())
def test_every_shipped_suite_can_be_planned_and_has_a_description(
    name: str, workspace: Workspace
) -> None:
    found = plan(suites.read(name), workspace, seeds=[0])
    assert found.rows
    assert found.suite.about.endswith(".")
    assert set(found.left_out) <= {"oracle (dense labels)", "CMBS full, dense labels"}


# ---- jobs


def test_a_step_of_several_rows_is_one_job(workspace: Workspace) -> None:
    found = planned(SMALL, workspace)
    assert sorted(job.name.rpartition("-")[0] for job in found.jobs()) == [
        *["denoise"] * 2,
        "label",
        *["ple-0"] * 2,
        *["ple-1"] * 2,
    ]


def test_jobs_come_after_their_inputs(workspace: Workspace) -> None:
    done = set[str]()
    for job in planned(SWEPT, workspace).jobs():
        assert {needed.name for needed in job.inputs.values()} <= done
        done.add(job.name)


def test_the_values_of_a_sweep_share_independent_jobs(
    workspace: Workspace,
) -> None:
    found = planned(SWEPT, workspace, seeds=1)
    assert [(row.title, row.value) for row in found.rows] == [
        ("PLE", None),
        *((f"PLD K = {k}", float(k)) for k in (1, 2, 5)),
    ]
    assert len(found.jobs()) == 1 + 1 + 3 + 3


def test_the_name_of_a_job_changes_with_everything_it_depends_on(
    workspace: Workspace, world: World, tmp_path: Path
) -> None:
    def names(workspace: Workspace, text: str = SMALL) -> set[str]:
        return {job.name for job in planned(text, workspace, seeds=1).jobs()}

    assert names(workspace) == names(
        Workspace(workspace.data, workspace.store, tmp_path / "elsewhere")
    )
    epochs = Workspace(
        workspace.data, workspace.store, tmp_path, changes=((), ("training.epochs=9",))
    )
    assert {name.partition("-")[0] for name in names(workspace) & names(epochs)} == {
        "label"
    }
    assert (
        len(names(workspace) & names(workspace, SMALL.replace("keep: 3", "keep: 4")))
        == 2
    )
    (other := tmp_path / "annotations.csv").write_text(
        world.table.read_text() + "new,,Dog,,,,new.mp4,train\n"
    )
    assert not names(workspace) & names(
        Workspace(f"table:{other}", workspace.store, tmp_path)
    )


def test_an_unknown_setting_is_an_error_before_any_job_runs(
    workspace: Workspace,
) -> None:
    wrong = Workspace(
        workspace.data,
        workspace.store,
        workspace.work,
        changes=((), ("training.epoch=9",)),
    )
    with pytest.raises(RecipeError, match="did you mean 'epochs'"):
        planned(SMALL, wrong)
    assert not list(workspace.work.iterdir())


def test_a_row_that_needs_dense_labels_is_left_out_without_them(
    workspace: Workspace, world: World
) -> None:
    oracle = "  truth: {reference: train}\n  best: {train: segment_bce, labels: truth}\nrows: {oracle: best, "
    text = SMALL.replace("rows: {", oracle)
    assert (
        "no video of split train has dense labels"
        in planned(text, workspace).left_out["oracle"]
    )
    known = Workspace(
        workspace.data,
        workspace.store,
        workspace.work,
        truth=world.folder / "train_truth.csv",
    )
    assert [row.title for row in planned(text, known).rows] == ["oracle", "PLE", "PLD"]
    with pytest.raises(UsageError, match="no row of the suite"):
        planned(text.replace("PLE: ple, PLD: pld", ""), workspace)


def test_jobs_are_unique_by_name(workspace: Workspace) -> None:
    jobs = planned(SMALL, workspace).jobs()
    assert unique([*jobs, *jobs]) == jobs


def test_common_changes_apply_to_every_recipe_unless_a_step_overrides_them() -> None:
    own = "pld: {train: ple, labels: refined, set: {training.epochs: 3, training.seed: ~}}"
    text = (
        SMALL.replace("pld: {train: ple, labels: refined}", own)
        + "set: {training.epochs: 7, training.seed: 5}\n"
    )
    steps = suites.parse(text, name="small").variants[0].steps
    assert steps["ple"].set == {"training.epochs": 7, "training.seed": 5}
    assert steps["pld"].set == {"training.epochs": 3}


def test_seeds_and_rows_can_be_chosen(workspace: Workspace) -> None:
    suite = suites.parse(SMALL, name="small")
    chosen = plan(suite, workspace, seeds=[3, 7], rows=["PLD"])
    assert [row.title for row in chosen.rows] == ["PLD"]
    assert list(chosen.rows[0].jobs) == [3, 7]
    with pytest.raises(UsageError, match="unknown row 'PLX'; did you mean 'PL"):
        plan(suite, workspace, seeds=[0], rows=["PLX"])


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1.5", "3,x", "5000", "３"])
def test_seeds_that_are_no_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--seeds is"):
        read_seeds(text)
