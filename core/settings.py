"""Where visexplore keeps its files, and what the user's configuration file says."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from visexplore.core.errors import SettingsError

_TRUE = frozenset({"1", "ON", "YES", "TRUE"})  # as huggingface_hub reads its own variables
CONFIG_KEYS = ("home", "offline", "graphics", "color", "thumbnails_mb")


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
    """

    home: Path
    models_file: Path
    offline: bool = False
    graphics: str = "auto"
    color: str = "auto"
    thumbnails_mb: int = 500
    trusted_code: tuple[str, ...] = ()

    @property
    def embeddings(self) -> Path:
        """Folder of the embedding stores, one sub-folder a dataset."""
        return self.home / "embeddings"

    @property
    def thumbnails(self) -> Path:
        """Folder of the thumbnail cache."""
        return self.home / "thumbnails"

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
    trusted_code: tuple[str, ...] = (),
) -> Settings:
    """Combine arguments, environment and `config.toml`, the first given winning.

    `VISEXPLORE_HOME` names the home folder, `VISEXPLORE_CONFIG` the folder of `config.toml` and `models.toml`,
    `HF_HUB_OFFLINE=1` means offline as it does for the hub's own library.

    Raises:
        SettingsError: the configuration file is no TOML or has an unknown key or a value of the wrong type.
    """
    environment_config = os.environ.get("VISEXPLORE_CONFIG")
    config_folder = _expanded(Path(environment_config)) if environment_config else _user_folder("config")
    values = _read_config(config_folder / "config.toml")
    configured_home = os.environ.get("VISEXPLORE_HOME") or values.get("home")
    if home is None:
        home = Path(str(configured_home)) if configured_home else _user_folder("cache")
    return Settings(
        home=_expanded(home).absolute(),
        models_file=config_folder / "models.toml",
        offline=offline or bool(values.get("offline")) or os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE,
        graphics=graphics or str(values.get("graphics", "auto")),
        color=color or str(values.get("color", "auto")),
        thumbnails_mb=int(values.get("thumbnails_mb", 500)),
        trusted_code=trusted_code,
    )


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise SettingsError(f"There is no user whose home '{path}' could be in", "Write the folder out.") from error


def _read_config(file: Path) -> dict[str, str | int | bool]:
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
    types: dict[str, type] = {"offline": bool, "thumbnails_mb": int}
    for key, value in values.items():
        if key not in CONFIG_KEYS:
            raise SettingsError(f"{file} has an unknown key '{key}'", f"Known keys: {', '.join(CONFIG_KEYS)}.")
        wanted = types.get(key, str)
        if type(value) is not wanted:
            raise SettingsError(f"{file}: '{key}' must be a {wanted.__name__}, not {value!r}")
    return values
