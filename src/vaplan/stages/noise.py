"""`vaplan noise`: estimate JoMoLD's noise ratios of the tags."""

from dataclasses import asdict
from pathlib import Path

from vaplan import pseudo_labels, runs
from vaplan.dataset import read_training_videos
from vaplan.pseudo_labels import NoiseEstimate
from vaplan.stages.exchange import ByClass, by_class
from vaplan.writing import sha256, write_json


def noise_ratios(
    run: Path, out: Path, *, settings: NoiseEstimate | None = None
) -> ByClass:
    """Estimate the share of noisy tags per modality and class and write it as JSON.

    Args:
        run: Run folder of the recipe `jomold_estimator`.
        out: JSON file to write, for `removal.ratios` of the recipe `jomold`.
        settings: Settings of the estimate.

    Returns:
        Noise ratios per modality and class.

    Source: Cheng et al., ECCV 2022, arXiv 2204.11573; see `pseudo_labels.jomold`.
    """
    settings = settings or NoiseEstimate()
    trained = runs.load(run)
    dataset = read_training_videos(trained)
    prediction = trained.predict(dataset.inputs)
    ratios = pseudo_labels.noise_ratios(
        prediction.values.modality, dataset.weak_label, dataset.present, settings
    )
    named_ratios = by_class(ratios, dataset.annotations.taxonomy)
    details = {
        "ratios": named_ratios,
        "run": str(run),
        "settings": asdict(settings),
        "inputs": {str(run): sha256(run / runs.WEIGHTS)},
    }
    write_json(out, details)
    return named_ratios
