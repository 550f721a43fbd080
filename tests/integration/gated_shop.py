"""An application whose handlers say at a gate that they run, and wait there to be let through."""

import asyncio
import contextlib
import os
import socket

from headrace import Context, Headrace

app = Headrace("gated-shop")
_GATE = ("127.0.0.1", int(os.environ.get("GATE", "0")))


@app.task(queue="work")
async def hold(ctx: Context, number: int) -> int:
    reader, writer = await asyncio.open_connection(*_GATE)
    writer.write(_visit(ctx, number))
    await reader.readline()
    writer.close()
    return ctx.attempt


@app.task(queue="work", timeout="0.5s")
async def block(ctx: Context, number: int) -> int:
    """Never awaits, so that nothing else runs in its process."""
    with socket.create_connection(_GATE) as ours:
        ours.sendall(_visit(ctx, number))
        ours.recv(1)
    return ctx.attempt


@app.task(queue="work", timeout="0.5s")
def sit(ctx: Context, number: int) -> int:
    """The same in a thread, which cannot be interrupted."""
    with socket.create_connection(_GATE) as ours:
        ours.sendall(_visit(ctx, number))
        ours.recv(1)
    return ctx.attempt


@app.task(queue="work", timeout="0.5s")
async def insist(ctx: Context, number: int) -> int:
    """Hears of no cancellation."""
    await _hear_nothing(ctx, number)
    return ctx.attempt


@app.task(queue="work", timeout="0.5s")
async def insist_in_transaction(ctx: Context, number: int) -> int:
    """The same, and holds a connection meanwhile."""
    async with ctx.transaction() as tx:
        await tx.execute("SELECT 1")
        await _hear_nothing(ctx, number)
    return ctx.attempt


async def _hear_nothing(ctx: Context, number: int) -> None:
    reader, writer = await asyncio.open_connection(*_GATE)
    writer.write(_visit(ctx, number))
    answer = asyncio.create_task(reader.readline())
    while not answer.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({answer})


def _visit(ctx: Context, number: int) -> bytes:
    return f"{os.getpid()} {number} {ctx.attempt}\n".encode()
