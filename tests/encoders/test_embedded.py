"""The embedded encoders are good but imperfect on clips that they were not trained on."""

from functools import cache

import numpy as np
import pytest

from tests.encoders.conftest import video
from vaplan import encoders, synthetic
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.encoders.embedded import WEIGHTS
from vaplan.errors import EncoderError
from vaplan.timeline import to_grid

CHANCE = 1 / len(synthetic.TAXONOMY)
CLIPS, SEED = 40, 4242
BOTH = pytest.mark.parametrize("modality", [AUDIO, VISUAL])


@cache
def compare_new_segments(modality: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the cosines of new segments with the prompts of all classes; return them and the truth."""
    encoder = encoders.load("embedded", modality)
    prompts = encoder.text(
        [p for (p,) in synthetic.TAXONOMY.prompts(MODALITIES[modality])]
    )
    cosines, truth = [], []
    for clip in synthetic.plan_clips({"test": CLIPS}, seed=SEED):
        pictures = synthetic.frames(clip, times=np.arange(clip.seconds) + 0.5)
        segments = video(pictures[:, None], synthetic.waveform(clip))
        cosines.append(encoder.embed(segments) @ prompts.T)
        truth.append(
            to_grid(clip.events, synthetic.TAXONOMY, len(segments))[:, modality]
        )
    return np.concatenate(cosines), np.concatenate(truth)


@BOTH
def test_single_events_are_classified_far_above_chance_but_not_perfectly(
    modality: int,
) -> None:
    cosine, truth = compare_new_segments(modality)
    single = truth.sum(axis=1) == 1
    accuracy = (cosine.argmax(axis=1) == truth.argmax(axis=1))[single].mean()
    assert 9 * CHANCE < accuracy < 0.98


@BOTH
def test_a_class_is_nearer_to_a_segment_that_contains_it_than_to_one_that_does_not(
    modality: int,
) -> None:
    cosine, truth = compare_new_segments(modality)
    for c in np.flatnonzero(truth.any(axis=0)):
        assert cosine[truth[:, c], c].mean() > cosine[~truth[:, c], c].mean() + 0.1


@BOTH
def test_a_segment_without_events_is_near_no_class(modality: int) -> None:
    cosine, truth = compare_new_segments(modality)
    nothing = ~truth.any(axis=1)
    assert np.median(cosine[nothing].max(axis=1)) < np.median(cosine[truth])


@BOTH
def test_sentences_may_have_other_words(modality: int) -> None:
    encoder = encoders.load("embedded", modality)
    plain = encoder.text([name.lower() for name in synthetic.TAXONOMY.classes])
    worded = encoder.text(
        [
            f"One can notice a {name.upper()} quite well!"
            for name in synthetic.TAXONOMY.classes
        ]
    )
    assert ((worded @ plain.T).argmax(axis=1) == np.arange(len(plain))).all()


@BOTH
def test_the_shipped_folder_has_the_format_of_any_other_encoder(
    modality: int,
) -> None:
    kind = "clip" if modality == VISUAL else "clap"
    shipped = encoders.load("embedded", modality)
    folder = encoders.load(
        f"{kind}:{WEIGHTS / kind}", modality, compute=encoders.Compute("cpu", "fp32")
    )
    assert shipped.text(["dog"]).tobytes() == folder.text(["dog"]).tobytes()
    assert shipped.provenance | {"name": ""} == folder.provenance | {"name": ""}


def test_both_models_together_are_a_few_megabytes_of_safetensors_and_json() -> None:
    files = [file for file in WEIGHTS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 6e6
    assert {file.suffix for file in files} == {".safetensors", ".json", ".md"}


def test_an_embedded_encoder_has_no_source() -> None:
    with pytest.raises(EncoderError, match="'embedded:x' names a source"):
        encoders.load("embedded:x", AUDIO)
