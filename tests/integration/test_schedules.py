"""What code declares and operators do: what wins, what stays, what is refused, what is kept."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from headrace import Headrace, UsageError
from headrace.cli.root import app as program
from headrace.errors import HeadraceError, UnknownSchedule, UnknownTask
from headrace.model.schedule import Condition
from headrace.schedules import Schedules

NIGHTLY = {"cron": "0 3 * * *", "tz": "Europe/Berlin"}


@asynccontextmanager
async def deployed(url: str, name: str = "shop", **timing: Any) -> AsyncIterator[Headrace]:
    """The application with the schedule "nightly", if its timing is given, as a worker has it."""
    app = Headrace(name, database_url=url)

    @app.task(queue="reports", priority="low", max_attempts=7)
    async def report(kind: str = "short") -> None: ...

    if timing:
        app.schedule("nightly", report.job(), **timing)
    async with app:
        await app.schedules.retire()
        yield app


async def kinds(schedules: Schedules) -> list[tuple[str, str]]:
    return [(one.kind, one.actor) for one in await schedules.history("nightly")]


async def test_a_declaration_is_kept_and_says_all_of_its_job(migrated_url: str) -> None:
    async with deployed(migrated_url, **NIGHTLY) as app:
        (found,) = await app.schedules.all()
        assert (found.name, found.task, found.app) == ("nightly", "report", "shop")
        assert (found.condition, found.edited, found.made) == (Condition.ACTIVE, False, 0)
        assert found.job["args"] == {}
        assert (found.job["queue"], found.job["priority"]) == ("reports", 7)
        assert found.next_tick == found.upcoming(1)[0]
        assert await app.schedules.preview("nightly", 3) == found.upcoming(3)
        assert await kinds(app.schedules) == [("declared", "app:shop")]


async def test_starting_again_changes_nothing(migrated_url: str, sql: asyncpg.Connection) -> None:
    query = "SELECT version, cursor, xmin::text FROM headrace.schedule"
    async with deployed(migrated_url, **NIGHTLY):
        before = await sql.fetchrow(query)
    async with deployed(migrated_url, **NIGHTLY):
        assert await sql.fetchrow(query) == before


async def test_a_pause_survives_restarts_and_new_declarations(migrated_url: str) -> None:
    async with deployed(migrated_url, **NIGHTLY) as app:
        assert await app.schedules.pause("nightly")
        assert not await app.schedules.pause("nightly")
    async with deployed(migrated_url, every="1h") as app:
        found = await app.schedules.get("nightly")
        assert (found.condition, found.timing.cron) == (Condition.PAUSED, None)
        assert found.next_tick is None
        assert len(found.upcoming(2)) == 2
        assert await app.schedules.resume("nightly")
        assert (await app.schedules.get("nightly")).condition is Condition.ACTIVE


async def test_an_edit_holds_until_the_declaration_changes(migrated_url: str) -> None:
    async with deployed(migrated_url, **NIGHTLY) as app:
        found = await app.schedules.edit("nightly", cron="0 4 * * *")
        assert (found.edited, found.timing.cron) == (True, "0 4 * * *")
    async with deployed(migrated_url, **NIGHTLY) as app:
        assert (await app.schedules.get("nightly")).timing.cron == "0 4 * * *"
    async with deployed(migrated_url, cron="0 5 * * *") as app:
        found = await app.schedules.get("nightly")
        assert (found.edited, found.timing.cron) == (False, "0 5 * * *")
        done = [kind for kind, _ in await kinds(app.schedules)]
        assert done == ["declared", "edited", "declared"]


async def test_what_no_code_declares_any_more_ticks_no_more(migrated_url: str) -> None:
    async with deployed(migrated_url, **NIGHTLY):
        pass
    async with deployed(migrated_url, "another"):
        pass
    async with deployed(migrated_url) as app:
        found = await app.schedules.get("nightly")
        assert (found.condition, found.next_tick) == (Condition.UNDECLARED, None)
    async with deployed(migrated_url, **NIGHTLY) as app:
        assert (await app.schedules.get("nightly")).condition is Condition.ACTIVE
        done = [kind for kind, _ in await kinds(app.schedules)]
        assert done == ["declared", "undeclared", "declared"]


async def test_what_code_declares_cannot_be_deleted(migrated_url: str) -> None:
    async with deployed(migrated_url, **NIGHTLY) as app:
        with pytest.raises(UsageError, match=r'in the code of application "shop".* or pause it'):
            await app.schedules.delete("nightly")
    async with deployed(migrated_url) as app:
        await app.schedules.delete("nightly")
        assert await app.schedules.all() == []
        assert (await kinds(app.schedules))[-1] == ("deleted", "app:shop")


async def test_made_at_run_time(migrated_url: str) -> None:
    async with deployed(migrated_url) as app:
        job = app.tasks["report"].options(tenant="acme", priority=1).job("long")
        found = await app.schedules.create("own", job, every="1h", limit=3)
        assert (found.app, found.job["tenant"]) == (None, "acme")
        assert found.job["args"] == {"kind": "long"}
        assert len(found.upcoming(9)) == 3
        changed = await app.schedules.edit("own", app.tasks["report"].job(), limit=None)
        assert "tenant" not in changed.job
        assert changed.timing.limit is None
        await app.schedules.delete("own")
        with pytest.raises(UnknownSchedule):
            await app.schedules.get("own")


async def test_history_is_bounded(migrated_url: str) -> None:
    async with deployed(migrated_url, **NIGHTLY) as app:
        for _ in range(60):
            await app.schedules.pause("nightly")
            await app.schedules.resume("nightly")
        assert len(await app.schedules.history("nightly")) == 100


async def test_edits_at_once_are_all_kept(migrated_url: str) -> None:
    async with deployed(migrated_url, **NIGHTLY) as app:
        edit = app.schedules.edit
        await asyncio.gather(edit("nightly", limit=5), edit("nightly", jitter="5s"))
        timing = (await app.schedules.get("nightly")).timing
        assert (timing.limit, timing.jitter) == (5, timedelta(seconds=5))


def test_callers_without_a_loop(migrated_url: str) -> None:
    app = Headrace("shop", database_url=migrated_url)

    @app.schedule("nightly", cron="@daily")
    @app.task()
    def report() -> None: ...

    schedules = app.schedules
    try:
        schedules.create_sync("own", report.job(), every="1h")
        assert [one.name for one in schedules.all_sync()] == ["nightly", "own"]
        assert schedules.edit_sync("own", every="2h").edited is False
        assert schedules.pause_sync("own")
        assert schedules.resume_sync("own")
        assert len(schedules.preview_sync("own", 2)) == 2
        assert schedules.get_sync("own").name == "own"
        job_id = schedules.run_sync("own")
        assert app.get_sync(job_id).id == job_id
        schedules.delete_sync("own")
        assert schedules.history_sync("own")[-1].kind == "deleted"
        assert schedules.retire_sync() == []
    finally:
        app.stop_sync()


def _app() -> Headrace:
    app = Headrace("shop", database_url="postgresql://nobody@127.0.0.1:1/none")

    @app.task()
    async def needs(n: int) -> None: ...

    @app.task()
    async def plain() -> None: ...

    return app


def _twice(app: Headrace) -> None:
    app.schedule("a", app.tasks["plain"].job(), every="1h")
    app.schedule("a", app.tasks["plain"].job(), every="2h")


REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (_twice, 'schedule "a" is declared twice; give one of them another name'),
    (lambda app: app.schedule("a b", every="1h"), "schedule name 'a b' is not allowed"),
    (lambda app: app.schedule("a", evry="1h"), '"evry" is no option of a schedule; did you mean'),
    (lambda app: app.schedule("a", every="0s")(app.tasks["plain"]), "every='0s' is shorter than"),
    (lambda app: app.schedule("a", every="1h")(app.tasks["needs"]), "n"),
    (lambda app: app.schedule("a", every="1h")(len), "stands above a task, not <built-in"),
    (lambda app: app.schedule("a", app.tasks["plain"], every="1h"), "what task.job(...) makes"),
    (
        lambda app: app.schedule("a", app.tasks["plain"].options(delay="5m").job(), every="1h"),
        "delay is not for the jobs of a schedule",
    ),
    (
        lambda app: app.schedule(
            "a", app.tasks["plain"].options(idempotency_key="k").job(), every="1h"
        ),
        "idempotency_key is not for the jobs of a schedule",
    ),
    (
        lambda app: app.schedule("a", every="1h", start=datetime(2026, 1, 1)),  # noqa: DTZ001 - so
        "has no time zone",
    ),
]


@pytest.mark.parametrize(("declare", "says"), REFUSED)
def test_a_declaration_that_cannot_be(declare: Callable[[Headrace], Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        declare(_app())
    assert says in str(refused.value)


async def test_what_is_not_there(migrated_url: str) -> None:
    async with deployed(migrated_url, **NIGHTLY) as app:
        for verb in (app.schedules.pause, app.schedules.resume, app.schedules.delete):
            with pytest.raises(
                UnknownSchedule, match='"nighty" is unknown; did you mean "nightly"'
            ):
                await verb("nighty")
        with pytest.raises(UsageError, match='"nightly" is there already; edit it'):
            await app.schedules.create("nightly", app.tasks["report"].job(), every="1h")
        inspector = app.engine.inspector.schedules
        timing = (await app.schedules.get("nightly")).timing
        with pytest.raises(UnknownTask, match='task "reprot" is unknown; did you mean "report"'):
            await inspector.create("x", timing, {"task": "reprot"}, "cli:test")


def command(url: str, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(program, ["schedules", *words, "--database-url", url])
    if isinstance(done.exception, HeadraceError):
        return 2, str(done.exception)
    return done.exit_code, done.stdout


def test_the_command_line(migrated_url: str) -> None:
    async def declare() -> None:
        async with deployed(migrated_url, **NIGHTLY):
            pass

    asyncio.run(declare())
    code, told = command(migrated_url, "list")
    assert code == 0
    assert "0 3 * * * Europe/Berlin" in told
    words = ["create", "hourly", "report", '{"kind": "long"}', "--every", "1h", "--jitter", "30s"]
    made = json.loads(command(migrated_url, *words, "--priority", "high", "--json")[1])
    assert made["schedule"]["job"] == {"task": "report", "args": {"kind": "long"}, "priority": 3}
    assert len(made["upcoming"]) == 3
    edit = ["edit", "hourly", "--end", "2099-01-01T00:00Z", "--queue", "reports", "--json"]
    changed = json.loads(command(migrated_url, *edit)[1])["schedule"]
    assert (changed["job"]["queue"], changed["timing"]["end"]) == (
        "reports",
        "2099-01-01T00:00:00Z",
    )
    assert "is paused" in command(migrated_url, "pause", "hourly")[1]
    assert "was paused" in command(migrated_url, "pause", "hourly")[1]
    assert "paused" in command(migrated_url, "list")[1]
    assert json.loads(command(migrated_url, "resume", "hourly", "--json")[1])["changed"] is True
    ran = json.loads(command(migrated_url, "run", "hourly", "--json")[1])
    shown = json.loads(command(migrated_url, "show", "hourly", "--json")[1])
    done = [one["kind"] for one in shown["history"]]
    assert done == ["created", "edited", "paused", "resumed", "run"]
    assert {one["actor"].partition(":")[0] for one in shown["history"]} == {"cli"}
    assert ran["id"] in command(migrated_url, "show", "hourly")[1]
    assert len(command(migrated_url, "preview", "hourly", "-n", "4")[1].splitlines()) == 4
    assert "is deleted" in command(migrated_url, "delete", "hourly", "--yes")[1]
    code, told = command(migrated_url, "delete", "nightly", "--yes")
    assert (code, "pause it" in told) == (2, True)


def test_an_expression_that_is_no_schedule_yet_can_be_previewed() -> None:
    words = ["schedules", "preview", "--cron", "30 2 * * *", "--tz", "Europe/Berlin", "--json"]
    done = CliRunner().invoke(program, [*words, "--start", "2030-03-30T12:00Z", "-n", "2"])
    assert json.loads(done.stdout)["upcoming"] == ["2030-03-31T01:00:00Z", "2030-04-01T00:30:00Z"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["preview"], "which ticks? give the NAME of a schedule, or --cron"),
        (["preview", "--cron", "0 99 * * *"], "cannot be: its hour may be 0 to 23"),
        (["create", "x", "t", "[1]", "--every", "1h"], "no JSON object; name them"),
        (["create", "x", "t", "--every", "1h", "--start", "soon"], '"soon" is no time; write it'),
        (["create", "x", "t", "--every", "1h", "--start", "2030-01-01"], "has no time zone"),
        (["create", "x", "t", "--every", "1h", "--limit", "few"], "is no number of ticks"),
        (["create", "x", "t"], "nothing says when it ticks"),
        (["edit", "x"], "nothing is to be changed"),
    ],
)
def test_a_command_that_cannot_be(words: list[str], says: str) -> None:
    code, told = command("postgresql://nobody@127.0.0.1:1/none", *words)
    assert (code, says in told) == (2, True), told
