"""Whether four witnesses agree: the input counted again, the ledger, the rows, the mailbox."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any
from uuid import UUID

from headrace import Headrace, Job, State
from headrace.mailroom.acknowledgement import acknowledgement_id
from headrace.mailroom.mailbox_server import Delivery
from headrace.mailroom.recount import Count


@dataclass(frozen=True, slots=True)
class Rows:
    """What the mailroom's tables hold of a batch."""

    messages: int
    stored: int
    attachments: int
    bounces: int
    reading_jobs: tuple[UUID, ...]
    answer_jobs: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class ProgressRow:
    """How far a batch is."""

    stored: int
    answered: int


Jobs = dict[UUID, Job]


async def read_progress(connection: Any, batch: int) -> ProgressRow:  # noqa: ANN401 - asyncpg
    """Look how far a batch is."""
    async with connection.transaction():
        row = await connection.fetchrow(
            """SELECT count(stored_at) AS stored, count(answered_at) AS answered
               FROM mailroom.message WHERE batch = $1""",
            batch,
        )
    return ProgressRow(row["stored"], row["answered"])


async def read_rows(connection: Any, batch: int) -> Rows:  # noqa: ANN401 - asyncpg
    """Read the tables."""
    async with connection.transaction():
        messages = await connection.fetch(
            """SELECT stored_at, kind, job_id, answer_job
               FROM mailroom.message WHERE batch = $1""",
            batch,
        )
        attachments = await connection.fetchval(
            """SELECT count(*)
               FROM mailroom.attachment a JOIN mailroom.message m ON m.id = a.message
               WHERE m.batch = $1""",
            batch,
        )
    return Rows(
        messages=len(messages),
        stored=sum(row["stored_at"] is not None for row in messages),
        attachments=attachments,
        bounces=sum(row["kind"] == "bounce" for row in messages),
        reading_jobs=tuple(row["job_id"] for row in messages),
        answer_jobs=tuple(row["answer_job"] for row in messages if row["answer_job"]),
    )


async def read_ledger(app: Headrace, rows: Rows) -> Jobs:
    """The jobs of a batch as the ledger has them."""
    return {job.id: job for job in await app.get_many([*rows.reading_jobs, *rows.answer_jobs])}


def unfinished(jobs: Jobs) -> int:
    """How many of the jobs are not over."""
    return sum(not job.state.final for job in jobs.values())


def summarise(
    rows: Rows, jobs: Jobs, sent: Sequence[Delivery], seconds: float
) -> dict[str, int | float]:
    """The demo's line of JSON."""
    return {
        "messages": rows.messages,
        "stored": rows.stored,
        "attachments": rows.attachments,
        "bounces": rows.bounces,
        "sent": len(_message_ids(sent)),
        "retried": sum(job.failures > 0 or job.crashes > 0 for job in jobs.values()),
        "dead": sum(job.state is State.DEAD for job in jobs.values()),
        "seconds": round(seconds, 2),
    }


def disagreements(count: Count, rows: Rows, jobs: Jobs, sent: Sequence[Delivery]) -> list[str]:
    """A sentence for each pair of witnesses that differ."""
    reading = Counter(jobs[one].state for one in rows.reading_jobs if one in jobs)
    answers = Counter(jobs[one].state for one in rows.answer_jobs if one in jobs)
    completed = {
        one for one in rows.answer_jobs if one in jobs and jobs[one].state is State.COMPLETED
    }
    pairs = [
        ("messages in the input", count.messages, "messages registered", rows.messages),
        ("messages in the input", count.messages, "rows stored", rows.stored),
        (
            "messages in the input",
            count.messages,
            "reading jobs completed in the ledger",
            reading[State.COMPLETED],
        ),
        ("attachments in the input", count.attachments, "attachment rows", rows.attachments),
        ("bounces in the input", count.bounces, "rows marked as bounces", rows.bounces),
        (
            "acknowledgements due by the input",
            count.acknowledgements,
            "answer jobs completed or dead in the ledger",
            answers[State.COMPLETED] + answers[State.DEAD],
        ),
    ]
    found = [f"{a}: {n}, but {b}: {m}" for a, n, b, m in pairs if n != m]
    ids = _message_ids(sent)
    missing = {acknowledgement_id(one) for one in completed} - ids
    if missing:
        found.append(f"{len(missing)} answers are completed in the ledger but not in the mailbox")
    strange = ids - {acknowledgement_id(one) for one in rows.answer_jobs}
    if strange:
        found.append(f"{len(strange)} messages in the mailbox belong to no job of this batch")
    return found


def sent_too_often(jobs: Jobs, sent: Sequence[Delivery], *, lanes_lost: int) -> list[str]:
    """A sentence if answers were sent more often than their jobs can have run.

    Giving a job to another worker raises its generation; one exception is a lane that is built anew
    after it lost its data, which gives out once more what its dead workers had. (Failures and
    crashes may be fewer, since then nobody can tell that such a worker had begun.)
    """
    times = Counter(_message_id(one) for one in sent)
    over = [
        one for one in jobs.values() if times[acknowledgement_id(one.id)] > one.gen + lanes_lost
    ]
    return [f"{len(over)} answers were sent more often than their jobs can have run"] * bool(over)


def _message_ids(sent: Iterable[Delivery]) -> set[str]:
    return {_message_id(one) for one in sent}


def _message_id(delivery: Delivery) -> str:
    return str(BytesHeaderParser().parsebytes(delivery.content)["Message-ID"]).strip()
