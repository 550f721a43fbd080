"""The wish that a job end, which a worker has."""

from uuid import UUID

import msgspec


class Cancellation(msgspec.Struct, frozen=True, gc=False):
    """Who wants a running job to end, and why.

    Attributes:
        job_id: of the job.
        actor: who asked, such as "cli:ada".
        reason: why; may be empty.
    """

    job_id: UUID
    actor: str
    reason: str = ""
