"""Localisation on synthetic clips like those of AVE.

Measures the suite `ave`, the accuracy by class, the accuracy of the pseudo labels and the time of an epoch.

python benchmarks/bench_ave.py                   # 1,100 clips, 3 seeds; half an hour on one core
python benchmarks/bench_ave.py --pages-only      # write results/ave.md again from results/ave.json

Writes benchmarks/results/ave.json, ave.md and docs/images/ave.png. The networks are those of the suite, but smaller
and trained for fewer epochs: see `CHANGES` and `SMALL`.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from bench_training import BATCH, SEGMENTS, seconds
from rich.progress import Progress

from vaplan import bench as benches
from vaplan import plots, read_table, stages, synthetic
from vaplan.arrays import Inputs, Target
from vaplan.bench import suite as suites
from vaplan.bench.results import Results, read_predictions
from vaplan.bench.tables import markdown
from vaplan.evaluation import evaluate
from vaplan.losses import total
from vaplan.metrics.ave import label_accuracy
from vaplan.modalities import MODALITIES, audio_visual
from vaplan.models.cmbs import WeakCMBS
from vaplan.recipe import read
from vaplan.report import Table
from vaplan.timeline import Timeline, from_grid
from vaplan.training import Training, fit, seeded

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = (
    ROOT / "benchmarks" / "results" / f"ave.{kind}" for kind in ("json", "md")
)
PICTURE = ROOT / "docs" / "images" / "ave.png"
COUNTS, DATA_SEED = {"train": 700, "val": 150, "test": 250}, 3
EMBEDDED = (("embedded",), ("embedded",))
CHANGES = ("training.epochs=16", "model.settings.hidden=128")
SMALL = {
    "hidden": 128,
    "map_hidden": 128,
    "feedforward": 256,
    "decoder_feedforward": 256,
}  # CMBS
WEAK, OURS = "CMBS weak", "CMBS + PLG"
PUBLISHED = ((128,), (512,))  # feature sizes of AVE, with averaged maps
VIDEOS, CLASSES = 256, 28  # of the timed epoch


def main() -> None:
    arguments = _arguments()
    if not arguments.pages_only:
        results = measure(arguments.out, seeds=arguments.seeds)
        document = {
            **results.document(),
            "per_class": class_accuracies(results),
            "labels_of_train": measure_labels(results),
        }
        document |= {
            "epoch": epoch_seconds(),
            "tables": list(map(markdown, benches.tables(results))),
        }
        RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        draw_timelines(results)
    PAGE.write_text(
        page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/bench-ave"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pages-only", action="store_true")
    return parser.parse_args()


def measure(out: Path, *, seeds: int) -> Results:
    """Render and encode the missing clips, and train the missing runs."""
    table = synthetic.render(
        synthetic.plan_ave_clips(COUNTS, seed=DATA_SEED),
        out / "world",
        audio_visual=True,
    )
    data = stages.read_data(f"table:{table}")
    stages.features(data, out / "world", out / "store", encoders=EMBEDDED)
    files = {
        "data": f"table:{table}",
        "store": out / "store",
        "truth": out / "world" / "train_truth.csv",
    }
    on = benches.Bench(out, out / "work", **files, changes=CHANGES)
    with Progress() as bars:

        def bar(name: str) -> Any:
            task = bars.add_task(name, total=None)
            return lambda done, total, _: bars.update(task, completed=done, total=total)

        return benches.bench(small_suite(), on, seeds=range(seeds), bars=bar)


def small_suite() -> benches.Suite:
    """Return the suite with smaller networks."""
    tree = yaml.safe_load(benches.shipped()["ave"].read_text(encoding="utf-8"))
    for step in tree["steps"].values():
        if step.get("train", "").startswith("cmbs"):
            step["set"] = {**step.get("set", {}), "model.settings": dict(SMALL)}
    return suites.parse(yaml.safe_dump(tree, sort_keys=False), name="ave")


def class_accuracies(results: Results) -> dict[str, dict[str, float]]:
    """Compute the mean accuracy of every label over seeds, by method."""
    means = {}
    for row in results.plan.rows:
        predictions = [
            read_predictions(job, results.workspace) for job in row.jobs.values()
        ]
        accuracies = [
            evaluate(results.workspace.annotations, estimate, split="test").per_class()
            for estimate in predictions
        ]
        means[row.title] = {
            name: float(np.mean([a[name] for a in accuracies]))
            for name in accuracies[0]
        }
    return means


def label_tables(results: Results) -> dict[str, Path]:
    """Return the tables of the pseudo labels and of the denoised labels of the first seed."""
    jobs = {
        job.name: job
        for row in results.plan.rows
        for job in row.jobs[results.plan.seeds[0]].with_inputs()
    }
    outputs = {
        job.name.split("-")[0]: job.output(results.workspace.work)
        for job in jobs.values()
    }
    return {"PLG": outputs["label"], "PLD": outputs["denoise"]}


def measure_labels(results: Results) -> dict[str, Any]:
    """Measure the pseudo labels of the training videos.

    Returns:
        The accuracy of the labels of each modality and of both, and the number of labels that PLD changes.
    """
    data, tables = results.workspace.annotations, label_tables(results)
    truth = read_table(results.workspace.truth, taxonomy=data.taxonomy)
    reference = truth.reference(SEGMENTS)
    plg, pld = (
        read_table(t, taxonomy=data.taxonomy)
        .select_videos(truth.ids)
        .reference(SEGMENTS)
        for t in tables.values()
    )
    tags = np.broadcast_to(
        data.select_videos(truth.ids).weak_label()[:, None, None], plg.shape
    )
    audio, visual = (
        np.repeat(plg[:, :, m : m + 1], plg.shape[2], axis=2)
        for m in range(plg.shape[2])
    )
    kinds = {
        "the tag everywhere": tags,
        "PL-A": audio,
        "PL-V": visual,
        "PL-AV": plg,
        "PL-AV after PLD": pld,
    }
    before, after, right = audio_visual(plg), audio_visual(pld), audio_visual(reference)
    changed = before ^ after
    flips = {
        "set": changed & after,
        "removed": changed & before,
        "right": changed & (after == right),
    }
    return {
        "accuracy": {
            name: label_accuracy(reference, grid) for name, grid in kinds.items()
        },
        "flips": {name: int(cells.sum()) for name, cells in flips.items()},
    }


def draw_timelines(results: Results) -> None:
    """Draw the reference, the predictions of two methods and the pseudo labels of one test video."""
    data = results.workspace.annotations.select("test")
    rows = {row.title: row.jobs[results.plan.seeds[0]] for row in results.plan.rows}
    plg = read_table(
        label_tables(results)["PLG"], taxonomy=data.taxonomy
    ).select_videos(data.ids)
    grids = {"reference": data.reference(SEGMENTS)}
    for name, title in {"CMBS": WEAK, "ours": OURS}.items():
        grids[name] = (
            read_predictions(rows[title], results.workspace)
            .select_videos(data.ids)
            .reference(SEGMENTS)
        )
    grids |= dict(
        zip(
            ("PL-A", "PL-V"),
            np.split(plg.reference(SEGMENTS), len(MODALITIES), axis=2),
            strict=True,
        )
    )
    grids["PL-AV"] = audio_visual(plg.reference(SEGMENTS))[:, :, None]
    shown = choose_video(grids)
    lanes = {
        name: Timeline(
            data.ids[shown],
            float(SEGMENTS),
            from_grid(np.repeat(grid[shown][:, :1], 2, 1), data.taxonomy),
        )
        for name, grid in grids.items()
    }
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    plots.plot_labels(lanes, taxonomy=data.taxonomy).savefig(
        PICTURE, dpi=110, metadata={"Software": None}
    )


def choose_video(grids: Mapping[str, np.ndarray]) -> int:
    """Return the first video with background on both sides of its event and with labels of one modality alone."""
    event = grids["reference"].any(axis=(2, 3))
    inside = event.any(axis=1) & ~event[:, 0] & ~event[:, -1]
    differs = (grids["PL-A"] != grids["PL-V"]).any(axis=(1, 2, 3))
    return int((inside & differs).argmax())


def epoch_seconds() -> dict[str, float]:
    """Measure the CPU seconds of an epoch of CMBS by `fit`, and by a plain PyTorch loop."""
    losses = read("cmbs_vaplan").losses
    with seeded(0):
        streams = tuple((torch.randn(VIDEOS, SEGMENTS, *size),) for size in PUBLISHED)
        weak = torch.nn.functional.one_hot(
            torch.arange(VIDEOS) % CLASSES, CLASSES
        ).bool()
        pseudo = weak[:, None, None].expand(-1, SEGMENTS, 2, -1) & (
            torch.rand(VIDEOS, SEGMENTS, 1, 1) < 0.8
        )
        model = WeakCMBS(feature_sizes=PUBLISHED, classes=CLASSES)
    inputs, target = (
        Inputs(streams, torch.ones(VIDEOS, SEGMENTS, 2, dtype=torch.bool)),
        Target(weak, pseudo),
    )

    def bare() -> None:
        optimiser = torch.optim.Adam(model.parameters(), lr=6e-4)
        model.train()
        for start in range(0, VIDEOS, BATCH):
            batch = slice(start, start + BATCH)
            optimiser.zero_grad()
            total(model(inputs[batch]), target[batch], losses)[0].backward()
            optimiser.step()

    settings = Training(epochs=1, batch_size=BATCH)
    return seconds(
        {
            "vaplan": lambda: fit(
                model, inputs, target, settings=settings, losses=losses
            ),
            "bare": bare,
        }
    )


def page(document: dict[str, Any]) -> str:
    """Format the results as Markdown."""
    rows = document["per_class"]
    labels = next(iter(rows.values()))
    per_class = [
        (name, *(f"{rows[title][name]:.1f}" for title in rows)) for name in labels
    ]
    about = "Percent of the test segments of each label that are predicted correctly, mean over seeds."
    accuracies = tuple(
        (name, f"{value:.1f}")
        for name, value in document["labels_of_train"]["accuracy"].items()
    )
    flips = document["labels_of_train"]["flips"]
    flipped = "PLD (seed {}) sets {set} labels and removes {removed}; {right} of these flips are right.".format(
        document["seeds"][0], **flips
    )
    ours, bare = document["epoch"]["vaplan"], document["epoch"]["bare"]
    parts = [
        "# Localisation on synthetic clips like those of AVE",
        (
            f"Made by `python benchmarks/bench_ave.py`: {COUNTS['train']} training, {COUNTS['val']} validation and "
            f"{COUNTS['test']} test clips, seeds {', '.join(map(str, document['seeds']))}, with "
            f"{', '.join(CHANGES)} and CMBS of {', '.join(f'{name} {size}' for name, size in SMALL.items())}."
        ),
        *document["tables"],
        markdown(Table("Accuracy by label", ("", *rows), tuple(per_class), about)),
        markdown(
            Table(
                "Pseudo labels of the training segments, accuracy",
                ("", "%"),
                accuracies,
                flipped,
            )
        ),
        (
            f"## Time\n\nAn epoch of CMBS at its published size on {VIDEOS} clips with features of 128 and 512 "
            f"dimensions takes {ours:.2f} CPU seconds. A plain PyTorch loop of the same forward and backward passes, "
            f"losses and optimiser steps takes {bare:.2f}, a ratio of {ours / bare:.2f}.\n"
        ),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    main()
