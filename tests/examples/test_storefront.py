"""The shop of examples/storefront: whatever is killed, the day ends with exact counts."""

import ast
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from storefront.account import Line, as_table
from typer.testing import CliRunner

import headrace
from examples.reader import ROOT
from headrace.cli.root import app

EXAMPLES = ROOT / "examples"
FILES = sorted(EXAMPLES.rglob("*.py"))
PUBLIC = {"headrace", "headrace.contrib", "headrace.embedded"}


def a_day(database_url: str, redis_url: str, *arguments: str) -> dict[str, dict[str, Any]]:
    environment = {
        **os.environ,
        "HEADRACE_DATABASE_URL": database_url,
        "HEADRACE_REDIS_URL": redis_url,
        "HEADRACE_LEASE": "2s",
    }
    done = subprocess.run(
        [sys.executable, "-m", "storefront", "--json", *arguments],
        check=False,
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return {line["what"]: line for line in json.loads(done.stdout)}


def asked(database_url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(query.encode()).fetchall()


def test_a_day_whose_workers_are_killed(migrated_url: str, redis_url: str) -> None:
    told = a_day(migrated_url, redis_url, "--kill")
    assert all(line["due"] in (None, line["found"]) for line in told.values())
    assert told["mails that came once more"]["found"] >= 1, "nothing was hit"

    def now(query: str) -> list[tuple[Any, ...]]:
        return asked(migrated_url, query)

    assert now("SELECT status, count(*) FROM storefront.purchase GROUP BY 1 ORDER BY 1") == [
        ("refunded", 1),
        ("shipped", 21),
        ("sold out", 2),
    ]
    assert now("SELECT name, stock FROM storefront.product ORDER BY 1") == [
        ("cup", 71),
        ("kettle", 44),
        ("lamp", 0),
        ("mirror", 9),
    ]
    invoices = now(
        """SELECT i.customer, nth, number FROM storefront.invoice i
           JOIN storefront.purchase ON id = purchase ORDER BY 1, 2"""
    )
    assert [nth for _, nth, _ in invoices] == [1, 2, 3, 4] * 6
    for (one, _, earlier), (other, _, later) in pairwise(invoices):
        assert one != other or earlier < later
    assert now("SELECT task, count(*) FROM headrace.job WHERE state = 3 GROUP BY 1 ORDER BY 1") == [
        ("pack", 1),
    ]
    assert now("SELECT task FROM headrace.job WHERE state IN (0, 1)") == []
    of_nobody = now(
        """SELECT payload FROM headrace.job WHERE task = 'mail'
           AND payload -> 'message' -> 'headers' ->> 'X-Order'
               NOT IN (SELECT id::text FROM storefront.purchase)"""
    )
    assert of_nobody == []  # the two that were rolled back have no job
    checked = CliRunner().invoke(app, ["verify", "--quiesced", "--database-url", migrated_url])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_an_example_uses_public_names_only(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(one.name.startswith("headrace.") for one in node.names)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headrace"):
            assert node.module in PUBLIC
            if node.module == "headrace":
                assert {one.name for one in node.names} <= {*headrace.__all__}


def test_what_is_wrong_is_seen() -> None:
    lines = [Line("orders placed", 24, 23), Line("mails", 2, 2), Line("inserts", None, 7)]
    table = as_table(lines).splitlines()
    assert [line.endswith("<- wrong") for line in table] == [False, True, False, False]
    assert len({len(line.removesuffix("  <- wrong")) for line in table}) == 1
