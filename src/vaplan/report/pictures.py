"""Figures as images in the page, in its light or dark colours."""

import io
import re
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure

from vaplan.plots import FAINT, INK, LANE, PAPER
from vaplan.report.markup import Markup, data_uri, tag

# Dark colours by light ones, as in page.css.
DARK = {PAPER: "#14181d", INK: "#dde2e8", FAINT: "#414a55", LANE: "#212831"}
# Ids that do not change, and letters that need no font.
SETTINGS = {"svg.hashsalt": "vaplan", "svg.fonttype": "path"}


@dataclass(frozen=True)
class Picture:
    """A matplotlib figure with its title and caption.

    Attributes:
        title: Title above the figure.
        caption: Text below the figure.
        figure: The figure.
    """

    title: str
    caption: str
    figure: Figure


def render(picture: Picture) -> Markup:
    """Write a figure with its caption as HTML.

    Args:
        picture: Figure to write.
    """
    width, height = (round(96 * inches) for inches in picture.figure.get_size_inches())
    address = data_uri(_svg(picture.figure).encode(), "image/svg+xml")
    image = tag(
        "img",
        src=address,
        alt=f"{picture.title}. {picture.caption}",
        width=width,
        height=height,
    )
    caption = [tag("figcaption", picture.caption)] if picture.caption else []
    return tag(
        "article", tag("h3", picture.title), tag("figure", image, *caption, tabindex=0)
    )


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    rules = "".join(_rule(light, dark) for light, dark in DARK.items())
    style = f"<style>@media (prefers-color-scheme: dark) {{{rules}}}</style>"
    return re.sub(
        r"<svg [^>]*>", lambda match: match[0] + style, stream.getvalue(), count=1
    )


def _rule(light: str, dark: str) -> str:
    fill = f'[style*="fill: {light}"], [fill="{light}"] {{fill: {dark} !important}} '
    return fill + f'[style*="stroke: {light}"] {{stroke: {dark} !important}} '
