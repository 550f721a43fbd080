"""Settings: arguments, then HEADRACE_*, then headrace.toml, then pyproject.toml."""

import os
from datetime import timedelta
from difflib import get_close_matches
from tomllib import TOMLDecodeError
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from headrace.errors import ConfigError, UsageError
from headrace.model.duration import parse_duration
from headrace.model.redaction import check_patterns
from headrace.setting_names import SettingsArguments, check_names, unknown

_PREFIX = "HEADRACE_"
_SHORTEST_LEASE = timedelta(seconds=1)


def _read_lease(value: object) -> timedelta:
    lease = parse_duration(value, "lease")
    if lease < _SHORTEST_LEASE:
        raise UsageError(f'lease={value!r} is too short to beat in; give at least "1s"')
    return lease


def _read_patience(value: object) -> timedelta:
    return parse_duration(value, "unknown_tasks")


class Settings(BaseSettings):
    """The settings of an application.

    Attributes:
        database_url: postgresql://user:password@host:port/database
        redis_url: redis://host:port, of a Redis or Valkey server; optional. Behind Sentinels
            redis+sentinel://host:port,host:port/service, of a cluster redis+cluster://host:port.
        cache_url: of the server of `app.cache`, in the same forms; not that of a lane, unless it
            evicts nothing.
        pool_size: connections to PostgreSQL, at most, that each process keeps for its jobs, 8. A
            worker has as many for its heartbeat, which uses one, one to listen on, and one for
            each handler inside `ctx.transaction()`, 50 at most.
        max_payload: bytes that the arguments of a job may take, 256 KiB; at most 1 MiB.
        listen: whether an idle worker keeps a connection on which it hears of new jobs at once,
            where no Redis tells it; without one it looks once a second.
        lease: how long a worker may be silent before others take its jobs, "15s"; at least one
            second. Who shares a lane should have the same: whether the lane went unwatched for too
            long is told by the lease of whoever looks.
        prepared_statements: whether connections to PostgreSQL keep prepared statements and planner
            settings; off behind PgBouncer in transaction mode. Then no session keeps anything, each
            statement is a transaction of a few round trips, and nobody listens.
        unknown_tasks: how long a job waits for a worker whose code has its task, "1h"; then it is
            dead. "0s": the first worker that does not know it gives it up.
        child_jobs: after so many jobs a process of `executor="process"` is replaced; without it
            never.
        redact: regular expressions of what is hidden in errors, stacks and what jobs tell, besides
            what looks like a secret anyway; a group called `secret`, or all that matches.
        child_memory: "512MB": one that takes more after a job is replaced; without it never.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        toml_file="headrace.toml",
        pyproject_toml_table_header=("tool", "headrace"),
    )

    database_url: str | None = Field(default=None, repr=False)
    redis_url: str | None = Field(default=None, repr=False)
    cache_url: str | None = Field(default=None, repr=False)
    pool_size: int = Field(default=8, ge=1, le=1000)
    max_payload: int = Field(default=256 * 1024, ge=1024, le=1024 * 1024)
    listen: bool = True
    prepared_statements: bool = True
    unknown_tasks: Annotated[timedelta, BeforeValidator(_read_patience)] = timedelta(hours=1)
    child_jobs: int | None = Field(default=None, ge=1)
    child_memory: ByteSize | None = None
    redact: Annotated[tuple[str, ...], AfterValidator(check_patterns)] = ()
    lease: Annotated[timedelta, BeforeValidator(_read_lease)] = timedelta(seconds=15)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources, the strongest first."""
        toml = TomlConfigSettingsSource(settings_cls)
        pyproject = PyprojectTomlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, toml, pyproject


def read_settings(arguments: SettingsArguments) -> Settings:
    """Read the settings; an argument that is None counts as not given.

    Raises:
        ConfigError: one is unknown or has a value that cannot be, or a file cannot be read.
    """
    given: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    check_names(given)
    _check_environment()
    try:
        return Settings(**given)
    except TOMLDecodeError as exc:
        raise ConfigError(f"headrace.toml or pyproject.toml is no TOML: {exc}") from exc
    except ValidationError as exc:
        raise ConfigError(_sentence(exc)) from exc


def _check_environment() -> None:
    """Refuse what is nearly a setting. Other HEADRACE_* variables are not ours to judge.

    Kubernetes sets HEADRACE_PORT and the like where a service is called headrace.
    """
    for variable in os.environ:
        name = variable.removeprefix(_PREFIX).lower()
        if not variable.startswith(_PREFIX) or name in Settings.model_fields:
            continue
        near = get_close_matches(name, Settings.model_fields, 1, 0.85)
        if near:
            raise ConfigError(
                f"the environment variable {variable} is no setting; "
                f"did you mean {_PREFIX}{near[0].upper()}?"
            )


def _sentence(exc: ValidationError) -> str:
    first = exc.errors(include_url=False)[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return unknown(name)
    why = first["msg"].removeprefix("Value error, ")
    return (
        f'the setting "{name}" has a value that cannot be ({why}); change it in the '
        f"arguments, in {_PREFIX}{name.upper()}, or in headrace.toml or pyproject.toml"
    )
