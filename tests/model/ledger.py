"""The ledger's row of one job, and the statements that change it as pure functions."""

from dataclasses import dataclass
from typing import NamedTuple

ABSENT, LIVE, COMPLETE, DEAD = "absent", "live", "complete", "dead"
RETRY, SNOOZE = "retry", "snooze"
NOBODY = 0


class Row(NamedTuple):
    """The job's row. Fields from ``open`` on are ghosts: only the properties need them."""

    state: str = ABSENT
    gen: int = 0
    owner: int = NOBODY
    call: int = 0  # number of the claim call that gave the row to its owner
    failures: int = 0
    crashes: int = 0
    settled_gen: int = 0
    settled_by: int = NOBODY
    open: int = 0  # claims without failure, crash, snooze, release or completion so far
    starts: int = 0  # without the snoozed
    completions: int = 0
    effects: int = 0
    copies: int = 0
    blamed: int = 0  # crashes counted although the handler had not started
    started: bool = False  # the owner's handler has started

    @property
    def claimable(self) -> bool:
        """Whether a claim would take the row."""
        return self.state == LIVE and self.owner == NOBODY


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """What the statements must do; with one switched off the ledger is a broken twin."""

    insert_keeps_its_id: bool = True
    claim_raises_gen: bool = True
    settle_tests_state: bool = True
    settle_tests_gen: bool = True
    settle_tests_owner: bool = True
    settle_is_recognised: bool = True
    retry_raises_gen: bool = True
    release_tests_gen: bool = True
    release_tests_owner: bool = True
    release_raises_gen: bool = True
    reap_raises_gen: bool = True
    reap_counts_the_crash: bool = True


@dataclass(frozen=True, slots=True)
class Ledger:
    """The statements: each takes the row and returns it as its transaction leaves it."""

    max_attempts: int
    rules: LedgerRules

    def insert(self, row: Row) -> Row:
        """Insert the job; a repeated insert finds its own id and does nothing."""
        if row.state == ABSENT:
            return row._replace(state=LIVE, gen=1, copies=1)
        return row if self.rules.insert_keeps_its_id else row._replace(copies=row.copies + 1)

    def claim(self, row: Row, worker: int, call: int) -> Row:
        """Give a claimable row to the worker."""
        gen = row.gen + self.rules.claim_raises_gen
        return row._replace(gen=gen, owner=worker, call=call, open=row.open + 1, started=False)

    def accepts(self, row: Row, worker: int, gen: int) -> bool:
        """Return whether a settle by this worker, of this generation, would change the row."""
        return (
            (row.state == LIVE or not self.rules.settle_tests_state)
            and (row.gen == gen or not self.rules.settle_tests_gen)
            and (row.owner == worker or not self.rules.settle_tests_owner)
        )

    def recognises(self, row: Row, worker: int, gen: int) -> bool:
        """Return whether the row tells the worker that its own settle was accepted before."""
        return self.rules.settle_is_recognised and (row.settled_gen, row.settled_by) == (
            gen,
            worker,
        )

    def settle(self, row: Row, worker: int, gen: int, outcome: str) -> Row:
        """Write the outcome of an attempt, if the fence lets it."""
        if not self.accepts(row, worker, gen):
            return row
        row = row._replace(settled_gen=gen, settled_by=worker, open=row.open - 1)
        if outcome == COMPLETE:
            return row._replace(state=COMPLETE, completions=row.completions + 1)
        row = row._replace(gen=row.gen + self.rules.retry_raises_gen, owner=NOBODY)
        if outcome == SNOOZE:
            return row._replace(starts=row.starts - 1)
        return self._dead_if_exhausted(row._replace(failures=row.failures + 1))

    def release(self, row: Row, worker: int, gen: int) -> Row:
        """Take back a row that its owner has not started: no attempt is used."""
        fenced = (row.gen == gen or not self.rules.release_tests_gen) and (
            row.owner == worker or not self.rules.release_tests_owner
        )
        return self._released(row) if row.state == LIVE and fenced else row

    def beat(self, row: Row, worker: int, received: int, *, named: bool) -> Row:
        """Release the worker's row if a call up to ``received`` gave it and it is not named."""
        leaked = row.owner == worker and row.call <= received and not named
        return self._released(row) if row.state == LIVE and leaked else row

    def reap(self, row: Row, worker: int) -> Row:
        """Take the row of a worker judged dead: the attempt counts as crashed."""
        if row.owner != worker or row.state != LIVE:
            return row
        crashes = row.crashes + self.rules.reap_counts_the_crash
        gen = row.gen + self.rules.reap_raises_gen
        blamed = row.blamed + (not row.started)
        row = row._replace(gen=gen, owner=NOBODY, crashes=crashes, open=row.open - 1, blamed=blamed)
        return self._dead_if_exhausted(row)

    def _released(self, row: Row) -> Row:
        gen = row.gen + self.rules.release_raises_gen
        return row._replace(gen=gen, owner=NOBODY, open=row.open - 1)

    def _dead_if_exhausted(self, row: Row) -> Row:
        exhausted = row.failures + row.crashes >= self.max_attempts
        return row._replace(state=DEAD) if exhausted else row
