"""What tests do to the server of a lane."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from headrace.embedded import EmbeddedValkey


@contextmanager
def frozen(valkey: EmbeddedValkey) -> Iterator[None]:
    """The server does not answer, as if its machine hung."""
    pid = valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def a_replica(valkey: EmbeddedValkey) -> Iterator[None]:
    """As after a failover that nobody told us of: it answers and takes no writes."""
    with redis.from_url(valkey.url) as client:
        client.replicaof("127.0.0.1", "1")
        try:
            yield
        finally:
            client.replicaof("NO", "ONE")


@contextmanager
def without_replicas(valkey: EmbeddedValkey) -> Iterator[None]:
    """Fewer follow it than it must have to take writes."""
    with redis.from_url(valkey.url) as client:
        client.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            client.config_set("min-replicas-to-write", 0)


@contextmanager
def without_disk(valkey: EmbeddedValkey) -> Iterator[None]:
    """What it would save its data to is taken, which is to it as a full disk."""
    (valkey.data_dir / "dump.rdb").mkdir()
    with redis.from_url(valkey.url) as client:
        client.config_set("save", "3600 1")
        client.bgsave()
        deadline = time.monotonic() + 10
        while client.info("persistence")["rdb_last_bgsave_status"] != "err":
            assert time.monotonic() < deadline, "it can save its data, or does not try"
        try:
            yield
        finally:
            client.config_set("save", "")  # else it does not stop before it has saved
