from uuid import uuid4

import pytest

from headrace.ledger.inspector import LedgerInspector
from headrace.ledger.queries import Queries
from headrace.ledger.verify import CHECKS, verify
from headrace.model.check import Verdict
from headrace.model.state import Stored
from headrace.model.unique import Unique
from jobsmith import Jobsmith

# A schedule whose tick was made a day ago, and who makes ticks.
SCHEDULE = """
INSERT INTO headrace.schedule (name, timing, job, created_at)
VALUES ('s', '{"every": "PT1H"}', '{"task": "t"}', now() - interval '1 day');
UPDATE headrace.job SET headers = jsonb_build_object('schedule', jsonb_build_object(
    'name', 's', 'at', now() - interval '1 day'))
WHERE id = (SELECT id FROM headrace.job WHERE state = 2 LIMIT 1)
"""
LEADER = """
INSERT INTO headrace.leader (role, holder, until)
VALUES ('scheduler', gen_random_uuid(), now() + interval '1 minute')
"""


# A line of two, the first of which is done.
LINE = """
SELECT headrace.insert_jobs(jsonb_build_array(doc, doc))
FROM (VALUES ('{"task": "t", "queue": "main", "priority": 5, "max_attempts": 1,
                "order_key": "k"}'::jsonb)) AS job (doc);
UPDATE headrace.job SET state = 2, settled_at = now(), settled_gen = gen
WHERE headers ? 'order' AND state = 0;
INSERT INTO headrace.counter_delta SELECT queue_id, moved.* FROM headrace.job,
    (VALUES (0, -1), (2, 1)) AS moved (state, n) WHERE headers ? 'order' AND job.state = 2;
"""
# A job after one that runs.
JOIN = """
SELECT headrace.insert_jobs(jsonb_build_array(jsonb_build_object('task', 't', 'queue', 'main',
    'priority', 5, 'max_attempts', 1, 'after', jsonb_build_array(id))))
FROM (SELECT id FROM headrace.job WHERE owner IS NOT NULL LIMIT 1) AS parent;
"""
STREAM = """
SELECT headrace.put_stream_events(jsonb_agg(jsonb_build_object(
    'stream', 's', 'kind', 'number', 'data', n)))
FROM generate_series(1, 3) AS n
"""
WAITING = "UPDATE headrace.job SET {} WHERE state = 1"


async def broken(queries: Queries, *, quiesced: bool = True, repair: bool = False) -> set[str]:
    verdicts = await verify(queries, quiesced=quiesced, repair=repair)
    return {verdict.check.name for verdict in verdicts if verdict.breaches}


async def execute(queries: Queries, sql: str, *parameters: object) -> None:
    async with queries.connection() as connection:
        await connection.execute(sql, *parameters)


