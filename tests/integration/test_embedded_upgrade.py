"""Data that an older PostgreSQL wrote, brought to the one of the wheels by our message's recipe."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import psycopg
import pytest

from headrace import Headrace
from headrace.embedded import EmbeddedPostgres
from headrace.embedded.binaries import POSTGRES_BIN, find_postgres
from headrace.errors import DataVersionMismatch
from headrace.ledger.migrate import migrate
from headrace.ledger.queries import Queries
from headrace.ledger.verify import verify
from headrace.worker.worker import Worker
from programs import missing


def older_binaries() -> Path:
    """Those of the system, of another major version than the wheels'."""
    newer = major(find_postgres().path)
    folders = sorted(one.parent for one in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    older = [one for one in folders if major(one / "postgres") != newer]
    if not older:
        missing("a PostgreSQL of another major version than the wheels'", "postgresql")
    return older[0]


def major(postgres: Path) -> str:
    told = subprocess.run([postgres, "--version"], capture_output=True, check=True, text=True)
    found = re.search(r"PostgreSQL\) (\d+)", told.stdout)
    assert found is not None
    return found[1]


def shop(url: str) -> Headrace:
    app = Headrace("shop", database_url=url)

    @app.task(queue="q")
    async def double(number: int) -> int:
        return number * 2

    return app


async def test_the_printed_recipe_brings_the_data_along(
    server_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = older_binaries()
    monkeypatch.delenv(POSTGRES_BIN, raising=False)
    data = server_directory / "postgres"
    with EmbeddedPostgres(data, bin_dir=older) as before:
        await migrate(before.url)
        app = shop(before.url)
        double = app.tasks["double"]
        async with app:
            done = await double.enqueue(1)
            await Worker(app, {"q": 1}).run(burst=True)
            waiting = await double.options(idempotency_key="two").enqueue(2)
        with psycopg.connect(before.url) as connection:
            connection.execute("CREATE TABLE orders AS SELECT 7 AS number")

    with pytest.raises(DataVersionMismatch) as refused:
        EmbeddedPostgres(data).start()
    recipe = re.fullmatch(
        rf".* start it with binaries of {major(older / 'postgres')} \({POSTGRES_BIN}\), "
        r"save it with (pg_dump .*), start an empty directory, and load it with (pg_restore .*)",
        str(refused.value),
    )
    assert recipe is not None, refused.value
    save, load = recipe.groups()

    monkeypatch.setenv(POSTGRES_BIN, str(older))
    with EmbeddedPostgres(data) as before:
        execute(save, before.url, tmp_path, older)
    monkeypatch.delenv(POSTGRES_BIN)
    with EmbeddedPostgres(server_directory / "new") as after:
        execute(load, after.url, tmp_path, find_postgres().path.parent)
        assert await migrate(after.url) == []
        app = shop(after.url)
        double = app.tasks["double"]
        async with app:
            again = await double.options(idempotency_key="two").enqueue(3)
            assert again.id == waiting.id
            await Worker(app, {"q": 1}).run(burst=True)
            jobs = [await app.get(one.id) for one in (done, waiting)]
            assert [await job.result("10s") for job in jobs] == [2, 4]
        async with Queries(after.url) as queries:
            verdicts = await verify(queries, quiesced=True, repair=False)
        assert [one for one in verdicts if one.breaches] == []
        with psycopg.connect(after.url) as connection:
            assert connection.execute("SELECT number FROM orders").fetchall() == [(7,)]


def execute(command: str, url: str, folder: Path, programs: Path) -> None:
    """Run a command of the recipe to the letter; URL stands for the server's."""
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    words = [word.replace("URL", url) for word in shlex.split(command)]
    subprocess.run(words, cwd=folder, check=True, env={**os.environ, "PATH": path})
