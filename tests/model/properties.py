"""What every delivery must keep to, whatever carries it."""

from collections.abc import Iterator, Sequence

from model.ledger import COMPLETE, LIVE, NOBODY, Row

ONE_JOB = "one request makes one job"
ONE_COMPLETION = "at most one accepted completion"
NO_LATE_START = "no start whose fence check came after the job ended"
ONE_RUN_PER_TOKEN = "no (id, gen) token runs twice at once"
NO_OVERLAP = "two runs overlap only after a live worker was judged dead, left or gave one up"
ATTEMPTS = "starts, without the snoozed and the crashed, <= max_attempts; of one attempt: one start"
CLAIMED = "no start of a strict queue's job that the ledger does not know"
OVERTAKEN = "a strict queue's runs overlap only after the ledger took the first from its worker"
CHARGED = "a run is charged as a failure or crash before the job starts again"
ACCOUNTED = "each claim ends in one failure, crash, snooze, release or completion"
NO_START_AFTER_CANCEL = "no start after a cancel that was answered done"
CANCELLED_UNTOLD = "no cancel is answered done while a run of the job goes on"
EFFECTS = "effects exactly once per completed job"
UNCHARGED = "no crash is counted against a run that cannot have begun"
BLAME = "a fault counts no more than one crash against a handler that never started"
TOLD = "no worker is told that its accepted settle was refused"

REFUSED = "refused"
REFUSED_THOUGH_ACCEPTED = "refused though accepted"  # the note of a step that breaks TOLD


def of_the_row(row: Row, max_attempts: int) -> Iterator[str]:
    """Return the properties that a row breaks by itself."""
    if row.copies > 1:
        yield ONE_JOB
    if row.completions > 1:
        yield ONE_COMPLETION
    if row.starts > max_attempts + (row.crashes if max_attempts > 1 else 0):
        yield ATTEMPTS
    if row.wronged:
        yield UNCHARGED
    if row.open != (row.owner != NOBODY):
        yield ACCOUNTED


def of_blame(row: Row, allowed: int) -> Iterator[str]:
    """Return the property of crash counts, if the row breaks it."""
    if row.blamed > allowed:
        yield BLAME


def of_effects(row: Row) -> Iterator[str]:
    """Return the property of transactional effects, if the row breaks it."""
    if row.effects > 1 or (row.state == COMPLETE and row.effects != 1):
        yield EFFECTS


def of_start(row: Row, running: Sequence[int], *, zombie: bool) -> Iterator[str]:
    """Return the properties that a start breaks.

    Args:
        row: The row when the worker tested its fence.
        running: The generations that run once it has started.
        zombie: A run has lost its job by a fault, so an overlap of two generations is allowed.
    """
    if row.state != LIVE:
        yield NO_LATE_START
    if len(set(running)) < len(running):
        yield ONE_RUN_PER_TOKEN
    if len(running) > 1 and not zombie:
        yield NO_OVERLAP
