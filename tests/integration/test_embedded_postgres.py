import asyncio
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psycopg
import pytest

from headrace.embedded import EmbeddedPostgres
from headrace.errors import (
    DataDirectoryError,
    DataDirectoryInUse,
    DataVersionMismatch,
    EmbeddedError,
    ServerFailed,
)
from integration.listeners import LOOPBACK, addresses_listening
from servers import copy_postgres, postgres_template


async def test_new_directory_serves_role_and_database_named_headrace(
    server_directory: Path,
) -> None:
    with EmbeddedPostgres(server_directory / "postgres") as server:
        connection = await asyncpg.connect(server.url)
        row = await connection.fetchrow(
            "SELECT current_user, current_database(), current_setting('fsync'), "
            "current_schemas(false)"
        )
        await connection.close()
    # Tables of the application belong elsewhere than those of the ledger.
    assert tuple(row or ()) == ("headrace", "headrace", "on", ["public"])


def test_wrong_password_is_refused(postgres: EmbeddedPostgres) -> None:
    address = urlsplit(postgres.url)
    wrong = address._replace(netloc=f"headrace:wrong@127.0.0.1:{postgres.port}").geturl()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_password_file_is_private(postgres: EmbeddedPostgres) -> None:
    password = postgres.data_dir.with_name("postgres.password")
    assert password.stat().st_mode & 0o777 == 0o600
    assert password.read_text() in postgres.url


def test_password_is_in_no_command_line(postgres: EmbeddedPostgres) -> None:
    password = urlsplit(postgres.url).password
    assert password is not None
    assert password.encode() not in Path(f"/proc/{postgres.pid}/cmdline").read_bytes()


def test_listens_on_loopback_only_and_on_no_socket_file(postgres: EmbeddedPostgres) -> None:
    assert addresses_listening(postgres.port) == {LOOPBACK}
    with psycopg.connect(postgres.url) as connection:
        answer = connection.execute("SHOW unix_socket_directories").fetchone()
    assert answer == ("",)


async def test_acknowledged_rows_survive_kill_while_writing(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.url)
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.execute("CREATE TABLE told (n int)")
    acknowledged = 0
    enough = asyncio.Event()

    async def write() -> None:
        nonlocal acknowledged
        while True:
            await connection.execute("INSERT INTO told VALUES ($1)", acknowledged)
            acknowledged += 1
            if acknowledged == 100:
                enough.set()

    writing = asyncio.create_task(write())
    await enough.wait()
    await asyncio.to_thread(postgres.kill)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InternalClientError, OSError)):
        await writing
    await asyncio.to_thread(postgres.start)

    again = await asyncpg.connect(postgres.url)
    kept = await again.fetchval("SELECT count(*) FROM told")
    await again.close()
    assert kept in {acknowledged, acknowledged + 1}  # the last one's reply may have been lost


def test_port_and_password_stay_after_restart(postgres: EmbeddedPostgres) -> None:
    before = postgres.url
    postgres.stop()
    assert postgres.pid is None
    postgres.start()
    assert postgres.url == before


def test_another_object_reuses_the_data(shared_directory: Path, server_directory: Path) -> None:
    directory = server_directory / "postgres"
    copy_postgres(postgres_template(shared_directory), server_directory)
    with EmbeddedPostgres(directory) as first, psycopg.connect(first.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        connection.commit()
    with EmbeddedPostgres(directory) as second, psycopg.connect(second.url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_second_start_is_refused_in_one_sentence(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(DataDirectoryInUse) as refusal:
        EmbeddedPostgres(postgres.data_dir).start()
    assert str(refusal.value) == (
        f"{postgres.data_dir} is in use by a server that process {os.getpid()} started: "
        "stop that one, or choose another directory"
    )
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_other_major_version_is_refused_with_recipe(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    (postgres.data_dir / "PG_VERSION").write_text("12\n")
    with pytest.raises(DataVersionMismatch, match=r"written by PostgreSQL 12 .* pg_dump .*restore"):
        postgres.start()


def test_foreign_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(DataDirectoryError, match=str(tmp_path)):
        EmbeddedPostgres(tmp_path).start()
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_lost_password_is_told(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    postgres.data_dir.with_name("postgres.password").unlink()
    with pytest.raises(DataDirectoryError, match=r"postgres\.password is missing"):
        postgres.start()


def test_remains_of_an_interrupted_initialisation_are_replaced(server_directory: Path) -> None:
    unfinished = server_directory / "postgres.initdb"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(server_directory / "postgres") as server:
        assert server.pid is not None
    assert not unfinished.exists()


def test_taken_port_is_told(postgres: EmbeddedPostgres, server_directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"127.0.0.1:{port}, which is taken"):
            EmbeddedPostgres(server_directory / "postgres", port=port).start()
    assert postgres.pid is not None


def test_refused_setting_is_told_with_the_log(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    with pytest.raises(ServerFailed, match=r"unrecognized configuration parameter.*flux"):
        EmbeddedPostgres(postgres.data_dir, settings={"flux": "1"}).start()
    postgres.start()  # the failed start has let go of the directory
    assert postgres.pid is not None


def test_settings_reach_the_server(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW max_connections").fetchone() == ("200",)


def test_url_before_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"never started: call start\(\)"):
        _ = EmbeddedPostgres(tmp_path).url


def test_path_longer_than_a_socket_name(shared_directory: Path, server_directory: Path) -> None:
    deep = server_directory / ("d" * 120)
    copy_postgres(postgres_template(shared_directory), deep)
    with EmbeddedPostgres(deep / "postgres") as server:
        assert len(str(server.data_dir)) > 107
        psycopg.connect(server.url).close()


def test_fresh_databases_do_not_see_each_other(database_url: str, postgres_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE here (n int)")
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT to_regclass('here')").fetchone()
    assert found == (None,)
