"""Outside text (file names, labels, exception texts) made safe to show in a terminal."""

from __future__ import annotations

import unicodedata

# Characters of these categories move the cursor, reorder the line or are invisible: controls, formats
# (bidi, zero-width), surrogates (undecodable bytes of a file name), line and paragraph separators.
_HOSTILE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte itself
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def printable(text: str) -> str:
    r"""Return `text` with everything that is not plainly visible as a visible escape such as `\\x1b`.

    Covers C0, C1, DEL, newlines, bidirectional and zero-width controls, surrogates and unassigned characters.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _HOSTILE else c for c in text)


def cell_width(text: str) -> int:
    """Return how many terminal cells `text`, already printable, takes."""
    return len(text) if text.isascii() else sum(_char_width(c) for c in text)


def _char_width(char: str) -> int:
    if char.isascii():
        return 1
    from wcwidth import wcwidth  # 30 ms, and most text is ASCII

    return max(0, wcwidth(char))


def cut(text: str, width: int) -> str:
    """Return `text`, made printable, shortened from its end to at most `width` cells."""
    text = printable(text)
    if cell_width(text) <= width:
        return text
    out, used = [], 0
    for char in text:
        used += _char_width(char)
        if used > width - 1:
            break
        out.append(char)
    return "".join(out) + "…" if width > 0 else ""


def cut_front(text: str, width: int) -> str:
    """Return `text`, made printable, shortened from its start: the end of a path tells most."""
    return cut(printable(text)[::-1], width)[::-1]


def count(number: int, noun: str, plural: str = "") -> str:
    """Return for example `1 image`, `2,457 images` or `2 queries`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def percentile(value: float | None) -> str:
    """Return for example `99.87 %`, never rounded up to a whole 100; empty where it is not known."""
    if value is None:
        return ""
    return "100 %" if value >= 100 else f"{int(value * 100) / 100:.2f} %"
