import asyncio
import contextlib
import getpass
import io
import json
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from headrace.cli.application import load_app
from headrace.cli.root import app, report
from headrace.embedded import EmbeddedValkey
from headrace.errors import HeadraceError, UsageError
from headrace.lanes.redis.lane import RedisLane
from headrace.ledger.verify import CHECKS
from headrace.model.lane_view import Mode
from headrace.model.state import State, Stored
from headrace.relay.relay import Relay
from jobsmith import HOUR, Jobsmith, smith_at

PROGRAM = Path(sys.executable).with_name("headrace")
SHOP = """
from headrace import Headrace

app = Headrace("shop")
number = 7


@app.task(queue="orders")
async def pack(order: int, fast: bool = False) -> None: ...
"""


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self
        return json.loads(self.out)


class Cli:
    """Runs commands on this database: in this process, or as a program in a folder of its own."""

    def __init__(self, folder: Path, url: str | None, redis_url: str | None = None) -> None:
        self.folder = folder
        given = {"HEADRACE_DATABASE_URL": url, "HEADRACE_REDIS_URL": redis_url}
        self._environment = {name: value for name, value in given.items() if value is not None}

    async def __call__(self, *arguments: object) -> Result:
        return await asyncio.to_thread(self._invoke, [str(one) for one in arguments])

    def _invoke(self, arguments: list[str]) -> Result:
        runner = CliRunner(
            env={
                "HEADRACE_DATABASE_URL": None,
                "HEADRACE_REDIS_URL": None,
                "COLUMNS": "80",
                **self._environment,
            }
        )
        result = runner.invoke(app, arguments)
        if not isinstance(result.exception, HeadraceError):
            assert isinstance(result.exception, SystemExit | None), result.exception
            return Result(result.exit_code, result.stdout, result.stderr)
        with contextlib.redirect_stderr(io.StringIO()) as err:
            status = report(result.exception)
        return Result(status, result.stdout, result.stderr + err.getvalue())

    async def start(self, *arguments: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            str(PROGRAM),
            *map(str, arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "80", **self._environment},
        )

    async def program(self, *arguments: object) -> Result:
        process = await self.start(*arguments)
        out, err = await process.communicate()
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())


@pytest.fixture
def nowhere(tmp_path: Path) -> Cli:
    """Without a database."""
    return Cli(tmp_path, None)


@pytest.fixture
async def smith(migrated_url: str) -> AsyncIterator[Jobsmith]:
    async with smith_at(migrated_url) as smith:
        yield smith


@pytest.fixture
def cli(smith: Jobsmith, tmp_path: Path) -> Cli:
    return Cli(tmp_path, smith.url)


async def test_help_and_version(nowhere: Cli) -> None:
    shown = await nowhere("--help")
    assert shown.status == 0
    for command in ("migrate", "doctor", "verify", "enqueue", "jobs", "dlq", "queues"):
        assert f"\n  {command}" in shown.out
    assert "\x1b" not in shown.out
    assert (await nowhere("--version")).out.startswith("headrace ")
    for group in ("jobs", "dlq", "queues"):
        assert (await nowhere(group, "--help")).status == 0