async def test_a_ledger_in_use_is_whole(smith: Jobsmith, queries: Queries) -> None:
    inspector = LedgerInspector(queries)
    await smith.complete(3)
    dead = await smith.die(2)
    await smith.fail()
    await smith.ledger.insert([smith.job(unique=Unique(key="one", for_="24h"))])
    await inspector.replay(dead, "cli:tester")
    again = await smith.claim(2)
    await smith.settle(again, Stored.DEAD, failed=True, error='{"type": "E", "message": "m"}')
    await inspector.replay(dead, "cli:tester")
    await inspector.cancel(dead, "cli:tester")
    await inspector.delete(dead[:1])
    await smith.insert(2)
    await smith.claim()
    verdicts = await verify(queries, quiesced=True, repair=False)
    assert [verdict.check for verdict in verdicts] == list(CHECKS)
    assert [verdict.breaches for verdict in verdicts] == [()] * len(CHECKS)
    online = await verify(queries, quiesced=False, repair=False)
    assert [one.check for one in online] == [one for one in CHECKS if not one.quiesced]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("ends", "UPDATE headrace.job SET owner = gen_random_uuid() WHERE state = 2"),
        ("ends", "UPDATE headrace.job SET settled_gen = 1 WHERE state = 2"),
        ("ends", "UPDATE headrace.job SET settled_at = NULL WHERE state = 3"),
        ("attempts", "UPDATE headrace.job SET error = NULL WHERE state = 3"),
        ("attempts", "UPDATE headrace.job SET failures = max_attempts WHERE state = 0"),
        ("generations", "INSERT INTO headrace.job_event TABLE headrace.job_event"),
        ("generations", "UPDATE headrace.job_event SET gen = gen + 5"),
        (
            "keys",
            (
                "INSERT INTO headrace.idempotency VALUES "
                "('x', headrace.uuid7(), now() + interval '1 hour')"
            ),
        ),
        (
            "limits",
            (
                "INSERT INTO headrace.rate_limit VALUES ('a', '{1}', '{1000000}', false, "
                "now() - interval '1 day'); "
                "INSERT INTO headrace.rate_window (name, key, span, log) "
                "SELECT 'a', '', 1000000, ROW(ARRAY[t], ARRAY[t], ARRAY[2])::headrace.rate_log "
                "FROM (SELECT (extract(epoch FROM now()) * 1000000)::bigint) AS here (t)"
            ),
        ),
        ("owners", "DELETE FROM headrace.worker"),
        ("silence", "UPDATE headrace.worker SET beat_at = now() - interval '2 minutes'"),
        ("silence", "UPDATE headrace.worker SET reaped_at = now() - interval '2 minutes'"),
        ("ticks", f"{SCHEDULE}; UPDATE headrace.schedule SET cursor = now() - interval '2 days'"),
        ("ticks", f"{SCHEDULE}; UPDATE headrace.schedule SET error = 'its queue is unknown'"),
        (
            "ticks",
            (
                f"{SCHEDULE}; {LEADER}; "
                "UPDATE headrace.schedule SET due_at = now() - interval '2 minutes'"
            ),
        ),
        (
            "ticks",
            (
                "UPDATE headrace.job SET headers = jsonb_build_object('schedule', "
                "jsonb_build_object('name', 's', 'at', '2026-01-01Z'))"
            ),
        ),
        ("streams", "DELETE FROM headrace.stream_event WHERE data = '2'"),
        ("streams", "UPDATE headrace.stream SET last = last + 1"),
        (
            "waiting",
            (
                "UPDATE headrace.job SET run_at = now() - interval '2 minutes' "
                "WHERE state = 0 AND owner IS NULL"
            ),
        ),
        (
            "order",
            f"{LINE} {WAITING.format('state = 0')}; DELETE FROM headrace.blocked",
        ),
        (
            "order",
            LINE + WAITING.format("state = 2, settled_at = now() - interval '1 hour'"),
        ),
        ("joins", JOIN + WAITING.format("state = 0")),
        ("joins", f"{JOIN} UPDATE headrace.edge SET decided = true"),
        ("blocked", LINE),
        ("blocked", f"{LINE} DELETE FROM headrace.wake; DELETE FROM headrace.blocked"),
        ("blocked", f"{LINE} DELETE FROM headrace.wake"),
        ("counters", "DELETE FROM headrace.counter_delta WHERE state = 2"),
        ("counters", "DELETE FROM headrace.job WHERE state = 3"),
    ],
)
async def test_each_damage_is_found(
    name: str, damage: str, smith: Jobsmith, queries: Queries
) -> None:
    await smith.complete()
    await smith.die()
    await smith.insert(2)
    await smith.claim()
    await execute(queries, STREAM)
    assert await broken(queries) == set()
    await execute(queries, damage)
    assert name in await broken(queries)


async def test_counters_are_repaired(smith: Jobsmith, queries: Queries) -> None:
    await smith.complete(4)
    await queries.fetch("fold_counters")
    await execute(queries, "UPDATE headrace.counter SET n = n + 3")
    verdicts = await verify(queries, quiesced=True, repair=True)
    (counters,) = [one for one in verdicts if one.check.name == "counters"]
    assert counters == Verdict(counters.check, (), repaired=True)
    assert (await LedgerInspector(queries).queue("main")).completed == 4


async def test_a_job_of_an_unknown_owner_is_given_to_the_reaper(
    smith: Jobsmith, queries: Queries
) -> None:
    (job_id,) = await smith.insert()
    await smith.claim()
    await execute(queries, "UPDATE headrace.job SET owner = $1", uuid4())
    assert await smith.ledger.reap(10) == 0
    assert await broken(queries, quiesced=False) == {"owners"}
    assert await broken(queries, quiesced=False, repair=True) == set()
    assert await smith.ledger.reap(10) == 1
    (job,) = await smith.ledger.get([job_id])
    assert (job.state, job.crashes) == ("available", 1)


async def test_a_schedule_that_ticks_is_whole(smith: Jobsmith, queries: Queries) -> None:
    await smith.complete()
    await execute(queries, SCHEDULE)
    await execute(queries, LEADER)
    assert await broken(queries) == set()
