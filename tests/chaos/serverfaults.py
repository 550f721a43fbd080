"""Faults of PostgreSQL and of the way to a server, for random runs."""

import asyncio
from collections.abc import Iterable

import asyncpg

from chaos.faultplan import Fault, call
from chaos.network import Delay, Drop, Hold
from chaos.proxy import Proxy
from headrace.embedded import EmbeddedPostgres

BACKENDS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
      AND datname = current_database()
"""
REPLIES = (
    b"-- insert",
    b"-- claim:",
    b"-- admit:",
    b"-- settle",
    b"COMMIT",
    b"-- beat:",
    b"-- reap:",
)
BLINK = 0.5  # seconds


def faults_of_postgres(server: EmbeddedPostgres) -> list[Fault]:
    """Its backends are terminated all at once; it is killed and started again."""

    async def restart() -> None:
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)

    return [end_backends(server.url, weight=3), call("restart", restart, weight=1)]


def end_backends(url: str, weight: int) -> Fault:
    """All backends of a database are terminated at once."""

    async def terminate() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(BACKENDS)
        await connection.close()

    return call("backends", terminate, weight)


def faults_of_the_way(proxy: Proxy, to: str, replies: Iterable[bytes]) -> list[Fault]:
    """Connections to a server are reset, held, half-open or slow; replies to calls are lost."""

    async def cut() -> None:
        proxy.cut()

    async def lose_replies() -> None:
        for words in replies:
            proxy.drop_next_reply(words)

    return [
        call(f"{to} cut", cut, weight=2),
        call(f"{to} replies", lose_replies, weight=2),
        *(_passing(proxy, to, fault) for fault in (Hold(), Drop(), Delay(0.02))),
    ]


def _passing(proxy: Proxy, to: str, fault: Hold | Drop | Delay) -> Fault:
    async def blink() -> None:
        proxy.inject(fault)
        await asyncio.sleep(BLINK)  # the fault is its length
        proxy.heal()

    return call(f"{to} {type(fault).__name__.lower()}", blink)
