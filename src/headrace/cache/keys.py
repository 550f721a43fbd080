"""Every key of a cache on Redis. An application's share a hash tag: one slot of a cluster."""


class Keys:
    """The keys of one application's cache.

    Attributes:
        tag: how each of them begins; no name contains what separates them, "/".
    """

    def __init__(self, application: str) -> None:
        self.tag: bytes = f"{{headrace-cache:{application}}}".encode()

    def version(self, space: str) -> bytes:
        """STRING: the version of a namespace."""
        return self._in(space, "version")

    def counts(self, space: str) -> bytes:
        """HASH of a namespace's counters."""
        return self._in(space, "counts")

    def entry(self, space: str, key: str) -> bytes:
        """STRING: a version and the value that belongs to it."""
        return self._in(space, f"entry/{key}")

    def claim(self, space: str, key: str) -> bytes:
        """STRING: the token of who computes a value."""
        return self._in(space, f"claim/{key}")

    def _in(self, space: str, rest: str) -> bytes:
        return self.tag + f"/{space}/{rest}".encode()
