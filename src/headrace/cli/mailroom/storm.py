"""What is killed while the mailroom works, and what was."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice

from headrace.cli.mailroom.crew import Crew
from headrace.cli.mailroom.postman import Postman
from headrace.embedded import EmbeddedValkey

_BETWEEN = 2.5  # seconds from one blow to the next
_BLOWS = 9
STORM_SECONDS = _BETWEEN * (_BLOWS + 1)
"""How long mail should come in, so that each blow hits something."""
_SENDING = 3  # answers that a blow should find on their way
_LOOK, _LOOKS = 0.02, 200
_GONE = 1.0  # seconds that Valkey stays away
_END_BACKENDS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend'
      AND pid <> pg_backend_pid()
"""


@dataclass
class Storm:
    """Kills workers, Valkey and PostgreSQL's backends, one after the other.

    Attributes:
        crew: the workers.
        valkey: the lane's server.
        postman: whose connection ends all others.
        sending: tells how many answers the mail server is about to confirm.
        tell: called with a sentence of each blow.
        killed: how many of each.
    """

    crew: Crew
    valkey: EmbeddedValkey
    postman: Postman
    sending: Callable[[], int]
    tell: Callable[[str], None]
    killed: Counter[str] = field(
        default_factory=lambda: Counter({"workers": 0, "valkey": 0, "backends": 0})
    )

    async def rage(self) -> None:
        """All blows, each some time after the one before."""
        all_kinds = cycle((self._worker, self._backends, self._valkey))
        for blow in islice(all_kinds, _BLOWS):
            await asyncio.sleep(_BETWEEN)
            await self._mail_is_on_its_way()
            await blow()

    async def _mail_is_on_its_way(self) -> None:
        """Wait, for a while, until some is: else a blow hits nobody."""
        for _ in range(_LOOKS):
            if self.sending() >= _SENDING:
                return
            await asyncio.sleep(_LOOK)

    async def _worker(self) -> None:
        await self.crew.kill_oldest()  # which tells of it
        self.killed["workers"] += 1

    async def _backends(self) -> None:
        n = await self.postman.ask(lambda connection: connection.fetchval(_END_BACKENDS))
        self.killed["backends"] += n
        self.tell(f"{n} backends of PostgreSQL are terminated")

    async def _valkey(self) -> None:
        await asyncio.to_thread(self.valkey.kill)
        self.killed["valkey"] += 1
        self.tell("Valkey is killed")
        await asyncio.sleep(_GONE)
        await asyncio.to_thread(self.valkey.start)
        self.tell("Valkey is back")
