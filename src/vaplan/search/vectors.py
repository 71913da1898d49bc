"""Find the segments of a store that fit a sentence, by the margins of zero-shot classification.

The features are read shard by shard, so memory does not grow with the store, and every segment is
compared: the result is exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from vaplan.annotations.fields import check_text
from vaplan.annotations.rows import Row
from vaplan.annotations.table import write_rows
from vaplan.dataset import has_text, load_encoder
from vaplan.encoders import Encoder, store_name, unit_features
from vaplan.errors import StoreError, UsageError
from vaplan.modalities import MODALITIES
from vaplan.pseudo_labels import MARGIN
from vaplan.store import Store, find_stores
from vaplan.store.shards import Block
from vaplan.taxonomy import Taxonomy
from vaplan.zero_shot import embed_classes


@dataclass(frozen=True)
class Hit:
    """A segment that fits a sentence.

    Attributes:
        video: Id of the video.
        modality: `audio` or `visual`.
        onset: Start in seconds.
        offset: End in seconds.
        score: Margin over background prompts, in logits of the encoder.
    """

    video: str
    modality: str
    onset: float
    offset: float
    score: float


def search_store(
    sentence: str,
    store: Path | str,
    *,
    modality: str = "",
    names: Sequence[str] = (),
    top: int = 20,
) -> list[Hit]:
    """Find the segments that fit a sentence best, in each modality.

    The sentence is put into the templates of prompts, as a class of `ZeroShotClassifier` is,
    and a segment is scored by its margin over background prompts. Margins of two encoders are
    of different scales, so each modality has its own list.

    Args:
        sentence: A sound or a thing in words, such as `dog barking`.
        store: Folder of the feature store.
        modality: `audio` or `visual`; by default both.
        names: Names of encoders in the store, such as `clip:openai/clip-vit-base-patch32`; by
            default the only encoder of a modality that embeds sentences.
        top: Number of segments of each modality.

    Returns:
        Segments by modality, the best first.

    Raises:
        UsageError: The sentence is empty, or a modality has several such encoders.
        StoreError: The store has no such encoder, or was filled with other weights.
    """
    if not sentence.strip():
        raise UsageError("the sentence is empty", fix="describe what to look for")

    hits = list[Hit]()
    for name, features in _select_features(Path(store), modality, names).items():
        kind = name.partition(":")[0]
        encoder = load_encoder(features)
        text = embed_classes(Taxonomy((sentence.strip(),)), kind, encoder, MARGIN)
        (segments,) = top_segments(
            features, text, top=top, scale=encoder.logit_scale, encoder=encoder
        )
        hits += [
            Hit(video, kind, float(time), time + 1.0, score)
            for video, time, score in segments
        ]
    return hits


def write_hits(path: Path, sentence: str, hits: Sequence[Hit]) -> Path:
    """Write segments as a table of events, whose class is the sentence; `vaplan review` shows it.

    Args:
        path: Table to write, CSV or Parquet.
        sentence: The sentence that they fit.
        hits: Segments, in the order of the rows.

    Raises:
        AnnotationError: The sentence cannot be the name of a class.
        MachineError: The table cannot be written.
    """
    name = sentence.strip()
    check_text("the sentence", name, file=path, line=None)
    rows = [
        Row(hit.video, hit.modality, name, hit.onset, hit.offset, hit.score)
        for hit in hits
    ]
    return write_rows(path, rows)


def _select_features(
    store: Path, modality: str, names: Sequence[str]
) -> dict[str, Store]:
    """Select the features of one encoder for each modality, by their name in the store."""
    if not store.is_dir():
        raise UsageError("no such folder", file=store, fix="give a feature store")
    stores = find_stores(store)
    modalities = [modality] if modality else list(MODALITIES)
    selected = dict[str, Store]()
    for kind in modalities:
        wanted = {store_name(name, MODALITIES.index(kind)) for name in names}
        candidates = [
            name
            for name, features in stores.items()
            if name.startswith(f"{kind}:")
            and has_text(features)
            and (not names or name in wanted)
        ]
        if len(candidates) > 1:
            raise UsageError(
                f"the store has {len(candidates)} {kind} encoders: "
                f"{', '.join(candidates)}",
                file=store,
                fix="name one of them with --encoder, without its modality",
            )
        selected |= {name: stores[name] for name in candidates}
    if not selected:
        known = ", ".join(stores) or "nothing"
        raise StoreError(
            f"no features that can be compared with a sentence, only {known}",
            file=store,
            fix="run `vaplan features` with a CLIP or CLAP encoder",
        )
    return selected


Found = tuple[str, int, float]  # id of the video, index of the segment, score


def top_segments(
    features: Store,
    text: Float[Tensor, "query feature"],
    *,
    top: int,
    scale: float = 1.0,
    encoder: Encoder | None = None,
) -> list[list[Found]]:
    """Find the segments with the largest product with each query.

    Equal scores are ordered by video and time. Segments without content are left out.

    Args:
        features: Features of one encoder.
        text: Vector of each query.
        top: Number of segments.
        scale: Factor of the products.
        encoder: Encoder of the features; without it they are taken as they are.

    Returns:
        For each query the best segments, the best first.
    """
    best = [list[Found]() for _ in text]
    for videos, block in features.read_blocks():
        video, time, exists = _segments(block)
        vectors = torch.from_numpy(block.feature[exists]).float()
        if encoder:
            vectors = unit_features(encoder, vectors)
        scores = (scale * vectors @ text.T).numpy()

        for query, of_query in enumerate(best):
            column = scores[:, query]
            candidates = _candidates(column, of_query, top)
            of_query += [
                (videos[video[row]], int(time[row]), float(column[row]))
                for row in candidates.tolist()
            ]
            of_query.sort(key=lambda one: (-one[2], one[0], one[1]))
            del of_query[top:]
    return best


def _segments(
    block: Block,
) -> tuple[
    Int64[np.ndarray, " segment"],
    Int64[np.ndarray, " segment"],
    Bool[np.ndarray, " featured"],
]:
    """Return video and time of the segments with content, and their rows among the features."""
    sizes = block.segments
    video = np.repeat(np.arange(len(sizes)), sizes)
    starts = np.cumsum(sizes) - sizes
    time = np.arange(len(video)) - np.repeat(starts, sizes)
    is_featured = block.has_feature[video]
    exists = block.mask[is_featured]
    return video[is_featured][exists], time[is_featured][exists], exists


def _candidates(
    scores: Float[np.ndarray, " segment"], best: Sequence[Found], top: int
) -> Int64[np.ndarray, " candidate"]:
    """Return the segments that may be among the best: at least as good as the worst of them."""
    least = -np.inf
    if len(best) == top:
        least = best[-1][2]
    if len(scores) > top:
        least = max(least, np.partition(scores, -top)[-top])
    return np.flatnonzero(scores >= least)
