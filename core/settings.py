"""Where visexplore keeps its files, and what the user's configuration file says."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from visexplore.core.errors import SettingsError

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})  # as huggingface_hub reads its own variables
_DEFAULTS: Final[dict[str, Any]] = {
    "home": "",
    "offline": False,
    "graphics": "auto",
    "color": "auto",
    "thumbnails_mb": 500,
    "theme": "auto",
    "model": "",
    "dataset": "",
    "hints": True,
    "keys": {},
}
CONFIG_KEYS = tuple(_DEFAULTS)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run needs to know before it starts.

    Attributes:
        home: folder of everything that is derived and may be deleted: embeddings, thumbnails, logs.
        models_file: the user's own catalogue entries; need not exist.
        offline: open no socket at all.
        trusted_code: hub repositories, and absolute paths of folders, whose own Python code may run.
        graphics: picture protocol, `auto` or a name that `tui.terminal` knows.
        color: colour depth, `auto` or a name that `tui.terminal` knows.
        thumbnails_mb: bound of the thumbnail cache in megabytes (10^6 bytes).
        theme: look of the explorer, `auto` or a name that `tui.theme_names` knows.
        model: that the explorer begins with; empty for the default.
        dataset: that the explorer opens where none is named; empty for the sample.
        hints: the explorer suggests what to press next.
        keys: the user's own keys of the explorer, by the ids in `tui.keys`.
    """

    home: Path
    models_file: Path
    offline: bool = False
    graphics: str = "auto"
    color: str = "auto"
    thumbnails_mb: int = 500
    trusted_code: tuple[str, ...] = ()
    theme: str = "auto"
    model: str = ""
    dataset: str = ""
    hints: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def config_file(self) -> Path:
        """The user's configuration; need not exist."""
        return self.models_file.with_name("config.toml")

    @property
    def embeddings(self) -> Path:
        """Folder of the embedding stores, one sub-folder a dataset."""
        return self.home / "embeddings"

    @property
    def thumbnails(self) -> Path:
        """Folder of the thumbnail cache."""
        return self.home / "thumbnails"

    @property
    def sessions(self) -> Path:
        """Folder of what the explorer remembers of each dataset."""
        return self.home / "sessions"

    @property
    def engine_log(self) -> Path:
        """File that takes what the engine process prints."""
        return self.home / "logs" / "engine.log"


def _user_folder(kind: Literal["cache", "config"]) -> Path:
    import platformdirs  # 30 ms, and not needed where both folders are named by the environment

    folder = platformdirs.user_cache_path if kind == "cache" else platformdirs.user_config_path
    return folder("visexplore", appauthor=False)


def load_settings(
    home: Path | None = None,
    *,
    offline: bool = False,
    graphics: str | None = None,
    color: str | None = None,
    theme: str | None = None,
    trusted_code: tuple[str, ...] = (),
) -> Settings:
    """Combine arguments, environment and `config.toml`, the first given winning.

    `VISEXPLORE_HOME` names the home folder, `VISEXPLORE_CONFIG` the folder of `config.toml` and `models.toml`,
    `HF_HUB_OFFLINE=1` means offline as it does for the hub's own library.

    Raises:
        SettingsError: the configuration file is no TOML or has an unknown key or a value of the wrong type.
    """
    given = {"home": home, "offline": offline, "graphics": graphics, "color": color, "theme": theme}
    file = _config_file()
    values = {key: value for key, (value, _) in _combine(given, file, _read_config(file)).items()}
    return Settings(**values, models_file=file.with_name("models.toml"), trusted_code=trusted_code)


def explain_settings(**given: Any) -> dict[str, tuple[Any, str]]:  # noqa: ANN401 - as many types as settings
    """Return the value of each setting and where it comes from.

    Args:
        given: as for `load_settings`.

    Raises:
        SettingsError: as `load_settings`.
    """
    from visexplore.core.toml_lines import line_numbers

    file = _config_file()
    values = _read_config(file)
    lines = line_numbers(file.read_text("utf-8")) if values else {}
    return {
        key: (value, f"config.toml, line {lines[(key,)]}" if origin == "config.toml" else origin)
        for key, (value, origin) in _combine(given, file, values).items()
    }


def config_line(file: Path, *path: str) -> int:
    """Return the line of a key of the configuration file, counted from 1: for telling what is wrong with it."""
    from visexplore.core.toml_lines import line_numbers, nearest_line

    return nearest_line(line_numbers(file.read_text("utf-8")), path)


def _config_file() -> Path:
    named = os.environ.get("VISEXPLORE_CONFIG")
    return (_expanded(Path(named)) if named else _user_folder("config")) / "config.toml"


def _combine(given: Mapping[str, Any], file: Path, values: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """Return the value of each setting, and where it comes from."""
    environment: dict[str, tuple[Any, str]] = {}
    if home := os.environ.get("VISEXPLORE_HOME"):
        environment["home"] = home, "VISEXPLORE_HOME"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        environment["offline"] = True, "HF_HUB_OFFLINE"
    found: dict[str, tuple[Any, str]] = {}
    for key, default in _DEFAULTS.items():
        if given.get(key):
            found[key] = given[key], "command line"
        elif key in environment:
            found[key] = environment[key]
        elif key in values and values[key] != "":
            found[key] = values[key], "config.toml"
        else:
            found[key] = default, "default"
    place, origin = found["home"]
    found["home"] = _expanded(Path(place) if place else _user_folder("cache")).absolute(), origin
    return found


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise SettingsError(f"There is no user whose home '{path}' could be in", "Write the folder out.") from error


def _read_config(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The configuration file {file} cannot be read ({error})") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}", "Mend that line or delete the file.") from error
    for key, value in values.items():
        if key not in _DEFAULTS:
            raise _mistake(file, key, f"unknown key '{key}'", f"Known keys: {', '.join(CONFIG_KEYS)}.")
        wanted = type(_DEFAULTS[key])
        if type(value) is not wanted:
            name = "table: write [keys]" if wanted is dict else wanted.__name__
            raise _mistake(file, key, f"'{key}' must be a {name}, not {value!r}")
    for key, value in values.get("keys", {}).items():
        if not isinstance(value, str) or not value.strip():
            hint = 'Write one key or several with commas between them: next_image = "n,f6".'
            raise _mistake(file, "keys", f"the keys of '{key}' must be written in quotes, not {value!r}", hint, key)
    return values


def _mistake(file: Path, key: str, what: str, hint: str = "", *inner: str) -> SettingsError:
    return SettingsError(f"{file}, line {config_line(file, key, *inner)}: {what}", hint)
