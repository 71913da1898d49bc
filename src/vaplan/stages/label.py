"""`vaplan label`: pseudo labels from features and tags (PLG)."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from vaplan import pseudo_labels
from vaplan.annotations import Annotations
from vaplan.annotations.label_tables import (
    details_path,
    label_rows,
    write_label_probability,
)
from vaplan.annotations.table import write_rows
from vaplan.arrays import MODALITIES
from vaplan.dataset import (
    Dataset,
    Encoders,
    dense_labels,
    has_text,
    load_encoder,
    open_features,
    read_inputs,
    select_encoders,
)
from vaplan.encoders import own
from vaplan.errors import RecipeError, UsageError, unknown
from vaplan.metrics.ave import label_accuracy
from vaplan.metrics.llp import label_f
from vaplan.pseudo_labels import (
    CONFIDENCE,
    DEVIATION,
    MARGIN,
    Background,
    ChosenLabels,
    Evidence,
    LabelDiagnostics,
    ThresholdSpec,
)
from vaplan.pseudo_labels.background import MIN_SEGMENTS, sample_segments
from vaplan.pseudo_labels.evidence import are_informative
from vaplan.pseudo_labels.rules import HMM
from vaplan.pseudo_labels.thresholds import Thresholds
from vaplan.ragged import Index, Ragged
from vaplan.store import Store
from vaplan.taxonomy import Taxonomy
from vaplan.training import threads
from vaplan.writing import write_atomically, write_json, write_text
from vaplan.zero_shot import STRATEGIES, ZeroShotClassifier

DiagnosticsByClass = dict[str, dict[str, LabelDiagnostics]]
FIGURE_DPI = 130
BACKGROUND_VIDEOS = 2_000  # of a store, evenly spaced
DOUBTFUL = 0.5  # probability above which a tag is listed as probably wrong


@dataclass(frozen=True)
class DoubtfulTag:
    """A tag that is probably wrong: its class occurs nowhere in the video.

    Attributes:
        video: Id of the video.
        class_name: Name of the class.
        probability: Probability that the tag is wrong.
    """

    video: str
    class_name: str
    probability: float


@dataclass(frozen=True)
class Labelling:
    """Result of `label`.

    Attributes:
        table: The table of labels.
        rule: Name of the rule that chose the labels.
        reason: Phrase that explains the rule.
        thresholds: Threshold per modality, one number or one for each class; empty if the
            rule has none.
        f: F of the labels in percent by split, modality and level, where there are dense
            labels.
        unreadable: Ids of the videos without features.
        diagnostics: Diagnostics per modality and class, if they were asked for.
        doubtful_tags: Tags that are probably wrong, the least probable tag first. Only the
            rule `hmm` finds them.
        encoders: Names of the encoders per modality that were compared with the prompts.
    """

    table: Path
    rule: str
    reason: str
    thresholds: dict[str, float | list[float]]
    f: dict[str, dict[str, dict[str, float]]]
    unreadable: tuple[str, ...]
    diagnostics: DiagnosticsByClass | None = None
    doubtful_tags: tuple[DoubtfulTag, ...] = ()
    encoders: tuple[str, ...] = ()

    def describe(self) -> list[str]:
        """Describe in words how the labels were chosen, and how many tags are doubtful."""
        if self.thresholds:
            return [
                f"pseudo labels: {modality} {_describe_threshold(value)}, {self.reason}"
                for modality, value in self.thresholds.items()
            ]
        lines = [f"pseudo labels {self.reason}"]
        if self.doubtful_tags:
            first = self.doubtful_tags[0]
            lines.append(
                f"{len(self.doubtful_tags)} tags are probably wrong, above all "
                f"{first.class_name!r} of {first.video!r}; they are listed in "
                f"{doubtful_tags_path(self.table)}"
            )
        return lines


def label(
    data: Annotations,
    store: Path | str,
    out: Path | str,
    *,
    encoders: Encoders | None = None,
    thresholds: ThresholdSpec | None = None,
    rule: str | None = None,
    strategy: str | None = None,
    smooth: float = 0.0,
    out_probability: Path | str | None = None,
    diagnose: bool = False,
) -> Labelling:
    """Write pseudo labels of every video of a data set, one row a marked segment.

    The score of a label is its evidence. In a data set without tags every class may occur
    in every video.

    Args:
        data: Videos, tags and classes.
        store: Feature store.
        out: Table of labels to write.
        encoders: Names of the encoders per modality; the first of each is compared with
            the prompts. By default the only ones of the store that encode prompts.
        thresholds: Thresholds by modality, in place of a rule.
        rule: Name of a rule in `pseudo_labels.LABEL_RULES`; see `choose_labels` for the
            default.
        strategy: Kind of evidence; see `compute_dataset_evidence` for the default. With a
            rule or thresholds it does not depend on what the tags exclude.
        smooth: Standard deviation of the smoothing in segments.
        out_probability: Second table to write: the probability of every label.
        diagnose: Also diagnose the labels and draw the diagnostics beside the table.

    Raises:
        UsageError: Probabilities or diagnostics are asked for in a data set without tags, or
            the store has several encoders of a modality and none is named.
        RecipeError: The rule does not exist or cannot be applied.

    Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label generation.
    """
    out = Path(out)
    store = Path(store)
    encoders = select_prompt_encoders(store, encoders or ((), ()))
    dataset = Dataset.with_features(data, store, encoders)
    data = dataset.annotations
    has_tags = any(video.tags for video in data.videos)
    if strategy is None and has_tags and (thresholds or rule):
        strategy = strategy_with_tags(data)
    evidence = compute_dataset_evidence(dataset, strategy=strategy, smooth=smooth)
    if (out_probability or diagnose) and not evidence.has_tags:
        raise UsageError(
            "label probabilities and diagnostics need tags: without them no video shows "
            "the evidence for an absent class",
            fix="omit --out-probability and --diagnose",
        )

    chosen = pseudo_labels.choose_labels(evidence, thresholds=thresholds, rule=rule)
    labels = chosen.labels.numpy()
    scores = evidence.values.numpy().by_video()
    write_rows(out, label_rows(data.ids, labels.by_video(), scores, data.taxonomy))

    if out_probability:
        probability = chosen.probability or evidence.label_probability()
        write_label_probability(
            Path(out_probability),
            probability.numpy(),
            evidence.weak_label.numpy(),
            evidence.mask.numpy(),
            data,
        )

    threshold_by_modality = _by_modality(chosen.thresholds)
    details = {
        "annotations": data.version,
        "strategy": evidence.strategy,
        "filter": "tags" if evidence.has_tags else "none",
        "rule": chosen.rule,
        "reason": chosen.reason,
        "thresholds": threshold_by_modality,
        "smooth": smooth,
        "encoders": [list(names) for names in encoders],
        "prompts": {
            modality: data.taxonomy.prompts(modality) for modality in MODALITIES
        },
        "inputs": dataset.hashes(),
    }
    write_json(details_path(out), details)
    doubtful_tags = list_doubtful_tags(data, chosen)
    write_doubtful_tags(doubtful_tags, doubtful_tags_path(out))

    quality = label_quality(data, labels) if evidence.has_tags else {}
    diagnostics = None
    if diagnose:
        diagnostics = diagnose_dataset(dataset, evidence, chosen, smooth=smooth)
        plot_label_diagnostics(diagnostics, figure_path(out))
    return Labelling(
        out,
        chosen.rule,
        chosen.reason,
        threshold_by_modality,
        quality,
        dataset.unreadable,
        diagnostics,
        tuple(doubtful_tags),
        tuple(names[0] for names in encoders),
    )


def select_prompt_encoders(store: Path, encoders: Encoders = ((), ())) -> Encoders:
    """Take the only encoder of a store that encodes prompts, where a modality has none yet.

    Args:
        store: Feature store.
        encoders: Names of encoders per modality; a modality may have none.

    Raises:
        UsageError: The store has several such encoders.
    """
    chosen = list[Sequence[str]]()
    selected = select_encoders(store, encoders)
    for modality, given, names in zip(MODALITIES, encoders, selected, strict=True):
        if given or len(names) == 1:
            chosen.append(names)
            continue
        features = {name: Store.open(store, f"{modality}:{name}") for name in names}
        with_text = [name for name, one in features.items() if has_text(one)]
        if len(with_text) > 1:
            raise UsageError(
                f"it has {len(with_text)} {modality} encoders of prompts: "
                f"{', '.join(with_text)}",
                file=store,
                fix=f"name one of them, as in --{modality} {with_text[0]}",
            )
        chosen.append(tuple(with_text) or names)
    return tuple(chosen)


def list_doubtful_tags(data: Annotations, chosen: ChosenLabels) -> list[DoubtfulTag]:
    """List the tags that are probably wrong, the least probable tag first.

    Args:
        data: Videos with tags.
        chosen: Their pseudo labels.
    """
    if chosen.wrong_tag is None:
        return []
    tags = [
        DoubtfulTag(data.ids[video], data.taxonomy.classes[label], probability)
        for video, label in (chosen.wrong_tag > DOUBTFUL).nonzero().tolist()
        for probability in [float(chosen.wrong_tag[video, label])]
    ]
    return sorted(tags, key=lambda tag: (-tag.probability, tag.video, tag.class_name))


def doubtful_tags_path(table: Path) -> Path:
    """Return the path of the list of doubtful tags beside a table of labels."""
    return table.with_suffix(".doubtful_tags.csv")


def write_doubtful_tags(tags: Sequence[DoubtfulTag], path: Path) -> None:
    """Write the list of doubtful tags; remove an earlier list if there are none.

    Args:
        tags: Doubtful tags.
        path: File to write.
    """
    if not tags:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["video", "class", "probability_of_wrong_tag"])
    for tag in tags:
        writer.writerow([tag.video, tag.class_name, f"{tag.probability:.3f}"])
    write_text(path, text.getvalue())


def compute_dataset_evidence(
    dataset: Dataset, *, strategy: str | None = None, smooth: float = 0.0
) -> Evidence:
    """Compute the evidence for every class in every segment of a data set.

    Args:
        dataset: Videos with features; the first encoder of each modality is compared with
            the prompts.
        strategy: `confidence`, `logit`, `margin` (see `ZeroShotClassifier`), or `deviation`:
            the margin in standard deviations from the background of these videos. The
            default is PLG's confidence. With a single class a softmax over classes is not
            informative, and the default is the margin. Without tags, or where these exclude
            little (see `are_informative`), it is the deviation, or the margin if there are
            too few segments for it.
        smooth: Standard deviation of the smoothing in segments.

    Raises:
        UsageError: The strategy does not exist.
        RecipeError: There are too few segments for the deviation.
    """
    known = (*STRATEGIES, DEVIATION)
    if strategy not in (None, *known):
        raise UsageError(unknown("strategy", strategy, known))
    data = dataset.annotations
    first_encoders = [names[:1] for names in dataset.encoders]
    inputs = replace(dataset, encoders=first_encoders).inputs
    has_tags = any(video.tags for video in data.videos)
    is_informative = are_informative(dataset.weak_label, inputs.lengths)
    if strategy is None and has_tags and (is_informative or data.dense_indices("val")):
        strategy = strategy_with_tags(data)

    with threads(1):
        features = open_features(dataset.store, dataset.encoders)
        models = [load_encoder(group[0]) for group in features]
        if strategy in (None, DEVIATION):
            classifier = ZeroShotClassifier(data.taxonomy, models)
            tags = inputs.rows_of(dataset.weak_label) if has_tags else None
            classifier.background = classifier.fit_background(inputs.rows(), tags)
            if strategy == DEVIATION and classifier.background is None:
                raise too_few_segments(dataset.store)
            strategy = DEVIATION if classifier.background else MARGIN
        else:
            classifier = ZeroShotClassifier(data.taxonomy, models, strategy=strategy)
        values = inputs.from_rows(classifier.evidence(inputs.rows()))

    mask = inputs.map_values(lambda values: values.mask)
    if smooth:
        values = smooth_evidence(values, mask, width=smooth)

    # Without tags, a video without events may simply not be labelled.
    labelled = data if has_tags else replace(data, events={})
    dense = labelled.dense_indices("val")
    dense_videos = data.select_videos([data.ids[index] for index in dense])
    training = [
        index for index, video in enumerate(data.videos) if video.split in ("train", "")
    ]

    return Evidence(
        values,
        dataset.weak_label | (not has_tags),
        mask,
        strategy,
        has_tags=has_tags,
        dense=tuple(dense),
        reference=dense_labels(dense_videos, inputs.lengths[dense]) if dense else None,
        training=tuple(training) or None,
    )


def strategy_with_tags(data: Annotations) -> str:
    """Return the kind of evidence for videos with tags that exclude classes.

    Args:
        data: Videos and classes.
    """
    return CONFIDENCE if len(data.taxonomy) > 1 else MARGIN


def fit_store_background(
    taxonomy: Taxonomy, store: Path | str, names: Sequence[str]
) -> tuple[Background, ...]:
    """Fit the background of zero-shot margins on the features of a store.

    Args:
        taxonomy: Classes and their prompts.
        store: Feature store.
        names: One encoder name for each modality, in modality order.

    Returns:
        One background for each modality.

    Raises:
        RecipeError: The store has too few segments.
        StoreError: It lacks the features of an encoder.
    """
    store = Path(store)
    encoders = tuple((name,) for name in names)
    features = [group[0] for group in open_features(store, encoders)]
    encoded = [
        {
            video
            for video, (status, _) in one.read_statuses().items()
            if status != "failed"
        }
        for one in features
    ]
    videos = sorted(set.intersection(*encoded))
    index = sample_segments(len(videos), BACKGROUND_VIDEOS).tolist()
    background = None
    if videos:
        with threads(1):
            classifier = ZeroShotClassifier(taxonomy, [*map(load_encoder, features)])
            inputs = read_inputs(store, encoders, [videos[k] for k in index])
            background = classifier.fit_background(inputs.rows())
    if background is None:
        raise too_few_segments(store)
    return background


def too_few_segments(store: Path) -> RecipeError:
    """Return the error of a store that shows no background."""
    return RecipeError(
        f"it has fewer than {MIN_SEGMENTS} segments of a modality, too few to fit their "
        "background",
        file=store,
        fix="encode more videos, or use margins: --strategy margin with label, no "
        "--background with parse",
    )


def smooth_evidence(
    evidence: Ragged[Tensor], mask: Ragged[Tensor], *, width: float
) -> Ragged[Tensor]:
    """Average evidence along the timelines; see `pseudo_labels.smooth`.

    Args:
        evidence: Evidence for each class in each segment.
        mask: Segments that exist.
        width: Standard deviation of the weights in segments.
    """

    def smooth_group(videos: Index) -> Tensor:
        return pseudo_labels.smooth(
            evidence.batch(videos), mask.batch(videos), width=width
        )

    return Ragged.from_groups(evidence.lengths, smooth_group)


def label_quality(
    data: Annotations, labels: Ragged[np.ndarray]
) -> dict[str, dict[str, dict[str, float]]]:
    """Compute the F of pseudo labels in each split with dense labels.

    In a localisation data set it is the accuracy of labels in both modalities.

    Args:
        data: Videos, in the order of the labels.
        labels: Pseudo labels, Bool "segment modality class".

    Returns:
        F in percent by split, modality and level.
    """
    quality = dict[str, dict[str, dict[str, float]]]()
    splits_with_events = {
        video.split for video in data.videos if data.events.get(video.video)
    }
    for split in dict.fromkeys(video.split for video in data.videos):
        if split not in splits_with_events:
            continue

        index = data.dense_indices(split)
        videos = data.select_videos([data.ids[i] for i in index])
        lengths = labels.lengths[index]
        reference = Ragged(videos.labels(lengths), lengths)
        if data.localisation:
            accuracy = label_accuracy(reference, labels[index])
            quality[split] = {"audio_visual": {"accuracy": accuracy}}
        else:
            quality[split] = label_f(reference, labels[index])
    return quality


def diagnose_dataset(
    dataset: Dataset,
    evidence: Evidence,
    chosen: ChosenLabels,
    *,
    smooth: float = 0.0,
) -> DiagnosticsByClass:
    """Diagnose the labels of every modality and class without dense labels.

    Args:
        dataset: Videos with features.
        evidence: Evidence of the same videos.
        chosen: Labels of these videos.
        smooth: Standard deviation of the smoothing in segments.
    """
    rule = HMM if chosen.rule == HMM else "mixture"
    alternatives = []
    taxonomies = single_prompt_taxonomies(dataset.annotations.taxonomy)
    if all(names[0].startswith(f"{own.KIND}:") for names in dataset.encoders):
        taxonomies = iter(())  # no label depends on the prompts

    for taxonomy in taxonomies:
        annotations = replace(dataset.annotations, taxonomy=taxonomy)
        single = compute_dataset_evidence(
            replace(dataset, annotations=annotations),
            strategy=evidence.strategy,
            smooth=smooth,
        )
        of_prompt = pseudo_labels.choose_labels(single, rule=rule)
        alternatives.append(of_prompt.labels.rows())

    rows = pseudo_labels.diagnose_labels(
        evidence,
        chosen.labels,
        threshold=chosen.thresholds,
        probability=chosen.probability,
        prompt_agreement=pseudo_labels.label_agreement(
            chosen.labels.rows(), alternatives
        ),
    )

    classes = dataset.annotations.taxonomy.classes
    return {
        modality: dict(zip(classes, row, strict=True))
        for modality, row in zip(MODALITIES, rows, strict=True)
    }


def single_prompt_taxonomies(taxonomy: Taxonomy) -> Iterator[Taxonomy]:
    """Yield taxonomies with one prompt a class; none if every class has one prompt only.

    A class with fewer prompts than others repeats them.
    """
    prompts = {modality: taxonomy.prompts(modality) for modality in MODALITIES}
    most = max(len(texts) for by_class in prompts.values() for texts in by_class)
    if most == 1:
        return

    for k in range(most):
        single = {}
        for modality, by_class in prompts.items():
            single[modality] = {
                name: (texts[k % len(texts)],)
                for name, texts in zip(taxonomy.classes, by_class, strict=True)
            }
        yield replace(taxonomy, own_prompts=single)


def plot_label_diagnostics(diagnostics: DiagnosticsByClass, out: Path) -> Path:
    """Write a figure of the diagnostics.

    Args:
        diagnostics: Diagnostics per modality and class.
        out: PNG file to write.
    """
    from vaplan.report import label_diagnostics

    figure = label_diagnostics.plot_label_diagnostics(diagnostics)

    def save(path: Path) -> None:
        figure.savefig(path, format="png", dpi=FIGURE_DPI, metadata={"Software": None})

    return write_atomically(out, save)


def figure_path(table: Path) -> Path:
    """Return the path of the figure of a table's diagnostics."""
    return table.with_suffix(".png")


def _describe_threshold(value: float | list[float]) -> str:
    if isinstance(value, float):
        return f"threshold {value:.4g}"
    return f"thresholds from {min(value):.4g} to {max(value):.4g}, one per class"


def _by_modality(
    thresholds: Thresholds | None,
) -> dict[str, float | list[float]]:
    """Name the thresholds by modality: one number, or one a class if they differ."""
    by_modality = dict[str, float | list[float]]()
    if thresholds is not None:
        for modality, row in zip(MODALITIES, thresholds.tolist(), strict=True):
            by_modality[modality] = row[0] if len(set(row)) == 1 else row
    return by_modality
