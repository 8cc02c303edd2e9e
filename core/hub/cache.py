"""What of the hub is on this machine, in the hub's own cache."""

from __future__ import annotations

import os
from pathlib import Path

from visexplore.core.catalogue import Checkpoint, default_hub_cache
from visexplore.core.hub.needs import Part, has_weights, parts_of


def repository_folder(checkpoint: Checkpoint, hub_cache: Path) -> Path:
    """Return the folder of a checkpoint's repository in a cache, whether it is there or not."""
    return hub_cache / f"models--{checkpoint.hub_id.replace('/', '--')}"


def snapshot(checkpoint: Checkpoint, hub_cache: Path | None = None) -> Path | None:
    """Return the folder of a snapshot that holds every file that `checkpoint` needs; None if there is none.

    That is the root of the repository, also where the weights are in a sub-folder of it. The snapshot that `main`
    means is preferred, then the newest one. A checkpoint with a folder of its own has that one. Looks at names only,
    and reads the index of weights that come in shards.

    For timm and open_clip the weights alone are enough: both libraries know the configuration of their own names.

    Args:
        checkpoint: the checkpoint in question.
        hub_cache: Hugging Face cache to look in; the user's own if None.
    """
    if checkpoint.folder:
        own = Path(checkpoint.folder).expanduser()
        return own if own.exists() else None
    if not checkpoint.hub_id:
        return None
    repository = repository_folder(checkpoint, hub_cache or default_hub_cache())
    try:
        found = [(entry.stat().st_mtime, entry.name) for entry in os.scandir(repository / "snapshots")]
    except OSError:
        return None
    main, parts = main_commit(repository), parts_of(checkpoint)
    for _, commit in sorted(found, key=lambda entry: (entry[1] == main, *entry), reverse=True):
        if is_complete(repository, commit, parts):
            return repository / "snapshots" / commit
    return None


def main_commit(repository: Path) -> str:
    """Return the commit that `main` means in the cache; empty where that is not known."""
    try:
        return (repository / "refs" / "main").read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def is_complete(repository: Path, commit: str, parts: tuple[Part, ...]) -> bool:
    """Whether a snapshot in the cache holds every file that the parts need, or a mark that the hub has none."""
    place, no_exist = repository / "snapshots" / commit, repository / ".no_exist" / commit
    for part in parts:
        folder = place / part.folder
        if not all((folder / name).is_file() for name in part.required):
            return False
        for group in part.one_of:
            known = any((folder / name).is_file() for name in group)
            # The hub's own library keeps such marks too, of files that it asked for in vain.
            if not known and not all((no_exist / part.folder / name).is_file() for name in group):
                return False
        # The loader takes the first that it finds, whether or not the others are whole.
        first = next((name for name in part.weights if (folder / name).is_file()), "")
        if part.weights and not has_weights(folder, first):
            return False
    return True
