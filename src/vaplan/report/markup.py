"""HTML elements by a function that escapes all text."""

import base64
import html

Attribute = str | float | int | bool | None


class Markup(str):
    """Text that is HTML; `tag` escapes all other text."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: Attribute) -> Markup:
    """Make an HTML element. `class_` is `class`, `_` is `-`; True is a bare attribute.

    >>> tag("td", "a < b", class_="number")
    '<td class="number">a &lt; b</td>'
    """
    start = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}>"
    if name in ("img", "meta"):
        return Markup(start)
    return Markup(f"{start}{''.join(map(_escaped, content))}</{name}>")


def data_uri(content: bytes, kind: str) -> str:
    """Encode a file as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _attribute(key: str, value: Attribute) -> str:
    key = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {key}" if value is True else f' {key}="{_escaped(str(value))}"'


def _escaped(text: str) -> str:
    if isinstance(text, Markup):
        return text
    # A file name may contain characters that UTF-8 cannot represent.
    return html.escape(text.encode("utf-8", "replace").decode())
