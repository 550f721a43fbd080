from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from headrace.embedded import EmbeddedValkey
from headrace.errors import DataDirectoryInUse, ServerFailed
from integration.listeners import LOOPBACK, addresses_listening


def test_never_evicts_and_keeps_an_append_only_file(valkey: EmbeddedValkey) -> None:
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        answers = client.config_get("maxmemory-policy", "appendonly", "appendfsync", "save")
    assert answers == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }


def test_acknowledged_writes_survive_kill(valkey: EmbeddedValkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        for number in range(500):
            client.rpush("told", number)
    valkey.kill()
    assert valkey.pid is None
    valkey.start()
    with redis.Redis.from_url(valkey.url) as client:
        assert client.llen("told") == 500


def test_wrong_password_is_refused(valkey: EmbeddedValkey) -> None:
    for url in (
        f"redis://127.0.0.1:{valkey.port}/0",
        f"redis://:wrong@127.0.0.1:{valkey.port}/0",
    ):
        with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_password_is_in_no_command_line(valkey: EmbeddedValkey) -> None:
    password = urlsplit(valkey.url).password
    assert password is not None
    assert password.encode() not in Path(f"/proc/{valkey.pid}/cmdline").read_bytes()


def test_listens_on_loopback_only(valkey: EmbeddedValkey) -> None:
    assert addresses_listening(valkey.port) == {LOOPBACK}


def test_second_start_is_refused_by_whatever_path(valkey: EmbeddedValkey) -> None:
    link = valkey.data_dir.with_name("link")
    link.symlink_to(valkey.data_dir)
    with pytest.raises(DataDirectoryInUse, match=str(valkey.data_dir)):
        EmbeddedValkey(link).start()
    with pytest.raises(DataDirectoryInUse, match=str(valkey.data_dir)):
        EmbeddedValkey(valkey.data_dir).start()
    with redis.Redis.from_url(valkey.url) as client:
        assert client.ping()


def test_refused_setting_is_told_with_the_log(server_directory: Path) -> None:
    with pytest.raises(ServerFailed, match=r"did not start on .* Bad directive"):
        EmbeddedValkey(server_directory / "valkey", settings={"flux": "1"}).start()


def test_settings_reach_the_server(server_directory: Path) -> None:
    always = {"appendfsync": "always"}
    with (
        EmbeddedValkey(server_directory / "valkey", settings=always) as server,
        redis.Redis.from_url(server.url, decode_responses=True) as client,
    ):
        assert client.config_get("appendfsync") == always
