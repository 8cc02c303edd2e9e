"""What the terminal can show: asked once, in one round trip, before anything else reads its input.

The query must be over before Textual starts, because its input thread would take the replies for key presses.
Nothing but the standard library is imported here: this runs before the first paint.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Graphics(StrEnum):
    """How pictures are drawn, the sharpest first."""

    KITTY = "kitty"
    SIXEL = "sixel"
    HALFBLOCK = "halfblock"
    TEXT = "text"


class Color(StrEnum):
    """How many colours text may have."""

    TRUECOLOR = "truecolor"
    PALETTE = "256"
    ANSI = "16"
    NONE = "none"

    @property
    def system(self) -> Literal["truecolor", "256", "standard"] | None:
        """The name that Rich and Textual have for it: the `color_system` of a Rich console."""
        match self:
            case Color.TRUECOLOR:
                return "truecolor"
            case Color.PALETTE:
                return "256"
            case Color.ANSI:
                return "standard"
            case Color.NONE:
                return None


@dataclass(frozen=True, slots=True)
class TerminalReply:
    """The facts in a terminal's replies; the defaults are those of one that said nothing.

    Attributes:
        answered: the last reply arrived, so a missing fact is a "no" and nothing is still on its way.
        name: the terminal's own name and version (XTVERSION).
        attributes: the primary device attributes (DA1); 4 is sixel.
        kitty_graphics: the kitty graphics query was answered "OK". This alone proves too little: kitty before
            0.28, Konsole, WezTerm and Warp say so too and do not know the placeholders that we draw with.
        keeps_rgb: a 24-bit background colour came back as it was set (DECRQSS).
        cell: width and height of a cell in pixels, zeros if not told.
        sixel_colors: how many colour registers a sixel picture may use, zero if not told.
    """

    answered: bool = False
    name: str = ""
    attributes: frozenset[int] = frozenset()
    kitty_graphics: bool = False
    keeps_rgb: bool = False
    cell: tuple[int, int] = (0, 0)
    sixel_colors: int = 0


@dataclass(frozen=True, slots=True)
class Tmux:
    """What tmux knows about the terminal outside of it.

    Attributes:
        termname: its TERM.
        termtype: its own name and version, where it told tmux.
        features: what tmux believes that it can do; users may have claimed more than is true.
        passthrough: tmux hands on wrapped escape sequences.
    """

    termname: str = ""
    termtype: str = ""
    features: frozenset[str] = frozenset()
    passthrough: bool = False


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal as the rest of the program sees it, with the reason of each choice for people to read.

    Attributes:
        is_tty: standard output is a terminal.
        columns: its width in cells.
        rows: its height in cells.
        cell_width: the width of one cell in pixels.
        cell_height: the height of one cell in pixels.
        name: its own name and version, empty if it told none.
        graphics: how pictures are drawn.
        graphics_reason: why so.
        color: how many colours text may have.
        color_reason: why so.
        in_tmux: escape sequences that tmux does not know have to be wrapped for it.
        sixel_colors: how many colours a sixel picture may have.
        answered: no reply to our query can still arrive; if false, call `drain` right before the app starts.
    """

    is_tty: bool = False
    columns: int = 80
    rows: int = 24
    cell_width: int = 10
    cell_height: int = 20
    name: str = ""
    graphics: Graphics = Graphics.TEXT
    graphics_reason: str = ""
    color: Color = Color.NONE
    color_reason: str = ""
    in_tmux: bool = False
    sixel_colors: int = 256
    answered: bool = True


# One batch. DA1 is answered by every terminal and in order, so its reply means that no other will come.
# The cursor is put back and the line cleared for terminals that print what they do not understand.
_QUERY = (
    b"\x1b7"
    b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"  # kitty graphics
    b"\x1b[>q"  # XTVERSION
    b"\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b[m"  # DECRQSS: is a 24-bit colour kept?
    b"\x1b[?1;1;0S"  # XTSMGRAPHICS: how many sixel colours?
    b"\x1b[16t"  # cell size
    b"\x1b8\x1b[K"
    b"\x1b[c"  # DA1
)
_DA1 = re.compile(rb"\x1b\[\?([\d;]*)c")
_XTVERSION = re.compile(rb"\x1bP>\|([^\x1b]*)\x1b\\")
_DECRQSS = re.compile(rb"\x1bP1\$r[^\x1b]*48[:;]2[:;]{1,2}1[:;]2[:;]3[^\x1b]*\x1b\\")
_REGISTERS = re.compile(rb"\x1b\[\?1;0;(\d+)S")
_CELL = re.compile(rb"\x1b\[6;(\d+);(\d+)t")
_KITTY_OK = re.compile(rb"\x1b_Gi=31[^\x1b]*;OK\x1b\\")