@pytest.mark.parametrize(
    ("arguments", "slow"),
    [
        (["--help"], {"asyncpg", "pydantic", "msgspec", "asyncio", "rich", "redis"}),
        (["jobs", "list", "--database-url", "postgresql://x@127.0.0.1:1/y"], {"rich", "redis"}),
    ],
    ids=["help", "jobs list"],
)
async def test_nothing_slow_is_imported_in_vain(arguments: list[str], slow: set[str]) -> None:
    code = (
        f"import sys\nfrom headrace.cli import main\nsys.argv = {['headrace', *arguments]}\n"
        f"try:\n    main()\nexcept SystemExit:\n    pass\nprint({slow} & set(sys.modules))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines()[-1] == "set()"


async def test_doctor_finds_what_is_wrong_with_the_url(nowhere: Cli) -> None:
    result = await nowhere("doctor", "--database-url", "mysql://x")
    assert (result.status, "write postgresql://" in result.out) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nosuch"], 2, "No such command 'nosuch'"),
        (["jobs", "list", "--state", "done"], 2, "'done' is not one of"),
        (["jobs", "list"], 1, "headrace: no database is configured; give --database-url"),
        (["jobs", "cancel"], 2, "headrace: which jobs?"),
        (["jobs", "cancel", "x"], 2, "headrace: 'x' is not the id of a job"),
        (["jobs", "cancel", str(uuid4()), "-q", "a"], 2, "both ids and a filter"),
        (["dlq", "replay", "-q", "a", "--since", "3"], 2, "--since='3' is no time; write"),
        (["jobs", "list", "--before", "x"], 2, "headrace: 'x' is not the id of a job"),
        (["jobs", "show", "x"], 2, "headrace: 'x' is not the id of a job"),
        (["jobs", "show"], 2, "Missing argument 'ID'"),
        (["jobs", "list", "--limit", "0"], 2, "--limit"),
        (["queues", "clean", "a", "--state", "dead", "--older-than", "x"], 2, "is not a duration"),
        (["lane", "on", "--redis-url", "redis://x", "--embedded"], 2, "both a Redis URL and"),
        (["demo", "--once", "/nosuch", "--database-url", "postgresql://x"], 1, "does not exist"),
        (["bench", "--repetitions", "0"], 2, "--repetitions"),
        (["bench", "--database-url", "mysql://x"], 1, "write postgresql://"),
        (["bench", "--database-url", "postgresql://x@127.0.0.1:1/y"], 1, "127.0.0.1:1/y cannot"),
        (["migrate", "--database-url", "postgresql://x@127.0.0.1:1/y"], 1, "127.0.0.1:1/y cannot"),
        (["migrate", "status", "--database-url", "postgresql://x@127.0.0.1:1/y"], 1, "reached"),
        (["jobs", "delete", "--state", "running"], 2, "cannot be done to running jobs"),
        (["queues", "clean", "a", "--state", "running"], 2, "cannot be done to running jobs"),
        (["jobs", "list", "--database-url", "postgresql://x@127.0.0.1:1/y"], 1, "127.0.0.1:1"),
        (["queues", "list", "--database-url", "postgresql://x", "--embedded"], 2, "choose one"),
        (["limits", "set", "stripe", "fast"], 2, "rate 'fast' is none; write \"10/s\""),
        (["limits", "set", "stripe", "0/s"], 2, "allows 0 starts; give 1 to 1,000,000"),
        (["limits", "set", "stripe", "1/40d"], 2, "give one of 100 ms to 31 days"),
        (["limits", "set", "stripe", "1/s", "2/1s"], 2, "for one window; give one of them"),
        (["limits", "set", "stripe"], 2, "Missing argument 'RATE...|WIDTH'"),
        (["limits", "show"], 2, "Missing argument 'NAME'"),
        (
            ["limits", "set", "reports", "1000001"],
            2,
            "width 1000001 cannot be; give a whole number",
        ),
        (["limits", "set", "stripe", "1/s", "--key", "a"], 2, "a rate is that of all keys"),
    ],
)
async def test_errors_are_a_sentence(
    arguments: list[str], status: int, words: str, nowhere: Cli
) -> None:
    result = await nowhere(*arguments)
    assert result.status == status
    assert words in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs", "list"],
        ["queues", "list"],
        ["verify"],
        ["lane"],
        ["lane", "off"],
        ["migrate"],
        ["migrate", "status"],
        ["demo", "--once"],
        ["bench", "--quick"],
        ["doctor"],
    ],
)
async def test_whoever_is_refused_hears_by_whom_and_why(
    arguments: list[str], database_url: str, tmp_path: Path
) -> None:
    parts = urlsplit(database_url)
    bad = {
        "refused the user or password": parts._replace(
            netloc=f"{parts.username}:mistyped@{parts.hostname}:{parts.port}"
        ),
        "has no such database": parts._replace(path="/nowhere"),
    }
    for words, url in bad.items():
        result = await Cli(tmp_path, url.geturl())(*arguments)
        told = result.out if arguments == ["doctor"] else result.err
        assert result.status == 1
        assert f"PostgreSQL at {parts.hostname}:{parts.port}/" in told
        assert words in told
        assert "mistyped" not in told
        assert "Traceback" not in result.err


