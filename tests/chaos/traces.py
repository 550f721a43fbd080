"""The history of a chaos run as the model of delivery reads it: what happened, in order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chaos.events import AnyEvent, EnqueueReturned, Outcome, Settled, SettleSent, StartChecked

_Attempt = tuple[str, int, str]
_Step = dict[str, Any]


def told(history: Sequence[AnyEvent]) -> list[_Step]:
    """Return the steps of all jobs, as ``model.replay`` takes them; the history is in time order.

    An idempotency key tells several producers of one job, which is inserted once. An outcome that
    was sent again and again is one settle. A transaction whose commit failed is sent as a retry in
    the end: what the ledger was told last is what the attempt came to.
    """
    came_to = dict(_outcomes(history))
    inserted: set[str] = set()
    settled: set[_Attempt] = set()
    finished: set[_Attempt] = set()
    steps: list[_Step] = []
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
    return list(_as_committed(steps))


def _as_committed(steps: Sequence[_Step]) -> Iterator[_Step]:
    """Put settles where they took effect: somewhere between their sending and their answer.

    Whoever waits for its answer may be stopped for seconds. One that was accepted was so before a
    later generation did anything, for there is none while the row has this one.
    """
    early: dict[int, list[_Step]] = {}
    moved: set[int] = set()
    for job in _by_job(steps).values():
        for at, index in enumerate(job):
            step = steps[index]
            if step["event"] == "settle" and step["accepted"]:
                sent = [steps[one] for one in job[:at]].index(_finish_of(step))
                later = next(
                    (one for one in job[sent:at] if steps[one].get("gen", 0) > step["gen"]), None
                )
                if later is not None:
                    early.setdefault(later, []).append(step)
                    moved.add(index)
    for index, step in enumerate(steps):
        yield from early.get(index, ())
        if index not in moved:
            yield step


def _by_job(steps: Sequence[_Step]) -> dict[str, list[int]]:
    jobs: dict[str, list[int]] = {}
    for index, step in enumerate(steps):
        jobs.setdefault(step["job"], []).append(index)
    return jobs


def _finish_of(settle: _Step) -> _Step:
    told = {name: value for name, value in settle.items() if name != "accepted"}
    return told | {"event": "finish"}


def _outcomes(history: Iterable[AnyEvent]) -> Iterator[tuple[_Attempt, Outcome]]:
    for kind in (SettleSent, Settled):
        for event in history:
            if isinstance(event, kind):
                yield _attempt(event), event.outcome


def _attempt(event: StartChecked | SettleSent | Settled) -> _Attempt:
    return event.job, event.gen, event.worker


def _step(name: str, event: StartChecked | SettleSent | Settled, **more: object) -> _Step:
    return {"event": name, "job": event.job, "gen": event.gen, "worker": event.worker, **more}
