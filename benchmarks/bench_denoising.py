"""Compare the settings of PLD, one changed at a time, on the videos of a demo folder.

python benchmarks/bench_denoising.py [FOLDER]     # the default is the folder of bench_method.py

Writes benchmarks/results/denoising.json: the number of changed labels, the share of right changes, and the gain in F.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vaplan import read_table, stages
from vaplan.annotations import Annotations
from vaplan.bench.label_quality import count_flips
from vaplan.bench.synthetic_data import TRUTH
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
    document = dict[str, Any]()
    for folder in folders or [Path("runs/bench-method")]:
        data = read_table(folder / "data" / "annotations.csv")
        document[f"{len(data.videos)} videos"] = _compare_settings(folder, data)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _compare_settings(folder: Path, data: Annotations) -> dict[str, Any]:
    """Denoise the labels of a demo folder with each of the settings, with all seeds' parsers."""
    truth = read_table(folder / "data" / TRUTH, taxonomy=data.taxonomy)
    references = {"train": truth, "test": data.select("test")}
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    labels = Path(results["labels"]["PLG"][0]["table"])
    runs = [Path(seed["run"]) for seed in results["rows"]["+ PLE"]["seeds"].values()]
    document: dict[str, Any] = {
        "runs": len(runs),
        "videos": {split: len(r.labelled_ids()) for split, r in references.items()},
    }
    before = read_table(labels, taxonomy=data.taxonomy)
    for name, settings in SETTINGS.items():
        measured = list[dict[str, dict[str, float]]]()
        for run in runs:
            stages.denoise(run, labels, folder / "try.csv", settings=settings)
            after = read_table(folder / "try.csv", taxonomy=data.taxonomy)
            measured.append(_measure(references, before, after))
        document[name] = {
            split: {
                key: round(float(np.mean([one[split][key] for one in measured])), 2)
                for key in measured[0][split]
            }
            for split in references
        }
        print(name, document[name], flush=True)
    return document


def _measure(
    references: Mapping[str, Annotations], before: Annotations, after: Annotations
) -> dict[str, dict[str, float]]:
    rows = dict[str, dict[str, float]]()
    for split, reference in references.items():
        ids = reference.labelled_ids()
        flips = count_flips(reference, before, after, ids)
        old = label_f(*align(reference, before, ids))["visual"]
        new = label_f(*align(reference, after, ids))["visual"]
        gains = {f"{level} F gained": new[level] - old[level] for level in LEVELS}
        rows[split] = {
            "set": flips.set,
            "removed": flips.removed,
            "right, %": flips.percent_right,
            **gains,
        }
    return rows


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
