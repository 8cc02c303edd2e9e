from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tui.fake_terminal import (
    KITTY,
    OLD_KITTY,
    PLAIN_XTERM,
    SILENT,
    SIXEL_XTERM,
    TMUX,
    Answers,
    Run,
    run_in_terminal,
)
from visexplore.tui.terminal import (
    Color,
    Graphics,
    TerminalReply,
    Tmux,
    apply_color,
    ask_tmux,
    choose_color,
    choose_graphics,
    detect,
    parse,
)

DETECT = """
    from dataclasses import asdict
    from visexplore.tui.terminal import detect
    report(asdict(detect({arguments})))
"""


def detect_in(answers: Answers, arguments: str = "", **options: object) -> Run:
    run = run_in_terminal(DETECT.format(arguments=arguments), answers, **options)  # type: ignore[arg-type]
    assert run.exit_code == 0, run.errors
    assert run.attributes_after == run.attributes_before
    return run


class TestOneRoundTrip:
    @pytest.mark.parametrize("rtt", [0.001, 0.1, 0.8])
    def test_sixel_is_found_however_far_the_terminal(self, rtt: float) -> None:
        run = detect_in(SIXEL_XTERM, rtt=rtt)
        assert run.result["graphics"] == "sixel"
        assert run.result["color"] == "truecolor"
        assert (run.result["cell_width"], run.result["cell_height"]) == (9, 19)
        assert run.result["sixel_colors"] == 256
        assert run.result["answered"]
        assert run.seconds < rtt + 1.5, "one round trip, not one for each question"

    def test_the_kernel_knows_the_pixels_best(self) -> None:
        run = detect_in(SIXEL_XTERM, size=(100, 30), pixels=(1000, 630))
        assert (run.result["columns"], run.result["rows"]) == (100, 30)
        assert (run.result["cell_width"], run.result["cell_height"]) == (10, 21)

    def test_nothing_is_left_on_a_terminal_that_prints_what_it_does_not_know(self) -> None:
        output = detect_in(SIXEL_XTERM).output
        assert output.startswith(b"\x1b7")
        assert output.endswith(b"\x1b8\x1b[K\x1b[c")

    @pytest.mark.parametrize(("answers", "graphics"), [(OLD_KITTY, "halfblock"), (KITTY, "kitty")])
    def test_old_kitty_says_ok_but_draws_no_placeholders(self, answers: Answers, graphics: str) -> None:
        assert detect_in(answers).result["graphics"] == graphics

    def test_tmux_claims_sixel_for_itself(self) -> None:
        run = detect_in(TMUX, env={"TMUX": "/nowhere/tmux,1,0", "TMUX_TMPDIR": "/nowhere"})
        assert run.result["graphics"] == "halfblock"
        assert run.result["in_tmux"]

    def test_an_explicit_choice_sends_no_query(self) -> None:
        run = detect_in(KITTY, "'halfblock'")
        assert run.output == b""
        assert run.result["graphics"] == "halfblock"
        run = detect_in(KITTY, "'sixel'", pixels=(800, 480))
        assert run.output == b""
        assert (run.result["cell_width"], run.result["cell_height"]) == (10, 20)

    def test_an_explicit_choice_still_needs_the_size_of_a_cell(self) -> None:
        run = detect_in(PLAIN_XTERM, "'sixel'")
        assert (run.result["cell_width"], run.result["cell_height"]) == (9, 19)
        assert run.result["graphics"] == "sixel"

    def test_kitty_needs_all_colours_whatever_was_asked(self) -> None:
        assert detect_in(KITTY, "color='256'").result["color"] == "truecolor"

    def test_no_color_leaves_no_pictures_made_of_colours(self) -> None:
        run = detect_in(KITTY, env={"NO_COLOR": "1"})
        assert (run.result["graphics"], run.result["color"]) == ("text", "none")


