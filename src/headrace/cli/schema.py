"""headrace migrate: the tables in the database."""

from enum import StrEnum
from typing import Annotated

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded


class Step(StrEnum):
    """What to do about the schema."""

    UP = "up"
    STATUS = "status"
    SQL = "sql"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Make the tables, or bring them up to date.")(migrate)


def migrate(
    step: Annotated[
        Step,
        typer.Argument(help="up: apply what is missing; status: list; sql: print, apply nothing."),
    ] = Step.UP,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Make the tables in the database, or bring them up to date.

    Migrations go forward only, are safe to repeat, and wait for no long lock. `sql` needs no
    database. With --json: {"migrations": [{"version", "name", "applied"}, ...]}.
    """
    from headrace.ledger.migrate import script

    if step is Step.SQL:
        typer.echo(script())
    elif step is Step.UP:
        _up(database_url, embedded=embedded, as_json=as_json)
    else:
        _status(database_url, embedded=embedded, as_json=as_json)


def _up(url: str | None, *, embedded: bool, as_json: bool) -> None:
    import asyncio

    from headrace.cli.output import print_json, say
    from headrace.cli.session import database
    from headrace.ledger.migrate import migrate as apply

    with database(url, embedded=embedded) as found:
        done = asyncio.run(apply(found))
    if as_json:
        rows = [{"version": one.version, "name": one.name, "applied": True} for one in done]
        print_json({"migrations": rows})
    elif not done:
        say("the schema is up to date")
    for one in done if not as_json else ():
        say(f"applied {one.version:04} {one.name}")


def _status(url: str | None, *, embedded: bool, as_json: bool) -> None:
    import asyncio

    from headrace.cli.output import print_json, print_table
    from headrace.cli.session import database
    from headrace.ledger.migrate import migrations, version

    with database(url, embedded=embedded) as found:
        have = asyncio.run(version(found))
    known = [(one.version, one.name, one.version <= have) for one in migrations()]
    if as_json:
        names = ("version", "name", "applied")
        print_json({"migrations": [dict(zip(names, one, strict=True)) for one in known]})
        return
    print_table(
        ("version", "name", "applied"),
        [(f"{number:04}", name, "yes" if done else "no") for number, name, done in known],
    )
