"""Zero-shot classification: segments compared with classes in words, without training.

PLG and zero-shot parsing both start from the evidence that this classifier computes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan import encoders, pseudo_labels, synthetic
from vaplan.arrays import MODALITIES, Inputs
from vaplan.encoders import Encoder, unit_features
from vaplan.encoders.compute import AUTOMATIC, Compute
from vaplan.encoders.encoded import Encoded
from vaplan.encoders.own import OwnVectors
from vaplan.errors import EncoderError, UsageError, unknown
from vaplan.parser import MediaParser, as_stored_inputs, make_timeline
from vaplan.pseudo_labels import CONFIDENCE, LOGIT, MARGIN, Background
from vaplan.pseudo_labels.background import sample_segments
from vaplan.taxonomy import AVE, LLP, TEMPLATES, Taxonomy, display_name, with_prompts
from vaplan.timeline import Timeline

STRATEGIES = (CONFIDENCE, LOGIT, MARGIN)
ROWS_AT_ONCE = 65_536  # whose unit vectors are in memory together


class ZeroShotClassifier(MediaParser):
    """Classify segments by comparing them with the text prompts of classes.

    As a parser of files it marks a class where it fits a segment better than background
    prompts do, by a margin. The score of an event is its mean margin. Margins do not depend
    on the other classes. With the background of a collection of files, margins are in standard
    deviations from it, and a threshold means the same for every encoder.

    >>> parser = ZeroShotClassifier.load(
    ...     Taxonomy(("Dog", "Rain")), ("clap:…", "clip:…")
    ... )  # doctest: +SKIP
    >>> timeline = parser("dog.mp4")  # doctest: +SKIP

    Attributes:
        taxonomy: Classes and their prompts.
        encoders: The encoder of each modality.
        strategy: `confidence` (PLG's softmax over classes), `logit` (VALOR's cosine at the
            encoder's own scale) or `margin` (logit minus the mean of background prompts).
        text: Prompt vectors of the classes, per modality.
        threshold: Margin to exceed, per modality and class.
        background: Background of each modality that margins are standardised by, if any.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        encoders: Sequence[Encoder],
        *,
        strategy: str = MARGIN,
        thresholds: Mapping[str, float] | None = None,
        background: Sequence[Background] | None = None,
    ) -> None:
        """Embed the prompts of every class.

        Args:
            taxonomy: Classes and their prompts.
            encoders: One encoder for each modality, in modality order.
            strategy: Kind of evidence.
            thresholds: Margin to exceed, by modality; `pseudo_labels.MARGINS` by default, and
                `pseudo_labels.DEVIATIONS` with a background.
            background: Background of a collection; see `fit_background`. Margins and
                thresholds are then in its standard deviations.

        Raises:
            UsageError: The strategy does not exist.
        """
        if strategy not in STRATEGIES:
            raise UsageError(unknown("strategy", strategy, STRATEGIES))
        self.taxonomy = taxonomy
        self.encoders = tuple(encoders)
        self.strategy = strategy
        self.background = background
        self.text = tuple(
            embed_classes(taxonomy, modality, encoder, strategy)
            for modality, encoder in zip(MODALITIES, encoders, strict=True)
        )
        defaults = pseudo_labels.DEVIATIONS if background else pseudo_labels.MARGINS
        self.threshold = pseudo_labels.make_thresholds(
            len(taxonomy), {**defaults, **(thresholds or {})}
        )

    @classmethod
    def load(
        cls,
        taxonomy: Taxonomy,
        names: Sequence[str],
        *,
        thresholds: Mapping[str, float] | None = None,
        compute: Compute = AUTOMATIC,
        background: Sequence[Background] | None = None,
    ) -> "ZeroShotClassifier":
        """Load the encoders and embed the prompts.

        Args:
            taxonomy: Classes and their prompts.
            names: One encoder name for each modality, in modality order.
            thresholds: Margin to exceed, by modality; see the constructor.
            compute: Device and precision of the encoders.
            background: Background of a collection, made with the same classes and encoders.
        """
        models = [
            encoders.load(name, modality, compute=compute)
            for modality, name in enumerate(names)
        ]
        return cls(taxonomy, models, thresholds=thresholds, background=background)

    def evidence(self, inputs: Inputs) -> Float[Tensor, "video time modality class"]:
        """Compute the evidence for each class in each segment.

        Args:
            inputs: Features; the first stream of each modality is compared with the text.
        """
        strategy = LOGIT if self.strategy == MARGIN else self.strategy
        grids = []
        for streams, text, encoder in zip(
            inputs.streams, self.text, self.encoders, strict=True
        ):
            blocks = torch.split(streams[0], ROWS_AT_ONCE)
            cosines = [
                pseudo_labels.similarity(unit_features(encoder, block), text)
                for block in blocks
            ]
            cosine = torch.cat(cosines)
            grids.append(
                pseudo_labels.compute_evidence(
                    cosine, strategy=strategy, scale=encoder.logit_scale
                )
            )
        if self.background:
            grids = [
                background.standardise(grid)
                for background, grid in zip(self.background, grids, strict=True)
            ]
        return torch.stack(grids, dim=2)

    def fit_background(
        self, inputs: Inputs, weak_label: Bool[Tensor, "video class"] | None = None
    ) -> tuple[Background, ...] | None:
        """Fit the background of margins in each modality on files of one's own.

        Args:
            inputs: Features; the first stream of each modality is compared with the text.
            weak_label: Tags of the videos, if there are some.

        Returns:
            The backgrounds; None if a modality has some segments and too few of them.
        """
        fitted = list[Background]()
        for modality in range(len(self.encoders)):
            rows, times = inputs.mask[..., modality].nonzero(as_tuple=True)
            if not len(rows):
                empty = Background(torch.zeros(len(self.taxonomy)), torch.ones(()))
                fitted.append(empty)
                continue
            index = sample_segments(len(rows))
            features = inputs.streams[modality][0][rows[index], times[index]]
            background = pseudo_labels.fit_background(
                *self._margins(features, modality),
                None if weak_label is None else weak_label[rows[index]],
            )
            if background is None:
                return None
            fitted.append(background)
        return tuple(fitted) if inputs.mask.any() else None

    def _margins(
        self, features: Float[Tensor, "segment feature"], modality: int
    ) -> tuple[Float[Tensor, "segment class"], Float[Tensor, "segment prompt"]]:
        """Return the margins of the classes and of the background prompts."""
        encoder = self.encoders[modality]
        prompts = embed_background(self.taxonomy, MODALITIES[modality], encoder)
        text = pseudo_labels.subtract_background(prompts, prompts)
        similarity = partial(
            pseudo_labels.similarity,
            unit_features(encoder, features),
            scale=encoder.logit_scale,
        )
        return similarity(self.text[modality]), similarity(text)

    @property
    def all_encoders(self) -> Sequence[Encoder]:
        """The encoder of each modality."""
        return self.encoders

    def parse_features(
        self,
        encoded: Encoded,
        *,
        name: str,
        tags: Collection[str] | None = None,
        scores: bool = False,
    ) -> Timeline:
        """Parse the features of one video; see `MediaParser.parse_features`."""
        inputs = as_stored_inputs(encoded, audio_streams=1)
        evidence = self.evidence(inputs)
        all_classes = torch.ones(1, len(self.taxonomy), dtype=torch.bool)
        marked = pseudo_labels.generate_pseudo_labels(
            evidence, all_classes, inputs.mask, threshold=self.threshold
        )
        return make_timeline(
            name,
            encoded,
            self.taxonomy,
            marked[0],
            evidence[0],
            tags=tags,
            keep_scores=scores,
        )


