"""A worker process of a measurement: `python -m headrace.bench.child ORDER`, where ORDER is JSON.

It says "ready", waits for a line, works, and ends with a line of JSON: its CPU seconds.
"""

import asyncio
import logging
import sys
import time

import msgspec

from headrace.bench.lean import run_lean
from headrace.bench.loop import run
from headrace.bench.order import Order, Report
from headrace.bench.tasks import QUEUE, BenchApp, say
from headrace.supervisor.node import run_node


async def work(order: Order) -> None:
    """Do as ordered."""
    bench = BenchApp(order.database_url, order.redis_url, lease=order.lease)
    async with bench.app:
        say("ready")
        await asyncio.to_thread(sys.stdin.readline)
        before = time.process_time()
        if order.lean:
            await run_lean(order.database_url)
        else:
            await run_node(bench.app, {QUEUE: order.concurrency}, burst=order.burst)
        say(msgspec.json.encode(Report(time.process_time() - before)).decode())


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    run(work(msgspec.json.decode(sys.argv[1], type=Order)))
