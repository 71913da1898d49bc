"""Data sets with features: annotations joined with a feature store.

Every stage that reads features works on a `Dataset`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from vaplan import encoders as encoder_models
from vaplan.annotations import Annotations, read_data, read_table
from vaplan.annotations.label_tables import (
    read_label_probability,
    read_labels,
    refuse_label_probability,
)
from vaplan.annotations.table import find_line
from vaplan.arrays import AUDIO, MODALITIES, VISUAL, Inputs
from vaplan.encoders import Encoder, legacy, own, store_name
from vaplan.errors import AnnotationError, StoreError
from vaplan.media import CENTRE
from vaplan.ragged import Lengths, Ragged
from vaplan.recipe import DENSE
from vaplan.runs import Run
from vaplan.store import Store, find_stores
from vaplan.store.mapped import mapped_zeros
from vaplan.training import threads
from vaplan.writing import sha256
from vaplan.zero_shot import embed_with_background

Encoders = Sequence[Sequence[str]]  # encoder names per modality, in modality order


@dataclass(frozen=True)
class Dataset:
    """The videos of a data set that have features in a store.

    Features are read when they are first used.

    Attributes:
        annotations: Tags, splits and events of the videos.
        store: Folder of the feature store.
        encoders: Names of the encoders per modality, in modality order.
        unreadable: Ids of the videos that were left out because their media file could
            not be read.
        overflow: Folder for features that exceed the memory; see `store.mapped_zeros`.
    """

    annotations: Annotations
    store: Path
    encoders: Encoders
    unreadable: tuple[str, ...] = ()
    overflow: Path | None = None

    @classmethod
    def with_features(
        cls,
        annotations: Annotations,
        store: Path | str,
        encoders: Encoders,
        *,
        overflow: Path | None = None,
    ) -> "Dataset":
        """Select the videos that have features of every encoder.

        Args:
            annotations: Annotations of the data set.
            store: Folder of the feature store.
            encoders: Names of the encoders per modality, in modality order.
            overflow: Folder for features that exceed the memory.

        Raises:
            AnnotationError: No video has features.
            StoreError: The store lacks an encoder or a video.
        """
        store = Path(store)
        unreadable = set[str]()
        for features in chain(*open_features(store, encoders)):
            for video, (status, _) in features.read_statuses().items():
                if status == "failed":
                    unreadable.add(video)
        readable = [video for video in annotations.ids if video not in unreadable]
        if not readable:
            raise AnnotationError(
                "no video of the data set could be read",
                file=store,
                fix="see the errors of `vaplan features`",
            )
        return cls(
            annotations.select_videos(readable),
            store,
            encoders,
            tuple(video for video in annotations.ids if video in unreadable),
            overflow,
        )

    @classmethod
    def of_run(cls, run: Run, annotations: Annotations) -> "Dataset":
        """Select the videos that have the features a run was trained on.

        Args:
            run: A trained run; its recipe names the store and the encoders.
            annotations: Videos to select from.
        """
        return cls.with_features(
            annotations, Path(run.recipe.store), run.recipe.encoders
        )

    def __len__(self) -> int:
        return len(self.annotations.videos)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the videos in file order."""
        return self.annotations.ids

    @cached_property
    def inputs(self) -> Ragged[Inputs]:
        """Features of the videos, as the input of a parser."""
        return read_inputs(self.store, self.encoders, self.ids, overflow=self.overflow)

    @property
    def lengths(self) -> Lengths:
        """Number of segments of each video."""
        return self.inputs.lengths

    @property
    def mask(self) -> Ragged[Tensor]:
        """Which segments of each modality exist."""
        return self.inputs.map_values(lambda inputs: inputs.mask)

    @property
    def present(self) -> Bool[Tensor, "video modality"]:
        """Which modalities each video has."""
        present: Tensor = self.mask.per_video(lambda mask: mask.any(dim=1))
        return present

    @cached_property
    def weak_label(self) -> Bool[Tensor, "video class"]:
        """Tags of the videos: classes that occur somewhere in each."""
        return torch.from_numpy(self.annotations.weak_label())

    def reference(self) -> Ragged[Tensor]:
        """Return the dense labels of the segments, Bool "segment modality class"."""
        return dense_labels(self.annotations, self.lengths)

    def labels(self, table: Path, *, dense_val: bool = False) -> Ragged[Tensor]:
        """Read the pseudo labels of the segments, Bool "segment modality class".

        Args:
            table: Table of labels, or `dense` for the dense labels of the data set.
            dense_val: Take the dense labels of the densely labelled videos of split `val`,
                which the table may lack.

        Raises:
            AnnotationError: Labels of a video are missing.
        """
        if str(table) != DENSE:
            return self._pseudo_labels(table, dense_val=dense_val)
        events = self.annotations.events
        missing = [video for video in self.ids if video not in events]
        if missing:
            raise AnnotationError(
                f"no dense labels for {len(missing)} of {len(self)} videos, "
                f"the first is {missing[0]!r}",
                file=self.annotations.source,
                fix="give a table of labels instead of `dense`",
            )
        return self.reference()

    def _pseudo_labels(self, table: Path, *, dense_val: bool) -> Ragged[Tensor]:
        data = self.annotations
        indices = data.dense_indices("val") if dense_val else []
        dense = {data.ids[index]: data.events[data.ids[index]] for index in indices}
        others = [video for video in data.ids if video not in dense]
        pseudo = read_labels(table, data.select_videos(others)).events
        labels = replace(data, events={**pseudo, **dense}, source=table)
        return dense_labels(labels, self.lengths)

    def label_probability(self, table: Path) -> Ragged[Tensor]:
        """Read the probability of every label, Float "segment modality class".

        Args:
            table: Table of label probabilities; see `annotations.label_tables`.
        """
        probability = read_label_probability(table, self.annotations, self.lengths)
        return Ragged(torch.from_numpy(probability), self.lengths)

    def embed_texts(self) -> list[list[Tensor | None]]:
        """Embed the prompts of the classes, and of background classes, for every stream.

        Returns:
            Unit vectors Float "text feature" per modality and stream; None for features
            that cannot be compared with texts.

        Raises:
            EncoderError: An encoder cannot be loaded.
        """
        groups = open_features(self.store, self.encoders)
        taxonomy = self.annotations.taxonomy
        with threads(1):  # to the same bits on every machine
            return [
                [
                    embed_with_background(taxonomy, modality, load_encoder(features))
                    if has_text(features)
                    else None
                    for features in group
                ]
                for modality, group in zip(MODALITIES, groups, strict=True)
            ]

    def select_videos(self, ids: Sequence[str]) -> "Dataset":
        """Select videos by their ids, in this order."""
        return replace(self, annotations=self.annotations.select_videos(ids))

    def hashes(self) -> dict[str, str]:
        """Return content hashes of the annotations, the features and the encoders."""
        return input_hashes(self.annotations, self.store, self.encoders)