class TestSilence:
    def test_a_silent_terminal_does_not_hang_us(self) -> None:
        run = detect_in(SILENT, "timeout=0.3")
        assert run.result["graphics"] == "halfblock"
        assert not run.result["answered"]
        assert run.seconds < 3

    def test_late_replies_are_thrown_away(self) -> None:
        code = """
            import os, select, time, tty
            from visexplore.tui.terminal import detect, drain
            terminal = detect(timeout=0.2)
            tty.setcbreak(0)
            time.sleep(0.8)
            drain()
            keys = os.read(0, 99) if select.select([0], [], [], 0.2)[0] else b""
            report([terminal.answered, list(keys)])
        """
        run = run_in_terminal(code, SIXEL_XTERM, rtt=0.6)
        assert run.result == [False, []], run.errors

    def test_keys_typed_meanwhile_do_no_harm(self) -> None:
        run = detect_in(SIXEL_XTERM, rtt=0.2, on_output=lambda part: b"jj\x1b[A\x1bq")
        assert run.result["graphics"] == "sixel"

    def test_ctrl_c_interrupts_and_restores(self) -> None:
        code = """
            import termios
            from visexplore.tui.terminal import detect
            before = termios.tcgetattr(0)
            try:
                detect(timeout=10)
            except KeyboardInterrupt:
                report(termios.tcgetattr(0) == before)
        """
        run = run_in_terminal(code, SILENT, on_output=lambda part: b"\x03" if b"\x1b[c" in part else b"")
        assert run.result is True, run.errors
        assert run.seconds < 5


class TestWithoutATerminal:
    def test_no_query_and_text_when_output_is_piped(self) -> None:
        code = "from visexplore.tui.terminal import detect; t = detect(); print(t.graphics, t.color, t.is_tty)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "text none False\n"

    def test_the_replies_come_from_the_terminal_when_input_is_piped(self) -> None:
        with Path(os.devnull).open("rb") as nothing:
            run = detect_in(SIXEL_XTERM, stdin=nothing.fileno())
        assert run.result["graphics"] == "sixel"

    def test_nothing_is_asked_in_the_background(self) -> None:
        code = """
            import os
            from visexplore.tui.terminal import detect
            if os.fork() == 0:
                os.setpgid(0, 0)
                report(str(detect().graphics))
                os._exit(0)
            os.wait()
        """
        run = run_in_terminal(code, SIXEL_XTERM)
        assert (run.result, run.output) == ("halfblock", b"")

    def test_a_dumb_terminal_is_not_asked(self) -> None:
        run = detect_in(SIXEL_XTERM, env={"TERM": "dumb"})
        assert (run.result["graphics"], run.result["color"], run.output) == ("text", "none", b"")


def test_nothing_but_the_standard_library_is_imported() -> None:
    code = "import sys, visexplore.tui.terminal; print({'textual', 'rich', 'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_parse_finds_the_facts_among_keys_and_unknown_sequences() -> None:
    reply = parse(
        b"q\x1b[A\x1b_Gi=31;OK\x1b\\j\x1bP>|WezTerm 20240203\x1b\\\x1bP1$r48;2;1;2;3m\x1b\\x\x1b[?1;0;99S"
        b"\x1b[6;20;10t\x1b[?1;3;0S\x1b[?65;4;6;18;22c"
    )
    assert reply == TerminalReply(
        answered=True,
        name="WezTerm 20240203",
        attributes=frozenset({65, 4, 6, 18, 22}),
        kitty_graphics=True,
        keeps_rgb=True,
        cell=(10, 20),
        sixel_colors=99,
    )


@pytest.mark.parametrize("replies", [b"", b"\x1b[?", b"\x1bP>|half", b"\xff\xfe\x1b[?;;\x00c", b"garbage" * 100])
def test_parse_makes_nothing_of_garbage(replies: bytes) -> None:
    assert parse(replies) == TerminalReply()


def test_parse_takes_a_refusal_for_a_refusal() -> None:
    reply = parse(b"\x1b_Gi=31;EINVAL:no\x1b\\\x1bP0$r\x1b\\\x1bP1$r48;5;16m\x1b\\\x1b[?1;2c")
    assert not reply.kitty_graphics
    assert not reply.keeps_rgb


