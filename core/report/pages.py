"""What all report pages share: templates, escaping, pictures inside the page, a policy that forbids everything else.

A page is one file. Its policy lets the browser show that file's own style, its own few lines of script (by their
digest) and pictures inside it, and fetch nothing. Every text that a template puts out passes `printable` and is
escaped, for HTML or for Markdown, whichever the page is made of.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import os
import pkgutil
import re
from functools import cache
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image, UnidentifiedImageError

from visexplore.core.comparison import score_title
from visexplore.core.report.verdict_words import score_words
from visexplore.core.text import count, printable

_UNKNOWN = "\N{EN DASH}"
_MARKDOWN = re.compile(r"([\\`*_\[\]|~$&<>])")
_LINE_START = re.compile(r"^(\s*)(#|[-+=]|\d+(?=[.)](?:\s|$)))")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def html_page(template: str, **values: object) -> str:
    """Return the page that a template in `assets/report` makes; its style is `page.css`, its script `page.js`."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    # The style and the script are ours, and hold no `</`.
    page = _environment("html").get_template(template)
    return page.render(values, style=Markup(style), script=Markup(script), policy=Markup(policy))


def markdown_page(template: str, **values: object) -> str:
    """Return the Markdown that a template in `assets/report` makes."""
    return _environment("md").get_template(template).render(values)


def markdown_text(text: str) -> str:
    """Return `text` so that Markdown shows it as it is: no markup, no HTML, no further line, no table cell."""
    text = printable(text).strip()
    text = _MARKDOWN.sub(lambda found: _ENTITIES.get(found[1], f"\\{found[1]}"), text)
    return _LINE_START.sub(lambda found: _inert_start(found[1], found[2]), text)


def _inert_start(space: str, mark: str) -> str:
    return f"{space}&#{ord(mark[0])};{mark[1:]}"


def web_link(url: str) -> str:
    """Return `url` if it may become a link, which http and https may; else an empty text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.hostname or printable(url) != url or " " in url:
        return ""
    return url


def relative_link(path: str) -> str:
    """Return the link to a file below the page's folder: percent-encoded, so that no name can be a scheme.

    Raises:
        ValueError: the path leads out of the folder.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} is not below the page's folder")
    return quote(os.fsencode("/".join(parts)), safe="/@+-._~")


def data_url(picture: bytes) -> str:
    """Return a picture as a URL that needs no request.

    Raises:
        ValueError: it is neither JPEG nor PNG.
    """
    kind = {b"\xff\xd8\xff": "jpeg", b"\x89PN": "png"}.get(picture[:3])
    if not kind:
        raise ValueError("a report's pictures are JPEG or PNG")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def picture_size(picture: bytes) -> tuple[int, int]:
    """Return width and height, so that the page does not jump while its pictures are decoded.

    Raises:
        ValueError: it is neither JPEG nor PNG.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG", "PNG")) as image:
            return image.size
    except UnidentifiedImageError as error:
        raise ValueError("a report's pictures are JPEG or PNG") from error


def known(value: float | None, form: str = ",.3g") -> str:
    """Return a number in the given format; a dash for None and nan."""
    return _UNKNOWN if value is None or not math.isfinite(value) else format(value, form)


def rounded(value: float | None) -> str:
    """Return a number with three digits that count: `0.25`, `12.3`, `1,540`; a dash for None and nan."""
    if value is None or not math.isfinite(value):
        return _UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def p_value(p: float) -> str:
    """Return a p-value as people read it."""
    if not math.isfinite(p):
        return _UNKNOWN
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}" if p < 0.01 else f"{p:.2f}"


@cache
def _environment(kind: str) -> Environment:
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible if kind == "html" else _visible_in_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        count=count,
        data_url=data_url,
        known=known,
        md_url=_markdown_url,
        p_value=p_value,
        relative_link=relative_link,
        rounded=rounded,
        score_title=score_title,
        score_words=score_words,
        web_link=web_link,
    )
    environment.globals["picture_size"] = picture_size
    return environment


def _visible(value: object) -> object:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _visible_in_markdown(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return Markup(markdown_text(value))
    return value


def _markdown_url(url: str) -> Markup:
    """Return a URL, already one of `web_link` or `relative_link`, so that nothing in it ends a Markdown link."""
    return Markup(quote(url, safe="/:?#@!$&'*+,;=%-._~"))


def _asset(name: str) -> str:
    data = pkgutil.get_data("visexplore.assets", f"report/{name}")
    assert data is not None, "the package is a folder, so there is something to read"
    return data.decode()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
