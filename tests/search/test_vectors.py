"""Search of a store: the same segments as a search of everything in memory."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import World
from vaplan.errors import AnnotationError, StoreError, UsageError
from vaplan.review.collection import read_collection
from vaplan.search.vectors import Hit, search_store, top_segments, write_hits
from vaplan.store import Entry, Store
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Event
from vaplan.zero_shot import ZeroShotClassifier


def make_store(folder: Path, seed: int, videos: int) -> tuple[Store, dict[str, Entry]]:
    """A store of several shards with gaps, an absent modality and a row written again."""
    generator = np.random.default_rng(seed)
    ids = [f"v{n}" for n in range(videos)]
    provenance = {"dimension": 4}
    store = Store.create(folder, "audio:x", provenance, planned=ids, dtype="float32")
    latest = dict[str, Entry]()
    for _ in range(3):
        entries = []
        for video in generator.choice(ids, size=max(1, videos // 2), replace=False):
            length = int(generator.integers(1, 5))
            mask = generator.random(length) < 0.7
            feature = generator.integers(-2, 3, (length, 4)).astype(np.float32)
            feature[~mask] = 0
            entry = Entry(str(video), feature, mask)
            if generator.random() < 0.2:
                nothing = np.zeros(length, bool)
                entry = Entry(str(video), None, nothing, "absent", "no such track")
            entries.append(entry)
            latest[entry.video] = entry
        store.add(entries)
    return store, latest


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 8))
def test_the_best_segments_are_those_of_a_full_sort(
    tmp_path_factory: pytest.TempPathFactory, seed: int, videos: int, top: int
) -> None:
    store, latest = make_store(tmp_path_factory.mktemp("store"), seed, videos)
    text = torch.tensor([[1.0, 0, -1, 2], [0, 0, 0, 0]])  # equal scores are common
    expected = []
    for query in text.numpy():
        scored = [
            (-float(2 * entry.feature[t] @ query), video, t)
            for video, entry in latest.items()
            if entry.feature is not None
            for t in np.flatnonzero(entry.mask).tolist()
        ]
        expected.append([(v, t, -score) for score, v, t in sorted(scored)[:top]])
    assert top_segments(store, text, top=top, scale=2.0) == expected


def test_scores_are_the_margins_of_zero_shot_classification(world: World) -> None:
    sentence = world.data.taxonomy.classes[0]
    names = ("embedded", "embedded")
    classifier = ZeroShotClassifier.load(Taxonomy((sentence,)), names)
    hits = search_store(sentence, world.store, top=3)
    assert [hit.modality for hit in hits] == ["audio"] * 3 + ["visual"] * 3
    for hit in hits:
        path = next(v.path for v in world.data.videos if v.video == hit.video)
        scores = classifier(world.folder / path, scores=True).scores
        modality = ("audio", "visual").index(hit.modality)
        assert scores is not None
        margin = scores.values[int(hit.onset), modality, 0]
        assert hit.score == pytest.approx(float(margin), abs=0.02)  # stored in 16 bits
        assert hit.offset == hit.onset + 1


def test_the_best_video_has_the_tag_of_the_class(world: World) -> None:
    tags = {video.video: video.tags for video in world.data.videos}
    classes = sorted({name for names in tags.values() for name in names})
    for modality in ("audio", "visual"):
        hits = [
            search_store(name, world.store, modality=modality, top=1)[0]
            for name in classes
        ]
        right = sum(
            name in tags[hit.video] for name, hit in zip(classes, hits, strict=True)
        )
        assert right >= 0.75 * len(classes), (modality, right)  # chance is about 0.2


def test_a_mistake_is_one_clear_error(world: World, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the sentence is empty"):
        search_store(" ", world.store)
    with pytest.raises(UsageError, match="no such folder"):
        search_store("dog", tmp_path / "nothing")
    with pytest.raises(StoreError, match="only nothing"):
        search_store("dog", tmp_path)
    with pytest.raises(StoreError, match="only audio:embedded, visual:embedded"):
        search_store("dog", world.store, names=["clip:x"])


def test_one_of_several_encoders_must_be_named(world: World, tmp_path: Path) -> None:
    for name in ("clip:a", "clip:b", "legacy:resnet"):
        Store.create(tmp_path, f"visual:{name}", {"dimension": 4}, planned=["v"])
    with pytest.raises(
        UsageError, match="2 visual encoders: visual:clip:a, visual:clip:b"
    ):
        search_store("dog", tmp_path)


def test_segments_are_a_table_that_a_review_shows(tmp_path: Path) -> None:
    hits = [
        Hit("far", "audio", 3.0, 4.0, 9.5),
        Hit("near", "audio", 0.0, 1.0, 2.5),
        Hit("far", "audio", 4.0, 5.0, 1.5),
    ]
    table = write_hits(tmp_path / "hits.csv", " dog barking ", hits)
    far, near = read_collection(table).videos
    assert far.events == (Event("audio", "dog barking", 3.0, 5.0, 5.5),)
    assert near.events == (Event("audio", "dog barking", 0.0, 1.0, 2.5),)
    assert (far.name, near.name) == ("far", "near")
    with pytest.raises(AnnotationError, match="other programs write"):
        write_hits(table, "nan", hits)
