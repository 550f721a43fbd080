"""What must hold of the jobs, and what breaks it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold.

    Attributes:
        name: a word or two.
        sentence: what must hold.
        quiesced: holds only while nothing comes in, no fault is at work and three leases passed,
            or costs a scan of all jobs.
        repair: what makes it hold again: sql/REPAIR.sql, or a verb of the lane.
    """

    name: str
    sentence: str
    quiesced: bool = False
    repair: str | None = None


@dataclass(frozen=True, slots=True)
class Breach:
    """What breaks a check: a job's id or another name, and how."""

    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check and what breaks it now, at most 20 of them; `repaired`: they were more before."""

    check: Check
    breaches: tuple[Breach, ...]
    repaired: bool = False
