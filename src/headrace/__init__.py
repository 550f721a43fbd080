"""Durable jobs for Python: PostgreSQL keeps them, Redis or Valkey carries them, workers turn.

Names are imported when they are first used, so that the command line is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.app import Headrace
    from headrace.context import Context
    from headrace.dependencies import Depends, injected
    from headrace.errors import (
        BadArguments,
        BadPayload,
        ConfigError,
        DuplicateJob,
        HeadraceError,
        JobCancelled,
        JobDead,
        JobError,
        JobNotFound,
        LedgerUnavailable,
        OutcomeUnknown,
        QueueFull,
        ResultTimeout,
        SchemaError,
        StaleAttempt,
        UnknownFlow,
        UnknownQueue,
        UnknownSchedule,
        UnknownTask,
        UsageError,
    )
    from headrace.flow import Flow, FlowHandle
    from headrace.handle import JobHandle
    from headrace.model.concurrency import ConcurrencyLimit
    from headrace.model.event import Event
    from headrace.model.job import Job
    from headrace.model.outcome import Cancel, Complete, Dead, RateLimited, Retry, Snooze
    from headrace.model.priority import Priority
    from headrace.model.rate import RateLimit
    from headrace.model.retry import RetryPolicy
    from headrace.model.schedule import Schedule
    from headrace.model.state import State
    from headrace.model.stream import StreamEvent
    from headrace.model.unique import Unique
    from headrace.task import JobSpec, Task
    from headrace.topics import Topic

__all__ = [
    "BadArguments",
    "BadPayload",
    "Cancel",
    "Complete",
    "ConcurrencyLimit",
    "ConfigError",
    "Context",
    "Dead",
    "Depends",
    "DuplicateJob",
    "Event",
    "Flow",
    "FlowHandle",
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
    "QueueFull",
    "RateLimit",
    "RateLimited",
    "ResultTimeout",
    "Retry",
    "RetryPolicy",
    "Schedule",
    "SchemaError",
    "Snooze",
    "StaleAttempt",
    "State",
    "StreamEvent",
    "Task",
    "Topic",
    "Unique",
    "UnknownFlow",
    "UnknownQueue",
    "UnknownSchedule",
    "UnknownTask",
    "UsageError",
    "injected",
]

_HOMES = {
    "headrace.app": ("Headrace",),
    "headrace.context": ("Context",),
    "headrace.dependencies": ("Depends", "injected"),
    "headrace.errors": (
        "BadArguments",
        "BadPayload",
        "ConfigError",
        "DuplicateJob",
        "HeadraceError",
        "JobCancelled",
        "JobDead",
        "JobError",
        "JobNotFound",
        "LedgerUnavailable",
        "OutcomeUnknown",
        "QueueFull",
        "ResultTimeout",
        "SchemaError",
        "StaleAttempt",
        "UnknownQueue",
        "UnknownFlow",
        "UnknownSchedule",
        "UnknownTask",
        "UsageError",
    ),
    "headrace.flow": ("Flow", "FlowHandle"),
    "headrace.handle": ("JobHandle",),
    "headrace.model.concurrency": ("ConcurrencyLimit",),
    "headrace.model.event": ("Event",),
    "headrace.model.job": ("Job",),
    "headrace.model.outcome": (
        "Cancel",
        "Complete",
        "Dead",
        "RateLimited",
        "Retry",
        "Snooze",
    ),
    "headrace.model.priority": ("Priority",),
    "headrace.model.rate": ("RateLimit",),
    "headrace.model.retry": ("RetryPolicy",),
    "headrace.model.schedule": ("Schedule",),
    "headrace.model.state": ("State",),
    "headrace.model.stream": ("StreamEvent",),
    "headrace.model.unique": ("Unique",),
    "headrace.task": (
        "JobSpec",
        "Task",
    ),
    "headrace.topics": ("Topic",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # a type checker would take any name for granted

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'headrace' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOME[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
