"""headrace limits: look at limits of rate and of concurrency, set and delete them."""

from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.options import AsJson, DatabaseUrl, Embedded

if TYPE_CHECKING:
    from headrace.model.concurrency import LineSeen, WidthSeen
    from headrace.model.rate import LimitSeen, WindowSeen
    from headrace.ports.inspector import Inspector

app: typer.Typer = typer.Typer(
    help="Look at limits of rate and of concurrency, set and delete them.", no_args_is_help=True
)

_IN_WINDOWS = ("used", "remaining", "next start", "rests")
_IN_LINES = ("width", "taken", "standing")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The limit.")]


@app.command("list")
def list_limits(
    database_url: DatabaseUrl = None, embedded: Embedded = False, as_json: AsJson = False
) -> None:
    """List all limits, of rate and of concurrency.

    With --json: {"limits": [{"name", "rates", "overridden", "keys"}], "concurrency": [{"name",
    "width", "overridden", "keys", "fair"}]}.
    """
    from headrace.cli.output import print_json, print_table
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> "tuple[list[LimitSeen], list[WidthSeen]]":
        return await inspector.limiter.limits(), await inspector.limiter.seats.limits()

    rates, widths = inspect(database_url, embedded=embedded, work=work)
    if as_json:
        print_json(
            {
                "limits": [one._asdict() for one in rates],
                "concurrency": [one._asdict() for one in widths],
            }
        )
        return
    print_table(
        ("limit", "allows", "keys", "set by"),
        [
            *((one.name, ", ".join(one.rates), f"{one.keys:,}", _by(one)) for one in rates),
            *((one.name, _at_once(one), f"{one.keys:,}", _by(one)) for one in widths),
        ],
        numbers=("keys",),
    )


@app.command(short_help="Show how far a limit is used now.")
def show(
    name: Name,
    key: Annotated[str | None, typer.Option(help="Only this key.")] = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a limit is used now: up to 100 windows or keys, those in use first.

    With --json: {"name", "rates", "overridden", "keys", "windows": [{"key", "rate", "used",
    "remaining", "next_start", "rests"}]}, the last two in seconds or null. Of a limit of
    concurrency: {"name", "width", "overridden", "keys", "lines": [{"key", "width", "taken",
    "standing"}]}.
    """
    from headrace.cli.output import print_json, print_table
    from headrace.cli.session import inspect

    async def work(
        inspector: "Inspector",
    ) -> "tuple[LimitSeen, list[WindowSeen]] | tuple[WidthSeen, list[LineSeen]]":
        seats = inspector.limiter.seats
        if name in [one.name for one in await seats.limits()]:
            return await seats.limit(name, key)
        return await inspector.limiter.limit(name, key)

    limit, parts = inspect(database_url, embedded=embedded, work=work)
    of_rates = hasattr(limit, "rates")
    rows = [one._asdict() for one in parts]
    if as_json:
        print_json({**limit._asdict(), "windows" if of_rates else "lines": rows})
        return
    numbers = _IN_WINDOWS if of_rates else _IN_LINES
    columns = (*(("key", "rate") if of_rates else ("key",)), *numbers)
    cells = [tuple(_cell(name, one[name.replace(" ", "_")]) for name in columns) for one in rows]
    print_table(columns, cells, numbers=numbers)


@app.command("set", short_help="Let a limit allow something else.")
def set_limit(
    name: Name,
    allowed: Annotated[
        list[str],
        typer.Argument(metavar="RATE...|WIDTH", help='Such as "10/s" "5000/day"; or 5: at once.'),
    ],
    key: Annotated[str | None, typer.Option(help="Only this key of a width.")] = None,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Let a limit allow something else, from now on and whatever applications declare.

    Of a rate, what it has counted stays; a window of another length begins empty. Jobs that wait
    for it ask again. With --json: {"limit", "asked_again"}; so with delete. Of a width, which is a
    number alone, jobs that run go on; 0 lets no more start. With --json: {"limit", "width", "key"}.
    """
    from headrace.cli.output import print_json, say
    from headrace.cli.session import inspect
    from headrace.errors import UsageError
    from headrace.model.concurrency import check_width
    from headrace.model.rate import parse_rates

    if len(allowed) == 1 and allowed[0].isdecimal():
        width = check_width(int(allowed[0]))

        async def widen(inspector: "Inspector") -> None:
            await inspector.limiter.seats.set(name, width, key)

        inspect(database_url, embedded=embedded, work=widen)
        of_key = "" if key is None else f" for {key}"
        if as_json:
            print_json({"limit": name, "width": width, "key": key})
        else:
            say(f"limit {name} is {width:,} wide{of_key}")
        return
    if key is not None:
        raise UsageError("a rate is that of all keys; leave out --key, or give a width such as 5")
    read = parse_rates(name, allowed)

    async def work(inspector: "Inspector") -> int:
        return await inspector.limiter.set(name, read)

    asked = inspect(database_url, embedded=embedded, work=work)
    _tell(name, f"allows {', '.join(map(str, read))}", asked, as_json=as_json)


@app.command(short_help="Forget a limit and what it has counted.")
def delete(
    name: Name,
    database_url: DatabaseUrl = None,
    embedded: Embedded = False,
    as_json: AsJson = False,
) -> None:
    """Forget a limit and what it has counted: it limits nothing any more.

    An application that declares it makes it anew when it starts.
    """
    from headrace.cli.session import inspect

    async def work(inspector: "Inspector") -> int:
        if await inspector.limiter.seats.delete(name):
            return 0
        return await inspector.limiter.delete(name)

    asked = inspect(database_url, embedded=embedded, work=work)
    _tell(name, "is gone", asked, as_json=as_json)


def _tell(name: str, what: str, asked: int, *, as_json: bool) -> None:
    from headrace.cli.output import print_json, say

    if as_json:
        print_json({"limit": name, "asked_again": asked})
    else:
        say(f"limit {name} {what}" + (f"; {asked:,} jobs that waited ask again" if asked else ""))


def _at_once(one: "WidthSeen") -> str:
    return f"{one.width:,} of each ready" if one.fair else f"{one.width:,} at once"


def _by(one: "LimitSeen | WidthSeen") -> str:
    return "operator" if one.overridden else "application"


def _cell(column: str, value: object) -> str:
    if value is None:
        return ""
    if column in ("next start", "rests"):
        return f"{value:.1f} s"
    return f"{value:,}" if isinstance(value, int) else str(value)
