"""What holds of every command, also of those that are not written yet."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from headrace.cli.root import app

# These do something for as long as they run and have no state to show.
_SPEAK_OTHERWISE = {"worker", "relay", "demo", "dev"}
# These take embedded servers where no URL is given.
_EMBEDDED_BY_THEMSELVES = {"demo", "dev", "bench"}


def commands() -> Iterator[tuple[str, TyperCommand]]:
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        if isinstance(command, TyperGroup):
            waiting += [(f"{name} {sub}".strip(), one) for sub, one in command.commands.items()]
        else:
            assert isinstance(command, TyperCommand)
            yield name, command


COMMANDS = dict(commands())


def options(name: str) -> dict[str, Any]:
    return {flag: one for one in COMMANDS[name].params for flag in one.opts}


def test_there_are_commands() -> None:
    assert {"jobs list", "queues clean", "lane", "bench"} <= COMMANDS.keys()


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - _SPEAK_OTHERWISE))
def test_what_it_says_can_be_had_as_json(name: str) -> None:
    assert "--json" in options(name)


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - _EMBEDDED_BY_THEMSELVES))
def test_it_works_on_embedded_servers(name: str) -> None:
    assert "--embedded" in options(name)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_its_help_is_complete(name: str) -> None:
    command = COMMANDS[name]
    assert command.get_short_help_str(200)
    for flag, one in options(name).items():
        assert one.hidden or one.help, f"{flag} has no help"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_its_help_page_fits_a_terminal(name: str) -> None:
    shown = CliRunner(env={"COLUMNS": "100"}).invoke(app, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert shown.stdout.startswith("Usage: ")
    assert "[[" not in shown.stdout.splitlines()[0]
    assert max(map(len, shown.stdout.splitlines())) <= 100
    assert "\x1b" not in shown.stdout


@pytest.mark.parametrize("group", ["", "jobs", "queues", "dlq", "schedules", "flows"])
def test_no_summary_of_a_command_is_cut(group: str) -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*group.split(), "--help"])
    assert not shown.stdout.partition("\nCommands:\n")[2].count("...")


def test_the_commands_that_its_page_shows_are_there() -> None:
    page = (Path(__file__).parents[2] / "docs/commands.md").read_text("utf-8")
    shown = re.findall(r"(?:^\$ |`)headrace ([^`\n]+)", page, re.MULTILINE)
    assert len(shown) >= 6
    for line in shown:
        words = [word for word in line.split() if word.islower() and not word.startswith("-")]
        name = next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS)
        assert {word for word in line.split() if word.startswith("--")} <= options(name).keys(), (
            line
        )
