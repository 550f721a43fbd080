"""Doing something to the chosen jobs and saying what became of them."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec
import typer

from headrace.cli.output import note, print_json, print_table, say
from headrace.cli.selection import Selection
from headrace.cli.session import inspect
from headrace.errors import UsageError
from headrace.ledger.bulk import change_matching, matching
from headrace.model.inspection import Answer
from headrace.model.state import State
from headrace.ports.inspector import Answers, Inspector

_AT_ONCE = 500
_WHY = {
    Answer.STARTING: "done, but a run of it may be starting; its outcome will be refused",
    Answer.ASKED: "a worker has it, and is asked to end it: within seconds, if its handler can be",
    Answer.RUNNING: "a worker has it, and is left to finish",
    Answer.UNKNOWN: "nothing was changed: the lane cannot tell whether a worker has it; try again",
    Answer.BUSY: "another transaction holds it; try again",
    Answer.UNFIT: "its state does not allow it, or it is so already",
    Answer.MISSING: "there is no such job",
}

Change = Callable[[Inspector, Sequence[UUID]], Awaitable[Answers]]
Why = Callable[[State], str]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """Where the ledger is, and how to answer."""

    url: str | None
    embedded: bool
    json: bool


def count_jobs(connection: Connection, selection: Selection) -> None:
    """Say how many jobs are chosen."""

    async def work(inspector: Inspector) -> int:
        if selection.ids:
            return len(selection.ids)
        steps = matching(inspector, selection.wanted, limit=selection.limit)
        return sum([len(ids) async for ids in steps])

    matched = inspect(connection.url, embedded=connection.embedded, work=work)
    if connection.json:
        print_json({"matched": matched})
    else:
        say(f"{matched:,} jobs match; nothing was changed")


def change_jobs(
    connection: Connection,
    selection: Selection,
    change: Change,
    *,
    question: str,
    unfit: Why | None = None,
) -> None:
    """Change the chosen jobs.

    Args:
        connection: where, and how to answer.
        selection: ids, or a filter.
        change: what to do to a step of ids.
        question: how a person is asked before jobs chosen by a filter are changed; empty: not.
        unfit: why a job in this state was left alone.

    Raises:
        UsageError: nobody is there to be asked.
        Exit: status 1, where a job given by its id was not changed.
    """
    if selection.ids:
        _change_ids(connection, selection.ids, change, unfit)
        return
    if question:
        _ask(f"{question} {selection.words()}?")
    _change_matching(connection, selection, change)


def _change_ids(
    connection: Connection, ids: Sequence[UUID], change: Change, unfit: Why | None
) -> None:
    async def work(inspector: Inspector) -> tuple[dict[UUID, Answer], dict[UUID, State]]:
        answers: dict[UUID, Answer] = {}
        for start in range(0, len(ids), _AT_ONCE):
            answers.update(await change(inspector, ids[start : start + _AT_ONCE]))
        left = [one for one, answer in answers.items() if answer is Answer.UNFIT]
        return answers, {job.id: job.state for job in await inspector.get_many(left)}

    answers, states = inspect(connection.url, embedded=connection.embedded, work=work)
    if connection.json:
        print_json({"answers": answers})
    else:
        whys = {one: unfit(state) for one, state in states.items()} if unfit else {}
        rows = [
            (str(one), answer.value, whys.get(one) or _WHY.get(answer, ""))
            for one, answer in answers.items()
        ]
        print_table(("id", "answer", "why"), rows)
    if not set(answers.values()) <= {Answer.DONE, Answer.ASKED}:
        raise typer.Exit(1)


def _change_matching(connection: Connection, selection: Selection, change: Change) -> None:
    async def work(inspector: Inspector) -> Counter[Answer]:
        async def step(ids: Sequence[UUID]) -> Answers:
            return await change(inspector, ids)

        return await change_matching(inspector, selection.wanted, step, limit=selection.limit)

    answers = inspect(connection.url, embedded=connection.embedded, work=work)
    if connection.json:
        print_json({"counts": answers})
        return
    starting = answers.pop(Answer.STARTING, 0)
    say(f"{answers.pop(Answer.DONE, 0) + starting:,} jobs done")
    if starting:
        note(f"of {starting:,} a run may be starting; its outcome will be refused")
    if asked := answers.pop(Answer.ASKED, 0):
        say(f"{asked:,} jobs that run are asked to end")
    for answer, n in answers.items():
        note(f"{n:,} left: {_WHY[answer]}")


def _ask(question: str) -> None:
    if not typer.get_text_stream("stdin").isatty():
        raise UsageError("nobody is there to confirm this; add --yes, or --dry-run to count first")
    typer.confirm(question, abort=True)
