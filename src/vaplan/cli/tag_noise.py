"""Commands `vaplan exchange` (MA) and `vaplan noise` (JoMoLD)."""

from pathlib import Path
from typing import Annotated

import typer

from vaplan.cli.console import stderr
from vaplan.cli.options import OutTable
from vaplan.reading import MAX_SEED


def exchange(
    run: Annotated[Path, typer.Argument(help="A run of `ma_base`.")],
    out: OutTable,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            max=MAX_SEED,
            help="Seed that draws the partner of each video; the default is that of MA's code.",
        ),
    ] = 2,
) -> None:
    """Remove tags from single modalities by exchanging tracks (MA, step 2).

    Each video is parsed with the audio, and with the frames, of a video that shares no tag with
    it. A tag is removed from a modality in which no prediction depends on it. Step 1 is `vaplan
    train ma_base`, step 3 `vaplan train ma --labels exchanged.csv`. Reads a run of `ma_base`;
    writes a table of labels.

    Example: `vaplan exchange runs/ma_base --out exchanged.csv`
    """
    from vaplan import stages

    stages.exchange(run, out, seed=seed)
    stderr.print(f"wrote {out}", highlight=False, markup=False)


def noise(
    run: Annotated[Path, typer.Argument(help="A run of `jomold_estimator`.")],
    out: Annotated[Path, typer.Option("--out", help="The JSON file to write.")],
) -> None:
    """Estimate the share of noisy tags per class and modality (JoMoLD, step 2).

    Step 1 is `vaplan train jomold_estimator`, step 3 `vaplan train jomold --set
    removal.ratios=ratios.json`. Reads a run of `jomold_estimator`; writes a JSON file.

    Example: `vaplan noise runs/jomold_estimator --out ratios.json`
    """
    from vaplan import stages

    stages.noise_ratios(run, out)
    stderr.print(f"wrote {out}", highlight=False, markup=False)
