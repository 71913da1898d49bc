"""HTML elements from functions, so that no text reaches the page unescaped."""

import base64
import html

Attribute = str | float | int | bool | None
VOID_ELEMENTS = ("img", "meta")  # of those that a page uses


class Markup(str):
    """Text that is HTML; `tag` escapes all other text."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: Attribute) -> Markup:
    """Make an HTML element.

    >>> tag("td", "a < b", class_="number")
    '<td class="number">a &lt; b</td>'

    Args:
        name: Name of the element.
        content: Texts, which are escaped, and `Markup`.
        attributes: Attributes by name. `class_` is `class`, other `_` are `-`; True is an
            attribute without a value, False and None are left out.
    """
    attribute_texts = [
        _format_attribute(key, value) for key, value in attributes.items()
    ]
    start = f"<{name}{''.join(attribute_texts)}>"
    if name in VOID_ELEMENTS:
        return Markup(start)
    inner = "".join(_escape(part) for part in content)
    return Markup(f"{start}{inner}</{name}>")


def data_uri(content: bytes, media_type: str) -> str:
    """Encode a file as a data URI.

    Args:
        content: Bytes of the file.
        media_type: Media type, such as "image/svg+xml".
    """
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _format_attribute(key: str, value: Attribute) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    return f' {name}="{_escape(str(value))}"'


def _escape(text: str) -> str:
    if isinstance(text, Markup):
        return text
    # a file name may contain characters that UTF-8 cannot encode
    encodable = text.encode("utf-8", "replace").decode()
    return html.escape(encodable)