def embed_with_background(
    taxonomy: Taxonomy, modality: str, encoder: Encoder
) -> Float[Tensor, "text feature"]:
    """Embed the prompts of the classes, and then of background classes, as unit vectors.

    Args:
        taxonomy: Classes and their prompts.
        modality: `audio` or `visual`.
        encoder: Encoder of the modality.
    """
    classes = embed_classes(taxonomy, modality, encoder, LOGIT)
    if isinstance(encoder, OwnVectors) and len(encoder.classes) < 2:
        return classes
    background = embed_background(taxonomy, modality, encoder)
    return torch.cat([classes, background])


def embed_classes(
    taxonomy: Taxonomy, modality: str, encoder: Encoder, strategy: str
) -> Float[Tensor, "class _"]:
    """Embed the prompts of every class, minus the background for margins.

    Args:
        taxonomy: Classes and their prompts.
        modality: `audio` or `visual`.
        encoder: Encoder of the modality.
        strategy: Kind of evidence.
    """
    classes = encoders.class_vectors(encoder, _prompts(taxonomy, modality, encoder))
    if strategy != MARGIN:
        return classes
    prompts = embed_background(taxonomy, modality, encoder)
    return pseudo_labels.subtract_background(classes, prompts)


def embed_background(
    taxonomy: Taxonomy, modality: str, encoder: Encoder
) -> Float[Tensor, "prompt feature"]:
    """Embed the background prompts as unit vectors.

    Args:
        taxonomy: The user's classes; its templates are used.
        modality: `audio` or `visual`.
        encoder: Encoder of the modality.
    """
    background = background_taxonomy(taxonomy, encoder)
    return encoders.class_vectors(encoder, _prompts(background, modality, encoder))