def says(name: str, *attributes: int) -> TerminalReply:
    return TerminalReply(answered=True, name=name, attributes=frozenset(attributes))


IN_TMUX = says("tmux 3.5a", 1, 2, 4)
RGB = frozenset({"RGB", "256"})


@pytest.mark.parametrize(
    ("reply", "tmux", "expected"),
    [
        (says("kitty(0.28.0)", 62), None, Graphics.KITTY),
        (says("kitty(1.0.0)", 62), None, Graphics.KITTY),
        (says("kitty(0.27.1)", 62), None, Graphics.HALFBLOCK),
        (says("ghostty 1.1.3", 62, 22), None, Graphics.KITTY),
        (says("WezTerm 20240203-110809", 65, 4), None, Graphics.SIXEL),
        (says("Konsole 23.08.1", 62, 1, 4), None, Graphics.SIXEL),
        (says("Warp(v0.2024)", 62), None, Graphics.HALFBLOCK),
        (says("", 62, 4), None, Graphics.SIXEL),
        (says("", 62, 14, 44), None, Graphics.HALFBLOCK),
        (TerminalReply(), None, Graphics.HALFBLOCK),
        (IN_TMUX, None, Graphics.HALFBLOCK),
        (IN_TMUX, Tmux("xterm-256color", "XTerm(398)", RGB | {"sixel"}), Graphics.SIXEL),
        (IN_TMUX, Tmux("xterm-256color", "XTerm(398)", RGB), Graphics.HALFBLOCK),
        (says("tmux 3.3a", 1, 2), Tmux("xterm-256color", "XTerm(398)", RGB | {"sixel"}), Graphics.HALFBLOCK),
        (IN_TMUX, Tmux("xterm-kitty", "kitty(0.41.1)", RGB, passthrough=True), Graphics.KITTY),
        (IN_TMUX, Tmux("xterm-256color", "kitty(0.41.1)", RGB, passthrough=True), Graphics.KITTY),
        (IN_TMUX, Tmux("xterm-kitty", "kitty(0.26.5)", RGB, passthrough=True), Graphics.HALFBLOCK),
        (IN_TMUX, Tmux("xterm-kitty", "kitty(0.41.1)", RGB), Graphics.HALFBLOCK),
        (IN_TMUX, Tmux("xterm-kitty", "kitty(0.41.1)", RGB | {"sixel"}), Graphics.HALFBLOCK),
        (IN_TMUX, Tmux("xterm-kitty", "", RGB, passthrough=True), Graphics.KITTY),
        (IN_TMUX, Tmux("xterm-ghostty", "ghostty 1.1.3", RGB, passthrough=True), Graphics.KITTY),
        (IN_TMUX, Tmux("xterm-256color", "", RGB, passthrough=True), Graphics.HALFBLOCK),
    ],
)
def test_choose_graphics(reply: TerminalReply, tmux: Tmux | None, expected: Graphics) -> None:
    graphics, reason = choose_graphics(reply, {"TERM": "xterm-256color"}, tmux)
    assert graphics is expected
    assert reason


@pytest.mark.parametrize("env", [{"TMUX": "/tmp/tmux-0/default,1,0"}, {"TERM": "tmux-256color"}])
def test_tmux_is_known_by_the_environment_too(env: dict[str, str]) -> None:
    assert choose_graphics(says("", 1, 2, 4), env, None)[0] is Graphics.HALFBLOCK


