import asyncpg
import pytest

from headrace.ledger.statements import names, statement


async def test_every_statement_can_be_prepared(migrated_url: str) -> None:
    connection = await asyncpg.connect(migrated_url)
    try:
        for name in names():
            try:
                await connection.prepare(statement(name))
            except asyncpg.PostgresError as exc:
                pytest.fail(f"{name}: {exc}")
    finally:
        await connection.close()
    assert "insert" in names()


def test_every_statement_says_what_it_is_for() -> None:
    for name in names():
        assert statement(name).startswith(f"-- {name}: "), name