def read_run_data(run: Run) -> Annotations:
    """Read the data set that a run was trained on.

    Raises:
        AnnotationError: The data set has other classes now.
    """
    data = read_data(run.recipe.data)
    if data.taxonomy.classes != run.taxonomy.classes:
        raise AnnotationError(
            "its classes differ from the classes of the run",
            file=data.source,
            fix="use the data set that the run was trained on",
        )
    return data


def read_training_videos(run: Run) -> Dataset:
    """Read the videos that a run was trained on: split `train`, or all without splits."""
    data = read_run_data(run)
    return Dataset.of_run(run, data.by_split().get("train", data))


def read_labelled_videos(run: Run, table: Path) -> Dataset:
    """Read the videos of a run's data set that a table of labels contains.

    Args:
        run: A trained run.
        table: Table of labels.
    """
    refuse_label_probability(table)
    data = read_run_data(run)
    events = read_table(table, taxonomy=data.taxonomy, needs_modality=True).events
    labelled = [video for video in data.ids if video in events]
    return Dataset.of_run(run, data.select_videos(labelled))


def select_encoders(store: Path, encoders: Encoders = ((), ())) -> Encoders:
    """Take all encoders of a store for each modality that has none yet.

    Args:
        store: Folder of the feature store.
        encoders: Names of encoders per modality, in modality order; a modality may have none.

    Returns:
        Names of the encoders; `embedded` for a modality of which the store has no features.
    """
    in_store = [name.partition(":") for name in find_stores(store)]

    def of_modality(modality: str) -> tuple[str, ...]:
        return tuple(name for kind, _, name in in_store if kind == modality)

    return tuple(
        names or of_modality(modality) or ("embedded",)
        for modality, names in zip(MODALITIES, encoders, strict=True)
    )


def open_features(store: Path, encoders: Encoders) -> list[list[Store]]:
    """Open the features of some encoders.

    Args:
        store: Folder of the feature store.
        encoders: Names of the encoders per modality, in modality order.

    Returns:
        One list of features for each modality.
    """
    return [
        [Store.open(store, store_name(name, modality)) for name in names]
        for modality, names in enumerate(encoders)
    ]


def read_lengths(store: Path, encoders: Encoders, videos: Sequence[str]) -> Lengths:
    """Read the number of segments of some videos: that of the longest features of each.

    Args:
        store: Folder of the feature store.
        encoders: Names of the encoders per modality, in modality order.
        videos: Ids of the videos.
    """
    stores = chain(*open_features(store, encoders))
    all_lengths = [features.lengths(videos).counts for features in stores]
    return Lengths(np.max(all_lengths, axis=0))


