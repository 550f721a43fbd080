"""Runs the Python of a page as `python -m asyncio` would: it may await at its top."""

import ast
import asyncio
import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from headrace import Headrace


@contextmanager
def interpreter(folder: Path, environment: Mapping[str, str]) -> Iterator["Interpreter"]:
    """One whose modules lie in a folder; they, and what they began, are gone in the end."""
    before = {*sys.modules}
    with patch.dict(os.environ, environment), patch.object(sys, "path", [str(folder), *sys.path]):
        one = Interpreter()
        try:
            yield one
        finally:
            one.end()
            for name in {*sys.modules} - before:
                if _lies_in(sys.modules[name], folder):
                    del sys.modules[name]


class Interpreter:
    """Its code runs in a thread of its own: there no event loop runs yet."""

    def __init__(self) -> None:
        self._applications: set[Headrace] = set()

    def run(self, code: str) -> None:
        """Run a block."""
        self._in_thread(code)

    def load(self, module: str) -> None:
        """Import a file of the page."""
        importlib.invalidate_caches()
        found = vars(importlib.import_module(module)).values()
        self._applications.update(one for one in found if isinstance(one, Headrace))

    def end(self) -> None:
        """Disconnect what `..._sync` verbs connected."""
        for app in self._applications:
            app.stop_sync()

    def _in_thread(self, code: str) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(_run, code).result()


def _run(code: str) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    compiled = compile(code, "the page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if compiled.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(compiled, names))
    else:
        exec(compiled, names)


def _lies_in(module: object, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder)
