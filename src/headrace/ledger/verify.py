"""Checks that the ledger holds what it promises, and repairs where that is safe."""

from headrace.ledger.queries import Queries
from headrace.ledger.statements import statement
from headrace.model.check import Breach, Check, Verdict

_WALK = 100_000
_SHOW = 20
_TIMEOUT = 3600.0

# These statements read whole tables: plans that our other statements must never take.
_PLANS = {"enable_seqscan": "on", "enable_hashjoin": "on", "enable_mergejoin": "on"}


# sql/verify_NAME.sql finds what breaks a check.
CHECKS = (
    Check("ends", "A job that is over has an end and no owner, and was settled as it is."),
    Check("attempts", "A live job has an attempt left, a dead one has a reason."),
    Check("generations", "No generation of a job ends twice."),
    Check("keys", "An idempotency key that holds names a job that is there."),
    Check("unique", "The key of a job that is unique as yet names that job."),
    Check("order", "Of an ordering key one job may run, and they were done in order."),
    Check("joins", "What came after others was let go once they were over, and not before."),
    Check("limits", "No window of a rate limit has more starts than the limit allows."),
    Check("seats", "A live job under concurrency limits has its seats, and no line has too many."),
    Check("told", "A job keeps 200 lines at most, and its progress is that of a run it had."),
    Check("topics", "No subscription has two jobs of one event."),
    Check("streams", "A stream has each event between those that are gone and its last one."),
    Check("owners", "Whoever runs a job is a known worker.", repair="repair_owners"),
    Check("ticks", "A tick has one job, no schedule is behind while somebody makes its ticks."),
    Check("silence", "A silent worker is reaped, and what it ran is taken from it."),
    Check("waiting", "A due job does not wait while a worker of its queue lives.", quiesced=True),
    Check("blocked", "A blocked job waits for one that is not over.", quiesced=True),
    Check("standing", "No due job waits while all its lines have a free seat.", quiesced=True),
    Check(
        "counters",
        "The counters say what a count of all jobs says.",
        quiesced=True,
        repair="repair_counters",
    ),
)


async def verify(queries: Queries, *, quiesced: bool, repair: bool) -> list[Verdict]:
    """Check the ledger.

    Args:
        queries: the ledger.
        quiesced: nothing comes in, faults are healed and three leases passed: check everything, of
            all jobs. Else the newest 100,000, cheap enough for every hour.
        repair: repair what can be repaired safely while jobs go on.
    """
    checks = [check for check in CHECKS if quiesced or not check.quiesced]
    walk = None if quiesced else _WALK
    return [await _judge(queries, check, walk, repair=repair) for check in checks]


async def _judge(queries: Queries, check: Check, walk: int | None, *, repair: bool) -> Verdict:
    breaches = await _find(queries, check, walk)
    if not (breaches and repair and check.repair):
        return Verdict(check, breaches)
    async with queries.transaction(**_PLANS) as connection:
        await connection.execute(statement(check.repair), timeout=_TIMEOUT)
    return Verdict(check, await _find(queries, check, walk), repaired=True)


async def _find(queries: Queries, check: Check, walk: int | None) -> tuple[Breach, ...]:
    async with queries.transaction(**_PLANS) as connection:
        rows = await connection.fetch(
            statement(f"verify_{check.name}"), walk, _SHOW, timeout=_TIMEOUT
        )
    return tuple(Breach(row["subject"], row["detail"]) for row in rows)
