from __future__ import annotations

import os
from pathlib import Path

import pytest

from visexplore.core.errors import SettingsError
from visexplore.core.settings import CONFIG_KEYS, explain_settings, load_settings


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file; not there yet. Nothing else is set."""
    monkeypatch.setenv("VISEXPLORE_CONFIG", str(tmp_path))
    monkeypatch.delenv("VISEXPLORE_HOME", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "config.toml"


def test_without_anything_set_files_go_to_the_users_cache(config: Path, tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.home == tmp_path / "cache" / "visexplore"
    assert (settings.offline, settings.graphics, settings.color, settings.thumbnails_mb) == (False, "auto", "auto", 500)


def test_a_configuration_file_is_read(config: Path) -> None:
    config.write_text('home = "/data/vis"\noffline = true\ngraphics = "sixel"\ncolor = "256"\nthumbnails_mb = 50\n')
    settings = load_settings()
    assert settings.home == Path("/data/vis")
    assert (settings.offline, settings.graphics, settings.color, settings.thumbnails_mb) == (True, "sixel", "256", 50)


def test_the_first_given_of_argument_environment_and_file_wins(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('home = "/from/file"\ngraphics = "kitty"\n')
    assert load_settings().home == Path("/from/file")
    monkeypatch.setenv("VISEXPLORE_HOME", "/from/environment")
    assert load_settings().home == Path("/from/environment")
    assert load_settings(Path("/from/argument"), graphics="text").home == Path("/from/argument")
    assert load_settings(graphics="text").graphics == "text"


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_offline_is_what_the_hubs_library_means_by_it(
    value: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert load_settings().offline


@pytest.mark.parametrize("value", ["", "0", "no"])
def test_not_offline_neither(value: str, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert not load_settings().offline


def test_a_home_may_be_relative_or_begin_with_a_tilde(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert load_settings(Path("~/vis")).home == Path("/home/someone/vis")
    assert load_settings(Path("vis")).home == Path.cwd() / "vis"


def test_the_home_of_nobody_is_the_users_mistake(config: Path) -> None:
    with pytest.raises(SettingsError, match="no user"):
        load_settings(Path("~nobody-of-that-name/vis"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("home = ", "not valid TOML"),
        ("colour = 'x'", "unknown key 'colour'"),
        ("offline = 'yes'", "'offline' must be a bool"),
        ("thumbnails_mb = true", "'thumbnails_mb' must be a int"),
        ("home = 3", "'home' must be a str"),
    ],
)
def test_a_mistake_in_the_file_is_named(text: str, message: str, config: Path) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings()
    assert str(config) in str(caught.value)


def test_a_file_that_is_no_text_is_named(config: Path) -> None:
    config.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings()


def test_all_files_are_below_the_home(config: Path) -> None:
    settings = load_settings(Path("/vis"))
    places = settings.embeddings, settings.thumbnails, settings.engine_log
    assert all(place.is_relative_to("/vis") for place in places)
    assert len({os.fspath(place) for place in places}) == 3
    assert settings.models_file == config.with_name("models.toml")


def test_a_mistake_is_named_with_its_line(config: Path) -> None:
    config.write_text('home = "/vis"\n\ntheme = 3\n')
    with pytest.raises(SettingsError, match="line 3: 'theme' must be a str, not 3"):
        load_settings()


def test_keys_are_a_table_of_texts(config: Path) -> None:
    config.write_text('[keys]\nnext_image = "n,space"\nembed = 5\n')
    with pytest.raises(SettingsError, match="line 3: the keys of 'embed' must be written in quotes, not 5"):
        load_settings()
    config.write_text('[keys]\nnext_image = "n,space"\n')
    assert load_settings().keys == {"next_image": "n,space"}


def test_the_origin_of_each_setting_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('# look\ntheme = "light"\nhints = false\n')
    monkeypatch.setenv("VISEXPLORE_HOME", "/from/environment")
    explained = explain_settings(graphics="text")
    assert explained["theme"] == ("light", "config.toml, line 2")
    assert explained["hints"] == (False, "config.toml, line 3")
    assert explained["home"] == (Path("/from/environment"), "VISEXPLORE_HOME")
    assert explained["graphics"] == ("text", "command line")
    assert explained["thumbnails_mb"] == (500, "default")


def test_what_is_explained_is_what_is_loaded(config: Path) -> None:
    config.write_text('theme = "light"\nmodel = "clip-vit-b32"\n[keys]\nembed = "E"\n')
    settings, explained = load_settings(), explain_settings()
    assert {name: value for name, (value, _) in explained.items()} == {
        name: getattr(settings, name) for name in CONFIG_KEYS
    }
