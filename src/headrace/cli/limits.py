"""headrace limits: look at rate limits, set and delete them."""

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded

if TYPE_CHECKING:
    from headrace.model.rate import LimitSeen, WindowSeen
    from headrace.ports.inspector import Inspector

app: typer.Typer = typer.Typer(
    help="Look at rate limits, set and delete them.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The limit.")]


@app.command("list")
def list_limits(
    database_url: DatabaseUrl = None, embedded: Embedded = False, as_json: AsJson = False
) -> None:
    """List all rate limits.

    With --json: {"limits": [{"name", "rates", "overridden", "keys"}]}.
    """
    from headrace.cli.output import print_json, print_table
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> "list[LimitSeen]":
        return await inspector.limiter.limits()

    limits = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({"limits": [one._asdict() for one in limits]})
        return
    print_table(
        ("limit", "rates", "keys", "set by"),
        [(one.name, ", ".join(one.rates), f"{one.keys:,}", _by(one)) for one in limits],
        numbers=("keys",),
    )


@app.command(short_help="Show what the windows of a rate limit hold now.")
def show(
    name: Name,
    key: Annotated[str | None, typer.Option(help="Only this key.")] = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Show what the windows of a rate limit hold now: up to 100, those in use first.

    With --json: {"name", "rates", "overridden", "keys", "windows": [{"key", "rate", "used",
    "remaining", "next_start", "rests"}]}, the last two in seconds or null.
    """
    from headrace.cli.output import print_json, print_table
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> "tuple[LimitSeen, list[WindowSeen]]":
        return await inspector.limiter.limit(name, key)

    limit, windows = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json({**limit._asdict(), "windows": [one._asdict() for one in windows]})
        return
    numbers = ("used", "remaining", "next start", "rests")
    print_table(
        ("key", "rate", *numbers),
        [
            (
                one.key,
                one.rate,
                f"{one.used:,}",
                f"{one.remaining:,}",
                _seconds(one.next_start),
                _seconds(one.rests),
            )
            for one in windows
        ],
        numbers=numbers,
    )


@app.command("set", short_help="Let a rate limit allow something else.")
def set_limit(
    name: Name,
    rates: Annotated[
        list[str], typer.Argument(metavar="RATE...", help='Such as "10/s" "5000/day".')
    ],
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Let a rate limit allow something else, from now on and whatever applications declare.

    What it has counted stays; a window of another length begins empty. Jobs that wait for it ask
    again. With --json: {"limit", "asked_again"}; so with delete.
    """
    from headrace.cli.session import inspect
    from headrace.model.rate import parse_rates

    read = parse_rates(name, rates)

    async def work(inspector: "Inspector") -> int:
        return await inspector.limiter.set(name, read)

    asked = inspect(database_url, embedded=embedded, work=work)
    _tell(name, f"allows {', '.join(map(str, read))}", asked, as_json=as_json)


@app.command(short_help="Forget a rate limit and what it has counted.")
def delete(
    name: Name,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Forget a rate limit and what it has counted: it limits nothing any more.

    An application that declares it makes it anew when it starts.
    """
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> int:
        return await inspector.limiter.delete(name)

    asked = inspect(database_url, embedded=embedded, work=work)
    _tell(name, "is gone", asked, as_json=as_json)


def _tell(name: str, what: str, asked: int, *, as_json: bool) -> None:
    from headrace.cli.output import print_json, say

    if as_json:
        print_json({"limit": name, "asked_again": asked})
    else:
        say(f"limit {name} {what}" + (f"; {asked:,} jobs that waited ask again" if asked else ""))


def _by(one: "LimitSeen") -> str:
    return "operator" if one.overridden else "application"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"
