"""What a queue promises of its jobs."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from headrace.errors import UsageError
from headrace.model.shown import shown


class Promise(StrEnum):
    """STANDARD is what the README promises; docs/promises.md says how the others differ."""

    STANDARD = "standard"
    STRICT = "strict"
    LOSS_TOLERANT = "loss-tolerant"


NOTHING_SAID: Mapping[str, Promise] = MappingProxyType({})


def read_promise(queue: str, said: object) -> Promise:
    """The promise of this name.

    Raises:
        UsageError: there is none.
    """
    if isinstance(said, str) and said in set(Promise):
        return Promise(said)
    raise UsageError(
        f'queue "{queue}": promise {shown(said)} is unknown; known: {", ".join(Promise)}'
    )


def declared_otherwise(queue: str, known: str, ours: Promise) -> str:
    """The sentence that refuses to declare a queue otherwise than it is known."""
    return (
        f'queue "{queue}" is {known} in this database, and the application '
        f"declares it {ours}; declare it alike, or change it there: "
        f"`headrace queues promise {queue} {ours}`"
    )


class Promises(NamedTuple):
    """The queues that promise something else than the standard.

    Attributes:
        strict: each of their jobs is claimed in the ledger before it starts.
        loss_tolerant: commits that concern these alone do not wait for the disk.
    """

    strict: frozenset[str] = frozenset()
    loss_tolerant: frozenset[str] = frozenset()

    def wait_for_the_disk(self, queues: Iterable[str]) -> bool:
        """Whether a commit that concerns these queues does."""
        return not (self.loss_tolerant and self.loss_tolerant.issuperset(queues))


def promises_of(queues: Mapping[str, str]) -> Promises:
    """The promises of queues by name; those with the standard one may be left out."""
    return Promises(
        strict=frozenset(name for name, said in queues.items() if said == Promise.STRICT),
        loss_tolerant=frozenset(
            name for name, said in queues.items() if said == Promise.LOSS_TOLERANT
        ),
    )
