"""Does what a page says, in an empty folder of its own, as somebody would who reads it."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path

import psycopg
from typer.testing import CliRunner

from examples.blocks import Block, Command, commands_of, matches
from examples.interpreter import interpreter
from headrace.cli.root import app

ROOT = Path(__file__).parents[2]
# Where a page names servers, the tests have others.
DATABASE, REDIS = "postgresql://user:password@localhost:5432/shop", "redis://localhost:6379/0"
_PATIENCE = 60.0


@contextmanager
def reading(folder: Path, database_url: str, redis_url: str) -> Iterator["Reader"]:
    """Somebody who follows one page; what stays in the foreground gets a Ctrl-C in the end.

    Args:
        folder: empty; files of the page go there.
        database_url: migrated; what the page has unless it says something else.
        redis_url: for pages that take a lane.
    """
    with ExitStack() as until_the_end:
        reader = Reader(folder, database_url, redis_url, until_the_end)
        try:
            yield reader
        except BaseException:
            reader.leave_at_once()
            raise
        reader.leave()


class Reader:
    """Follows the blocks of one page."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, stack: ExitStack) -> None:
        self._folder = folder
        self._database = database_url
        self._servers = {DATABASE: database_url, REDIS: redis_url}
        self._staying: list[subprocess.Popen[str]] = []
        binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ours = {"HEADRACE_DATABASE_URL": database_url, "PATH": binaries, "COLUMNS": "100"}
        self._environment = {**os.environ, **ours}
        self._python = stack.enter_context(interpreter(folder, ours))

    def follow(self, block: Block) -> None:
        """Write the file, or do what the block says."""
        code = self._with_our_servers(block.code)
        if block.file:
            (self._folder / block.file).write_text(code, "utf-8")
        if block.language == "python" and block.file:
            self._python.load(block.file.removesuffix(".py"))
        elif block.language == "python":
            self._python.run(code)
        elif block.language == "sql":
            with psycopg.connect(self._database) as connection:
                connection.execute(code.encode())
        elif block.language == "console":
            for command in commands_of(code):
                self._type(command)

    def leave(self) -> None:
        """End what stays in the foreground."""
        for process in self._staying:
            process.send_signal(signal.SIGINT)
        for process in self._staying:
            _, log = process.communicate(timeout=_PATIENCE)
            assert process.returncode == 0, log

    def leave_at_once(self) -> None:
        """Something went wrong already."""
        for process in self._staying:
            process.kill()
            process.communicate()

    def _with_our_servers(self, text: str) -> str:
        for theirs, ours in self._servers.items():
            text = text.replace(theirs, ours)
        return text

    def _type(self, command: Command) -> None:
        words = shlex.split(command.text)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self._environment[name] = value
        elif words[0] == "unset":
            del self._environment[words[1]]
        elif words[0] == "make":
            _check_targets(words[1:])
        elif words[:2] == ["pip", "install"]:
            _check_extras(words[2:])
        elif _stays(words):
            self._stay(command)
        elif _is_short(words):
            self._invoke(command, words[1:])
        else:
            self._finish(command)

    def _invoke(self, command: Command, arguments: list[str]) -> None:
        """A command that needs no process of its own saves its start."""
        absent = dict.fromkeys(os.environ.keys() - self._environment)
        with chdir(self._folder):
            done = CliRunner(env={**self._environment, **absent}).invoke(app, arguments)
        assert done.exit_code == 0, f"{command.text}\n{done.output}{done.exception}"
        _compare(command, done.stdout)

    def _finish(self, command: Command) -> None:
        done = subprocess.run(
            ["bash", "-c", command.text],
            check=False,
            cwd=self._folder,
            env=self._environment,
            text=True,
            capture_output=True,
            timeout=_PATIENCE,
        )
        assert done.returncode == 0, f"{command.text}\n{done.stdout}{done.stderr}"
        _compare(command, done.stdout)

    def _stay(self, command: Command) -> None:
        """What runs until it is stopped goes on until the page ends; its first line is awaited."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command.text}"],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._staying.append(process)
        assert process.stderr is not None
        assert process.stderr.readline(), f"{command.text} ended and said nothing"


def _compare(command: Command, printed: str) -> None:
    assert not command.printed or matches(command.printed, printed), printed


def _is_short(words: list[str]) -> bool:
    long = {"worker", "demo", "--embedded", ">"}
    return words[0] == "headrace" and long.isdisjoint(words)


def _stays(words: list[str]) -> bool:
    """Whether a command runs until it is stopped."""
    return words[:2] in (["headrace", "worker"], ["headrace", "relay"]) and "--burst" not in words


def _check_targets(targets: list[str]) -> None:
    """The targets of the Makefile are run by its own users; that they are there is seen here."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"make {target}: no target"


def _check_extras(wanted: list[str]) -> None:
    """The package is installed already; that the extras are there is seen here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for one in wanted:
        name, _, extras = one.removesuffix("]").partition("[")
        assert name in {".", project["name"]}, f"pip install {one}: another package"
        unknown = {*filter(None, extras.split(","))} - {*project["optional-dependencies"]}
        assert not unknown, f"pip install {one}: no extra {unknown}"
