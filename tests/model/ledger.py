"""The ledger's row of one job, and the statements that change it as pure functions."""

from collections.abc import Collection
from dataclasses import dataclass

from model.values import Value

ABSENT, LIVE, COMPLETE, DEAD, CANCELLED = "absent", "live", "complete", "dead", "cancelled"
OVER = (COMPLETE, DEAD, CANCELLED)
RETRY, SNOOZE = "retry", "snooze"
NOBODY = 0
MOST_CRASHES = 3


class Row(Value, frozen=True):
    """The job's row. Fields from ``open`` on are ghosts: only the properties need them."""

    state: str = ABSENT
    gen: int = 0
    owner: int = NOBODY
    call: int = 0  # number of the claim call that gave the row to its owner
    failures: int = 0
    crashes: int = 0
    settled_gen: int = 0
    settled_by: int = NOBODY
    uncharged: bool = False  # taken ahead of free slots: its run has not begun
    open: int = 0  # claims without failure, crash, snooze, release or completion so far
    starts: int = 0  # without the snoozed
    completions: int = 0
    effects: int = 0
    copies: int = 0
    blamed: int = 0  # crashes counted although the handler had not started
    started: bool = False  # the owner's handler has started
    wronged: int = 0  # crashes counted against what cannot have started

    @property
    def claimable(self) -> bool:
        """Whether a claim would take the row."""
        return self.state == LIVE and self.owner == NOBODY


@dataclass(frozen=True, slots=True)
class LedgerTwin:
    """What a broken twin of the ledger does wrong; the code does none of it."""

    insert_retried_under_new_id: bool = False
    claim_without_gen: bool = False
    settle_without_state: bool = False
    settle_without_gen: bool = False
    settle_not_recognised: bool = False
    retry_without_gen: bool = False
    release_ignores_gen: bool = False
    release_ignores_owner: bool = False
    release_without_gen: bool = False
    reap_without_gen: bool = False
    crash_not_counted: bool = False
    ahead_counts_as_crash: bool = False
    forfeit_ignores_gen: bool = False
    bump_blames_the_unclaimed: bool = False
    forfeit_is_a_release: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """The statements: each takes the row and returns it as its transaction leaves it."""

    max_attempts: int
    twin: LedgerTwin = LedgerTwin()

    def insert(self, row: Row) -> Row:
        """Insert the job; a repeated insert finds its own id and does nothing."""
        if row.state == ABSENT:
            return row._replace(state=LIVE, gen=1, copies=1)
        return row._replace(copies=row.copies + self.twin.insert_retried_under_new_id)

    def claim(self, row: Row, worker: int, call: int, *, ahead: bool = False) -> Row:
        """Give a claimable row to the worker; taken ahead it is not charged yet."""
        gen = row.gen + (not self.twin.claim_without_gen)
        given = row._replace(gen=gen, owner=worker, call=call, uncharged=ahead)
        return given._replace(open=row.open + 1, started=False)

    def charge(self, row: Row, worker: int, gen: int) -> Row:
        """From now on the worker's death costs the job an attempt."""
        mine = (row.owner, row.gen) == (worker, gen)
        return row._replace(uncharged=False) if mine else row

    def accepts(self, row: Row, gen: int) -> bool:
        """Return whether a settle of this generation would change the row.

        The owner needs no test: whatever ends an ownership raises the generation or the state.
        """
        return (row.state == LIVE or self.twin.settle_without_state) and (
            row.gen == gen or self.twin.settle_without_gen
        )

    def recognises(self, row: Row, worker: int, gen: int) -> bool:
        """Return whether the row tells the worker that its own settle was accepted before."""
        settled_by_it = (row.settled_gen, row.settled_by) == (gen, worker)
        return settled_by_it and not self.twin.settle_not_recognised

    def settle(self, row: Row, worker: int, gen: int, outcome: str) -> Row:
        """Write the outcome of an attempt, if the fence lets it."""
        if not self.accepts(row, gen):
            return row
        row = row._replace(settled_gen=gen, settled_by=worker, owner=NOBODY, open=row.open - 1)
        if outcome == COMPLETE:
            return row._replace(state=COMPLETE, completions=row.completions + 1)
        if outcome == DEAD:
            return row._replace(state=DEAD)
        row = row._replace(gen=row.gen + (not self.twin.retry_without_gen))
        if outcome == SNOOZE:
            return row._replace(starts=row.starts - 1)
        return self._dead_if_exhausted(row._replace(failures=row.failures + 1))

    def release(self, row: Row, worker: int, gen: int) -> Row:
        """Take back a row that its owner has not started: no attempt is used."""
        fenced = (row.gen == gen or self.twin.release_ignores_gen) and (
            row.owner == worker or self.twin.release_ignores_owner
        )
        return self._released(row) if row.state == LIVE and fenced else row

    def beat(self, row: Row, worker: int, received: int, named: Collection[int]) -> Row:
        """Release the worker's row if a call up to ``received`` gave it and it is not named."""
        leaked = row.owner == worker and row.call <= received and row.gen not in named
        return self._released(row) if row.state == LIVE and leaked else row

    def reap(self, row: Row, worker: int, *, left: bool = False) -> Row:
        """Take the row of a dead worker: its attempt crashed, unless the worker left without it."""
        if row.owner != worker or row.state != LIVE:
            return row
        spared = left or (row.uncharged and not self.twin.ahead_counts_as_crash)
        return self._released(row) if spared else self._crashed(row)

    def forfeit(self, row: Row, worker: int, gen: int) -> Row:
        """Take a job that its worker cannot end: its attempt crashed."""
        fenced = row.gen == gen or self.twin.forfeit_ignores_gen
        if row.owner != worker or row.state != LIVE or not fenced:
            return row
        return self._released(row) if self.twin.forfeit_is_a_release else self._crashed(row)

    def _crashed(self, row: Row) -> Row:
        return self._dead_if_exhausted(
            row._replace(
                gen=row.gen + (not self.twin.reap_without_gen),
                owner=NOBODY,
                crashes=row.crashes + (not self.twin.crash_not_counted),
                open=row.open - 1,
                blamed=row.blamed + (not row.started),
                wronged=row.wronged + row.uncharged,
            )
        )

    def bump(self, row: Row, gen: int, *, started: bool) -> Row:
        """Void a generation whose lease in the lane has expired; a started run crashed.

        A last attempt starts only once it is claimed, so one that nobody owns has not.
        """
        if row.state != LIVE or row.gen != gen or row.owner != NOBODY:
            return row
        last = self._spent(row.failures, row.crashes + 1)
        ran = started and (not last or self.twin.bump_blames_the_unclaimed)
        bumped = row._replace(gen=gen + 1, crashes=row.crashes + ran)
        return self._dead_if_exhausted(bumped._replace(wronged=row.wronged + (ran and last)))

    def cancel(self, row: Row) -> Row:
        """Cancel a job that no worker owns in the ledger."""
        return row._replace(state=CANCELLED, gen=row.gen + 1) if row.claimable else row

    def _released(self, row: Row) -> Row:
        gen = row.gen + (not self.twin.release_without_gen)
        return row._replace(gen=gen, owner=NOBODY, open=row.open - 1)

    def _dead_if_exhausted(self, row: Row) -> Row:
        return row._replace(state=DEAD) if self._spent(row.failures, row.crashes) else row

    def _spent(self, failures: int, crashes: int) -> bool:
        if self.max_attempts == 1:
            return failures + crashes >= 1
        return failures >= self.max_attempts or crashes >= max(MOST_CRASHES, self.max_attempts)
