"""Compute what 100 million videos of 10 seconds need, step by step, from measured inputs.

python benchmarks/bench_scale.py [--videos 100000000] [--write]

Bytes are measured here, on a small store and small tables; they do not depend on the machine. Times
come from the results of the other benchmarks, which `SOURCES` names. What nobody measured is an
assumption, and GPU hours stay a formula. `--write` replaces the tables in docs/scale.md.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vaplan.store import Entry, Store
from vaplan.store import shards as shard_files
from vaplan.store.index import INDEX_FILE

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
VIDEOS, SECONDS = 100_000_000, 10
DIMENSION, ENCODERS, SHARD = 512, 2, 64
SAMPLE = 64 * SHARD  # videos of the measured store
EVENTS = 3  # of a video, in its timeline
TERA, GIGA = 1e12, 1e9
BEGIN, END = "<!-- {}: begin -->\n", "<!-- {}: end -->\n"


@dataclass(frozen=True)
class Input:
    """A number that the plan starts from.

    Attributes:
        name: What it is.
        value: The number.
        unit: Its unit.
        source: Benchmark that measured it, or `assumed`.
    """

    name: str
    value: float
    unit: str
    source: str


MEASURED = {
    "decode": Input(
        "decode a clip of 360p H.264", 0.135, "CPU s/video", "results/media.md"
    ),
    "decode_720p": Input(
        "decode a clip of 720p H.264", 0.516, "CPU s/video", "results/media.md"
    ),
    "encode": Input(
        "CLIP ViT-B/32 and CLAP HTSAT on the processor (OpenVINO, bf16), with decoding",
        0.84,
        "CPU s/video",
        "results/features.md",
    ),
    "driver": Input(
        "distribute and write, one process", 0.32e-3, "CPU s/video", "bench_engines.py"
    ),
    "driver_ray": Input(
        "distribute and write through Ray, one process",
        1.4e-3,
        "s/video",
        "bench_engines.py",
    ),
    "predict": Input(
        "predict with a parser (`predict`, one thread)",
        10.23 / 1200,
        "CPU s/video",
        "results/predict.md",
    ),
    "info": Input("`store info`", 2.1e-6, "s/video", "bench_store_scale.py"),
    "memory": Input(
        "memory of `store info`",
        482 * 2**20 / 1e6,
        "bytes/video",
        "bench_store_scale.py",
    ),
}
ASSUMED = {
    "media": Input("media file of a clip (1.6 Mbit/s)", 2.0e6, "bytes", "assumed"),
    "proxy": Input("480p proxy for the review", 1.0e6, "bytes", "assumed"),
    "reviewed": Input("share of videos with a proxy", 0.01, "", "assumed"),
    "core_hour": Input("processor core", 0.04, "$/hour", "assumed"),
    "gpu_hour": Input("GPU", 2.5, "$/hour", "assumed"),
    "storage": Input("object storage", 0.023, "$/GB and month", "assumed"),
    "put": Input("PUT and LIST requests", 5.0, "$/million", "assumed"),
    "get": Input("GET requests", 0.4, "$/million", "assumed"),
    "cores": Input("cores at the same time", 1000, "", "assumed"),
}


def measure_bytes(folder: Path) -> dict[str, Input]:
    """Measure the bytes of a video in a store and in tables."""
    ids = [f"video{number:09d}_10_20" for number in range(SAMPLE)]
    store = Store.create(folder, "visual:bench", {"dimension": DIMENSION}, planned=ids)
    feature = np.full((SECONDS, DIMENSION), DIMENSION**-0.5, np.float32)
    mask = np.ones(SECONDS, dtype=bool)
    with store.open_writer() as writer:
        for start in range(0, SAMPLE, SHARD):
            videos = ids[start : start + SHARD]
            writer.add([Entry(video, feature, mask) for video in videos])
    shards = shard_files.list_shards(store.folder)
    sizes = {
        "vectors": (
            f"vectors of one encoder, {SECONDS} x {DIMENSION} half-precision numbers",
            sum(path.stat().st_size for path in shards),
        ),
        "index": ("index of a store", (store.folder / INDEX_FILE).stat().st_size),
        "plan": ("plan of a store", (store.folder / "plan.json").stat().st_size),
        "tags": ("row of a table of tags (Parquet)", _table_bytes(folder, ids, rows=1)),
        "events": (
            f"{EVENTS} events in a table (Parquet)",
            _table_bytes(folder, ids, rows=EVENTS),
        ),
        "timeline": ("timeline of 3 events (JSON)", SAMPLE * _timeline_bytes()),
    }
    return {
        key: Input(name, size / SAMPLE, "bytes/video", "measured here")
        for key, (name, size) in sizes.items()
    }


def _table_bytes(folder: Path, ids: Sequence[str], *, rows: int) -> int:
    count = rows * len(ids)
    generator = np.random.default_rng(0)
    classes = [f"class {number}" for number in range(100)]
    columns: dict[str, object] = {
        "video": np.repeat(ids, rows),
        "class": generator.choice(classes, count),
    }
    if rows > 1:
        columns |= {
            "modality": generator.choice(["audio", "visual"], count),
            "onset": generator.integers(0, 9, count).astype(float),
            "offset": generator.integers(9, 11, count).astype(float),
            "score": generator.random(count).round(3),
        }
    path = folder / f"table-{rows}.parquet"
    pq.write_table(pa.table(columns), path)
    return path.stat().st_size


def _timeline_bytes() -> int:
    event = {"modality": "audio", "class": "class 42", "onset": 2.0, "offset": 5.0}
    document = {
        "video": "video000000000_10_20",
        "seconds": 10.0,
        "events": [{**event, "score": 0.913}] * EVENTS,
    }
    return len(json.dumps(document, indent=1))


def input_rows(inputs: dict[str, Input]) -> list[list[str]]:
    return [
        [each.name, f"{each.value:.4g}", each.unit, each.source]
        for each in inputs.values()
    ]


def plan_rows(inputs: dict[str, Input], videos: int) -> list[list[str]]:
    """Return the rows of the plan: step, what it needs, and what that costs."""
    value = {key: each.value for key, each in inputs.items()}
    shards = ENCODERS * videos / SHARD
    rows = list[list[str]]()

    def storage(name: str, size: float, formula: str) -> None:
        monthly = size / GIGA * value["storage"]
        amount = f"{size / TERA:,.1f} TB" if size > TERA else f"{size / GIGA:,.1f} GB"
        rows.append([name, formula, amount, f"{monthly:,.0f} $ a month"])

    def processor(name: str, seconds: float, formula: str) -> None:
        hours = seconds * videos / 3600
        days = hours / value["cores"] / 24
        amount = f"{hours:,.0f} core hours ({days:.2g} days)"
        rows.append([name, formula, amount, f"{hours * value['core_hour']:,.0f} $"])

    storage("media", videos * value["media"], "videos x file (assumed)")
    storage(
        "vectors", videos * ENCODERS * value["vectors"], f"videos x {ENCODERS} encoders"
    )
    storage("index and plan", videos * ENCODERS * (value["index"] + value["plan"]), "")
    storage("tags", videos * value["tags"], "one tag a video")
    storage("events", videos * value["events"], f"{EVENTS} events a video")
    storage("timelines", videos * value["timeline"], "only if written as JSON files")
    proxies = videos * value["reviewed"] * value["proxy"]
    storage("proxies", proxies, f"of {value['reviewed']:.0%} of the videos (assumed)")
    processor("decode 360p", value["decode"], "")
    processor("decode 720p", value["decode_720p"], "")
    processor("decode and encode without GPU", value["encode"], "")
    rows.append(
        [
            "encode on GPUs",
            f"videos x {SECONDS} segments / R / 3600, for each encoder",
            f"{videos * SECONDS / 3600:,.0f} / R GPU hours, **R not measured**",
            f"{videos * SECONDS / 3600 * value['gpu_hour']:,.0f} / R $",
        ]
    )
    processor("distribute and write", value["driver"], "in all parts together")
    processor("predict", value["predict"], "")
    read, written = videos * value["media"], videos * ENCODERS * value["vectors"]
    rate = 8 * read / (value["encode"] * videos / value["cores"]) / 1e9
    traffic = (
        f"{read / TERA:,.0f} TB in, {written / TERA:,.1f} TB out; {rate:.1f} Gbit/s at "
        f"{value['cores']:,.0f} cores without GPU"
    )
    price = "free within a region (assumed)"
    rows.append(["network", "media once, vectors once", traffic, price])
    requests = videos / 1e6 * value["get"] + shards / 1e6 * value["put"]
    amount = f"{videos:,.0f} GET, {shards:,.0f} PUT"
    rows.append(
        ["requests", "a GET a video, a PUT a shard", amount, f"{requests:,.0f} $"]
    )
    minutes = value["info"] * videos / 60
    memory = value["memory"] * videos / GIGA
    rows.append(
        [
            "`store info` of one encoder",
            "grows with the videos",
            f"{minutes:.0f} minutes, {memory:.0f} GB of memory",
            "",
        ]
    )
    one = value["driver_ray"] * videos / 86400
    rows.append(
        ["one Ray driver", "videos x time of the driver", f"{one:.1f} days", ""]
    )
    return rows


def to_markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def make_tables(videos: int) -> dict[str, str]:
    """Return the tables of the page by name."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = measure_bytes(Path(folder)) | MEASURED | ASSUMED
    return {
        "inputs": to_markdown(["input", "value", "unit", "source"], input_rows(inputs)),
        "plan": to_markdown(
            ["step", "formula", f"for {videos:,} videos", "cost"],
            plan_rows(inputs, videos),
        ),
    }


def replace_tables(text: str, tables: dict[str, str]) -> str:
    """Replace the tables of a page, each between two comments of its name."""
    for name, table in tables.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + table + end + after
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--write", action="store_true", help="write docs/scale.md")
    arguments = parser.parse_args()
    tables = make_tables(arguments.videos)
    print(*tables.values(), sep="\n")
    if arguments.write:
        PAGE.write_text(replace_tables(PAGE.read_text(), tables))


if __name__ == "__main__":
    main()
