"""What corrected videos bring, and whether `suggest` chooses better ones than chance.

    python benchmarks/bench_method.py --seed 3 --out runs/seed-3     # renders and encodes
    python benchmarks/bench_corrections.py runs/seed-3 --jobs 2 --write     # continues where it stopped

`vaplan fit` trains a parser on the tags of 300 training videos. Of these videos, 10 to 100 are then
corrected: their pseudo labels are replaced by the dense labels, as a review does. They are the
first ones of `vaplan suggest` for the parser's events beside the pseudo labels, or random ones.
`vaplan fit --corrections` trains again, and every parser is scored on the test videos, whose
labels nothing else reads.
"""

import argparse
import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from vaplan import stages
from vaplan.annotations import Annotations, Row, read_table
from vaplan.annotations.corrections import Corrections
from vaplan.annotations.table import read_rows
from vaplan.bench.synthetic_data import EMBEDDED
from vaplan.evaluation import evaluate
from vaplan.review.order import suggest_videos
from vaplan.writing import write_text

RESULTS = Path(__file__).parent / "results" / "corrections.md"
TAGGED = 300
COUNTS = (10, 20, 50, 100)
ORDERS = ("suggest", "random")

Scores = dict[str, list[float]]  # segment-level and event-level F by order and count


@dataclass(frozen=True)
class Rendered:
    """Files of `bench_method.py`: the data set, the dense labels of its training videos, features.

    Attributes:
        folder: Folder of the bench.
    """

    folder: Path

    @property
    def media(self) -> Path:
        """Folder of the data set."""
        return self.folder / "world"

    @property
    def store(self) -> Path:
        """Feature store of all videos."""
        return self.folder / "store"

    def read(self) -> Annotations:
        """Read the data set; training videos have tags only."""
        return stages.read_data(f"table:{self.media / 'annotations.csv'}")

    def dense_rows(self) -> dict[str, list[Row]]:
        """Read the dense labels of the training videos."""
        rows = dict[str, list[Row]]()
        for row in read_rows(self.media / "train_truth.csv").rows:
            rows.setdefault(row.video, []).append(row)
        return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rendered", type=Path, help="folder of bench_method.py")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1, help="seeds at the same time")
    parser.add_argument(
        "--write", action="store_true", help=f"write results/{RESULTS.name}"
    )
    given = parser.parse_args()
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        seeds = range(given.seeds)
        scores = list(pool.map(partial(score_seed, Rendered(given.rendered)), seeds))
    text = report(
        scores, test=len(Rendered(given.rendered).read().select("test").videos)
    )
    print(text)
    if given.write:
        RESULTS.write_text(text, encoding="utf-8")


def score_seed(rendered: Rendered, seed: int) -> Scores:
    """Train and score the parsers of one random subset of the training videos."""
    torch.set_num_threads(1)
    data = rendered.read()
    random = np.random.default_rng(seed)
    training = [video.video for video in data.videos if video.split == "train"]
    chosen: list[str] = random.choice(training, TAGGED, replace=False).tolist()
    folder = rendered.folder / "corrections" / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    tags = write_tags(folder / "tags.csv", data, chosen)

    first = folder / "first"
    scores: Scores = {"first": fit_and_score(rendered, data, tags, first, {})}
    predictions = folder / "predictions.csv"
    stages.predict(first, data.select_videos(chosen), rendered.store, predictions)
    suggested = suggest_videos(
        predictions, top=max(COUNTS), compare=first / "labels.csv"
    )
    orders = {
        "suggest": [one.video for one in suggested],
        "random": random.permutation(chosen).tolist(),
    }
    dense = rendered.dense_rows()
    for count in COUNTS:
        for order in ORDERS:
            name = f"{order} {count}"
            corrected = {
                video: dense.get(video, [Row(video)]) for video in orders[order][:count]
            }
            run = folder / name.replace(" ", "-")
            scores[name] = fit_and_score(rendered, data, tags, run, corrected)
            print(seed, name, scores[name], flush=True)
    return scores


def write_tags(path: Path, data: Annotations, chosen: list[str]) -> Path:
    """Write the tags of the chosen videos, as a user has them."""
    lines = [
        f"{video.video},{';'.join(video.tags)}"
        for video in data.select_videos(chosen).videos
    ]
    return write_text(path, "\n".join(["video,tags", *lines, ""]))


def fit_and_score(
    rendered: Rendered,
    data: Annotations,
    tags: Path,
    run: Path,
    corrected: dict[str, list[Row]],
) -> list[float]:
    """Fit a parser on tags and corrected videos; return its Type@AV F on the test videos."""
    result = run / "test_f.json"
    if result.is_file():
        scores: list[float] = json.loads(result.read_text(encoding="utf-8"))
        return scores
    if not (run / "store").is_dir():  # so that nothing is encoded again
        shutil.copytree(rendered.store, run / "store.part", dirs_exist_ok=True)
        (run / "store.part").rename(run / "store")
    stages.fit(
        tags,
        rendered.media,
        run,
        encoders=EMBEDDED,
        workers=1,
        corrections=Corrections(tags, corrected) if corrected else None,
        test_share=0.0,
    )
    predictions = run / "test.csv"
    test = data.select("test")
    stages.predict(run, test, rendered.store, predictions)
    estimate = read_table(predictions, taxonomy=data.taxonomy, needs_modality=True)
    numbers = evaluate(test, estimate).numbers()
    scores = [numbers[level]["type"] for level in ("segment", "event")]
    write_text(result, json.dumps(scores))
    return scores


def report(scores: list[Scores], *, test: int) -> str:
    """Return a table of means and deviations over the seeds."""

    def cell(order: str, count: int) -> str:
        key = f"{order} {count}" if count else "first"
        values = np.array([one[key] for one in scores])
        (segment, event), deviation = values.mean(axis=0), values[:, 0].std(ddof=1)
        return f"{segment:.1f} ± {deviation:.1f}, {event:.1f}"

    def difference(count: int) -> str:
        if not count:
            return "–"
        values = [
            one[f"suggest {count}"][0] - one[f"random {count}"][0] for one in scores
        ]
        return f"{np.mean(values):+.1f} ({', '.join(f'{v:+.1f}' for v in values)})"

    rows = [
        f"| {count} | {cell('suggest', count)} | {cell('random', count)} | "
        f"{difference(count)} |"
        for count in (0, *COUNTS)
    ]
    head = (
        "# Corrected videos\n\nMade by `python benchmarks/bench_corrections.py`: Type@AV F in "
        "percent (segment ± standard deviation, event) of the parser of `vaplan fit` on "
        f"{test} rendered test videos, mean of {len(scores)} random subsets of {TAGGED} tagged "
        "training videos. Some of these are corrected, chosen by `vaplan suggest` or at random. "
        "The last column is the difference of the segment-level F: mean, and each subset."
    )
    columns = (
        "| corrected videos | chosen by `suggest` | chosen at random | difference |"
    )
    return "\n".join([head, "", columns, "|---:|---:|---:|---:|", *rows, ""])


if __name__ == "__main__":
    main()
