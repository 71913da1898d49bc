"""Figures as images in the page, light or dark like the page."""

import io
import re
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure

from vaplan.plots import FAINT, INK, LANE, PAPER
from vaplan.report.markup import Markup, data_uri, tag

# dark colour of each light one, as in page.css
DARK = {PAPER: "#14181d", INK: "#dde2e8", FAINT: "#414a55", LANE: "#212831"}
# ids that do not change, letters that need no font
SETTINGS = {"svg.hashsalt": "vaplan", "svg.fonttype": "path"}
PIXELS_PER_INCH = 96


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        title: Title above the figure.
        caption: Text below the figure; may be empty.
        figure: Figure of matplotlib.
    """

    title: str
    caption: str
    figure: Figure


def render_picture(picture: Picture) -> Markup:
    """Render a figure as an image with its caption."""
    width, height = picture.figure.get_size_inches()
    svg = _render_svg(picture.figure)
    image = tag(
        "img",
        src=data_uri(svg.encode(), "image/svg+xml"),
        alt=f"{picture.title}. {picture.caption}",
        width=round(PIXELS_PER_INCH * width),
        height=round(PIXELS_PER_INCH * height),
    )
    content = [image]
    if picture.caption:
        content.append(tag("figcaption", picture.caption))
    title = tag("h3", picture.title)
    return tag("article", title, tag("figure", *content, tabindex=0))


def _render_svg(figure: Figure) -> str:
    stream = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    rules = [_dark_rule(light, dark) for light, dark in DARK.items()]
    query = f"@media (prefers-color-scheme: dark) {{{''.join(rules)}}}"
    style = f"<style>{query}</style>"
    svg = stream.getvalue()
    return re.sub(r"<svg [^>]*>", lambda match: match[0] + style, svg, count=1)


def _dark_rule(light: str, dark: str) -> str:
    fill = f'[style*="fill: {light}"], [fill="{light}"] {{fill: {dark} !important}} '
    stroke = f'[style*="stroke: {light}"] {{stroke: {dark} !important}} '
    return fill + stroke
