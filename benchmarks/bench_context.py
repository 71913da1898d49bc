"""CLAP over windows of the audio (`context=clip`) against one pass for each segment.

    python benchmarks/bench_context.py [--work FOLDER] [--seeds 3] [--write]

Both variants of the embedded CLAP encode the same synthetic videos. Labels are chosen with
thresholds fitted on split val, and the recipe `ple` is trained on them. Scores are those of
split test. The CPU seconds are of the encoder alone.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from vaplan import encoders, stages
from vaplan import recipe as recipes
from vaplan.annotations import Annotations
from vaplan.arrays import AUDIO
from vaplan.bench.synthetic_data import EMBEDDED, make_data
from vaplan.encoders.embedded import WEIGHTS
from vaplan.stages.evaluate import score_split

RESULTS = Path(__file__).parent / "results" / "context.md"
VIDEOS, TIMED_VIDEOS, SEED = 480, 100, 15
CONTEXTS = ("segment", "clip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp())
    table = make_data(
        work / "videos",
        work / "store",
        videos=VIDEOS,
        seed=SEED,
        bars=lambda _: lambda *_: None,
    )
    data = stages.read_data(f"table:{table}")
    columns = (
        "| `context` | label F, audio | parser F, audio | parser F, Type@AV | "
        "CPU s for 1,000 s of audio |"
    )
    lines = [columns, "|---|---:|---:|---:|---:|"]
    for context in CONTEXTS:
        lines.append(measure(context, data, work, given.seeds))
        print(lines[-1], flush=True)
    head = (
        "Made by `python benchmarks/bench_context.py --write`: the embedded CLAP on "
        f"{VIDEOS} synthetic videos of ten seconds, `ple` on labels with thresholds fitted on "
        f"val; segment-level F on test in percent, mean and standard deviation of "
        f"{given.seeds} seeds."
    )
    text = "\n".join(["# Context of CLAP", "", head, "", *lines, ""])
    if given.write:
        RESULTS.write_text(text, encoding="utf-8")


def measure(context: str, data: Annotations, work: Path, seeds: int) -> str:
    """Encode, label, train and score with one variant; return the row of the table."""
    name = f"clap:{WEIGHTS / 'clap'}?context={context}"
    names = ((name,), EMBEDDED[1])
    folder = data.source.parent
    stages.features(data, folder, work / "store", encoders=names)
    labels = work / f"labels_{context}.csv"
    labelling = stages.label(data, work / "store", labels, encoders=names, rule="val")
    label_f = labelling.f["test"]["audio"]["segment"]
    scores = []
    for seed in range(seeds):
        changes = [
            f"data=table:{data.source}",
            f"store={work / 'store'}",
            f"labels={labels}",
            f'audio=["{name}"]',
            "visual=[embedded]",
            f"training.seed={seed}",
        ]
        recipe = recipes.read("ple", changes=changes)
        run = stages.train(recipe, work / f"{context}-{seed}")
        segment = score_split(run, data, work / "store", "test")["segment"]
        scores.append((segment["audio"], segment["type"]))
    means, deviations = np.mean(scores, axis=0), np.std(scores, axis=0)
    cells = [f"{m:.1f} ± {d:.1f}" for m, d in zip(means, deviations, strict=True)]
    seconds = time_encoder(name, data, folder)
    return f"| `{context}` | {label_f:.1f} | {' | '.join(cells)} | {seconds:.1f} |"


def time_encoder(name: str, data: Annotations, folder: Path) -> float:
    """Measure the CPU seconds of the encoder for 1,000 seconds of audio."""
    encoder = encoders.load(name, AUDIO)
    chunks = [
        chunk
        for video in data.videos[:TIMED_VIDEOS]
        for chunk in encoders.decode(folder / video.path, [encoder])
    ]
    encoder.embed(chunks[0])
    begun = time.process_time()
    for chunk in chunks:
        encoder.embed(chunk)
    segments = sum(map(len, chunks))
    return (time.process_time() - begun) / segments * 1000


if __name__ == "__main__":
    main()
