"""A driver whose queue is a list, to talk with."""

import asyncio
from collections.abc import Sequence

from jobs import ASYNC_HANDLERS, Payload
from line import Driver, Facts

HELD: list[Payload] = []


class Producer:
    async def open(self) -> None:
        HELD.clear()

    async def enqueue(self, task: str, job: Payload) -> None:
        if task not in ASYNC_HANDLERS:
            raise LookupError(f"no task is named {task}")
        HELD.append(job)
        await asyncio.sleep(0)

    async def bulk(self, task: str, jobs: Sequence[Payload]) -> None:  # noqa: ARG002 - protocol
        HELD.extend(jobs)

    async def held(self) -> int:
        return len({job["i"] for job in HELD})

    async def close(self) -> None:
        print("what a library prints is no answer")


def work(concurrency: int) -> None:
    for number in range(concurrency):
        asyncio.run(ASYNC_HANDLERS["noop"](number))


FACTS = Facts(docs="none", settings="none", durability="none")
Driver(FACTS, Producer, work, bulk=7).main()