def read_inputs(
    store: Path,
    encoders: Encoders,
    videos: Sequence[str],
    *,
    overflow: Path | None = None,
) -> Ragged[Inputs]:
    """Read the features of some videos.

    A video has as many segments as its longest features; a segment exists in a modality
    if all encoders of the modality have a vector for it.

    Args:
        store: Folder of the feature store.
        encoders: Names of the encoders per modality, in modality order.
        videos: Ids of the videos.
        overflow: Folder for features that exceed the memory; see `store.mapped_zeros`.
    """
    zeros = partial(mapped_zeros, folder=overflow) if overflow else np.zeros
    groups = open_features(store, encoders)
    lengths = read_lengths(store, encoders, videos)
    streams = list[tuple[Tensor, ...]]()
    masks = list[Tensor]()
    for group in groups:
        arrays = [
            features.read(videos, lengths=lengths, zeros=zeros) for features in group
        ]
        streams.append(tuple(torch.from_numpy(feature) for feature, _, _ in arrays))
        present = np.all([mask for _, mask, _ in arrays], axis=0)
        masks.append(torch.from_numpy(present))
    inputs = Inputs((streams[AUDIO], streams[VISUAL]), torch.stack(masks, dim=-1))
    return Ragged(inputs, lengths)


def dense_labels(data: Annotations, lengths: Lengths) -> Ragged[Tensor]:
    """Return the events of annotations as labels of segments.

    Args:
        data: Annotations.
        lengths: Number of segments of each video; segments after the last event are empty.

    Returns:
        Bool "segment modality class".

    Raises:
        AnnotationError: An event begins after the end of its video. Data sets of a fixed
            length, such as LLP, have such events where a published video was cut short;
            there they mark nothing.
    """
    if data.segments is None:
        _check_ends(data, lengths)
    return Ragged(torch.from_numpy(data.labels(lengths)), lengths)


def _check_ends(data: Annotations, lengths: Lengths) -> None:
    """Raise AnnotationError if an event begins after the end of its video."""
    for video, end in zip(data.videos, lengths.counts.tolist(), strict=True):
        for event in data.events.get(video.video, ()):
            if event.onset >= end:
                raise AnnotationError(
                    f"an event of {event.class_name!r} begins at {event.onset:g} s, but "
                    f"{video.video!r} ends at {end} s",
                    file=data.source,
                    line=find_line(data.source, video.video, event),
                    fix="correct the time, which is in seconds, or delete the event",
                )


def input_hashes(data: Annotations, store: Path, encoders: Encoders) -> dict[str, str]:
    """Return content hashes of everything that a result depends on.

    Args:
        data: Annotations of the data set.
        store: Folder of the feature store.
        encoders: Names of the encoders per modality, in modality order.

    Returns:
        By name: hashes of the annotation files, of the features and of the encoders'
        weights, and the sampling and precision if they are not the default.

    Raises:
        StoreError: The features were made with different samplings.
    """
    hashes = {str(path): sha256(path) for path in data.files}
    groups = [*chain(*open_features(store, encoders))]
    samplings = {
        features.card.provenance.get("sampling", CENTRE) for features in groups
    }
    if len(samplings) > 1:
        raise StoreError(
            f"features of different samplings: {', '.join(sorted(samplings))}",
            file=store,
            fix="fill a store with one --sampling for all encoders",
        )
    if samplings != {CENTRE}:
        hashes["sampling"] = samplings.pop()
    for features in groups:
        encoder = features.card.encoder
        hashes[features.folder.name] = features.content_hash()
        hashes[f"weights of {encoder}"] = features.card.provenance["weights_sha256"]
        if precision := features.card.provenance.get("precision"):
            hashes[f"precision of {encoder}"] = precision
        if text := features.read_text():
            hashes[f"text of {encoder}"] = text.digest
    return hashes


def load_encoder(features: Store) -> Encoder:
    """Load the encoder that made stored features, to embed classes or sentences.

    Args:
        features: Features of the encoder in a store.

    Raises:
        EncoderError: It cannot be loaded, or embeds no text.
        StoreError: Its weights differ from those that made the features.
    """
    modality, _, name = features.card.encoder.partition(":")
    if name.partition(":")[0] == own.KIND:
        return own.load_stored(features)
    encoder = encoder_models.load(name, MODALITIES.index(modality))
    check_weights(features, encoder)
    return encoder


def has_text(features: Store) -> bool:
    """Return whether features can be compared with classes in words.

    Args:
        features: Features of one encoder in a store.
    """
    name = features.card.encoder.partition(":")[2]
    kind = name.partition(":")[0]
    if kind == own.KIND:
        return features.read_text() is not None
    return kind != legacy.KIND


def check_weights(features: Store, encoder: Encoder) -> None:
    """Check that features were made with the weights that an encoder has now.

    Args:
        features: Features of the encoder in a store.
        encoder: The loaded encoder.

    Raises:
        StoreError: The weights differ.
    """
    now = encoder.provenance["weights_sha256"]
    if features.card.provenance["weights_sha256"] != now:
        raise StoreError(
            f"store of another encoder: the weights of {features.card.encoder} have "
            "changed since the store was filled",
            file=features.folder,
            fix="restore those weights, or fill a new --store",
        )