_ENOUGH = 1 << 16  # bytes: no honest set of replies is as long
_TRUECOLOR_NAMES = (
    "kitty",
    "ghostty",
    "wezterm",
    "iterm2",
    "konsole",
    "foot",
    "contour",
    "xterm.js",
    "mintty",
)
_NO_COLOR_TERMS = ("", "dumb", "unknown", "vt100", "vt102", "vt220", "vt320")
_DEFAULT_CELL = (10, 20)


def parse(replies: bytes) -> TerminalReply:
    """Read the facts out of `replies`, which may hold key presses and unknown sequences between them."""
    da1 = _DA1.search(replies)
    name = _XTVERSION.search(replies)
    cell = _CELL.search(replies)
    registers = _REGISTERS.search(replies)
    return TerminalReply(
        answered=da1 is not None,
        name=name[1].decode("ascii", "replace").strip() if name else "",
        attributes=frozenset(int(part) for part in da1[1].split(b";") if part) if da1 else frozenset(),
        kitty_graphics=_KITTY_OK.search(replies) is not None,
        keeps_rgb=_DECRQSS.search(replies) is not None,
        cell=(int(cell[2]), int(cell[1])) if cell else (0, 0),
        sixel_colors=int(registers[1]) if registers else 0,
    )


def probe(timeout: float = 2.0) -> TerminalReply:
    """Ask the terminal what it can do; takes one round trip, or `timeout` seconds if it says nothing.

    The question goes to standard output, which must be a terminal. The replies are read from standard input,
    or from the controlling terminal where an image or a list is piped in. Nothing is asked in the background,
    where reading would stop us, and the terminal's settings are put back whatever happens.
    """
    with contextlib.ExitStack() as stack:
        try:
            source = 0 if os.isatty(0) else os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
            if source != 0:
                stack.callback(os.close, source)
            if not _in_foreground(source):
                return TerminalReply(answered=True)
            stack.enter_context(_unbuffered(source))
            replies = _ask(source, 1, timeout)
        except (OSError, termios.error):
            return TerminalReply(answered=True)
        reply = parse(replies)
        if not reply.answered:
            termios.tcflush(source, termios.TCIFLUSH)
        return reply


def drain() -> None:
    """Throw away what has arrived on standard input: replies that came too late to be replies."""
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(0, termios.TCIFLUSH)


def _in_foreground(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # not our controlling terminal: no job control, so nothing can stop us
        return True


@contextlib.contextmanager
def _unbuffered(fd: int) -> Iterator[None]:
    """Have input neither echoed nor held back to the end of a line, but let Ctrl-C interrupt."""
    before = termios.tcgetattr(fd)
    during = termios.tcgetattr(fd)
    during[3] &= ~(termios.ECHO | termios.ICANON)
    during[6][termios.VMIN], during[6][termios.VTIME] = 1, 0
    # TCSANOW: the other ways wait until the output is sent, which a stopped terminal (Ctrl-S) never does.
    try:
        termios.tcsetattr(fd, termios.TCSANOW, during)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, before)


def _ask(source: int, target: int, timeout: float) -> bytes:
    """Write the query to `target` and read from `source` until the last reply or the timeout."""
    deadline = time.monotonic() + timeout
    if not select.select([], [target], [], timeout)[1]:
        return b""
    os.write(target, _QUERY)
    replies = bytearray()
    while len(replies) < _ENOUGH and not _DA1.search(replies):
        if not select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
            break
        part = os.read(source, 4096)
        if not part:
            break
        replies += part
    return bytes(replies)


