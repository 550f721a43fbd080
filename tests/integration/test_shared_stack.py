"""The embedded servers as several processes of a project use them together."""

import contextlib
import json
import os
import select
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from headrace.embedded import SharedStack, Urls
from headrace.embedded.lock import FileLock
from headrace.errors import BinariesMissing
from servers import copy_postgres, postgres_template

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux ends a child when its parent is killed"
)

USER = """
import sys
from pathlib import Path
from headrace.embedded import SharedStack
with SharedStack(Path(sys.argv[1]), prepare=lambda urls: print("prepared")) as urls:
    print(urls.database_url, urls.redis_url, flush=True)
    sys.stdin.read()
"""
SLOW = """
import sys
from pathlib import Path
from headrace.embedded import SharedStack
def prepare(urls):
    print("preparing", flush=True)
    sys.stdin.read()
SharedStack(Path(sys.argv[1]), prepare=prepare).join()
"""
Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(shared_directory: Path, server_directory: Path) -> Path:
    """A folder in which PostgreSQL need not be made first."""
    copy_postgres(postgres_template(shared_directory), server_directory)
    return server_directory


@pytest.fixture
def spawn(folder: Path) -> Iterator[Spawn]:
    """Starts users; in the end all are killed and the servers gone."""
    with contextlib.ExitStack() as processes:

        def start(code: str = USER) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", code, folder],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            processes.enter_context(process)
            processes.callback(process.kill)
            return process

        yield start
    assert ended(folder)


def ended(folder: Path, within: float = 20.0) -> bool:
    guardian = FileLock(folder / "guardian.lock")
    gone = guardian.wait(within)
    guardian.release()
    return gone


def told_by(user: subprocess.Popen[str]) -> Urls:
    assert user.stdout is not None
    line = user.stdout.readline()
    if line == "prepared\n":
        line = user.stdout.readline()
    return Urls(*line.split())


def end(user: subprocess.Popen[str]) -> int:
    user.communicate()
    return user.returncode


def works(urls: Urls) -> bool:
    with redis.Redis.from_url(urls.redis_url) as client, psycopg.connect(urls.database_url) as one:
        return bool(client.ping()) and one.execute("SELECT 7").fetchone() == (7,)


def guardian_of(folder: Path) -> int:
    """The parent of the servers."""
    server = (folder / "postgres" / "postmaster.pid").read_text().split()[0]
    return int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])


def refuse(urls: Urls) -> None:
    raise AssertionError(f"{urls} are prepared already")


def test_the_last_user_ends_what_the_first_one_started(spawn: Spawn, folder: Path) -> None:
    first, second = spawn(), spawn()
    urls = told_by(first)
    assert told_by(second) == urls
    assert end(first) == 0
    assert works(urls)
    assert end(second) == 0
    assert ended(folder, within=0)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(urls.database_url)


def test_users_that_come_at_once_agree_on_one_stack(spawn: Spawn) -> None:
    users = [spawn() for _ in range(4)]
    told = [told_by(user) for user in users]
    assert len(set(told)) == 1
    assert [end(user) for user in users] == [0] * 4


def test_users_come_and_go_without_end(folder: Path) -> None:
    prepared = 0
    failures: list[BaseException] = []

    def prepare(_: Urls) -> None:
        nonlocal prepared
        prepared += 1

    def visit() -> None:
        try:
            for _ in range(5):
                with SharedStack(folder, prepare=prepare) as urls:
                    assert works(urls)
        except BaseException as error:  # noqa: BLE001 - a thread cannot fail a test
            failures.append(error)

    threads = [threading.Thread(target=visit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert 1 <= prepared <= 15
    assert ended(folder, within=0)


def test_the_end_of_the_first_user_by_kill_concerns_no_other(spawn: Spawn, folder: Path) -> None:
    first, second = spawn(), spawn()
    urls = told_by(first)
    told_by(second)
    first.kill()
    first.wait()
    assert works(urls)
    with SharedStack(folder, prepare=refuse) as same:
        assert same == urls
    assert end(second) == 0


def test_servers_end_when_their_last_user_is_killed(spawn: Spawn, folder: Path) -> None:
    first, second = spawn(), spawn()
    told_by(first)
    told_by(second)
    guardian = os.pidfd_open(guardian_of(folder))
    for user in (first, second):
        user.kill()
    gone, _, _ = select.select([guardian], [], [], 20)
    os.close(guardian)
    assert gone


def test_a_killed_guardian_is_followed_by_another_at_the_same_place(
    spawn: Spawn, folder: Path
) -> None:
    survivor = spawn()
    urls = told_by(survivor)
    with psycopg.connect(urls.database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    with redis.Redis.from_url(urls.redis_url) as client:
        client.set("kept", 7)
    os.kill(guardian_of(folder), signal.SIGKILL)
    heir = spawn()
    assert told_by(heir) == urls  # so a worker that lost them finds them again
    with psycopg.connect(urls.database_url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    with redis.Redis.from_url(urls.redis_url) as client:
        assert client.get("kept") == b"7"
    assert end(heir) == 0
    assert works(urls)
    assert end(survivor) == 0


def test_a_guardian_that_is_told_to_end_ends_the_servers(spawn: Spawn, folder: Path) -> None:
    told_by(spawn())
    os.kill(guardian_of(folder), signal.SIGTERM)
    assert ended(folder)
    assert not (folder / "postgres" / "postmaster.pid").exists()


def test_when_a_server_dies_both_are_started_again(spawn: Spawn, folder: Path) -> None:
    told_by(spawn())
    valkey = int((folder / "valkey.lock").read_text().split()[1])
    os.kill(valkey, signal.SIGKILL)
    assert ended(folder)
    assert works(told_by(spawn()))


def test_nobody_comes_in_before_all_is_prepared(spawn: Spawn) -> None:
    first = spawn(SLOW)
    assert first.stdout is not None
    assert first.stdout.readline() == "preparing\n"
    second = spawn()
    first.kill()  # it never was ready, so the next one begins anew
    assert second.stdout is not None
    assert second.stdout.readline() == "prepared\n"
    assert works(told_by(second))


def test_what_fails_to_prepare_leaves_nothing_behind(folder: Path) -> None:
    def fail(_: Urls) -> None:
        raise ValueError("not this time")

    with pytest.raises(ValueError, match="not this time"):
        SharedStack(folder, prepare=fail).join()
    assert ended(folder, within=0)


def test_an_error_of_the_servers_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_VALKEY_SERVER", str(folder / "none"))
    with pytest.raises(BinariesMissing, match="correct or unset HEADRACE_VALKEY_SERVER"):
        SharedStack(folder, prepare=refuse).join()
    assert ended(folder, within=0)


def test_the_urls_are_told_to_the_owner_only(folder: Path) -> None:
    seen: list[Urls] = []
    stack = SharedStack(folder, prepare=seen.append)
    with stack as urls:
        assert json.loads(stack.file.read_text())["redis_url"] == urls.redis_url
        assert stat.S_IMODE(stack.file.stat().st_mode) == 0o600
    assert not stack.file.exists()
    assert seen == [urls]
    assert (folder / ".gitignore").read_text() == "*\n"
