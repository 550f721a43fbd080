"""The page on promises says what an application can declare."""

import re
from pathlib import Path
from typing import Any

from headrace import Headrace
from headrace.engines.ledgered import LedgeredEngine
from headrace.model.promise import Promise
from headrace.worker.worker import Worker

PAGE = Path(__file__).parents[2] / "docs/promises.md"


async def test_the_example_declares_what_it_says_and_runs(
    migrated_url: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HEADRACE_DATABASE_URL", migrated_url)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(code, "shop.py", "exec"), names)
    app: Headrace = names["app"]
    async with app:
        assert isinstance(app.engine, LedgeredEngine)
        assert app.engine.view.promises.strict == {"payments"}
        assert app.engine.view.promises.loss_tolerant == {"clicks"}
        jobs = [await names["charge"].enqueue(1), await names["count_click"].enqueue("/")]
        await Worker(app, {"payments": 1, "clicks": 1}).run(burst=True)
        assert [await job.result("10s") for job in jobs] == [None, None]


def test_it_has_every_promise() -> None:
    rows = re.findall(r"^\| `(.*?)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == list(Promise)
