"""From how many tagged videos on a trained parser is better than zero-shot labels.

    python benchmarks/bench_method.py --seed 3 --out runs/seed-3     # renders and encodes
    python benchmarks/bench_small_data.py runs/seed-3

Takes random subsets of the training videos, labels them and the test videos from their tags alone (rule `hmm`), trains
the recipe `default` on the labels of the subset, and scores the test videos. Writes benchmarks/results/small_data.md.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from vaplan import recipe as recipes
from vaplan import stages
from vaplan.annotations import Annotations, Row, read_table
from vaplan.annotations.table import write_rows
from vaplan.bench.synthetic_data import EMBEDDED
from vaplan.evaluation import evaluate
from vaplan.pseudo_labels.rules import HMM

RESULTS = Path(__file__).parent / "results" / "small_data.md"
VIDEOS = (25, 50, 100, 200, 400)
COLUMNS = ("labels from tags", "parser and tags", "parser alone")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rendered", type=Path, help="folder of bench_method.py")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    table = given.rendered / "world" / "annotations.csv"
    data = stages.read_data(f"table:{table}")
    lines = [
        f"| training videos | {' | '.join(COLUMNS)} |",
        "|---:|" + "---:|" * len(COLUMNS),
    ]
    for count in VIDEOS:
        scores = [
            score_subset(data, given.rendered / "store", count, seed)
            for seed in range(given.seeds)
        ]
        means, deviations = np.mean(scores, axis=0), np.std(scores, axis=0)
        cells = [
            f"{segment:.1f} ± {deviation:.1f}, {event:.1f}"
            for (segment, event), (deviation, _) in zip(means, deviations, strict=True)
        ]
        lines.append(f"| {count} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    segment, event = score_zero_shot(data, given.rendered / "store")
    head = (
        "# Few tagged videos\n\nMade by `python benchmarks/bench_small_data.py`: Type@AV F in "
        f"percent (segment ± deviation, event) on {len(data.select('test').videos)} rendered "
        f"test videos, mean of {given.seeds} random subsets of the training videos. *Labels "
        "from tags* are the pseudo labels of the test videos, whose tags are known, by the rule "
        "`hmm`. *Parser and tags* keeps the events of the trained parser that are tagged. "
        "*Parser alone* knows no tag; a zero-shot classifier with the default margin, which knows "
        f"neither tags nor training videos, has {segment:.1f}, {event:.1f}. No dense label is "
        "read."
    )
    RESULTS.write_text("\n".join([head, "", *lines, ""]), encoding="utf-8")


def score_subset(
    data: Annotations, store: Path, count: int, seed: int
) -> list[tuple[float, float]]:
    """Label, train and score; returns segment-level and event-level F of each column."""
    random = np.random.default_rng(seed)
    training = [video.video for video in data.videos if video.split == "train"]
    chosen = {*random.choice(training, count, replace=False).tolist()}
    test = data.select("test")
    rows = [
        Row(video.video, class_name=tag, split=video.split, path=video.path)
        for video in data.videos
        if video.video in chosen or video.split == "test"
        for tag in video.tags or ("",)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = write_rows(folder / "tags.csv", rows)
        source = f"table:{table}"
        tagged = replace(stages.read_data(source), taxonomy=data.taxonomy)
        labels = stages.label(
            tagged, store, folder / "labels.csv", encoders=EMBEDDED, rule=HMM
        ).table
        changes = [f"data={source}", f"store={store}", f"labels={labels}"]
        changes += [f"training.seed={seed}", "training.select=last"]
        run = stages.train(recipes.read("default", changes=changes), folder / "run")
        predictions = folder / "test.csv"
        stages.predict(run.folder, test, store, predictions)
        estimates = [
            read_table(labels, taxonomy=data.taxonomy).select_videos(test.ids),
            keep_tagged(read_table(predictions, taxonomy=data.taxonomy), test),
            read_table(predictions, taxonomy=data.taxonomy),
        ]
        return [score(test, estimate) for estimate in estimates]


def score_zero_shot(data: Annotations, store: Path) -> tuple[float, float]:
    """Score labels of the test videos without tags, by the default margin."""
    test = data.select("test")
    untagged = tuple(replace(video, tags=()) for video in test.videos)
    with tempfile.TemporaryDirectory() as name:
        labels = stages.label(
            replace(test, videos=untagged, events={}),
            store,
            Path(name) / "labels.csv",
            encoders=EMBEDDED,
        ).table
        return score(test, read_table(labels, taxonomy=data.taxonomy))


def keep_tagged(estimate: Annotations, data: Annotations) -> Annotations:
    """Keep the events whose class is a tag of the video."""
    tags = {video.video: set(video.tags) for video in data.videos}
    events = {
        video: tuple(event for event in found if event.class_name in tags[video])
        for video, found in estimate.events.items()
    }
    return replace(estimate, events=events)


def score(data: Annotations, estimate: Annotations) -> tuple[float, float]:
    numbers = evaluate(data, estimate).numbers()
    return numbers["segment"]["type"], numbers["event"]["type"]


if __name__ == "__main__":
    main()
