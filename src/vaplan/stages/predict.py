"""`vaplan predict`: a table of events from stored features and a trained run."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vaplan import runs
from vaplan.annotations import Annotations, Row
from vaplan.annotations.table import event_rows, write_rows
from vaplan.dataset import Dataset
from vaplan.exports.sed_scores import write_scores
from vaplan.stages.evaluate import mark_events
from vaplan.timeline import from_grid
from vaplan.workers import Progress


def predict(
    run: Path | str,
    data: Annotations,
    store: Path | str,
    out: Path | str,
    *,
    split: str = "",
    scores: Path | str | None = None,
    decision: str | None = None,
    gate: float | None = None,
    thresholds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Write the events that a run predicts for the videos of a split.

    In a localisation data set each event is one row of modality `both`.

    Args:
        run: Run folder.
        data: Videos.
        store: Feature store.
        out: Table to write.
        split: Split to predict; all videos by default.
        scores: Folder for the probabilities of all segments, one file a video, in the
            format of `sed_scores_eval`.
        decision: Decision rule; by default that of the run.
        gate: Threshold of the gate; by default that of the run.
        thresholds: Segment thresholds by modality; by default those of the run.
        progress: Called after every video.

    Returns:
        Ids of the videos without features, which were left out.
    """
    trained = runs.load(Path(run)).with_decision(
        rule=decision, gate=gate, segments=thresholds
    )
    dataset = Dataset.with_features(
        data.select(split), Path(store), trained.recipe.encoders
    )
    prediction = trained.predict(dataset.inputs)
    marked, probability = mark_events(
        trained, prediction, localisation=data.localisation
    )

    def rows() -> Iterator[Row]:
        videos = zip(
            dataset.ids, marked.by_video(), probability.by_video(), strict=True
        )
        for done, (video, grid, score) in enumerate(videos, start=1):
            events = from_grid(grid, trained.taxonomy, score=score)
            yield from event_rows(video, events, together=data.localisation)
            if progress:
                progress(done, len(dataset), "")

    write_rows(Path(out), rows())
    if scores is not None:
        write_scores(
            Path(scores),
            dataset.ids,
            prediction.map_values(lambda values: values.segment).numpy(),
            prediction.map_values(lambda values: values.mask).numpy(),
            trained.taxonomy,
        )
    return list(dataset.unreadable)
