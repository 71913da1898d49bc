"""Figure of the diagnostics of pseudo labels: one row a class, audio left and visual right."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaplan.plots import FAINT, INK, PALETTE, PAPER, WIDTH
from vaplan.pseudo_labels.diagnostics import LabelDiagnostics

BLUE, ORANGE, GREEN = PALETTE[:3]
MAX_LETTERS = 26  # of a name
MARKS = {"trustworthy": "", "doubtful": "  ✗", "unknown": "  ?"}


def draw_diagnostics(
    diagnostics: Mapping[str, Mapping[str, LabelDiagnostics]],
) -> Figure:
    """Draw the rates of each class in tagged and untagged videos, and the share of right labels.

    Args:
        diagnostics: Diagnostics by modality and class.
    """
    classes = max(map(len, diagnostics.values()))
    figure = Figure(
        figsize=(WIDTH + 1, 1.4 + 0.27 * classes), layout="constrained", facecolor=PAPER
    )
    panels = figure.subplots(1, len(diagnostics))
    for panel, (modality, by_class) in zip(panels, diagnostics.items(), strict=True):
        _draw(panel, by_class)
        doubtful = sum(one.verdict == "doubtful" for one in by_class.values())
        title = f"{modality.capitalize()}: {doubtful} of {len(by_class)} doubtful (✗)"
        panel.set_title(title, loc="left", fontsize=9, color=INK, weight="bold")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=3,
        fontsize=8,
        frameon=False,
        labelcolor=INK,
    )
    return figure


def _draw(panel: Axes, by_class: Mapping[str, LabelDiagnostics]) -> None:
    positions = range(len(by_class))
    diagnostics = list(by_class.values())
    tagged_rates = [100 * one.rate for one in diagnostics]
    untagged_rates = [100 * one.rate_untagged for one in diagnostics]
    panel.barh(
        [y - 0.18 for y in positions],
        tagged_rates,
        0.34,
        color=BLUE,
        label="segments labelled, tagged videos",
    )
    panel.barh(
        [y + 0.18 for y in positions],
        untagged_rates,
        0.34,
        color=ORANGE,
        label="would fire, untagged videos",
    )
    right = [
        (y, 100 * one.precision)
        for y, one in zip(positions, diagnostics, strict=True)
        if one.rate
    ]
    xs, ys = [x for _, x in right], [y for y, _ in right]
    panel.plot(xs, ys, "D", color=GREEN, ms=4, label="labels that are right, estimated")
    names = [_short(name) + MARKS[one.verdict] for name, one in by_class.items()]
    panel.set_yticks(positions, names, fontsize=7, parse_math=False)
    panel.set(xlim=(0, 102), ylim=(len(diagnostics) - 0.4, -0.6))
    panel.set_xlabel("percent", color=INK, fontsize=8)
    panel.tick_params(labelsize=7, color=FAINT, labelcolor=INK, length=2)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(FAINT)
    panel.grid(axis="x", color=FAINT, linewidth=0.5)
    panel.set_axisbelow(True)
    panel.set_facecolor(PAPER)


def _short(name: str) -> str:
    """Return a printable name of limited length."""
    clean = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for letter in name
    )
    return clean if len(clean) <= MAX_LETTERS else clean[: MAX_LETTERS - 1] + "…"
