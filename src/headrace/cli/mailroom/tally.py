"""How the show goes, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.model.inspection import QueueCounts

Counts = Mapping[str, QueueCounts]


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the mail since the show began."""

    mails: int
    read: int
    answered: int
    put_off: int
    dead: int
    waiting: int
    later: int

    def __str__(self) -> str:
        return (
            f"{self.mails:,} mails in, {self.read:,} read, {self.answered:,} answered, "
            f"{self.put_off:,} put off, {self.dead:,} dead, {self.waiting:,} waiting, "
            f"{self.later:,} for later"
        )


def tally(before: Counts, now: Counts, *, mails: int, put_off: int) -> Tally:
    """Compare the queues with how they were when the show began."""

    def new(queue: str, state: str) -> int:
        more: int = getattr(now[queue], state) - getattr(before[queue], state)
        return max(0, more)  # retention removes, too

    return Tally(
        mails=mails,
        read=new("reading", "completed"),
        answered=new("answers", "completed"),
        put_off=put_off,
        dead=sum(new(queue, "dead") for queue in now),
        waiting=sum(one.available for one in now.values()),
        later=sum(one.scheduled + one.retryable for one in now.values()),
    )
