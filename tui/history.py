"""The queries that were asked, to go back to and forward again."""

from __future__ import annotations

from visexplore.core.messages import Query

_KEPT = 100


class History:
    """Queries in the order in which they were asked, and the one that is looked at now.

    Args:
        kept: how many are remembered; the oldest are forgotten first.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._queries: list[Query] = []
        self._at = -1

    def visit(self, query: Query) -> None:
        """Remember a query that was asked; what would have come after the last one is forgotten."""
        if self._queries and self._queries[self._at] == query:
            return
        self._queries = [*self._queries[: self._at + 1], query][-self._kept :]
        self._at = len(self._queries) - 1

    def step(self, step: int) -> Query | None:
        """Go to the query before (-1) or after (1) the one looked at; None, and stay, if there is none."""
        at = self._at + step
        if not 0 <= at < len(self._queries):
            return None
        self._at = at
        return self._queries[at]