async def test_settings_that_cannot_be_read_are_a_sentence(nowhere: Cli) -> None:
    (nowhere.folder / "headrace.toml").write_text("[[broken")
    result = await nowhere.program("jobs", "list")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "headrace.toml or pyproject.toml is no TOML" in result.err


async def test_a_folder_of_servers_that_cannot_be_is_a_sentence(nowhere: Cli) -> None:
    (nowhere.folder / ".headrace").touch()
    result = await nowhere.program("jobs", "list", "--embedded")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert ".headrace cannot be made or used" in result.err


async def test_the_program_itself(nowhere: Cli) -> None:
    refused = await nowhere.program("jobs", "list")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("headrace: no database is configured; ")
    assert refused.err.count("\n") == 1
    assert (await nowhere.program("jobs", "cancel", "x")).status == 2


async def test_migrate(database_url: str, tmp_path: Path) -> None:
    cli = Cli(tmp_path, database_url)
    missing = await cli("queues", "list")
    assert (missing.status, "headrace migrate" in missing.err) == (1, True)
    before = (await cli("migrate", "status", "--json")).json["migrations"]
    assert {one["applied"] for one in before} == {False}
    assert "applied 0001 ledger" in (await cli("migrate")).out
    assert (await cli("migrate", "up")).out == "the schema is up to date\n"
    after = (await cli("migrate", "status", "--json")).json["migrations"]
    assert {one["applied"] for one in after} == {True}


async def test_the_script_of_migrations_makes_the_same_schema(
    database_url: str, tmp_path: Path
) -> None:
    import asyncpg  # noqa: PLC0415 - only here

    cli = Cli(tmp_path, database_url)
    script = (await Cli(tmp_path, None)("migrate", "sql")).out
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(script)
    finally:
        await connection.close()
    assert (await cli("migrate")).out == "the schema is up to date\n"


async def test_listing_jobs(smith: Jobsmith, cli: Cli) -> None:
    (dead,) = await smith.die()
    (scheduled,) = await smith.insert(delay=HOUR, queue="other")
    shown = (await cli("jobs", "list")).out.splitlines()
    assert shown[0].split() == ["id", "state", "queue", "task", "runs", "made", "due", "error"]
    assert [line.split()[0] for line in shown[1:]] == [str(scheduled), str(dead)]
    starts = [
        line.index(word) for line, word in zip(shown, ("state", "scheduled", "dead"), strict=True)
    ]
    assert len(set(starts)) == 1  # columns align
    assert shown[2].endswith("ValueError: Boom 50% at host_1")
    assert not any(line != line.rstrip() for line in shown)
    page = (await cli("jobs", "list", "--limit", "1", "--json")).json
    assert [job["id"] for job in page["jobs"]] == [str(scheduled)]
    assert page["jobs"][0]["state"] == "scheduled"
    rest = (await cli("jobs", "list", "--before", page["cursor"], "--json")).json
    assert [job["id"] for job in rest["jobs"]] == [str(dead)]
    assert rest["cursor"] is None
    empty = (await cli("jobs", "list", "--since", "2001-01-01", "--until", "1h", "--json")).json
    assert empty == {"jobs": [], "cursor": None}
    letters = (await cli("dlq", "list", "--json")).json
    assert [job["id"] for job in letters["jobs"]] == [str(dead)]
    (older,) = (await cli("dlq", "list", "--limit", "1", "--before", scheduled, "--json")).json[
        "jobs"
    ]
    assert older["id"] == str(dead)


async def test_show(smith: Jobsmith, cli: Cli) -> None:
    (dead,) = await smith.die()
    shown = await cli("jobs", "show", dead)
    assert "ValueError: Boom 50% at host_1" in shown.out
    assert f"worker:{smith.worker}" in shown.out
    assert "generation" not in shown.out
    document = (await cli("jobs", "show", dead, "--json")).json
    assert document["job"]["payload"] == {}
    assert [event["kind"] for event in document["history"]] == ["dead"]
    missing = await cli("jobs", "show", uuid4())
    assert (missing.status, missing.out) == (1, "")
    assert "there is no job" in missing.err


