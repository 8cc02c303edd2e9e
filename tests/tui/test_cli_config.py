"""`visexplore config`, and what is wrong in the configuration file when the explorer starts."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.tui.command_line import CommandLine
from visexplore.core.settings import CONFIG_KEYS
from visexplore.tui.cli import read_line
from visexplore.tui.keys import KEYS


@pytest.fixture
def visexplore(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """The command line."""
    return CommandLine(capsys)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file; not there yet."""
    monkeypatch.setenv("VISEXPLORE_CONFIG", str(tmp_path))
    return tmp_path / "config.toml"


class TestConfig:
    def test_each_setting_is_told_with_where_it_comes_from(self, visexplore: CommandLine, config: Path) -> None:
        config.write_text('theme = "light"\n\n[keys]\nnext_image = "n,f6"\n')
        result = visexplore("--graphics", "text", "config")
        assert result.code == 0
        rows = {line.split()[0]: " ".join(line.split()[1:]) for line in result.out.splitlines() if line.strip()}
        assert str(config) in rows
        assert rows["theme"] == "light config.toml, line 1"
        assert rows["graphics"] == "text command line"
        assert rows["hints"] == "true default"
        assert rows["keys.next_image"] == "n,f6 config.toml, line 3"

    def test_programs_get_it_as_json(self, visexplore: CommandLine, config: Path) -> None:
        document = visexplore("--theme", "light", "config", "--json").json
        assert document["file"] == str(config)
        assert not document["exists"]
        assert document["settings"]["theme"] == {"value": "light", "from": "command line"}
        assert set(document["settings"]) == set(CONFIG_KEYS) - {"keys"}

    def test_the_template_changes_nothing_until_its_marks_are_taken_away(
        self, visexplore: CommandLine, config: Path
    ) -> None:
        template = visexplore("config", "--template").out
        assert tomllib.loads(template) == {"keys": {}}
        config.write_text(template)
        assert visexplore("config").code == 0

    def test_every_line_of_the_template_is_a_setting(self, visexplore: CommandLine, config: Path) -> None:
        template = visexplore("config", "--template").out
        lines = [line.removeprefix("# ") for line in template.splitlines() if " = " in line or line == "[keys]"]
        document = tomllib.loads("\n".join(lines))
        assert set(document) == set(CONFIG_KEYS)
        assert {binding.id for binding in KEYS} <= set(document["keys"])
        config.write_text("\n".join(lines).replace('home = "~/.cache/visexplore"', ""))
        assert visexplore("config").code == 0


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("theme = 'neon'", "line 1: 'neon' in config.toml is no value of `theme`"),
            ("\nmodel = 'no-such-model'", "line 2: "),
            ("dataset = '/no/such/folder'", "line 1: There is no dataset '/no/such/folder'"),
            ("[keys]\nnext_imag = 'n'", "line 2: there is no key 'next_imag'"),
            ("[keys]\nembed = 'n'", "line 2: on the main screen, n is the key of 'next_image' too"),
        ],
    )
    def test_the_explorer_tells_it_before_it_takes_the_screen(
        self, text: str, message: str, visexplore: CommandLine, config: Path
    ) -> None:
        config.write_text(text)
        result = visexplore()
        assert result.code == 2
        assert f"Error: {config}, {message}" in result.err
        assert result.err.count("\n") == 1

    def test_a_theme_that_is_none_is_the_command_lines_mistake(self, visexplore: CommandLine, config: Path) -> None:
        result = visexplore("--theme", "neon")
        assert result.code == 2
        assert "high-contrast-dark" in result.err

    def test_a_dataset_that_is_named_is_opened_though_the_settings_have_a_wrong_one(
        self, visexplore: CommandLine, config: Path
    ) -> None:
        config.write_text("dataset = '/no/such/folder'")
        assert "needs a terminal" in visexplore("sample").err


def test_a_theme_needs_no_typer() -> None:
    line = read_line(["--theme", "light", "photos"])
    assert line.plain
    assert line.options == {"theme": "light"}
    assert line.words == ["photos"]
    assert not read_line(["--theme", "neon"]).plain
