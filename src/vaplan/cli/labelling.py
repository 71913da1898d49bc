"""Pseudo labels from words: `vaplan label`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vaplan.cli.options import (
    EMBEDDED,
    AudioOption,
    DataArgument,
    JsonOption,
    OutTable,
    StoreOption,
    TaxonomyOption,
    VisualOption,
    apart,
    thresholds,
)
from vaplan.console import new_table, print_json, stderr, warn_skipped
from vaplan.errors import UsageError

if TYPE_CHECKING:
    from vaplan.pseudo_labels.trust import Trust
    from vaplan.stages import Labelling
    from vaplan.stages.diagnose import ByClass

VALOR = "valor"


def label(
    data: DataArgument,
    store: StoreOption,
    out: OutTable,
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    taxonomy: TaxonomyOption = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            metavar="FILE|default|valor",
            help="The same classes in other words: those of a taxonomy file, VAPLAN's templates, or VALOR's list for "
            "LLP. Several sentences for a class are averaged.",
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            metavar="confidence|logit|margin",
            help="What must exceed the threshold: PLG's softmax over classes, VALOR's logit, or the logit less that of "
            "everyday things. [default: confidence; margin without tags, or for a single class]",
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            help="`audio=0.05` or `visual=0.06`, or `valor` for VALOR's logits of LLP's classes. "
            "[default: fitted on split val, else on tags; without any, 5 for the margin]",
        ),
    ] = None,
    choose: Annotated[
        str | None,
        typer.Option(
            "--choose",
            metavar="val|mixture|untagged|usual",
            help="How thresholds are chosen that you do not give: the best F on split val; where a label is as likely "
            "right as wrong, from tagged and untagged videos; seldom exceeded by classes outside the tags; the "
            "paper's. [default: val if it has dense labels, else mixture]",
        ),
    ] = None,
    smooth: Annotated[
        float,
        typer.Option(
            "--smooth",
            min=0,
            help="Average the evidence over so many seconds around each, 0.5 for example.",
        ),
    ] = 0.0,
    soft: Annotated[
        Path | None,
        typer.Option(
            "--soft",
            help="Also write how likely each label is right, for losses that take `labels: soft`.",
        ),
    ] = None,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose",
            help="Say of each class whether its labels look right, and draw it as a PNG.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """PLG: make pseudo labels for every second from features, class names and tags.

    The classes may be any: a table with `--taxonomy` needs no label and no training of them, and the store stays as it
    is. Tags are the filter: a class is only marked in videos that have it as a tag. Where no video has a tag there is
    no filter, and a class is marked where it fits a second better than everyday things do.
    """
    from vaplan import stages
    from vaplan.parser import in_other_words
    from vaplan.stages.label import picture_path

    apart(out=out, soft=soft)
    data_set = stages.read_data(data, taxonomy=taxonomy)
    if prompts:
        data_set = replace(
            data_set, taxonomy=in_other_words(data_set.taxonomy, prompts)
        )
    given = _thresholds(threshold or [], data_set.taxonomy.classes, strategy)
    made = stages.label(
        data_set,
        store,
        out,
        names=(audio, visual),
        thresholds=given,
        choose=choose,
        strategy=strategy,
        smooth=smooth,
        soft=soft,
        judge=diagnose,
    )
    for modality in made.thresholds:
        stderr.print(made.spoken(modality), highlight=False)
    for split, by_modality in made.f.items():
        for modality, scores in by_modality.items():
            kind = "" if data_set.localisation else " F"
            spoken = ", ".join(
                f"{name}{kind} {value:.1f}" for name, value in scores.items()
            )
            stderr.print(f"{split}, {modality}: {spoken}", highlight=False)
    warn_skipped(made.skipped)
    stderr.print(
        f"wrote {out}{f' and {soft}' if soft else ''}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if made.trust:
        stderr.print(f"drawn: {picture_path(out)}", highlight=False, soft_wrap=True)
    if as_json:
        print_json(_document(made))
    elif made.trust:
        _tell(made.trust)


def check_labels(
    data: DataArgument,
    store: StoreOption,
    labels: Annotated[
        Path, typer.Option("--labels", help="The pseudo labels in question.")
    ],
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    taxonomy: TaxonomyOption = None,
    folds: Annotated[
        int, typer.Option("--folds", min=2, help="Parts; each is held out once.")
    ] = 3,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of the folds and the trainings.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Say whether pseudo labels help on your own data, from the tags of held-out videos alone: no dense label is read.

    Small parsers are trained with and without the labels. Compared are how well they tell the tags of videos that
    neither has seen, and whether the seconds in which they find a tag are those without which it is hard to tell.
    """
    from vaplan import stages

    found = stages.check_labels(
        stages.read_data(data, taxonomy=taxonomy),
        store,
        labels,
        names=(audio, visual),
        folds=folds,
        seed=seed,
    )
    if as_json:
        return print_json(found.document())
    rows = [
        [
            name,
            f"{found.without[name]:.2f}",
            f"{gain.value:+.2f}",
            f"[{gain.low:+.2f}, {gain.high:+.2f}]",
        ]
        for name, gain in found.gain.items()
    ]
    title = f"{found.videos} videos, {found.folds} folds: the labels {found.verdict}"
    Console().print(new_table(title, ["", "without", "gain", "95 % interval"], rows))
    return None


def _document(made: "Labelling") -> dict[str, Any]:
    about = {
        "table": str(made.table),
        "thresholds": made.thresholds,
        "chosen": made.chosen,
        "f": made.f,
    }
    trust = {
        m: {name: one.document() for name, one in row.items()}
        for m, row in (made.trust or {}).items()
    }
    return about | {"skipped": list(made.skipped), "trust": trust or None}


def _tell(trust: "ByClass") -> None:
    """The verdict of every class, and then why some are doubted."""
    for modality, by_class in trust.items():
        rows = [
            [
                name,
                str(one.videos),
                *(f"{100 * share:.0f}" for share in _shares(one)),
                one.verdict,
            ]
            for name, one in by_class.items()
        ]
        columns = ["", "videos", "fires", "fires untagged", "right", "labels look"]
        Console().print(
            new_table(
                f"{modality}, percent, estimated without dense labels", columns, rows
            )
        )
    for modality, by_class in trust.items():
        for name, one in by_class.items():
            if one.reasons:
                stderr.print(
                    f"{modality}, {name}: {'; '.join(one.reasons)}",
                    highlight=False,
                    markup=False,
                )


def _shares(one: "Trust") -> tuple[float, float, float]:
    return one.fires, one.fires_untagged, one.right


def _thresholds(
    given: Sequence[str], classes: Sequence[str], strategy: str | None
) -> Mapping[str, float | Sequence[float]] | None:
    if VALOR not in given:
        return thresholds(given)
    if len(given) > 1 or strategy != "logit":
        raise UsageError(
            "VALOR's thresholds are for logits",
            fix="say --strategy logit --threshold valor alone",
        )
    from vaplan.pseudo_labels import valor_thresholds

    return valor_thresholds(classes)
