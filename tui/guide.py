"""What a user has pressed so far, kept between runs, and the hint that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from visexplore.tui.hints import Situation, hint
from visexplore.tui.keys import KEYS
from visexplore.tui.session_state import Sessions

_ANYWHERE = "*"  # no dataset has this name
_USED = "used"


class Guide:
    """Suggests keys that were never used.

    Args:
        sessions: keep which were.
        own_keys: the user's own keys by the ids of bindings.
    """

    def __init__(self, sessions: Sessions, own_keys: Mapping[str, str]) -> None:
        self._sessions = sessions
        self._own_keys = own_keys
        session = sessions.recall(_ANYWHERE)
        self._used = set(session.strings(_USED)) if session else set[str]()
        self._ids = {binding.action: binding.id or "" for binding in KEYS}
        self._called = cache(self._key_called)

    def _key_called(self, name: str) -> str:
        from visexplore.tui.keymap import key_called

        return key_called(name, self._own_keys)

    def learn(self, action: str, panel: str) -> bool:
        """Take in that an action was done; return whether it is one that was suggested up to now."""
        name = f"choose/{panel}" if action in ("choose", "select_cursor") else self._ids.get(action, "")
        if not name or name in self._used:
            return False
        self._used.add(name)
        self._sessions.keep_other(_ANYWHERE, _USED, sorted(self._used))
        return True

    def hint(self, now: Situation) -> list[str]:
        """Return what to suggest, what matters most first."""
        return hint(now, self._used, self._called)
