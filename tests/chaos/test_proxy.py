import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from chaos.dialects import PostgresDialect, RedisDialect
from chaos.network import Delay, Direction, Drop, Hold, Slow
from chaos.proxy import Proxy

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LineDialect:
    """One line is one request, answered by one line."""

    def __init__(self) -> None:
        self._partial = b""

    def requests(self, data: bytes) -> list[bytes]:
        *whole, self._partial = (self._partial + data).split(b"\n")
        return whole

    def answers(self, data: bytes) -> int:
        return data.count(b"\n")


class Echo:
    """Answers each line by itself, and tells what it received."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                self.received.put_nowait(line)
                writer.write(line)
        except ConnectionError:
            pass
        finally:
            self.closed.set()
            writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    yield echo
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy("127.0.0.1", echo.port, LineDialect) as proxy:
        yield proxy


@pytest.fixture
async def connection(proxy: Proxy) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
    yield reader, writer
    writer.close()


async def ask(connection: Connection, line: bytes) -> bytes:
    reader, writer = connection
    writer.write(line)
    async with asyncio.timeout(5):
        return await reader.readline()


async def received(echo: Echo) -> bytes:
    async with asyncio.timeout(5):
        return await echo.received.get()


async def test_bytes_pass_both_ways_and_so_does_a_closing(
    proxy: Proxy, connection: Connection, echo: Echo
) -> None:
    assert await ask(connection, b"one\n") == b"one\n"
    assert proxy.connections == 1
    connection[1].write_eof()
    assert await connection[0].read() == b""
    await asyncio.wait_for(echo.closed.wait(), 5)


async def test_large_transfers_arrive_whole(connection: Connection) -> None:
    reader, writer = connection
    line = b"x" * 50_000 + b"\n"
    for _ in range(40):
        writer.write(line)
    assert await reader.readexactly(40 * len(line)) == 40 * line


async def test_delay_postpones_the_answer(proxy: Proxy, connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    proxy.inject(Delay(0.1))
    began = loop.time()
    assert await ask(connection, b"late\n") == b"late\n"
    assert loop.time() - began >= 0.2


async def test_slow_carries_so_many_bytes_a_second(proxy: Proxy, connection: Connection) -> None:
    loop = asyncio.get_running_loop()
    proxy.inject(Slow(1000), Direction.REPLIES)
    began = loop.time()
    line = b"x" * 199 + b"\n"
    assert await ask(connection, line) == line
    assert 0.18 <= loop.time() - began < 2


async def test_hold_keeps_bytes_and_gives_them_when_healed(
    proxy: Proxy, connection: Connection, echo: Echo
) -> None:
    proxy.inject(Hold(), Direction.REPLIES)
    connection[1].write(b"kept\n")
    assert await received(echo) == b"kept\n"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection[0].readexactly(1), 0.05)
    proxy.heal()
    assert await connection[0].readline() == b"kept\n"


async def test_drop_one_way_loses_replies_only_and_healing_resets(
    proxy: Proxy, connection: Connection, echo: Echo
) -> None:
    proxy.inject(Drop(), Direction.REPLIES)
    connection[1].write(b"unanswered\n")
    assert await received(echo) == b"unanswered\n"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection[0].read(1), 0.05)
    proxy.heal()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(connection[0].read(1), 5)


async def test_drop_hides_a_closing_from_the_server(
    proxy: Proxy, connection: Connection, echo: Echo
) -> None:
    await ask(connection, b"hello\n")
    proxy.inject(Drop())
    connection[1].close()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(echo.closed.wait(), 0.05)
    proxy.heal()
    await asyncio.wait_for(echo.closed.wait(), 5)


async def test_a_connection_that_lost_nothing_survives_healing(
    proxy: Proxy, connection: Connection
) -> None:
    await ask(connection, b"before\n")
    proxy.inject(Drop())
    proxy.heal()
    assert await ask(connection, b"after\n") == b"after\n"


async def test_cut_resets_every_connection_and_new_ones_work(
    proxy: Proxy, connection: Connection, echo: Echo
) -> None:
    await ask(connection, b"one\n")
    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        await connection[0].read(1)
    await asyncio.wait_for(echo.closed.wait(), 5)
    again = await asyncio.open_connection(proxy.host, proxy.port)
    assert await ask(again, b"two\n") == b"two\n"
    again[1].close()


async def test_cut_frees_a_held_connection(proxy: Proxy, connection: Connection) -> None:
    await ask(connection, b"one\n")
    proxy.inject(Hold())
    connection[1].write(b"never\n")
    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        await connection[0].read(1)


async def test_refuse_turns_away_new_connections_only(proxy: Proxy, connection: Connection) -> None:
    await ask(connection, b"one\n")
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(proxy.host, proxy.port)
    assert await ask(connection, b"two\n") == b"two\n"
    proxy.heal()
    again = await asyncio.open_connection(proxy.host, proxy.port)
    assert await ask(again, b"three\n") == b"three\n"
    again[1].close()


async def test_an_absent_server_looks_like_a_reset() -> None:
    async def use(proxy: Proxy) -> None:
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        try:
            await reader.read(1)
        finally:
            writer.close()

    with Proxy("127.0.0.1", 1) as proxy, pytest.raises(ConnectionResetError):
        await use(proxy)


async def test_a_dialect_that_fails_resets_the_connection_and_fails_the_proxy(echo: Echo) -> None:
    class Baffled(LineDialect):
        def requests(self, data: bytes) -> list[bytes]:
            raise ValueError(f"cannot read {data!r}")

    async def use() -> None:
        with Proxy("127.0.0.1", echo.port, Baffled) as proxy:
            reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
            writer.write(b"what\n")
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            writer.close()

    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="cannot read b'what")):
        await use()


async def test_the_reply_after_a_request_is_lost_though_the_server_acted(
    proxy: Proxy, connection: Connection, echo: Echo
) -> None:
    trap = proxy.drop_next_reply(after=b"COMMIT")
    assert await ask(connection, b"BEGIN\n") == b"BEGIN\n"
    reader, writer = connection
    writer.write(b"COM")
    await writer.drain()
    writer.write(b"MIT\n")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.readline(), 5)
    trap.wait()
    assert [await received(echo), await received(echo)] == [b"BEGIN\n", b"COMMIT\n"]
    again = await asyncio.open_connection(proxy.host, proxy.port)
    assert await ask(again, b"COMMIT\n") == b"COMMIT\n", "a trap springs once"
    again[1].close()


async def test_a_request_is_lost_before_the_server_sees_it(
    proxy: Proxy, connection: Connection, echo: Echo
) -> None:
    trap = proxy.drop_next_request(containing=b"COMMIT")
    connection[1].write(b"COMMIT\n")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(connection[0].readline(), 5)
    assert trap.sprung
    await asyncio.wait_for(echo.closed.wait(), 5)
    assert echo.received.empty()


async def test_a_trap_that_nothing_springs_says_so(proxy: Proxy) -> None:
    trap = proxy.drop_next_reply(after=b"COMMIT")
    with pytest.raises(TimeoutError, match=r"no request with b'COMMIT' passed within 0\.01 s"):
        trap.wait(timeout=0.01)


async def test_a_proxy_without_a_dialect_refuses_traps(echo: Echo) -> None:
    with Proxy("127.0.0.1", echo.port) as proxy, pytest.raises(ValueError, match="dialect"):
        proxy.drop_next_reply(after=b"COMMIT")


def postgres(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


STARTUP = (8).to_bytes(4, "big") + (196608).to_bytes(4, "big")
SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
EXECUTE = postgres(b"E", b"\0\0\0\0\0")
SYNC = postgres(b"S", b"")


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_postgres_requests_are_told_apart_in_pieces_of_any_size(size: int) -> None:
    stream = b"".join(
        [
            SSL_REQUEST,
            STARTUP,
            postgres(b"Q", b"BEGIN\0"),
            postgres(b"P", b"s1\0INSERT INTO job\0\0\0"),
            postgres(b"H", b""),
            postgres(b"B", b"\0s1\0" + bytes(6)) + EXECUTE + SYNC,
            postgres(b"B", b"\0s1\0" + bytes(6)) + EXECUTE + SYNC,
        ]
    )
    dialect = PostgresDialect()
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    found = [request for piece in pieces for request in dialect.requests(piece)]
    assert found == [b"", b"BEGIN", b"INSERT INTO job", b"INSERT INTO job"]


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_postgres_answers_end_at_ready_for_query(size: int) -> None:
    dialect = PostgresDialect()
    dialect.requests(SSL_REQUEST + STARTUP)
    ready = postgres(b"Z", b"I")
    stream = b"N" + postgres(b"R", b"Z\0\0\0\5I") + ready + postgres(b"C", b"COMMIT\0") + ready
    pieces = [stream[i : i + size] for i in range(0, len(stream), size)]
    assert sum(dialect.answers(piece) for piece in pieces) == 2


@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_redis_commands_and_replies_are_told_apart_in_pieces_of_any_size(size: int) -> None:
    dialect = RedisDialect()
    asked = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n"
    pieces = [asked[i : i + size] for i in range(0, len(asked), size)]
    assert [r for piece in pieces for r in dialect.requests(piece)] == [b"GET a", b"PING"]
    told = b"#f\r\n>2\r\n+message\r\n+hi\r\n$-1\r\n-ERR no\r\n"
    pieces = [told[i : i + size] for i in range(0, len(told), size)]
    assert sum(dialect.answers(piece) for piece in pieces) == 3


def test_what_was_accepted_as_it_ends_is_closed_too() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        for _ in range(30):
            with Proxy(*server.getsockname()) as proxy:
                callers = [socket.create_connection((proxy.host, proxy.port)) for _ in range(3)]
            for caller in callers:
                caller.close()
    gc.collect()  # tells of what nobody closed, and every warning is an error