@pytest.mark.parametrize(
    ("reply", "env", "tmux", "expected"),
    [
        (says("XTerm(379)"), {"TERM": "xterm"}, None, Color.ANSI),
        (TerminalReply(answered=True, keeps_rgb=True), {"TERM": "xterm"}, None, Color.TRUECOLOR),
        (TerminalReply(answered=True, keeps_rgb=True), {"NO_COLOR": "1"}, None, Color.NONE),
        (TerminalReply(answered=True, keeps_rgb=True), {"NO_COLOR": ""}, None, Color.TRUECOLOR),
        (says("tmux 3.5a"), {"TERM": "tmux-256color"}, Tmux(features=RGB), Color.TRUECOLOR),
        (says("tmux 3.5a"), {"TERM": "tmux-256color"}, Tmux(features=frozenset({""})), Color.PALETTE),
        (says(""), {"TERM": "xterm-256color", "COLORTERM": "truecolor"}, None, Color.TRUECOLOR),
        (says(""), {"TERM": "xterm-256color", "COLORTERM": "24bit"}, None, Color.TRUECOLOR),
        (says("iTerm2 3.5.0"), {"TERM": "xterm"}, None, Color.TRUECOLOR),
        (says(""), {"TERM": "xterm-direct"}, None, Color.TRUECOLOR),
        (says(""), {"TERM": "xterm-kitty"}, None, Color.TRUECOLOR),
        (says(""), {"TERM": "screen-256color"}, None, Color.PALETTE),
        (says(""), {"TERM": "linux"}, None, Color.ANSI),
        (says(""), {"TERM": "vt100"}, None, Color.NONE),
        (says(""), {}, None, Color.NONE),
    ],
)
def test_choose_color(reply: TerminalReply, env: dict[str, str], tmux: Tmux | None, expected: Color) -> None:
    color, reason = choose_color(reply, env, tmux)
    assert color is expected
    assert reason


class TestAskTmux:
    @pytest.fixture
    def fake_tmux(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return tmp_path / "tmux"

    def answer(self, tmux: Path, script: str) -> None:
        tmux.write_text(f"#!/bin/sh\n{script}\n")
        tmux.chmod(0o755)

    def test_its_words(self, fake_tmux: Path) -> None:
        self.answer(fake_tmux, r"printf 'xterm-kitty\tkitty(0.41.1)\tRGB,sixel,title\non\n'")
        features = frozenset({"RGB", "sixel", "title"})
        assert ask_tmux() == Tmux("xterm-kitty", "kitty(0.41.1)", features, passthrough=True)

    def test_an_old_one_knows_no_passthrough(self, fake_tmux: Path) -> None:
        self.answer(fake_tmux, r"printf 'screen\t\t\n'; echo 'invalid option' >&2; exit 1")
        assert ask_tmux() == Tmux("screen", "", frozenset({""}))

    @pytest.mark.parametrize("script", ["exit 1", "echo nonsense", "exec sleep 5"])
    def test_none_to_ask(self, fake_tmux: Path, script: str) -> None:
        self.answer(fake_tmux, script)
        assert ask_tmux(timeout=0.3) is None

    def test_none_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        assert ask_tmux() is None


def test_wrong_names_are_refused() -> None:
    with pytest.raises(ValueError, match="braille"):
        detect("braille", env={})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("color", "before", "after"),
    [
        (Color.TRUECOLOR, {"NO_COLOR": ""}, {"TEXTUAL_COLOR_SYSTEM": "truecolor"}),
        (Color.PALETTE, {}, {"TEXTUAL_COLOR_SYSTEM": "256"}),
        (Color.ANSI, {}, {"TEXTUAL_COLOR_SYSTEM": "standard"}),
        (Color.NONE, {}, {"NO_COLOR": "1", "TEXTUAL_COLOR_SYSTEM": "standard"}),
    ],
)
def test_apply_color(color: Color, before: dict[str, str], after: dict[str, str]) -> None:
    apply_color(color, before)
    assert before == after


@pytest.mark.parametrize("color", Color)
def test_textual_takes_the_colours(color: Color) -> None:
    code = (
        "from visexplore.tui.terminal import Color, apply_color;"
        f"apply_color(Color({str(color)!r}));"
        "from textual.app import App; app = App(); print(app.console.color_system, app.no_color)"
    )
    env = {"PATH": os.environ["PATH"], "TERM": "xterm"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == [color.system or "standard", str(color is Color.NONE)]
