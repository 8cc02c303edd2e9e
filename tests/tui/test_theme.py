"""The looks: every text colour can be read, right and wrong can be told apart, and without colours too."""

from __future__ import annotations

import itertools
import math
import re
from importlib.resources import files
from pathlib import Path

import pytest
from textual.color import Color as TextColor
from textual.geometry import Size
from textual.screen import Screen
from textual.theme import Theme

import visexplore.tui
from tests.tui.scripted_engine import LITE0, LITE1, ScriptedEngine, explore, photos
from visexplore.core.settings import load_settings
from visexplore.tui.terminal import Color
from visexplore.tui.theme import CONTRAST_DARK, CONTRAST_LIGHT, DARK, THEMES, theme_for
from visexplore.tui.theme_names import ThemeName

SOURCES = sorted(Path(next(iter(visexplore.tui.__path__))).rglob("*.py"))
STYLE_SHEET = files("visexplore.assets").joinpath("visexplore.tcss").read_text("utf-8")
_STYLE = re.compile(r"(\$[a-z][a-z-]*(?: \d+%)?)(?: on (\$[a-z][a-z-]*(?: \d+%)?))?")
NO_TEXT = ("border", "background")
"""Rules of style sheets whose colours are not those of text."""


def text_styles() -> set[tuple[str, str]]:
    """Return all colours of text in the sources with what they stand on; that is empty where it is any background."""
    found = set()
    for source in [*(file.read_text("utf-8") for file in SOURCES), STYLE_SHEET]:
        sheets = re.findall(r'(?:DEFAULT_CSS = """)(.*?)"""', source, re.DOTALL) or (
            [source] if source is STYLE_SHEET else []
        )
        for sheet in sheets:
            for block in re.findall(r"\{([^}]*)\}", sheet):
                rules = dict(rule.split(":", 1) for rule in block.split(";") if rule.count(":") == 1)
                rules = {name.strip(): value.strip() for name, value in rules.items()}
                if "color" in rules:
                    found.add((rules["color"], rules.get("background", "")))
        if source is not STYLE_SHEET:
            code = re.sub(r'DEFAULT_CSS = """.*?"""', "", source, flags=re.DOTALL)
            for literal in re.findall(r'"([^"\n]*\$[a-z][^"\n]*)"', code):
                found |= {(color, ground) for color, ground in _STYLE.findall(literal)}
    known = DARK.to_color_system().generate()
    names = {"text": {name for name in known if name not in ("background", "surface", "panel")}, "ground": set(known)}

    def is_known(style: str, kind: str) -> bool:
        return style.startswith("$") and style[1:].partition(" ")[0] in names[kind]

    return {(text, on if is_known(on, "ground") else "") for text, on in found if is_known(text, "text") or on}


def flat(color: TextColor, ground: TextColor) -> TextColor:
    """Return the colour that the eye sees: a transparent one over what it stands on."""
    if color.auto:
        return ground.get_contrast_text(color.a).blend(ground, 1 - color.a, alpha=1)
    return ground.blend(color, color.a, alpha=1)


def named(style: str, theme: Theme, ground: TextColor) -> TextColor:
    """Return the colour of a style such as `$foreground 60%`, over a background."""
    name, _, share = style.partition(" ")
    written = theme.to_color_system().generate()[name.removeprefix("$")]
    if written.startswith("auto"):
        share = share or written.partition(" ")[2] or "100%"
        text = ground.get_contrast_text(float(share.removesuffix("%")) / 100)
        return ground.blend(text.with_alpha(1), text.a, alpha=1)
    color = TextColor.parse(written)
    return flat(color.with_alpha(float(share.removesuffix("%")) / 100) if share else color, ground)


def luminance(color: TextColor) -> float:
    """Return the relative luminance that WCAG 2 defines."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized]
    return sum(share * channel for share, channel in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: TextColor, other: TextColor) -> float:
    """Return the contrast ratio that WCAG 2 defines: 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(params=THEMES, ids=[name.value for name in THEMES])
def theme(request: pytest.FixtureRequest) -> Theme:
    """Each of the themes."""
    return THEMES[request.param]