async def test_changing_jobs_by_id(smith: Jobsmith, cli: Cli) -> None:
    (waiting,) = await smith.insert(delay=HOUR)
    (running,) = await smith.insert()
    await smith.claim()
    result = await cli("jobs", "promote", waiting, "--json")
    assert result.json == {"answers": {str(waiting): "done"}}
    result = await cli("jobs", "cancel", waiting, running, "--reason", "not wanted")
    assert result.status == 0
    assert "asked   a worker has it" in result.out
    document = (await cli("jobs", "show", waiting, "--json")).json
    assert document["job"]["state"] == "cancelled"
    assert document["job"]["error"]["message"] == f"by cli:{getpass.getuser()}: not wanted"
    assert document["history"][-1]["actor"] == f"cli:{getpass.getuser()}"
    unfit = await cli("jobs", "cancel", waiting)
    assert (unfit.status, "unfit   it is cancelled already" in unfit.out) == (1, True)
    unfit = await cli("jobs", "cancel", waiting, "--json")
    assert json.loads(unfit.out) == {"answers": {str(waiting): "unfit"}}
    assert (await cli("jobs", "delete", waiting)).status == 0
    assert (await cli("jobs", "delete", waiting)).status == 1


async def test_changing_jobs_by_filter(smith: Jobsmith, cli: Cli) -> None:
    await smith.die(3)
    await smith.die(2, queue="other")
    unasked = await cli("dlq", "replay", "--queue", "main")
    assert (unasked.status, "--yes" in unasked.err) == (2, True)
    counted = await cli("dlq", "replay", "--queue", "main", "--dry-run")
    assert counted.out == "3 jobs match; nothing was changed\n"
    assert (await cli("dlq", "replay", "--all", "--dry-run", "--json")).json == {"matched": 5}
    done = await cli("dlq", "replay", "--queue", "main", "--error", "boom", "--yes")
    assert done.out == "3 jobs done\n"
    again = await cli("jobs", "retry", "--state", "dead", "--limit", "1", "--yes", "--json")
    assert again.json == {"counts": {"done": 1}}
    queues = (await cli("queues", "list", "--json")).json["queues"]
    assert [(one["queue"], one["available"], one["dead"]) for one in queues] == [
        ("main", 3, 0),
        ("other", 1, 1),
    ]


async def queues_hold_so_many_jobs(cli: Cli) -> None:
    most = await cli("queues", "max-depth", "main", "5000")
    assert most.out == "queue main holds 5000 jobs at most\n"
    assert "5,000 at most" in (await cli("queues", "list")).out
    again = await cli("queues", "max-depth", "main", "5000")
    assert again.out == "queue main holds 5000 jobs at most, as before\n"
    none = await cli("queues", "max-depth", "main", "none")
    assert none.out == "queue main holds any number of jobs\n"
    odd = await cli("queues", "max-depth", "main", "few")
    assert (odd.status, "give a whole number" in odd.err) == (2, True)


