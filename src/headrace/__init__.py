"""Durable jobs for Python: PostgreSQL keeps them, Redis or Valkey carries them, workers turn."""

from headrace.app import Headrace
from headrace.context import Context
from headrace.errors import (
    BadArguments,
    BadPayload,
    ConfigError,
    HeadraceError,
    JobCancelled,
    JobDead,
    JobError,
    JobNotFound,
    LedgerUnavailable,
    OutcomeUnknown,
    ResultTimeout,
    SchemaError,
    StaleAttempt,
    UnknownQueue,
    UnknownTask,
    UsageError,
)
from headrace.handle import JobHandle
from headrace.model.job import Job
from headrace.model.outcome import Cancel, Complete, Dead, Retry, Snooze
from headrace.model.priority import Priority
from headrace.model.retry import RetryPolicy
from headrace.model.state import State
from headrace.task import JobSpec, Task

__all__ = [
    "BadArguments",
    "BadPayload",
    "Cancel",
    "Complete",
    "ConfigError",
    "Context",
    "Dead",
    "Headrace",
    "HeadraceError",
    "Job",
    "JobCancelled",
    "JobDead",
    "JobError",
    "JobHandle",
    "JobNotFound",
    "JobSpec",
    "LedgerUnavailable",
    "OutcomeUnknown",
    "Priority",
    "ResultTimeout",
    "Retry",
    "RetryPolicy",
    "SchemaError",
    "Snooze",
    "StaleAttempt",
    "State",
    "Task",
    "UnknownQueue",
    "UnknownTask",
    "UsageError",
]
