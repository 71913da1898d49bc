"""Make the results of the README: run the demo with more videos; write the JSON, the table and the figure.

python benchmarks/bench_method.py                 # 1,200 videos, 3 seeds; about an hour on two cores
python benchmarks/bench_method.py --readme-only   # write the table of the README again from the JSON
"""

import argparse
import json
import platform
import re
from pathlib import Path
from typing import Any

from rich.progress import Progress

from vaplan import plot
from vaplan.arrays import MODALITIES
from vaplan.bench.demo import LABELS, VIDEO_SECONDS, Demo, run_demo
from vaplan.bench.figures import first_predictions
from vaplan.bench.results import SHORT
from vaplan.bench.tables import difference_title, format_interval
from vaplan.metrics.llp import LEVELS
from vaplan.timeline import Timeline

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "method.json"
PICTURE = ROOT / "docs" / "images" / "timelines.png"
COLUMNS = {
    "segment": ("audio", "visual", "audio_visual", "type", "event"),
    "event": ("type", "event"),
}
DRAWN = ("HAN on weak labels", "+ PLD", "default")  # methods of the figure


def main() -> None:
    arguments = _arguments()
    if not arguments.readme_only:
        _measure(arguments)
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    readme = ROOT / "README.md"
    part = f"<!-- results -->\n{_markdown(results)}\n<!-- /results -->"
    text = re.sub(
        r"<!-- results -->.*<!-- /results -->",
        lambda _: part,
        readme.read_text("utf-8"),
        flags=re.DOTALL,
    )
    readme.write_text(text, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--seed", type=int, default=2, help="seed of the videos; the demo has seed 1"
    )
    parser.add_argument(
        "--jobs", type=int, default=2, help="number of parallel trainings"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/bench-method"))
    parser.add_argument("--readme-only", action="store_true")
    return parser.parse_args()


def _measure(arguments: argparse.Namespace) -> None:
    with Progress() as bars:

        def bar(name: str) -> Any:
            task = bars.add_task(name, total=None)
            return lambda done, total, _: bars.update(task, completed=done, total=total)

        demo = run_demo(
            arguments.out,
            videos=arguments.videos,
            seed=arguments.seed,
            bars=bar,
            seeds=arguments.seeds,
            processes=arguments.jobs,
        )
    results = demo.results
    document = {
        "command": "python benchmarks/bench_method.py "
        f"--videos {arguments.videos} --seeds {arguments.seeds}",
        "seed": arguments.seed,
        "test_videos": results.videos,
        "seeds": arguments.seeds,
        "rules": sorted({method.decision for method in results.methods}),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "titles": {name: method.title for name, method in demo.methods.items()},
        **demo.numbers(),
        "per_seed": {
            name: {level: method.values(f"{level} type") for level in LEVELS}
            for name, method in demo.methods.items()
        },
        "paired": {
            difference_title(better, worse): {
                level: format_interval(intervals[f"{level} type"]) for level in LEVELS
            }
            for better, worse, intervals in results.differences
        },
        "flips": {
            title: [quality.document()["flips"]["test"] for quality in qualities]
            for title, qualities in results.labels.items()
            if title != LABELS["before"]
        },
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    RESULTS.write_text(text + "\n", encoding="utf-8")
    _draw(demo)


def _draw(demo: Demo) -> None:
    """Draw the timelines of one test video: the reference and some methods."""
    data = demo.results.workspace.annotations
    predictions = first_predictions(demo.results)
    videos = data.select("test").videos
    video = max(videos, key=lambda v: (len(v.tags) == 2, len(data.events[v.video])))
    lanes = {"reference": data.events[video.video]}
    lanes |= {title: predictions[title].get(video.video, ()) for title in DRAWN}
    timelines = {
        title: Timeline(video.video, VIDEO_SECONDS, events)
        for title, events in lanes.items()
    }
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    plot(timelines, taxonomy=data.taxonomy).savefig(
        PICTURE, dpi=110, metadata={"Software": None}
    )


def _markdown(results: dict[str, Any]) -> str:
    keys = [(level, kind) for level, kinds in COLUMNS.items() for kind in kinds]
    heads = [f"{level} {SHORT[kind]}" for level, kind in keys]
    lines = [f"| method | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for name, title in results["titles"].items():
        scores = [
            f"{results['methods'][name][level][kind]:.1f}" for level, kind in keys
        ]
        lines.append(f"| {title} | {' | '.join(scores)} |")
    note = (
        f"F in percent on {results['test_videos']} test videos, mean of {results['seeds']} "
        f"seeds; decision rule {', '.join(results['rules'])}. Made by "
        f"`{results['command']}`. The settings of PLD were chosen on these data too "
        "(docs/method.md)."
    )
    lines += [
        "",
        note,
        "",
        "| pseudo labels, segment / event F | audio | visual | right changes, % |",
        "|---|---:|---:|---:|",
    ]
    for key, title in LABELS.items():
        cells = [_pair(results["labels"][modality].get(key)) for modality in MODALITIES]
        flips = results["flips"].get(title)
        right = f"{_percent_right(flips):.0f}" if flips else "–"
        lines.append(f"| {title} | {' | '.join(cells)} | {right} |")
    lines += [
        "",
        f"| paired difference, Type@AV | {' | '.join(LEVELS)} |",
        "|---|---:|---:|",
    ]
    for pair, levels in results["paired"].items():
        cells = [levels[level] for level in LEVELS]
        lines.append(f"| {pair} | {' | '.join(cells)} |")
    lines += ["", "In points, with 95 % bootstrap intervals over videos and seeds."]
    return "\n".join(lines)


def _percent_right(flips: list[dict[str, int]]) -> float:
    right = sum(one["right"] for one in flips)
    return 100 * right / sum(one["set"] + one["removed"] for one in flips)


def _pair(levels: dict[str, float] | None) -> str:
    if levels is None:
        return "–"
    return " / ".join(f"{levels[level]:.1f}" for level in LEVELS)


if __name__ == "__main__":
    main()