async def test_queues(smith: Jobsmith, cli: Cli) -> None:
    await smith.complete(2)
    assert (await cli("queues", "create", "new")).out == "queue new is new\n"
    assert (await cli("queues", "create", "new")).out == "queue new was there\n"
    assert (await cli("queues", "create", "not good")).status == 2
    assert (await cli("queues", "pause", "main")).out == "queue main is paused\n"
    shown = (await cli("queues", "list")).out.splitlines()
    assert [line.split()[0] for line in shown] == ["queue", "main", "new", "other"]
    assert shown[1].endswith("paused")
    assert (await cli("queues", "resume", "main")).out == "queue main is on\n"
    assert (await cli("queues", "pause", "no")).status == 2
    await queues_hold_so_many_jobs(cli)
    said = await cli("queues", "promise", "main", "strict")
    assert said.out == "queue main is strict: all that starts later than 15 s from now\n"
    assert (await cli("queues", "promise", "main", "strict")).out == "queue main was strict\n"
    assert (await cli("queues", "list")).out.splitlines()[1].split()[-1] == "strict"
    told = (await cli("queues", "promise", "main", "loss-tolerant", "--json")).json
    assert told == {"queue": "main", "changed": True, "seconds": 0.0}
    assert (await cli("queues", "promise", "no", "strict")).status == 2
    assert (await cli("queues", "promise", "main", "firm")).status == 2
    kept = await cli("queues", "clean", "main", "--state", "completed", "--yes")
    assert kept.out == "0 jobs done\n"
    cleaned = await cli(
        "queues", "clean", "main", "--state", "completed", "--older-than", "0s", "--yes"
    )
    assert cleaned.out == "2 jobs done\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("jobs", "list", "--queue", "mian"),
        ("jobs", "list", "--queue", "mian", "--state", "running"),
        ("dlq", "list", "--queue", "mian"),
        ("jobs", "cancel", "--queue", "mian", "--yes"),
        ("jobs", "cancel", "--queue", "mian", "--dry-run"),
        ("dlq", "replay", "--queue", "mian", "--yes", "--json"),
        ("queues", "clean", "mian", "--state", "dead", "--yes"),
        ("queues", "pause", "mian"),
        ("queues", "resume", "mian"),
        ("queues", "drain", "mian"),
    ],
)
async def test_a_queue_that_does_not_exist_is_refused(arguments: tuple[str, ...], cli: Cli) -> None:
    result = await cli(*arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        'headrace: queue "mian" is unknown; did you mean "main"? known: main, other\n'
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nosuch"], 'limit "nosuch" is unknown; known: none yet'),
        (["delete", "nosuch"], 'limit "nosuch" is unknown; known: none yet'),
        (["set", "no such", "1/s"], "'no such'"),
        (["set", "no such", "3"], "'no such'"),
        (["set", "nosuch", "3", "--key", "a"], 'limit "nosuch" is unknown; known: none yet'),
    ],
)
async def test_a_limit_that_cannot_be_is_refused(
    arguments: list[str], words: str, cli: Cli
) -> None:
    result = await cli("limits", *arguments)
    assert result.status == 2
    assert words in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


async def test_limits_of_both_kinds_are_listed_shown_and_set(cli: Cli) -> None:
    assert (await cli("limits", "set", "stripe", "10/s")).out == "limit stripe allows 10/s\n"
    assert (await cli("limits", "set", "reports", "5")).out == "limit reports is 5 wide\n"
    told = await cli("limits", "set", "reports", "1000", "--key", "acme")
    assert told.out == "limit reports is 1,000 wide for acme\n"
    assert (await cli("limits", "set", "reports", "0", "--key", "brick", "--json")).json == {
        "limit": "reports",
        "width": 0,
        "key": "brick",
    }
    listed = (await cli("limits", "list")).out.splitlines()
    assert [line.split() for line in listed] == [
        ["limit", "allows", "keys", "set", "by"],
        ["stripe", "10/s", "0", "operator"],
        ["reports", "5", "at", "once", "0", "operator"],
    ]
    assert (await cli("limits", "list", "--json")).json["concurrency"] == [
        {"name": "reports", "width": 5, "overridden": True, "keys": 0, "fair": False}
    ]
    shown = (await cli("limits", "show", "reports")).out.splitlines()
    assert [line.split() for line in shown] == [
        ["key", "width", "taken", "standing"],
        ["acme", "1,000", "0", "0"],
        ["brick", "0", "0", "0"],
    ]
    assert (await cli("limits", "show", "reports", "--key", "acme", "--json")).json["lines"] == [
        {"key": "acme", "width": 1000, "taken": 0, "standing": 0}
    ]
    assert (await cli("limits", "show", "stripe", "--json")).json["windows"] == []
    assert (await cli("limits", "delete", "reports")).out == "limit reports is gone\n"
    unknown = await cli("limits", "show", "reports")
    assert (unknown.status, 'limit "reports" is unknown; known: stripe' in unknown.err) == (2, True)


async def test_a_task_that_does_not_exist_is_refused(smith: Jobsmith, cli: Cli) -> None:
    result = await cli("jobs", "list", "--task", "play")
    assert (result.status, result.out) == (2, "")
    assert result.err == 'headrace: task "play" is unknown; known: work\n'
    assert (await cli("jobs", "list", "--task", "work", "--json")).json["jobs"] == []
    await smith.insert(task="of another application")
    assert (await cli("jobs", "list", "--task", "of another application")).status == 0


