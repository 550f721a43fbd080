"""From where the refill must go on, as a memory lane keeps it."""

from headrace.model.entry import Cursor, Moved

Where = tuple[str, int]


class Spills:
    """A cursor for each queue and level that has rows which did not fit."""

    def __init__(self) -> None:
        self.cursors: dict[Where, Cursor] = {}
        self._since: dict[Where, Cursor] = {}

    def add(self, where: Where, key: Cursor) -> None:
        """A row did not fit: the first sets the cursor, later ones wait until it is moved."""
        if where in self.cursors:
            self._since[where] = min(key, self._since.get(where, key))
        else:
            self.cursors[where] = key

    def move(self, where: Where, old: Cursor | None, new: Cursor | None) -> Moved:
        """Set a cursor if it is `old`, no further than what did not fit since."""
        if self.cursors.get(where) != old:
            return Moved(done=False, cursor=self.cursors.get(where))
        candidates = [one for one in (new, self._since.pop(where, None)) if one is not None]
        self.cursors.pop(where, None)
        if candidates:
            self.cursors[where] = min(candidates)
        return Moved(done=True, cursor=self.cursors.get(where))