def ask_tmux(timeout: float = 1.0) -> Tmux | None:
    """Ask tmux about the terminal outside of it; None if there is no tmux here to ask."""
    import subprocess  # 10 ms, and only needed inside tmux

    told = "#{client_termname}\t#{client_termtype}\t#{client_termfeatures}"
    command = ["tmux", "display-message", "-p", told, ";", "show", "-Av", "allow-passthrough"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    first, *rest = done.stdout.splitlines() or [""]
    if first.count("\t") != 2:
        return None
    termname, termtype, features = first.split("\t")
    return Tmux(termname, termtype, frozenset(features.split(",")), passthrough=rest[:1] in (["on"], ["all"]))


def _draws_placeholders(name: str) -> bool:
    """Tell whether the terminal of this name and version knows kitty's Unicode placeholders."""
    if found := re.match(r"kitty\((\d+)\.(\d+)", name):
        return (int(found[1]), int(found[2])) >= (0, 28)
    return name.lower().startswith("ghostty")


def _inside_tmux(reply: TerminalReply, env: Mapping[str, str]) -> bool:
    # TERM comes along over ssh, TMUX does not: the tmux may run on the user's own machine.
    return reply.name.startswith("tmux") or bool(env.get("TMUX")) or env.get("TERM", "").startswith("tmux")


def choose_graphics(reply: TerminalReply, env: Mapping[str, str], tmux: Tmux | None) -> tuple[Graphics, str]:
    """Return the sharpest way to draw pictures that is sure to work, and the reason.

    Sure, because a wrong guess shows nothing at all or fills the screen with garbage.

    Args:
        reply: what the terminal answered.
        env: the environment.
        tmux: what tmux knows about the terminal outside; None without tmux, or where it cannot be asked.
    """
    if env.get("TERM", "") == "dumb":
        return Graphics.TEXT, "TERM is dumb"
    if _inside_tmux(reply, env):
        return _choose_inside_tmux(reply, tmux)
    if not reply.answered:
        return Graphics.HALFBLOCK, "the terminal did not answer"
    if _draws_placeholders(reply.name):
        return Graphics.KITTY, f"{reply.name} draws kitty's pictures"
    if 4 in reply.attributes:
        return Graphics.SIXEL, f"{reply.name or 'the terminal'} says that it draws sixels"
    if reply.name.startswith("kitty"):
        return Graphics.HALFBLOCK, f"{reply.name} is too old: pictures need kitty 0.28"
    return Graphics.HALFBLOCK, f"{reply.name or 'the terminal'} draws neither kitty's pictures nor sixels"


def _choose_inside_tmux(reply: TerminalReply, tmux: Tmux | None) -> tuple[Graphics, str]:
    # Since 3.4 tmux claims sixel for itself, whatever the terminal outside can do: that alone proves nothing.
    if tmux is None:
        return Graphics.HALFBLOCK, "inside tmux, which cannot be asked about the terminal outside"
    outside = tmux.termtype or tmux.termname
    if tmux.termtype.startswith(("kitty", "ghostty")):
        placeholders = _draws_placeholders(tmux.termtype)
    else:
        placeholders = not tmux.termtype and tmux.termname in ("xterm-kitty", "xterm-ghostty")
    if placeholders and tmux.passthrough:
        return Graphics.KITTY, f"{outside} outside tmux, with allow-passthrough"
    if placeholders:
        return Graphics.HALFBLOCK, f"{outside} outside tmux needs: tmux set -g allow-passthrough on"
    if "sixel" in tmux.features and 4 in reply.attributes:
        return Graphics.SIXEL, f"tmux says that {outside} draws sixels"
    return Graphics.HALFBLOCK, f"tmux knows of no pictures in {outside or 'the terminal outside'}"


def choose_color(reply: TerminalReply, env: Mapping[str, str], tmux: Tmux | None) -> tuple[Color, str]:
    """Return how many colours text may have, and the reason.

    Args:
        reply: what the terminal answered.
        env: the environment; COLORTERM alone does not do, because ssh does not forward it.
        tmux: what tmux knows about the terminal outside; None without tmux, or where it cannot be asked.
    """
    term = env.get("TERM", "")
    if env.get("NO_COLOR"):
        return Color.NONE, "NO_COLOR is set"
    if reply.keeps_rgb:
        return Color.TRUECOLOR, "the terminal keeps 24-bit colours"
    if tmux is not None and "RGB" in tmux.features:
        return Color.TRUECOLOR, "tmux says that the terminal outside has 24-bit colours"
    if env.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return Color.TRUECOLOR, f"COLORTERM is {env['COLORTERM']}"
    if reply.name.lower().startswith(_TRUECOLOR_NAMES):
        return Color.TRUECOLOR, f"{reply.name} has 24-bit colours"
    if term.endswith("-direct") or term in ("xterm-kitty", "xterm-ghostty"):
        return Color.TRUECOLOR, f"TERM is {term}"
    if "256color" in term:
        return Color.PALETTE, f"TERM is {term}"
    if term in _NO_COLOR_TERMS:
        return Color.NONE, f"TERM is {term or 'not set'}"
    return Color.ANSI, f"TERM is {term}, and the terminal did not say more"


def detect(
    graphics: Graphics | Literal["auto"] = "auto",
    color: Color | Literal["auto"] = "auto",
    env: Mapping[str, str] | None = None,
    *,
    timeout: float = 2.0,
    tmux: Callable[[], Tmux | None] = ask_tmux,
) -> Terminal:
    """Find out what the terminal can show, once, before anything else reads its input.

    With explicit `graphics` no query is sent, so that it helps where the query does harm. The one exception:
    sixel and kitty need the true size of a cell, and it is asked for where the kernel does not know it.

    Args:
        graphics: how to draw pictures; `auto` chooses.
        color: how many colours to use; `auto` chooses.
        env: the environment, by default the process's own.
        timeout: the longest wait for the terminal's replies, in seconds.
        tmux: asks tmux about the terminal outside; called only inside tmux.
    """
    env = os.environ if env is None else env
    is_tty = os.isatty(1)
    columns, rows, cell = _window(env)
    reply = TerminalReply(answered=True)
    needs_cell = graphics in (Graphics.KITTY, Graphics.SIXEL) and not all(cell)
    if is_tty and env.get("TERM", "") != "dumb" and (graphics == "auto" or needs_cell):
        reply = probe(timeout)
    inside_tmux = _inside_tmux(reply, env)
    outside = tmux() if is_tty and inside_tmux and (graphics == "auto" or color == "auto") else None

    chosen, why = Graphics.TEXT, "standard output is no terminal"
    if graphics != "auto":
        chosen, why = Graphics(graphics), "asked for"
    elif is_tty:
        chosen, why = choose_graphics(reply, env, outside)

    colors, colors_why = Color.NONE, "standard output is no terminal"
    if color != "auto":
        colors, colors_why = Color(color), "asked for"
    elif is_tty:
        colors, colors_why = choose_color(reply, env, outside)

    if graphics == "auto" and colors is Color.NONE and chosen in (Graphics.KITTY, Graphics.HALFBLOCK):
        chosen, why = Graphics.TEXT, f"no colours: {colors_why}"
    if chosen is Graphics.KITTY and colors is not Color.TRUECOLOR:
        # The number of a picture is told as a 24-bit colour; with fewer colours kitty shows nothing at all.
        colors, colors_why = Color.TRUECOLOR, "kitty's pictures need 24-bit colours"

    cell_width, cell_height = next(size for size in (cell, reply.cell, _served_cell(env), _DEFAULT_CELL) if all(size))
    return Terminal(
        is_tty=is_tty,
        columns=columns,
        rows=rows,
        cell_width=cell_width,
        cell_height=cell_height,
        name=reply.name,
        graphics=chosen,
        graphics_reason=why,
        color=colors,
        color_reason=colors_why,
        in_tmux=inside_tmux,
        sixel_colors=reply.sixel_colors or 256,
        answered=reply.answered,
    )


def is_served(env: Mapping[str, str] | None = None) -> bool:
    """Whether the explorer runs for a browser, without any terminal to ask."""
    return "web_driver" in (os.environ if env is None else env).get("TEXTUAL_DRIVER", "")


def served(
    graphics: Graphics | Literal["auto"] = "auto",
    color: Color | Literal["auto"] = "auto",
    env: Mapping[str, str] | None = None,
) -> Terminal:
    """Return what the browser's page shows: half blocks unless told otherwise, in all colours."""
    env = os.environ if env is None else env
    cell_width, cell_height = cell if all(cell := _served_cell(env)) else _DEFAULT_CELL
    why = "asked for", "in a browser"
    return Terminal(
        columns=_number(env, "COLUMNS") or 80,
        rows=_number(env, "ROWS") or 24,
        cell_width=cell_width,
        cell_height=cell_height,
        name="browser",
        graphics=Graphics.HALFBLOCK if graphics == "auto" else graphics,
        graphics_reason=why[graphics == "auto"],
        color=Color.TRUECOLOR if color == "auto" else color,
        color_reason=why[color == "auto"],
    )


def _window(env: Mapping[str, str]) -> tuple[int, int, tuple[int, int]]:
    """Return columns, rows and the pixels of a cell as the kernel knows them; zeros for unknown pixels."""
    rows = columns = width = height = 0
    with contextlib.suppress(OSError):
        rows, columns, width, height = struct.unpack("HHHH", fcntl.ioctl(1, termios.TIOCGWINSZ, bytes(8)))
    cell = (width // columns, height // rows) if rows and columns else (0, 0)
    return columns or _number(env, "COLUMNS") or 80, rows or _number(env, "LINES") or 24, cell


def _served_cell(env: Mapping[str, str]) -> tuple[int, int]:
    # `textual serve` runs the app for a browser and tells the size in these.
    return _number(env, "TEXTUAL_CELL_WIDTH"), _number(env, "TEXTUAL_CELL_HEIGHT")


def _number(env: Mapping[str, str], name: str) -> int:
    value = env.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else 0


def apply_color(color: Color, env: MutableMapping[str, str] | None = None) -> None:
    """Make Textual use `color`: it reads the environment when it is imported, so call this before.

    Without colours Textual still draws shades of grey. They are left to the 16 basic ones unless the terminal
    is known to have more, because an old one would take the codes of others for blinking.
    """
    env = os.environ if env is None else env
    if color is Color.NONE:
        env["NO_COLOR"] = "1"
        more = "256color" in env.get("TERM", "") or bool(env.get("COLORTERM"))
        env["TEXTUAL_COLOR_SYSTEM"] = "256" if more else "standard"
    else:
        env.pop("NO_COLOR", None)
        env["TEXTUAL_COLOR_SYSTEM"] = color.system or "auto"