async def test_what_commands_of_queues_answer_to_machines(smith: Jobsmith, cli: Cli) -> None:
    assert (await cli("queues", "create", "new", "--json")).json == {
        "queue": "new",
        "changed": True,
    }
    assert (await cli("queues", "pause", "new", "--json")).json["changed"]
    assert not (await cli("queues", "pause", "new", "--json")).json["changed"]
    assert (await cli("queues", "resume", "new", "--json")).json["changed"]
    assert (await cli("queues", "drain", "new", "--json")).json == {"queue": "new", "left": 0}
    await smith.insert()
    late = await cli("queues", "drain", "main", "--timeout", "10ms", "--json")
    assert (late.status, json.loads(late.out)) == (1, {"queue": "main", "left": 1})


async def test_draining_waits_for_what_is_due_or_runs(smith: Jobsmith, cli: Cli) -> None:
    await smith.insert(delay=HOUR)
    assert (await cli("queues", "drain", "main")).out == "queue main is drained\n"
    await smith.insert()
    late = await cli("queues", "drain", "main", "--timeout", "10ms")
    assert (late.status, "still has 1 jobs" in late.err) == (1, True)
    claimed = await smith.claim()
    draining = asyncio.create_task(cli("queues", "drain", "main"))
    done, _ = await asyncio.wait([draining], timeout=0.5)
    assert not done
    await smith.settle(claimed, Stored.COMPLETED)
    assert (await draining).status == 0
    await smith.insert()
    await cli("queues", "pause", "main")
    assert (await cli("queues", "drain", "main")).status == 0


