"""headrace bench: how fast it is here, beside the bare limits of its parts."""

from typing import Annotated

import typer

from headrace.cli.options import AsJson, DatabaseUrl


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(short_help="Measure it here, beside the bare limits of its parts.")(bench)


def bench(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Half a minute to a minute, to see it run; its figures mean little."
        ),
    ] = False,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Slots of a worker.")] = None,
    repetitions: Annotated[int | None, typer.Option(min=1, help="Rounds; medians count.")] = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Measure drain, enqueue, mixed load, latency and recovery, and the parts at their best.

    Without a database URL it takes an embedded server of its own; that of the lane always is one.
    Prints ratios to what the same server does at best in the same run, with medians and ranges.
    """
    from headrace.bench.main import main
    from headrace.bench.options import Options

    standard = Options()
    options = Options(
        json=as_json,
        database_url=database_url,
        concurrency=concurrency or standard.concurrency,
        repetitions=repetitions or standard.repetitions,
    )
    main(options.quick() if quick else options)
