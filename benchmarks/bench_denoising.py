"""The switches of PLD, one at a time, on the folder that bench_method.py made: flips, those right, F gained.

python benchmarks/bench_denoising.py [FOLDER]     # the default is bench_method.py's
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from vaplan import demo as demonstration
from vaplan import read_table, stages
from vaplan.evaluation import align
from vaplan.metrics.llp import LEVELS, label_f
from vaplan.pseudo_labels import Denoising

RESULTS = Path(__file__).parent / "results" / "denoising.json"
SETTINGS = {
    "default": Denoising(),
    "not given the tags": Denoising(given_tags=False),
    "presence may change": Denoising(keep_presence=False),
    "neither": Denoising(given_tags=False, keep_presence=False),
    "literal: neither, and no floor": Denoising(
        given_tags=False, keep_presence=False, floor=False
    ),
    "K = 3": Denoising(keep=3),
    "alpha = 5": Denoising(ratio=5.0),
    "alpha = 20": Denoising(ratio=20.0),
}


def main(folders: list[Path]) -> None:
    found = {
        f"{len(read_table(f / 'world' / 'annotations.csv').videos)} videos": _switches(
            f
        )
        for f in folders
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _switches(folder: Path) -> dict[str, Any]:
    data = read_table(folder / "world" / "annotations.csv")
    truth = read_table(folder / "world" / "train_truth.csv", taxonomy=data.taxonomy)
    before = read_table(folder / "labels.csv", taxonomy=data.taxonomy)
    known = {
        "train": (truth, list(truth.ids)),
        "test": (data, data.select("test").labelled_ids()),
    }
    runs = sorted((folder / "runs").glob("ple-*"))
    found: dict[str, Any] = {
        "runs": len(runs),
        "videos": {name: len(ids) for name, (_, ids) in known.items()},
    }
    for name, settings in SETTINGS.items():
        rows = []
        for run in runs:
            stages.denoise(
                run, folder / "labels.csv", folder / "try.csv", settings=settings
            )
            rows.append(
                _measure(
                    known,
                    before,
                    read_table(folder / "try.csv", taxonomy=data.taxonomy),
                )
            )
        found[name] = {
            s: {
                key: round(float(np.mean([r[s][key] for r in rows])), 2)
                for key in rows[0][s]
            }
            for s in known
        }
        print(
            f"{name:32s}",
            *(f"{s}: {found[name][s]}" for s in known),
            sep="  ",
            flush=True,
        )
    return found


def _measure(
    known: dict[str, Any], before: Any, after: Any
) -> dict[str, dict[str, float]]:
    rows = {}
    for split, (reference, ids) in known.items():
        flips = demonstration.flips(reference, before, after, ids)
        old, new = (
            label_f(*align(reference, table, ids))["visual"]
            for table in (before, after)
        )
        gain = {f"{level} F gained": new[level] - old[level] for level in LEVELS}
        rows[split] = {
            "set": flips.set,
            "removed": flips.removed,
            "right, %": flips.share_right,
            **gain,
        }
    return rows


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
