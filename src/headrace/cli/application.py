"""Finds the application that APP names: module:attribute, importable from here."""

import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from headrace.app import Headrace
from headrace.errors import AppBroken, UnknownTask, UsageError
from headrace.task import Task


def load_app(path: str) -> Headrace:
    """The application that `path` names, such as "shop.jobs:app".

    Raises:
        UsageError: there is no such module or attribute, or it is no application.
        AppBroken: the module itself fails; its error is the cause, unless the sentence says it all.
    """
    module_name, colon, attribute = path.partition(":")
    if not (colon and module_name and attribute):
        raise UsageError(f'APP "{path}" is not module:attribute; write it as "shop.jobs:app"')
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found = _imported(module_name, path)
    if found is None:
        raise UsageError(f'APP "{path}": there is no module {module_name} in {here} or installed')
    for name in attribute.split("."):
        found = _attribute(found, name, path)
    if not isinstance(found, Headrace):
        raise UsageError(
            f'APP "{path}" is a {type(found).__qualname__}, no application; '
            "name the Headrace(...) object"
        )
    return found


def database_url_of(path: str, given: str | None, *, embedded: bool) -> str | None:
    """The database to use: as given, or as the application that `path` names says itself."""
    return given if given or embedded else load_app(path).settings.database_url


def load_app_on_embedded(path: str, database_url: str, *, embedded: bool) -> Headrace:
    """The application that `path` names; it works on the database of the embedded servers, if so.

    Raises:
        UsageError: it names another database itself, or there is none.
        AppBroken: the module itself fails.
    """
    app = load_app(path)
    if embedded and app.settings.database_url != database_url:
        raise UsageError(
            f'APP "{path}" names a database itself, with Headrace(database_url=...); leave that '
            "out, or leave out --embedded"
        )
    return app


def find_task(app: Headrace, name: str) -> Task[..., Any]:
    """A task of an application.

    Raises:
        UnknownTask: there is none of this name.
    """
    if name in app.tasks:
        return app.tasks[name]
    raise UnknownTask(f'"{name}" is no task of {app.name}; {_hint(name, list(app.tasks))}')


def _imported(module: str, path: str) -> object | None:
    """The module; None if there is none of this name."""
    try:
        return import_module(module) if _exists(module) else None
    except Exception as exc:
        # Python has no type of its own for this one.
        if isinstance(exc, ImportError | AttributeError) and "partially initialized" in str(exc):
            raise AppBroken(
                f'APP "{path}": the modules that {module} imports import it in turn ({exc}); '
                "import inside a function, or move what both need into a module of its own"
            ) from None
        words = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise AppBroken(f'APP "{path}": importing {module} failed: {words}') from exc


def _exists(module: str) -> bool:
    """Whether a module is there; imports its parents only, one after the other."""
    parts = module.split(".")
    names = (".".join(parts[: end + 1]) for end in range(len(parts)))
    try:
        return all(find_spec(name) is not None for name in names)
    except ModuleNotFoundError as exc:
        # A parent that is a plain module; anything else was imported by a parent and is missing.
        if exc.name is not None and module.startswith(exc.name):
            return False
        raise


def _attribute(owner: object, name: str, path: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError:
        apps = [key for key, value in vars(owner).items() if isinstance(value, Headrace)]
        raise UsageError(f'APP "{path}": there is no "{name}"; {_hint(name, apps)}') from None


def _hint(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known: {', '.join(known)}" if known else "there is none"