async def test_lane_status_names_the_ledger_and_notes_a_strange_lane(
    smith: Jobsmith, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    cli, view = Cli(tmp_path, smith.url, valkey.url), await smith.ledger.lanes.view()
    name = view.ledger.hex[:8]
    told = await cli("lane", "status")
    assert (told.out, told.err) == (f"PostgreSQL gives out the jobs (epoch 1, ledger {name})\n", "")
    lane = RedisLane(valkey.url)
    lane.belong_to(view.ledger)
    await lane.open_epoch(7)
    await lane.close()
    strange = await cli("lane", "status", "--json")
    assert strange.json["ledger"] == name
    assert "tells of what this database never did (epoch 7, here 1)" in strange.err
    valkey.kill()
    assert "cannot be reached" in (await cli("lane")).err


async def test_commands_reach_the_lane_or_say_that_they_do_not(
    smith: Jobsmith, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    cli = Cli(tmp_path, smith.url, valkey.url)
    lane = RedisLane(valkey.url)
    relay = Relay(smith.ledger.lanes, lane, grace=0.0)
    while (await smith.ledger.lanes.view()).mode is not Mode.HYBRID:
        await relay.poll()
    epoch = (await smith.ledger.lanes.view()).epoch
    (one, other, last) = await smith.insert(3)
    while sum((await lane.depth(epoch, "main")).ready.values()) < 3:
        await relay.poll()
    await lane.beat(epoch, smith.worker, [], 0)
    (held,) = (await lane.take(epoch, smith.worker, "main", 1, 1)).deliveries
    (one, other) = (job_id for job_id in (one, other, last) if job_id != held.id)
    assert (await cli("queues", "pause", "main")).status == 0
    assert await lane.paused(epoch) == {"main"}
    late = await cli("queues", "drain", "main", "--timeout", "10ms")
    assert (late.status, "still has 1 jobs" in late.err) == (1, True)
    running = (await cli("jobs", "list", "--state", "running", "--json")).json["jobs"]
    assert [job["id"] for job in running] == [str(held.id)]
    result = await cli("jobs", "cancel", held.id, one)
    assert (result.status, "asked   a worker has it" in result.out) == (0, True)
    assert (await cli("jobs", "show", one, "--json")).json["job"]["state"] == "cancelled"
    await lane.close()
    valkey.kill()
    unsure = await cli.program("jobs", "cancel", other)
    assert unsure.status == 1
    assert "starting  done, but a run of it may be starting" in unsure.out
    assert "cannot be reached" in unsure.err
    by_filter = await cli.program("jobs", "cancel", "--queue", "main", "--yes")
    assert by_filter.out == "1 jobs done\n"
    assert "of 1 a run may be starting; its outcome will be refused" in by_filter.err
    left = await cli.program("jobs", "cancel", "--queue", "main", "--yes")
    assert left.out == "0 jobs done\n"
    (last,) = await smith.insert(delay=HOUR)
    left = await cli.program("jobs", "promote", last)
    assert (left.status, "unknown  nothing was changed: the lane cannot tell" in left.out) == (
        1,
        True,
    )
    told = await cli.program("queues", "resume", "main")
    assert (told.status, "the lane learns of it by a relay" in told.err) == (0, True)


async def test_verify_and_doctor(smith: Jobsmith, cli: Cli) -> None:
    await smith.complete()
    fine = await cli("verify", "--quiesced")
    assert (fine.status, fine.out.count("\nok")) == (0, len(CHECKS))
    checks = (await cli("verify", "--json")).json["checks"]
    assert {one["check"]["name"]: one["breaches"] for one in checks}["ends"] == []
    import asyncpg  # noqa: PLC0415 - only here

    connection = await asyncpg.connect(smith.url)
    try:
        await connection.execute("UPDATE headrace.job SET settled_at = NULL")
        await connection.execute("DELETE FROM headrace.counter_delta")
    finally:
        await connection.close()
    bad = await cli("verify", "--quiesced", "--repair")
    assert bad.status == 1
    assert "it is over and has no end" in bad.out
    assert "Repaired." in bad.out
    findings = (await cli("doctor", "--json")).json["findings"]
    assert {"level": "ok", "name": "queues"}.items() <= findings[-2].items()


async def test_an_application_without_tasks_has_no_worker(cli: Cli) -> None:
    (cli.folder / "empty.py").write_text("import headrace\n\napp = headrace.Headrace('empty')\n")
    refused = await cli.program("worker", "empty:app")
    assert refused.status == 2
    assert 'the application "empty" has no tasks' in refused.err


async def test_a_worker_that_does_not_know_of_the_lane_says_so_at_once(
    smith: Jobsmith, cli: Cli
) -> None:
    (cli.folder / "shop.py").write_text(SHOP)
    lanes = smith.ledger.lanes
    await lanes.switch((await lanes.view()).epoch, Mode.HYBRID, held=False)
    worker = await cli.start("worker", "shop:app")
    assert worker.stderr is not None
    first = json.loads(await worker.stderr.readline())
    worker.terminate()
    await worker.communicate()
    assert (first["level"], worker.returncode) == ("error", 0)
    assert "set HEADRACE_REDIS_URL" in first["message"]
    assert "headrace lane off" in first["message"]
    burst = await cli.program("worker", "shop:app", "--burst")
    assert (burst.status, "headrace lane off" in burst.err) == (1, True)
    result = await cli("doctor", "--json")
    (finding,) = [one for one in json.loads(result.out)["findings"] if one["name"] == "lane server"]
    assert (result.status, finding["level"]) == (1, "fail")
    assert "headrace lane off" in finding["fix"]


async def test_enqueue(cli: Cli) -> None:
    (cli.folder / "shop.py").write_text(SHOP)
    job_id = (await cli.program("enqueue", "shop:app", "pack", '{"order": 3}')).out.strip()
    document = (await cli("jobs", "show", job_id, "--json")).json["job"]
    assert (document["queue"], document["payload"]["order"]) == ("orders", 3)
    later = await cli.program(
        "enqueue",
        "shop:app",
        "pack",
        '{"order": 4}',
        "--delay",
        "1h",
        "--priority",
        "high",
        "--json",
    )
    document = (await cli("jobs", "show", later.json["id"], "--json")).json["job"]
    assert (document["state"], document["priority"]) == (State.SCHEDULED, 3)


async def test_enqueue_refuses_at_the_door(smith: Jobsmith, cli: Cli) -> None:
    (cli.folder / "shop.py").write_text(SHOP)
    result = await cli.program("enqueue", "shop:app", "unpack")
    assert (result.status, result.out) == (2, "")
    assert result.err == 'headrace: "unpack" is no task of shop; did you mean "pack"?\n'
    result = await cli.program("enqueue", "shop:app", "pack", '{"ordr": 1}')
    assert (result.status, result.out) == (2, "")
    assert "ordr" in result.err
    assert "Traceback" not in result.err
    for arguments in ("{", "[1]"):
        result = await cli("enqueue", "shop:app", "pack", arguments)
        assert (result.status, "no JSON" in result.err) == (2, True)
    assert await smith.claim(queue="main") == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("shop", 'APP "shop" is not module:attribute'),
        ("nosuch_shop:app", "there is no module nosuch_shop"),
        ("shop_a.jobs:app", "there is no module shop_a.jobs"),
        ("shop_a:ap", 'did you mean "app"?'),
        ("shop_a:number", "is a int, no application"),
    ],
)
def test_an_application_that_is_not_there(
    path: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_a.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    with pytest.raises(UsageError, match=re.escape(words)):
        load_app(path)


async def test_the_database_that_the_application_names_is_used(
    nowhere: Cli, smith: Jobsmith
) -> None:
    shop = SHOP.replace('Headrace("shop")', f'Headrace("shop", database_url="{smith.url}")')
    assert shop != SHOP
    (nowhere.folder / "shop.py").write_text(shop)
    result = await nowhere.program("enqueue", "shop:app", "pack", '{"order": 1}')
    assert (result.status, result.err) == (0, "")
    assert (await nowhere.program("enqueue", "shap:app", "pack")).err.startswith(
        'headrace: APP "shap:app": there is no module shap'
    )


async def test_an_error_of_the_application_keeps_its_part_of_the_traceback(cli: Cli) -> None:
    (cli.folder / "shop.py").write_text("import broken\n")
    (cli.folder / "broken.py").write_text("def fail() -> None:\n    1 / 0\n\n\nfail()\n")
    result = await cli.program("enqueue", "shop:app", "pack")
    assert (result.status, result.out) == (1, "")
    first, *rest = result.err.splitlines()
    assert first == (
        'headrace: APP "shop:app": importing shop failed: ZeroDivisionError: division by zero'
    )
    frames = [line.strip() for line in rest if line.startswith("  File ")]
    assert frames == [
        f'File "{cli.folder}/shop.py", line 1, in <module>',
        f'File "{cli.folder}/broken.py", line 5, in <module>',
        f'File "{cli.folder}/broken.py", line 2, in fail',
    ]
    assert rest[-1] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    ("code", "words", "frames"),
    [
        ("import nothing_like_it\n", "ModuleNotFoundError: No module named 'nothing_like_it'", 1),
        ("def f(:\n", "SyntaxError: ", 0),
        (SHOP.replace("queue=", "quue="), "UsageError: ", 1),
    ],
)
async def test_what_an_application_raises_at_import_is_told_in_the_first_line(
    code: str, words: str, frames: int, cli: Cli
) -> None:
    (cli.folder / "shop.py").write_text(code)
    for command in (("enqueue", "shop:app", "pack"), ("worker", "shop:app")):
        result = await cli.program(*command)
        assert (result.status, result.out) == (1, "")
        assert f'headrace: APP "shop:app": importing shop failed: {words}' in result.err
        assert result.err.count(", in ") == frames
        assert "site-packages/headrace" not in result.err
        assert "importlib" not in result.err


@pytest.mark.parametrize("importing", ["from shop import app", "import shop\nshop.app"])
async def test_a_circular_import_is_one_sentence(importing: str, cli: Cli) -> None:
    (cli.folder / "shop.py").write_text("import jobs_of_shop\n" + SHOP)
    (cli.folder / "jobs_of_shop.py").write_text(importing)
    result = await cli.program("enqueue", "shop:app", "pack")
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "the modules that shop imports import it in turn" in result.err


@pytest.mark.parametrize("path", ["shap:app", "shop:ap", "shop:number", "shop"])
async def test_an_application_that_is_not_there_is_one_sentence(path: str, cli: Cli) -> None:
    (cli.folder / "shop.py").write_text(SHOP)
    result = await cli.program("worker", path)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert result.err.startswith(f'headrace: APP "{path}"')


async def test_embedded_servers(server_directory: Path) -> None:
    cli = Cli(server_directory, None)
    assert (
        await cli.program("queues", "create", "mail", "--embedded")
    ).out == "queue mail is new\n"
    queues = (await cli.program("queues", "list", "--embedded", "--json")).json["queues"]
    assert [one["queue"] for one in queues] == ["mail"]
