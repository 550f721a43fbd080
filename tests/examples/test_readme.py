"""The README's code does what the README says."""

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from headrace import Headrace, State
from headrace.ledger.migrate import migrate
from headrace.worker.worker import Worker

README = Path(__file__).parents[2] / "README.md"


class Base(DeclarativeBase):
    pass


class Cart(Base):
    __tablename__ = "cart"
    email: Mapped[str] = mapped_column(primary_key=True)


def example() -> dict[str, Any]:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(code, "shop.py", "exec"), names)
    return names


async def test_the_example_commits_with_the_order_and_runs(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(database_url)
    monkeypatch.setenv("HEADRACE_DATABASE_URL", database_url)
    shop = example()
    app: Headrace = shop["app"]
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with app:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            job = await shop["order"](session, Cart(email="you@shop.example"))
            later = await shop["order"](session, Cart(email="you@busy.example"))
        await Worker(app, {"emails": 2}).run(burst=True)
        assert await job.result("10s") == "sent 'Thanks' to you@shop.example, attempt 1"
        await later.refresh()
        assert later.state is State.SCHEDULED
    await engine.dispose()


def test_the_speed_it_tells_is_that_of_the_comparison() -> None:
    report = json.loads((README.parent / "docs/benchmarks/peers.json").read_text("utf-8"))
    rates = {
        name: statistics.median(peer["samples"]["drain_1"])
        for name, peer in report["peers"].items()
        if peer["facts"]["durability"].startswith("durable at COMMIT")
    }
    ours = rates.pop("headrace-direct")
    del rates["headrace-hybrid"]
    told = re.findall(r"runs\s([\d,]+)", README.read_text("utf-8"))
    assert [int(one.replace(",", "")) for one in told] == [
        round(ours, -2),
        round(max(rates.values()), -2),
    ]
    assert f"[{len(report['peers'])} set-ups]" in README.read_text("utf-8")


def test_it_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 120
