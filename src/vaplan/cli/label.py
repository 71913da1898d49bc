"""Command `vaplan label`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vaplan.cli.console import (
    new_table,
    print_json,
    print_warning,
    stderr,
    warn_skipped,
)
from vaplan.cli.options import (
    DataArgument,
    JsonOption,
    OutTable,
    StoredAudioOption,
    StoredVisualOption,
    StoreOption,
    TaxonomyOption,
    apart,
    thresholds,
)
from vaplan.errors import UsageError

if TYPE_CHECKING:
    from vaplan.pseudo_labels import LabelDiagnostics
    from vaplan.stages import Labelling
    from vaplan.stages.label import DiagnosticsByClass

VALOR = "valor"


def label(
    data: DataArgument,
    store: StoreOption,
    out: OutTable,
    audio: StoredAudioOption = None,
    visual: StoredVisualOption = None,
    taxonomy: TaxonomyOption = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            metavar="FILE|default|valor",
            help="Other prompts than those of --taxonomy: of another taxonomy file, VAPLAN's "
            "templates, or VALOR's list for LLP. Several prompts of a class are averaged. "
            "[default: those of the data set's taxonomy, else VAPLAN's templates]",
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            metavar="confidence|logit|margin|deviation",
            help="Evidence that is compared with the threshold: PLG's softmax over classes, "
            "VALOR's logit, the logit minus the mean of background prompts (margin), or the margin "
            "in standard deviations from the segments without the class (deviation). "
            "[default: confidence; margin for a single class; deviation without tags, or where "
            "tags allow more than 80 % of all labels and --rule and --threshold are not given]",
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            metavar="MODALITY=NUMBER|valor",
            help="Fixed threshold of a modality, in the unit of --strategy, in place of --rule: "
            "`audio=0.05` or `visual=0.06` (repeat the option), or `valor` for VALOR's logits of "
            "LLP's classes. [default: chosen by --rule; with evidence `deviation`, 3]",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option(
            "--rule",
            metavar="hmm|val|mixture|false_positive_rate|chance",
            help="Rule that chooses the labels. `hmm`: a hidden Markov model, fitted on tags. The "
            "others choose a threshold for each modality. `val`: the one with the best F on the "
            "dense labels of split val. `mixture`: the one at which a label is right with "
            "probability 0.5, fitted on tags. `false_positive_rate`: the one that classes outside "
            "the tags exceed in 5 % of the segments. `chance`: the paper's multiples of "
            "1 / classes. [default: val if that split has dense labels, else hmm; none where tags "
            "allow more than 80 % of all labels]",
        ),
    ] = None,
    smooth: Annotated[
        float,
        typer.Option(
            "--smooth",
            min=0,
            help="Standard deviation of the smoothing along the timeline in seconds, such as 0.5.",
        ),
    ] = 0.0,
    out_probability: Annotated[
        Path | None,
        typer.Option(
            "--out-probability",
            help="Also write the probability of every label, for `vaplan refine` and "
            "for losses with `labels: soft`.",
        ),
    ] = None,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose",
            help="Also print for each class how good its labels probably are, estimated without "
            "dense labels, and draw a figure beside the table (`labels.png` for `labels.csv`).",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Generate pseudo labels from features, class prompts and tags (PLG).

    A class is labelled where the evidence for it is high, only in videos with its tag; --rule
    decides how high. Without any tag in the data set, it is labelled where it fits better than
    background prompts. Reads a data set and its feature store; writes a table of labels.

    Example: `vaplan label table:annotations.csv --store store --out labels.csv`
    """
    from vaplan import stages
    from vaplan.stages.label import figure_path
    from vaplan.zero_shot import replace_prompts

    apart(out=out, out_probability=out_probability)
    data_set = stages.read_data(data, taxonomy=taxonomy)
    if prompts:
        data_set = replace(
            data_set, taxonomy=replace_prompts(data_set.taxonomy, prompts)
        )
    threshold_spec = _thresholds(threshold or [], data_set.taxonomy.classes, strategy)
    labelling = stages.label(
        data_set,
        store,
        out,
        encoders=(audio or (), visual or ()),
        thresholds=threshold_spec,
        rule=rule,
        strategy=strategy,
        smooth=smooth,
        out_probability=out_probability,
        diagnose=diagnose,
    )
    for line in labelling.describe():
        stderr.print(line, highlight=False)
    for split, by_modality in labelling.f.items():
        for modality, scores in by_modality.items():
            kind = "" if data_set.localisation else " F"
            scores_text = ", ".join(
                f"{name}{kind} {value:.1f}" for name, value in scores.items()
            )
            stderr.print(f"{split}, {modality}: {scores_text}", highlight=False)
    warn_skipped(labelling.unreadable)
    if prompts:
        _warn_own_vectors(labelling.encoders)
    stderr.print(
        f"wrote {out}{f' and {out_probability}' if out_probability else ''}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if labelling.diagnostics:
        stderr.print(f"figure: {figure_path(out)}", highlight=False, soft_wrap=True)
    if as_json:
        print_json(_document(labelling))
    elif labelling.diagnostics:
        _print_diagnostics(labelling.diagnostics)


def _warn_own_vectors(encoders: Sequence[str]) -> None:
    """Warn of encoders on which --prompts has no effect."""
    from vaplan.encoders import own

    own_names = [name for name in encoders if name.startswith(f"{own.KIND}:")]
    if own_names:
        print_warning(
            f"--prompts has no effect on {', '.join(dict.fromkeys(own_names))}, whose "
            "text vectors were imported"
        )


def _document(labelling: "Labelling") -> dict[str, Any]:
    document = {
        "table": str(labelling.table),
        "rule": labelling.rule,
        "reason": labelling.reason,
        "thresholds": labelling.thresholds,
        "f": labelling.f,
    }
    diagnostics = {
        modality: {name: one.document() for name, one in by_class.items()}
        for modality, by_class in (labelling.diagnostics or {}).items()
    }
    return document | {
        "unreadable": list(labelling.unreadable),
        "doubtful_tags": [asdict(tag) for tag in labelling.doubtful_tags],
        "diagnostics": diagnostics or None,
    }


def _print_diagnostics(diagnostics: "DiagnosticsByClass") -> None:
    """Print the estimated quality of every class's labels, and the reasons for doubts."""
    for modality, by_class in diagnostics.items():
        rows = [
            [
                name,
                str(one.videos),
                *(f"{100 * share:.0f}" for share in _shares(one)),
                one.verdict,
            ]
            for name, one in by_class.items()
        ]
        columns = ["", "videos", "rate", "rate untagged", "precision", "labels are"]
        Console().print(
            new_table(
                f"{modality}, percent, estimated without dense labels", columns, rows
            )
        )
    for modality, by_class in diagnostics.items():
        for name, one in by_class.items():
            if one.reasons:
                stderr.print(
                    f"{modality}, {name}: {'; '.join(one.reasons)}",
                    highlight=False,
                    markup=False,
                )


def _shares(one: "LabelDiagnostics") -> tuple[float, float, float]:
    return one.rate, one.rate_untagged, one.precision


def _thresholds(
    options: Sequence[str], classes: Sequence[str], strategy: str | None
) -> Mapping[str, float | Sequence[float]] | None:
    if VALOR not in options:
        return thresholds(options)
    if len(options) > 1 or strategy != "logit":
        raise UsageError(
            "VALOR's thresholds are for logits",
            fix="give --strategy logit --threshold valor alone",
        )
    from vaplan.pseudo_labels import valor_thresholds

    return valor_thresholds(classes)