def _prompts(
    taxonomy: Taxonomy, modality: str, encoder: Encoder
) -> Sequence[Sequence[str]]:
    """Return the prompts of each class; a user's own text vectors are those of the names."""
    if isinstance(encoder, OwnVectors):
        return [[name] for name in taxonomy.classes]
    return taxonomy.prompts(modality)


def background_taxonomy(taxonomy: Taxonomy, encoder: Encoder) -> Taxonomy:
    """Return the classes of LLP and AVE as background prompts, in the user's templates.

    The embedded encoders recognise the classes of the synthetic data only, so these are
    their background. That of a user's own vectors are all their text vectors.

    Args:
        taxonomy: The user's classes; its templates are used.
        encoder: Encoder that embeds the prompts.

    Raises:
        EncoderError: A user's own vectors have only one text vector.
    """
    if isinstance(encoder, OwnVectors):
        if len(encoder.classes) < 2:
            raise EncoderError(
                f"{encoder.name} has one text vector, {encoder.classes[0]}: a margin "
                "compares a class with others",
                file=encoder.folder,
                fix="add vectors of other classes to the --text file, or use "
                "--strategy logit",
            )
        return replace(taxonomy, classes=encoder.classes, own_prompts={})
    names = (
        synthetic.TAXONOMY.classes
        if encoder.name == "embedded"
        else (*LLP.classes, *AVE.classes)
    )
    classes = tuple(dict.fromkeys(map(display_name, names)))
    return replace(taxonomy, classes=classes, own_prompts={})


def default_prompts(taxonomy: Taxonomy) -> Taxonomy:
    """Return the taxonomy with VAPLAN's templates for every class."""
    return replace(taxonomy, templates=dict(TEMPLATES), own_prompts={})


def valor_prompts(taxonomy: Taxonomy) -> Taxonomy:
    """Return the taxonomy with VALOR's prompts, which exist for the classes of LLP."""
    prompts = {}
    for modality, name in enumerate(MODALITIES):
        by_class = pseudo_labels.valor_prompts(taxonomy.classes, modality)
        prompts[name] = dict(zip(taxonomy.classes, map(tuple, by_class), strict=True))
    return replace(taxonomy, own_prompts=prompts)


PROMPTS: Mapping[str, Callable[[Taxonomy], Taxonomy]] = {
    "default": default_prompts,
    "valor": valor_prompts,
}


def replace_prompts(taxonomy: Taxonomy, prompts: str) -> Taxonomy:
    """Return the same classes with other prompts.

    Args:
        taxonomy: Classes.
        prompts: A name in `PROMPTS`, or the path of a taxonomy file.

    Raises:
        UsageError: `prompts` is neither.
    """
    if prompts in PROMPTS:
        return PROMPTS[prompts](taxonomy)
    if not Path(prompts).suffix:
        raise UsageError(
            unknown("list of prompts", prompts, PROMPTS),
            fix="give one of these names, or a taxonomy file (YAML or CSV)",
        )
    return with_prompts(taxonomy, Path(prompts))
