"""Better labels by a trained parser: `vaplan denoise`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vaplan.cli.options import Modality, OutTable, apart, table_name
from vaplan.console import progress_bars, stderr
from vaplan.errors import UsageError


class Rule(StrEnum):
    """How labels are denoised."""

    pld = "pld"
    posterior = "posterior"
    stacked = "stacked"
    auto = "auto"


def denoise(
    run: Annotated[Path, typer.Argument(help="A run that was trained on the labels.")],
    labels: Annotated[
        Path, typer.Option("--labels", help="The pseudo labels to denoise.")
    ],
    out: OutTable,
    keep: Annotated[
        int,
        typer.Option(
            "--keep", min=1, help="K: segments that make an event's baseline."
        ),
    ] = 5,
    ratio: Annotated[
        float,
        typer.Option(
            "--ratio", min=1.0, help="α: how many times the baseline is suspicious."
        ),
    ] = 10,
    floor: Annotated[
        bool, typer.Option(help="Flip only where the parser says the opposite.")
    ] = True,
    given_tags: Annotated[
        bool, typer.Option(help="Judge segments given that the video holds its tags.")
    ] = True,
    keep_presence: Annotated[
        bool,
        typer.Option(
            help="Move onsets and offsets, never add or remove a whole class."
        ),
    ] = True,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            min=1,
            help="How often; each further round trains again, beside OUT.",
        ),
    ] = 1,
    modality: Annotated[
        list[Modality] | None,
        typer.Option("--modality", help="Whose labels. [default: visual]"),
    ] = None,
    rule: Annotated[
        Rule,
        typer.Option(
            "--rule",
            help="`pld`; or both modalities' labels by the encoder's evidence and a parser together: `stacked` weighs "
            "the two by split val's dense labels, `posterior` needs tags alone, `auto` is the first where it can be.",
        ),
    ] = Rule.pld,
    evidence: Annotated[
        Path | None,
        typer.Option(
            "--evidence",
            help="All but pld: the soft labels of `vaplan label --soft`. [default: the labels themselves, taken as "
            "likely right]",
        ),
    ] = None,
    trust: Annotated[
        float | None,
        typer.Option(
            "--trust",
            min=0,
            help="posterior: how much the parser counts; by default 0.5.",
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            min=0,
            help="All but pld: train so many parsers anew, and let each judge unseen videos; by default 2. With 0 the "
            "run itself judges, by posterior.",
        ),
    ] = None,
    soft: Annotated[
        Path | None,
        typer.Option(
            "--soft",
            help="All but pld: also write how likely each label is now.",
            callback=table_name,
        ),
    ] = None,
) -> None:
    """Mend pseudo labels by what a parser says that was trained on them; then train again on the mended ones.

    PLD flips those whose forward loss stands out along the timeline. The other rules keep what is likelier right than
    wrong by the encoder's evidence and a parser together.
    """
    from vaplan import stages
    from vaplan.pseudo_labels import Denoising

    switches = {
        "floor": floor,
        "given_tags": given_tags,
        "keep_presence": keep_presence,
    }
    settings = Denoising(
        keep=keep,
        ratio=ratio,
        modalities=tuple(m.value for m in modality or [Modality.visual]),
        **switches,
    )
    others: dict[str, Any] = {
        "evidence": evidence,
        "trust": trust,
        "folds": folds,
        "soft": soft,
    }
    chosen = {name: value for name, value in others.items() if value is not None}
    if rule == Rule.pld and chosen:
        what = f"{', '.join(f'--{name}' for name in chosen)} with --rule pld"
        raise UsageError(
            what, fix="add --rule auto, posterior or stacked, or leave them out"
        )
    apart(labels=labels, evidence=evidence, out=out, soft=soft)
    if rule != Rule.pld and (rounds > 1 or modality or settings != Denoising()):
        what = "--keep, --ratio, --floor, --given-tags, --keep-presence, --rounds and --modality go with --rule pld"
        raise UsageError(what, fix="leave them out")
    if rule == Rule.pld:
        made = stages.denoise(run, labels, out, settings=settings, rounds=rounds)
    else:
        with progress_bars() as bars:
            made = stages.refine(
                run,
                labels,
                out,
                rule=rule.value,
                progress=bars("judges", "epochs"),
                **chosen,
            )
        stderr.print(f"rule {made.rule}", highlight=False)
    for name, classes in made.flips.items():
        flips = {
            kind: sum(counts[kind] for counts in classes.values())
            for kind in ("set", "taken")
        }
        stderr.print(
            f"{name}: {flips['set']} labels set, {flips['taken']} taken away",
            highlight=False,
        )
    stderr.print(
        f"wrote {out}{f' and {soft}' if soft else ''}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
