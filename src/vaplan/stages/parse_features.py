"""`vaplan parse --store`: timelines of the videos of a feature store by a trained run."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import torch

from vaplan import runs
from vaplan.dataset import open_features, read_inputs
from vaplan.encoders.encoded import Encoded
from vaplan.errors import StoreError
from vaplan.exports import (
    FORMATS,
    output_path,
    write_content,
    write_joint,
)
from vaplan.exports.plain import segment_scores_csv
from vaplan.parser import make_timeline
from vaplan.runs import Run
from vaplan.stages.evaluate import mark_events
from vaplan.stages.features import Outcome
from vaplan.stages.parse import SCORES, joint_formats
from vaplan.store import Store
from vaplan.timeline import Timeline
from vaplan.workers import Progress
from vaplan.writing import check_writable, printable

VIDEOS_AT_ONCE = 64  # whose features are in memory


def parse_features(
    run: Path | str,
    store: Path | str,
    out: Path | str,
    *,
    tags: Mapping[str, tuple[str, ...]] | None = None,
    formats: Sequence[str] = ("json",),
    scores: bool = False,
    gate: float | None = None,
    thresholds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Parse the videos of a feature store and write their timelines.

    No media file is read and no encoder is loaded, so a user's own vectors can be parsed.

    Args:
        run: Run folder.
        store: Feature store with the features that the run was trained on.
        out: Folder of the timelines.
        tags: Classes known to occur, by the id of the video. A video without an entry may
            contain any class.
        formats: Names of formats; see `vaplan.exports.FORMATS`.
        scores: Also write `NAME.scores.csv`: the score of every class in every segment.
        gate: Threshold of the gate; by default that of the run.
        thresholds: Segment thresholds by modality; by default those of the run.
        progress: Called after every video.

    Raises:
        UsageError: A format does not exist.
        StoreError: The store lacks features of the run, or has features of other weights.
        MachineError: The timelines cannot be written.
    """
    out = Path(out)
    trained = runs.load(Path(run)).with_decision(gate=gate, segments=thresholds)
    joint = joint_formats(formats)
    separate = [name for name in formats if name not in joint]
    names = [*separate, SCORES] if scores else separate
    keep_scores = scores or any(FORMATS[name].needs_scores for name in formats)
    check_writable(out)
    groups = open_features(Path(store), trained.recipe.encoders)
    stores = [*chain(*groups)]
    _check_weights(trained, stores)
    videos, failed = _sort_videos(stores)
    for done, (video, reason) in enumerate(failed, start=1):
        if progress:
            progress(done, len(videos) + len(failed), f"{video}: {reason}")
    timelines = list[Timeline]()
    parsed = _parse(
        trained, Path(store), videos, tags=tags or {}, keep_scores=keep_scores
    )
    for done, timeline in enumerate(parsed, start=len(failed) + 1):
        _write(timeline, out, names)
        if joint:
            timelines.append(timeline)
        if progress:
            progress(done, len(videos) + len(failed), "")
    if timelines:
        write_joint(timelines, [FORMATS[name] for name in joint], out)
    return Outcome(len(videos), 0, tuple(failed))


def _check_weights(run: Run, stores: Sequence[Store]) -> None:
    """Raise StoreError if features were made with other weights than those of the training."""
    for features in stores:
        name = features.card.encoder
        weights = features.card.provenance["weights_sha256"]
        if run.inputs.get(f"weights of {name}") != weights:
            raise StoreError(
                f"the weights of {name} differ from those that made the features of the "
                "training",
                file=features.folder,
                fix=f"fill a store with the encoders of {run.folder}, or train again",
            )


def _sort_videos(
    stores: Sequence[Store],
) -> tuple[list[str], list[tuple[str, str]]]:
    """Divide the videos into those with features of every encoder, and failures with reasons."""
    statuses = [features.read_statuses() for features in stores]
    failed = dict[str, str]()
    for features, status_of in zip(stores, statuses, strict=True):
        for video in dict.fromkeys(chain(*statuses)):
            no_row = ("failed", f"no features of {features.card.encoder}")
            status, reason = status_of.get(video, no_row)
            if status == "failed":
                failed.setdefault(video, reason)
    videos = [video for video in statuses[0] if video not in failed]
    return videos, [*failed.items()]


def _parse(
    run: Run,
    store: Path,
    videos: Sequence[str],
    *,
    tags: Mapping[str, tuple[str, ...]],
    keep_scores: bool,
) -> Iterator[Timeline]:
    for start in range(0, len(videos), VIDEOS_AT_ONCE):
        group = videos[start : start + VIDEOS_AT_ONCE]
        inputs = read_inputs(store, run.recipe.encoders, group)
        marked, score = mark_events(run, run.predict(inputs), localisation=False)
        mask = inputs.map_values(lambda values: values.mask).numpy()
        of_videos = zip(
            group, marked.by_video(), score.by_video(), mask.by_video(), strict=True
        )
        for video, is_marked, scores, exists in of_videos:
            yield make_timeline(
                printable(video),
                Encoded((), exists),
                run.taxonomy,
                torch.from_numpy(is_marked),
                torch.from_numpy(scores),
                tags=tags.get(video),
                keep_scores=keep_scores,
            )


def _write(timeline: Timeline, out: Path, names: Sequence[str]) -> None:
    """Write a timeline in each format."""
    for name in names:
        ending = SCORES if name == SCORES else FORMATS[name].ending
        write = segment_scores_csv if name == SCORES else FORMATS[name].write
        if write is not None:
            path = output_path(out, timeline.video, ending)
            write_content(path, write(timeline))
