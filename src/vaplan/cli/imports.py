"""Commands `vaplan import han`, `valor`, `ave` and `vectors`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaplan.cli.console import (
    finish,
    print_problem,
    print_warning,
    progress_bars,
    stderr,
)
from vaplan.cli.options import DataOption, Modality, StoreOption, table_name

if TYPE_CHECKING:
    from vaplan.stages import Imported

FolderArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of the published files.")
]


def import_han(
    folder: FolderArgument,
    data: DataOption,
    store: StoreOption,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Keep all 8 frames of a second instead of their mean."
        ),
    ] = False,
) -> None:
    """Import the features that were published with LLP into a feature store.

    Every file is checked for shape, type and finite values. In recipes these features are
    `legacy:vggish`, `legacy:res152` and `legacy:r2plus1d_18`; see `store info`.

    Example: `vaplan import han feats --data llp:data/llp --store store`
    """
    _import_pack("han", folder, data, store, whole=whole)


def import_valor(
    folder: FolderArgument,
    data: DataOption,
    store: StoreOption,
    out_labels: Annotated[
        Path | None,
        typer.Option(
            "--out-labels",
            help="Also write VALOR's pseudo labels of segments to this table.",
            callback=table_name,
        ),
    ] = None,
) -> None:
    """Import the CLIP and CLAP features that were published with VALOR.

    Every file is checked for shape, type and finite values. In recipes these features are
    `legacy:clap`, `legacy:clip` and `legacy:r2plus1d_18`; see `store info`.

    Example: `vaplan import valor data --data llp:data/llp --store store`
    """
    _import_pack("valor", folder, data, store, labels=out_labels)


def import_ave(
    folder: FolderArgument,
    data: DataOption,
    store: StoreOption,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Keep the 7 x 7 map of a second instead of its mean."
        ),
    ] = False,
) -> None:
    """Import the features that were published with AVE into a feature store.

    Every row is checked for shape, type and finite values. In recipes these features are
    `legacy:ave-vggish` and `legacy:ave-vgg19`; see `store info`.

    Example: `vaplan import ave data/ave --data ave:data/ave --store store`
    """
    _import_pack("ave", folder, data, store, whole=whole)


def import_vectors(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE",
            help="A folder of .npy or .npz files, one per video, also in sub-folders; or one "
            ".npz, .h5 or .parquet file.",
        ),
    ],
    name: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Name of the vectors; other commands use `own:NAME`.",
        ),
    ],
    modality: Annotated[
        Modality, typer.Option("--modality", help="What the vectors describe.")
    ],
    store: StoreOption,
    text: Annotated[
        Path | None,
        typer.Option(
            "--text",
            help="Vectors of the class sentences, by the names of the classes: .npz, .parquet "
            "(columns class, vector) or .csv (column class, then one column per number).",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="The data set of the videos: ids that it does not have are errors, and so are "
            "its videos without vectors and its classes without a text vector.",
        ),
    ] = None,
    float16: Annotated[
        bool,
        typer.Option(
            "--float16",
            help="Round the numbers to float16, which halves the store. [default: float32]",
        ),
    ] = False,
    logit_scale: Annotated[
        float,
        typer.Option(
            "--logit-scale",
            help="Logit scale of the model (inverse temperature): logit = scale × cosine.",
        ),
    ] = 100.0,
) -> None:
    """Import your own vectors of segments, and of class sentences, into a feature store.

    Reads one array for each video with one row a second, of any width. The id of a video is
    the path of its file without the ending, or the name of its array. A Parquet table has the
    columns video, segment and vector; seconds without a row are missing. Writes the vectors
    into the store as float32. `label`, `train`, `predict` and `search` take them as
    `own:NAME`; labels need --text.

    Example: `vaplan import vectors embeddings --as mine --modality visual --text classes.npz
    --store store`
    """
    from vaplan import stages
    from vaplan.arrays import MODALITIES

    annotations = stages.read_data(data) if data else None
    with progress_bars() as bars:
        outcome = stages.import_vectors(
            path,
            name,
            MODALITIES.index(modality.value),
            store,
            text=text,
            data=annotations,
            float16=float16,
            logit_scale=logit_scale,
            progress=bars("import", "videos"),
        )
    _finish(outcome)


def _import_pack(
    layout: str, folder: Path, data: str, store: Path, **options: Any
) -> None:
    from vaplan import stages

    annotations = stages.read_data(data)
    with progress_bars() as bars:
        report = bars("import", "videos")
        outcome = stages.import_pack(
            layout,
            folder,
            annotations,
            store,
            progress=lambda done, total, _: report(done, total, ""),
            **options,
        )
    _finish(outcome)


def _finish(outcome: "Imported") -> None:
    """Print what was imported, with one line for each kind of failure."""
    for text in outcome.absent:
        stderr.print(f"note: {text}", highlight=False, markup=False)
    for text in outcome.warnings:
        print_warning(text)
    for text in outcome.problems:
        print_problem(text)
    stores = ", ".join(outcome.stores) or "nothing"
    stderr.print(f"in the store: {stores}", highlight=False, markup=False)
    finish(outcome, "imported")
