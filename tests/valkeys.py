"""Servers of Valkey that belong together: replicas with their Sentinel, and a cluster."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as NotYet

from headrace.embedded.binaries import find_valkey
from headrace.embedded.process import free_port

PASSWORD = "of-the-servers"
_WITHIN = 20.0  # seconds


class Valkey:
    """A process on a free port of loopback."""

    def __init__(self, directory: Path, lines: list[str], *arguments: str) -> None:
        self.port = free_port()
        directory.mkdir(parents=True)
        configuration, self._log = directory / "valkey.conf", directory / "log"
        settings = [f"port {self.port}", "bind 127.0.0.1", f"dir {directory}", *lines]
        configuration.write_text("\n".join(settings) + "\n")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [find_valkey().path, configuration, *arguments], stdout=log, stderr=log
            )
        self._sentinel = bool(arguments)
        self.until(lambda client: client.ping())

    def ask(self, *command: Any) -> Any:
        """The reply to a command."""
        with self._client() as client:
            return client.execute_command(*command)

    def until(self, condition: Any) -> None:
        """Wait for what the server alone knows."""
        deadline = time.monotonic() + _WITHIN
        with self._client() as client:
            while True:
                try:
                    if condition(client):
                        return
                except NotYet:
                    assert self.process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, "it takes too long"
                time.sleep(0.02)  # it tells nobody when it listens

    def _client(self) -> Redis:
        password = None if self._sentinel else PASSWORD
        return Redis(port=self.port, password=password, decode_responses=True)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


def _server(stack: ExitStack, directory: Path, *lines: str) -> Valkey:
    secret = [f"requirepass {PASSWORD}", f"masterauth {PASSWORD}"]
    server = Valkey(directory, ['save ""', "repl-diskless-sync-delay 0", *secret, *lines])
    stack.callback(server.kill)
    return server


@contextmanager
def sentinels(directory: Path) -> Iterator[tuple[Valkey, Valkey, Valkey]]:
    """A primary, its replica, and the Sentinel that watches both as the service "main"."""
    with ExitStack() as stack:
        primary = _server(stack, directory / "primary")
        replica = _server(stack, directory / "replica", f"replicaof 127.0.0.1 {primary.port}")
        replica.until(lambda client: client.info()["master_link_status"] == "up")
        lines = [
            f"sentinel monitor main 127.0.0.1 {primary.port} 1",
            f"sentinel auth-pass main {PASSWORD}",
            "sentinel down-after-milliseconds main 500",
            "sentinel failover-timeout main 2000",
        ]
        sentinel = Valkey(directory / "sentinel", lines, "--sentinel")
        stack.callback(sentinel.kill)
        sentinel.until(lambda client: client.execute_command("SENTINEL", "REPLICAS", "main"))
        yield primary, replica, sentinel


@contextmanager
def cluster(directory: Path, slot: int) -> Iterator[tuple[list[Valkey], Valkey]]:
    """Three primaries, of which the first has the slot and a replica; and that replica."""
    lines = ("cluster-enabled yes", "cluster-node-timeout 500")
    # Left to itself a node takes port + 10,000 for its bus, which may be the near end of
    # somebody's connection: it lies where the system takes those from.
    buses = [free_port() for _ in range(4)]
    with ExitStack() as stack:
        nodes = [
            _server(stack, directory / str(bus), *lines, f"cluster-port {bus}") for bus in buses
        ]
        *primaries, replica = nodes
        third = 16384 // 3
        parts = [(0, third), (third + 1, 2 * third), (2 * third + 1, 16383)]
        parts.sort(key=lambda part: not part[0] <= slot <= part[1])
        for node, part in zip(primaries, parts, strict=True):
            node.ask("CLUSTER", "ADDSLOTSRANGE", *part)
        for number, node in enumerate(nodes, 1):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number)
        for node in nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", primaries[0].port, buses[0])
        first = primaries[0].ask("CLUSTER", "MYID")
        replica.until(lambda client: first in str(client.execute_command("CLUSTER", "NODES")))
        replica.ask("CLUSTER", "REPLICATE", first)
        for node in nodes:
            node.until(lambda client: _is_whole(client.execute_command("CLUSTER", "INFO")))
        replica.until(lambda client: client.info()["master_link_status"] == "up")
        yield primaries, replica


def _is_whole(told: str) -> bool:
    return {"cluster_state:ok", "cluster_known_nodes:4"} <= set(told.splitlines())