class TestContrast:
    def test_the_contrast_is_that_of_the_standard(self) -> None:
        assert contrast(TextColor.parse("#ffffff"), TextColor.parse("#000000")) == pytest.approx(21)
        assert contrast(TextColor.parse("#777777"), TextColor.parse("#ffffff")) == pytest.approx(4.48, abs=0.01)

    def test_the_colours_of_the_sources_are_found(self) -> None:
        assert {("$text-error", ""), ("$foreground 65%", ""), ("$text-muted", "")} <= text_styles()

    def test_every_text_can_be_read_on_every_background(self, theme: Theme) -> None:
        assert theme.background
        assert theme.surface
        grounds = {name: TextColor.parse(str(getattr(theme, name))) for name in ("background", "surface", "panel")}
        poor = []
        for style, on in sorted(text_styles()):
            for name, ground in grounds.items():
                if on in ("transparent", "") and name == "panel":
                    continue  # nothing of ours stands on it
                below = named(on, theme, ground) if on.startswith("$") else ground
                ratio = contrast(named(style, theme, below), below)
                if ratio < 4.5:
                    poor.append(f"{style} on {on or name}: {ratio:.2f}")
        assert not poor

    def test_words_on_a_cursor_can_be_read(self, theme: Theme) -> None:
        ground = TextColor.parse(str(theme.background))
        for cursor in ("$primary 25%", "$primary 40%", "$primary 45%", "$accent 35%"):
            below = named(cursor, theme, ground)
            for style in ("$foreground", "$text-success", "$text-error"):
                text = named(style, theme, below)
                assert contrast(text, below) >= 3, (cursor, style)

    @pytest.mark.parametrize("name", [ThemeName.CONTRAST_DARK, ThemeName.CONTRAST_LIGHT])
    def test_high_contrast_means_seven_to_one(self, name: ThemeName) -> None:
        theme = THEMES[name]
        ground = TextColor.parse(str(theme.background))
        for style in ("$foreground", "$primary", "$text-success", "$text-warning", "$text-error", "$text-accent"):
            assert contrast(named(style, theme, ground), ground) >= 7, style


# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
BLINDNESS = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def lab(color: TextColor, kind: str) -> tuple[float, float, float]:
    """Return a colour in CIE Lab as somebody with a kind of colour blindness sees it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized]
    seen = [min(1, max(0, sum(m * c for m, c in zip(row, linear, strict=True)))) for row in BLINDNESS[kind]]
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    white = (0.9505, 1.0, 1.089)
    xyz = [sum(m * c for m, c in zip(row, seen, strict=True)) / w for row, w in zip(to_xyz, white, strict=True)]
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


class TestRightAndWrong:
    @pytest.mark.parametrize("kind", BLINDNESS)
    def test_they_are_apart_for_the_colour_blind(self, kind: str, theme: Theme) -> None:
        ground = TextColor.parse(str(theme.background))
        styles = [named(style, theme, ground) for style in ("$text-success", "$text-error")]
        right, wrong = (lab(color, kind) for color in styles)
        assert math.dist(right, wrong) >= 20

    def test_all_themes_are_different(self) -> None:
        for one, other in itertools.combinations(THEMES.values(), 2):
            assert one.name != other.name
            assert (one.background, one.primary) != (other.background, other.primary)


class TestChoice:
    def test_auto_is_dark_and_with_few_colours_rich_in_contrast(self) -> None:
        assert theme_for("auto", Color.TRUECOLOR) is DARK
        assert theme_for("auto", Color.PALETTE) is DARK
        assert theme_for("auto", Color.ANSI) is CONTRAST_DARK
        assert theme_for("high-contrast-light", Color.TRUECOLOR) is CONTRAST_LIGHT

    async def test_the_setting_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(engine(), settings=load_settings(theme="light")) as session:
            assert session.app.theme == "visexplore-light"

    async def test_the_palette_has_them_all(self) -> None:
        async with explore(engine()) as session:
            titles = [command.title for command in session.app.get_system_commands(session.app.screen)]
            assert {f"Use the {name.words} theme" for name in ThemeName} <= set(titles)


class TestWithoutColours:
    @pytest.fixture(autouse=True)
    def no_color(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ask for no colours, as the command line passes it on to Textual."""
        monkeypatch.setenv("NO_COLOR", "1")

    @pytest.mark.parametrize(
        "keys", [("right",), ("1", "down"), ("2", "right"), ("2", "2", "down"), ("v",), ("D", "down")]
    )
    async def test_the_cursor_is_seen(self, keys: tuple[str, ...]) -> None:
        async with explore(engine(), color=Color.NONE) as session:
            await session.press(*keys)
            assert len(reversed_text(session.app.screen)) > 1

    async def test_no_colour_is_sent(self) -> None:
        async with explore(engine(), color=Color.NONE) as session:
            session.app.screen._compositor.size = Size(80, 24)
            colors = {
                color.triplet
                for strip in session.app.screen._compositor.render_strips()
                for segment in session.app._filters[-1].apply(list(strip), session.app.background_colors[0])
                if segment.style
                for color in (segment.style.color, segment.style.bgcolor)
                if color is not None and color.triplet
            }
            assert all(max(triplet) - min(triplet) <= 1 for triplet in colors)


def reversed_text(screen: Screen[object]) -> str:
    """Return what is shown in reverse: as an attribute, or dark on light where all else is light on dark."""
    segments = [segment for strip in screen._compositor.render_strips() for segment in strip]
    light = [
        segment.text
        for segment in segments
        if segment.style
        and (segment.style.reverse or (segment.style.bgcolor and segment.style.bgcolor.triplet == (255, 255, 255)))
    ]
    return "".join(light).strip()


def engine() -> ScriptedEngine:
    return ScriptedEngine(photos(12), embedded=[LITE0, LITE1])
