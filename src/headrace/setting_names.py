"""The settings by name, for those who only pass them on: `config` takes long to import."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TypedDict

from headrace.errors import ConfigError
from headrace.model.duration import Duration


class SettingsArguments(TypedDict, total=False):
    """The settings that may be given as arguments, as in `headrace.config.Settings`."""

    database_url: str | None
    redis_url: str | None
    cache_url: str | None
    pool_size: int
    max_payload: int
    listen: bool
    prepared_statements: bool
    lease: Duration
    unknown_tasks: Duration
    child_jobs: int | None
    child_memory: int | str | None
    redact: Sequence[str]


_NAMES = SettingsArguments.__annotations__


def check_names(names: Iterable[str]) -> None:
    """Refuse names of settings that there are not.

    Raises:
        ConfigError: it names the first one and the nearest known.
    """
    for name in names:
        if name not in _NAMES:
            raise ConfigError(unknown(name))


def unknown(name: str) -> str:
    """The sentence about a setting that there is not."""
    near = get_close_matches(name, _NAMES, 1, 0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(_NAMES)}"
    return f'"{name}" is no setting; {hint}'
