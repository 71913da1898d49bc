"""The results of the README: the demo with more videos, as JSON, and as the README's table and picture.

python benchmarks/bench_method.py                     # 1,200 videos, 3 seeds; a while on two cores
python benchmarks/bench_method.py --readme-only       # write the README's part again from the JSON
"""

import argparse
import json
import platform
import re
from pathlib import Path
from typing import Any

from rich.progress import Progress

from vaplan import demo as demonstration
from vaplan import plot, read_table
from vaplan.demo.numbers import NAMES, PAIRS, SHORT, difference
from vaplan.metrics.llp import LEVELS
from vaplan.timeline import Timeline

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "method.json"
PICTURE = ROOT / "docs" / "images" / "timelines.png"
SHOWN = {
    "segment": ("audio", "visual", "audio_visual", "type", "event"),
    "event": ("type", "event"),
}
COLUMN = {
    "audio": "A",
    "visual": "V",
    "audio_visual": "AV",
    "type": "Type@AV",
    "event": "Event@AV",
}


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
        "--world",
        type=int,
        default=2,
        help="seed of the rendered world; the demo's own is 1",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/bench-method"))
    parser.add_argument("--readme-only", action="store_true")
    return parser.parse_args()


def _measure(arguments: argparse.Namespace) -> None:
    with Progress() as bars:

        def bar(name: str) -> Any:
            task = bars.add_task(name, total=None)
            return lambda done, total, _: bars.update(task, completed=done, total=total)

        result = demonstration.demo(
            arguments.out,
            videos=arguments.videos,
            seed=arguments.world,
            bars=bar,
            seeds=arguments.seeds,
        )
    found = {
        "command": f"python benchmarks/bench_method.py --videos {arguments.videos} --seeds {arguments.seeds}",
        "world": arguments.world,
        "test_videos": len(result.scores["han"][0]),
        "seeds": arguments.seeds,
        "rule": result.rule,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        **result.numbers(),
        "per_seed": {
            n: {lv: result.per_seed(n, lv, "type") for lv in LEVELS} for n in NAMES
        },
        "paired": {
            f"{SHORT[a]} - {SHORT[b]}": {
                level: difference(result, a, b, level) for level in LEVELS
            }
            for a, b in PAIRS
        },
        "flips": [
            vars(f) | {"share_right": round(f.share_right, 1)} for f in result.flips
        ],
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    _picture(arguments.out)


def _picture(out: Path) -> None:
    """The timelines of one test video: the reference, the baseline and the last parser."""
    reference = read_table(out / "world" / "annotations.csv")
    tables = {"reference": reference}
    for name in ("han", "pld"):
        tables[NAMES[name]] = read_table(out / "predictions" / f"{name}-0.csv")
    test = reference.select("test").videos
    video = max(
        test, key=lambda v: (len(v.tags) == 2, len(reference.events[v.video]))
    ).video
    lanes = {
        name: Timeline(video, 10.0, table.events[video])
        for name, table in tables.items()
    }
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    plot(lanes, taxonomy=reference.taxonomy).savefig(
        PICTURE, dpi=110, metadata={"Software": None}
    )


def _markdown(results: dict[str, Any]) -> str:
    columns = [
        f"{level} {COLUMN[kind]}" for level, kinds in SHOWN.items() for kind in kinds
    ]
    lines = [
        "| method | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name, title in NAMES.items():
        cells = [
            f"{results['methods'][name][level][kind]:.1f}"
            for level, kinds in SHOWN.items()
            for kind in kinds
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    labels = results["labels"]
    right = sum(f["right"] for f in results["flips"]) / sum(
        f["set"] + f["removed"] for f in results["flips"]
    )
    pairs = "; ".join(
        f"{pair.replace('-', '−')}: {cells['segment']}"
        for pair, cells in results["paired"].items()
    )
    changed = f"visual after PLD {_pair(labels['visual']['after'])}, {100 * right:.0f} % of the flips right"
    before = ", ".join(
        f"{modality} {_pair(labels[modality]['before'])}" for modality in labels
    )
    note = (
        f"F in percent on {results['test_videos']} test videos, mean of {results['seeds']} seeds, decision rule "
        f"`{results['rule']}`. Pseudo labels (segment / event F): {before}, {changed}. "
        f"Paired differences of segment-level Type@AV with 95 % intervals over videos: {pairs}. "
        f"Made by `{results['command']}`; PLD's settings were chosen on this world too (docs/method.md)."
    )
    return "\n".join([*lines, "", note])


def _pair(levels: dict[str, float]) -> str:
    return " / ".join(f"{levels[level]:.1f}" for level in LEVELS)


if __name__ == "__main__":
    main()
