"""The figure of label diagnostics: one row a class, audio on the left and visual on the right."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vaplan.plots import FAINT, INK, PALETTE, PAPER, WIDTH
from vaplan.pseudo_labels.diagnostics import LabelDiagnostics

BLUE, ORANGE, GREEN = PALETTE[:3]
MAX_NAME = 26  # characters
VERDICT_MARKS = {"trustworthy": "", "doubtful": "  ✗", "unknown": "  ?"}
BAR_SHIFT = 0.18  # rows between the middle of a class and the middle of a bar


def plot_label_diagnostics(
    diagnostics: Mapping[str, Mapping[str, LabelDiagnostics]],
) -> Figure:
    """Draw how often each class is labelled, and how many of its labels are right.

    Args:
        diagnostics: Diagnostics by modality and class.
    """
    classes = max(map(len, diagnostics.values()))
    figure = Figure(
        figsize=(WIDTH + 1, 1.4 + 0.27 * classes), layout="constrained", facecolor=PAPER
    )
    panels = figure.subplots(1, len(diagnostics))
    for panel, (modality, by_class) in zip(panels, diagnostics.items(), strict=True):
        _draw_classes(panel, by_class)
        verdicts = [of_class.verdict for of_class in by_class.values()]
        doubtful = verdicts.count("doubtful")
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


def _draw_classes(panel: Axes, by_class: Mapping[str, LabelDiagnostics]) -> None:
    diagnostics = list(by_class.values())
    rows = range(len(diagnostics))
    panel.barh(
        [row - BAR_SHIFT for row in rows],
        [100 * of_class.rate for of_class in diagnostics],
        0.34,
        color=BLUE,
        label="segments labelled, tagged videos",
    )
    panel.barh(
        [row + BAR_SHIFT for row in rows],
        [100 * of_class.rate_untagged for of_class in diagnostics],
        0.34,
        color=ORANGE,
        label="would fire, untagged videos",
    )
    labelled_rows = [row for row in rows if diagnostics[row].rate]
    panel.plot(
        [100 * diagnostics[row].precision for row in labelled_rows],
        labelled_rows,
        "D",
        color=GREEN,
        ms=4,
        label="labels that are right, estimated",
    )
    names = [
        _shorten(name) + VERDICT_MARKS[of_class.verdict]
        for name, of_class in by_class.items()
    ]
    panel.set_yticks(rows, names, fontsize=7, parse_math=False)
    panel.set(xlim=(0, 102), ylim=(len(diagnostics) - 0.4, -0.6))
    panel.set_xlabel("percent", color=INK, fontsize=8)
    panel.tick_params(labelsize=7, color=FAINT, labelcolor=INK, length=2)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(FAINT)
    panel.grid(axis="x", color=FAINT, linewidth=0.5)
    panel.set_axisbelow(True)
    panel.set_facecolor(PAPER)


def _shorten(name: str) -> str:
    """Return a name as one line of limited length; names come from files."""
    characters = [
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for letter in name
    ]
    line = "".join(characters)
    return line if len(line) <= MAX_NAME else line[: MAX_NAME - 1] + "…"
