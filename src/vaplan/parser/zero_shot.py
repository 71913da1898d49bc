"""A first result on day one: any media file against any classes in words, with no training."""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vaplan import encoders, pseudo_labels
from vaplan.arrays import Inputs
from vaplan.encoders import Encoder
from vaplan.encoders.compute import AUTOMATIC, Compute
from vaplan.parser.evidence import MARGIN, Sentences, read_sentences
from vaplan.parser.files import as_timeline, stored_inputs
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Timeline


class ZeroShot:
    """Turns media files into timelines of classes that are only described in words.

    A class is marked where it fits a segment better than everyday things do, by a margin; an event's score is its mean
    margin. Whether other classes are asked for makes no difference, and a file is parsed the same whatever others are.

    >>> parser = ZeroShot.load(Taxonomy(("Dog", "Rain")), ("clap:…", "clip:…"))  # doctest: +SKIP
    >>> timeline = parser("dog.mp4")  # doctest: +SKIP
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        loaded: tuple[Encoder, Encoder],
        sentences: Sentences,
        threshold: Float[Tensor, "modality class"],
    ) -> None:
        self.taxonomy, self.encoders, self.sentences, self.threshold = (
            taxonomy,
            loaded,
            sentences,
            threshold,
        )

    @classmethod
    def load(
        cls,
        taxonomy: Taxonomy,
        names: tuple[str, str],
        *,
        thresholds: Mapping[str, float] | None = None,
        compute: Compute = AUTOMATIC,
    ) -> "ZeroShot":
        """Load the encoders for sound and picture and let them read the classes.

        Args:
            thresholds: The margin to exceed, per modality; `pseudo_labels.MARGINS` where it says nothing.
        """
        audio, visual = (
            encoders.load(name, modality, compute=compute)
            for modality, name in enumerate(names)
        )
        spec = {**pseudo_labels.MARGINS, **(thresholds or {})}
        threshold = pseudo_labels.thresholds(len(taxonomy), spec)
        return cls(
            taxonomy,
            (audio, visual),
            read_sentences(taxonomy, (audio, visual), strategy=MARGIN),
            threshold,
        )

    def __call__(
        self, path: str | Path, *, tags: Collection[str] | None = None
    ) -> Timeline:
        """Say what is heard and what is seen in a file, and when; with `tags`, of these classes alone."""
        encoded = encoders.encode(Path(path), self.encoders)
        inputs = stored_inputs(encoded, heard=1)
        margin = self.sentences.evidence(inputs)
        marked = self._marked(margin, inputs)
        return as_timeline(
            Path(path), encoded, self.taxonomy, marked[0], margin[0], tags=tags
        )

    def _marked(
        self, margin: Float[Tensor, "video time modality class"], inputs: Inputs
    ) -> Tensor:
        everything = torch.ones(len(margin), len(self.taxonomy), dtype=torch.bool)
        return pseudo_labels.generate_pseudo_labels(
            margin, everything, inputs.mask, threshold=self.threshold
        )
