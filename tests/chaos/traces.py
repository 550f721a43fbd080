"""The history of a chaos run as the model of delivery reads it: what happened, in order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chaos.events import AnyEvent, EnqueueReturned, Outcome, Settled, SettleSent, StartChecked

_Attempt = tuple[str, int, str]


def told(history: Sequence[AnyEvent]) -> list[dict[str, Any]]:
    """Return the steps of all jobs, as ``model.replay`` takes them; the history is in time order.

    An idempotency key tells several producers of one job, which is inserted once. An outcome that
    was sent again and again is one settle. A transaction whose commit failed is sent as a retry in
    the end: what the ledger was told last is what the attempt came to.
    """
    came_to = dict(_outcomes(history))
    inserted: set[str] = set()
    settled: set[_Attempt] = set()
    finished: set[_Attempt] = set()
    steps: list[dict[str, Any]] = []
    for event in history:
        match event:
            case EnqueueReturned() if event.job not in inserted:
                inserted.add(event.job)
                steps.append({"event": "insert", "job": event.job})
            case StartChecked():
                steps.append(_step("start", event))
            case SettleSent() if _attempt(event) not in finished:
                finished.add(_attempt(event))
                steps.append(_step("finish", event, outcome=came_to[_attempt(event)]))
            case Settled() if _attempt(event) not in settled:
                settled.add(_attempt(event))
                verdict = {"outcome": came_to[_attempt(event)], "accepted": event.accepted}
                steps.append(_step("settle", event, **verdict))
            case _:
                pass
    return steps


def _outcomes(history: Iterable[AnyEvent]) -> Iterator[tuple[_Attempt, Outcome]]:
    for kind in (SettleSent, Settled):
        for event in history:
            if isinstance(event, kind):
                yield _attempt(event), event.outcome


def _attempt(event: StartChecked | SettleSent | Settled) -> _Attempt:
    return event.job, event.gen, event.worker


def _step(name: str, event: StartChecked | SettleSent | Settled, **more: object) -> dict[str, Any]:
    return {"event": name, "job": event.job, "gen": event.gen, "worker": event.worker, **more}
