"""What the pages list is what there is."""

import re
from datetime import timedelta

import pytest
import typer
from typer.core import TyperGroup

from examples.reader import ROOT
from headrace import State
from headrace.cli.root import app
from headrace.config import Settings
from headrace.model.priority import Priority
from headrace.model.rate import PRESETS as RATES
from headrace.model.rate import RateLimit
from headrace.model.retry import PRESETS, RetryPolicy
from headrace.options import JobOptions, TaskOptions

DOCS = ROOT / "docs"
_ROW = re.compile(r"^\| `([^`]+)` \| (.*) \|$", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def rows(name: str) -> dict[str, str]:
    return dict(_ROW.findall(page(name)))


def test_the_promises_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    table = re.search(r"\| event \| what happens \|\n\|---\|---\|\n(.*?)\n\n", readme, re.DOTALL)
    assert table is not None
    told = re.findall(r"^(\| .* \|) [^|]+ \|$", page("learn/guarantees.md"), re.MULTILINE)
    assert told[2:] == table[1].split("\n")


def test_every_state_is_explained_and_drawn() -> None:
    told = rows("learn/life-of-a-job.md")
    drawn = re.findall(r"<text[^>]*>(\w+)</text>", page("learn/states.svg"))
    reserved = {State.BLOCKED}
    assert {*State} - reserved == {*map(State, told)}
    assert {*State} - reserved <= {*drawn}


def test_every_preset_of_retries_is_listed() -> None:
    listed = {name: text for name, text in rows("learn/outcomes.md").items() if name in PRESETS}
    assert listed == {name: _as_listed(policy) for name, policy in PRESETS.items()}


def _as_listed(policy: RetryPolicy) -> str:
    failures = range(1, len(policy.steps) + 1) if policy.steps else range(1, 5)
    delays = [_short(policy.delay(number, 0.0)) for number in failures]
    more = "" if policy.steps else " ..."
    return f"{', '.join(delays)}{more} | {policy.max_attempts or 3}"


def _short(delay: timedelta) -> str:
    seconds = delay.total_seconds()
    unit, name = (1, "s") if seconds < 60 else (60, "min") if seconds < 3600 else (3600, "h")
    return f"{seconds / unit:g} {name}"


def test_every_preset_of_limits_is_listed() -> None:
    listed = {name: text for name, text in rows("limits.md").items() if name in RATES}
    told = {name: [str(rate) for rate in RateLimit.preset(name).rates] for name in RATES}
    assert {name: text.replace("`", "").split(", ") for name, text in listed.items()} == told


def test_every_priority_that_has_a_name_is_told() -> None:
    glossary = page("glossary.md")
    for level in Priority:
        assert f"{level.name.lower()} {level.value}" in glossary


def test_every_command_is_listed() -> None:
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)
    assert rows("reference/cli.md").keys() == {f"headrace {name}" for name in _commands(program)}


def _commands(group: TyperGroup) -> list[str]:
    found = []
    for name, command in group.commands.items():
        inner = _commands(command) if isinstance(command, TyperGroup) else []
        found += [f"{name} {one}" for one in inner] or [name]
    return found


def test_every_file_on_a_jobs_way_is_there() -> None:
    package = ROOT / "src/headrace"
    named = re.findall(r"`([\w/]+\.(?:py|sql|lua))`", page("internals/a-jobs-way.md"))
    assert [name for name in named if not (package / name).is_file()] == []
    assert len(named) > 40


@pytest.mark.parametrize("kind", [Settings, TaskOptions, JobOptions])
def test_every_option_is_in_the_docstring_that_the_reference_shows(kind: type) -> None:
    _, _, attributes = (kind.__doc__ or "").partition("Attributes:")
    told = set(re.findall(r"^ {4,8}(\w+): ", attributes, re.MULTILINE))
    assert {name for name in kind.__annotations__ if name != "model_config"} == told
