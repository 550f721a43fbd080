from chaos.drill import recovery
from chaos.events import AnyEvent, EnqueueReturned, Outcome, Settled

SECOND = 1_000_000_000
FAULT = 10 * SECOND


def enqueued(job: str, at: int) -> AnyEvent:
    return EnqueueReturned(job=job, at=at * SECOND)


def settled(job: str, at: int, *, accepted: bool = True) -> AnyEvent:
    outcome = Outcome.COMPLETE
    return Settled(job=job, gen=1, worker="w", outcome=outcome, accepted=accepted, at=at * SECOND)


def test_what_was_asked_for_before_the_fault_shows_no_recovery() -> None:
    """Neither by its end nor as the answer to a repeated idempotency key."""
    before = [enqueued("old", 5), settled("old", 8), enqueued("old", 11)]
    running = [enqueued("slow", 9), settled("slow", 12)]
    assert recovery([*before, *running], FAULT, FAULT) is None
    new = [enqueued("new", 11), settled("new", 12, accepted=False), settled("new", 14)]
    assert recovery([*before, *running, *new], FAULT, FAULT) == 4.0
