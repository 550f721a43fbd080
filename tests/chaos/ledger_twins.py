"""The broken twins of ledger and worker, each with the rule of the protocol that it breaks."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from uuid import UUID

import msgspec

from chaos.twins import Twin, by_name, swap_method
from headrace import LedgerUnavailable
from headrace.engines.group_commit import GroupCommit
from headrace.ledger import statements
from headrace.ledger.faults import translated
from headrace.ledger.transaction import LedgerTransaction
from headrace.model.job import Delivery, Inserted, NewJob, Settlement
from headrace.model.verdict import completed
from headrace.supervisor import node
from headrace.worker.hand import Hand
from headrace.worker.runner import Runner

FENCED = "j.gen = v.gen AND j.state = 0"


def swap_statement(name: str, old: str, new: str) -> None:
    """Replace the one place of ``old`` in a statement of the ledger.

    Raises:
        ValueError: the statement has no such place or several.
    """
    original: Callable[[str], str] = statements.statement
    text = original(name)
    if text.count(old) != 1:
        raise ValueError(f"{name} has {text.count(old)} places of {old!r}; a twin swaps one")

    def broken(asked: str) -> str:
        return text.replace(old, new) if asked == name else original(asked)

    for module in [module for name, module in sys.modules.items() if name.startswith("headrace.")]:
        if getattr(module, "statement", None) is original:
            setattr(module, "statement", broken)  # noqa: B010  the name is imported into each


def _start_anything(_hand: Hand, _delivery: Delivery) -> bool:
    return True


async def _commit_effects_first(
    self: LedgerTransaction, worker: UUID, settlement: Settlement
) -> bool:
    with translated():
        await self._transaction.commit()
        self._transaction = self.handle.transaction()
        await self._transaction.start()
    return await _commit(self, worker, settlement)


_commit = LedgerTransaction.commit


async def _insert_under_new_ids(self: GroupCommit, jobs: Sequence[NewJob]) -> list[Inserted]:
    while True:
        try:
            return await self._insert(jobs)
        except LedgerUnavailable:
            jobs = [msgspec.structs.replace(job, id=_another(job.id)) for job in jobs]


def _another(job: UUID) -> UUID:
    return UUID(int=job.int ^ 1)


async def _settle_then_run(self: Runner, here: object, hand: Hand, delivery: Delivery) -> None:
    self._settler.add(hand.worker, delivery, completed(delivery, None, 0.0))
    await self._settler.drain()
    await _run(self, here, hand, delivery)


_run: Callable[..., Awaitable[None]] = Runner.run


def no_services(*_args: object, **_options: object) -> list[object]:
    """Run a node without the services beside it."""
    return []


LEDGER_TWINS: Mapping[str, Twin] = by_name(
    Twin(
        "settle_without_fence",
        "a settle is accepted for any generation of a job in any state",
        partial(swap_statement, "settle_completed", f"AND {FENCED}", ""),
    ),
    Twin(
        "settle_without_gen",
        "a settle is accepted for any generation of a live job",
        partial(swap_statement, "settle_completed", FENCED, "j.state = 0"),
    ),
    Twin(
        "effects_outside_the_settle",
        "a handler's writes commit before its fenced completion",
        partial(swap_method, LedgerTransaction, "commit", _commit_effects_first),
    ),
    Twin(
        "no_self_fence",
        "a worker starts what it holds however long it was silent",
        partial(swap_method, Hand, "start", _start_anything),
    ),
    Twin(
        "beat_releases_calls_in_flight",
        "a beat gives back what a claim has given whose reply is under way",
        partial(swap_statement, "beat", " AND j.claim_no <= $4", " AND $4::int IS NOT NULL"),
    ),
    Twin(
        "reap_once",
        "a worker is reaped when it is judged and never again",
        partial(
            swap_statement,
            "reap",
            "w.reaped_at IS NOT NULL",
            "w.reaped_at > now() - interval '0.1 seconds'",
        ),
    ),
    Twin(
        "reap_beyond_max_attempts",
        "a job whose last allowed run was cut short is given out again",
        partial(swap_statement, "reap", "cut.ran AND headrace.spent", "false AND headrace.spent"),
    ),
    Twin(
        "insert_retried_under_new_id",
        "an insert whose reply was lost is repeated as another job",
        partial(swap_method, GroupCommit, "_insert_patiently", _insert_under_new_ids),
    ),
    Twin(
        "settle_before_run",
        "a job is completed when its run starts",
        partial(swap_method, Runner, "run", _settle_then_run),
    ),
    Twin(
        "no_reaper",
        "nobody takes jobs from a dead worker",
        partial(setattr, node, "services", no_services),
    ),
)
