"""What is known of a task outside the process that defines it."""

import msgspec


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """A task's name and the defaults of its jobs."""

    name: str
    queue: str
    priority: int
    max_attempts: int
    rerun_on_crash: bool = False
