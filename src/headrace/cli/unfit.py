"""Why a command leaves a job alone, and what to do instead."""

from collections.abc import Sequence

from headrace.model.state import FINAL, State

_DONE = {
    "cancel": "cancelled",
    "delete": "deleted",
    "promote": "promoted",
    "replay": "replayed",
    "retry": "retried",
}
_DUE = "it is due, and runs once a worker is free"
_ANEW = "enqueue it again instead (its idempotency key, if it has one, holds until `jobs delete`)"
_NOT_AGAIN = {
    State.COMPLETED: _ANEW,
    State.CANCELLED: _ANEW,
}
_INSTEAD: dict[str, dict[State, str]] = {
    "cancel": {State.COMPLETED: "it is over", State.DEAD: "it is over; `jobs delete` removes it"},
    "delete": {state: "`jobs cancel` it first" for state in State if state not in FINAL},
    "promote": {**_NOT_AGAIN, State.AVAILABLE: _DUE, State.DEAD: "`jobs retry` it instead"},
    "replay": {
        **_NOT_AGAIN,
        State.AVAILABLE: _DUE,
        State.SCHEDULED: "`jobs promote` makes it due now",
        State.RETRYABLE: "`jobs retry` makes it due now",
    },
    "retry": {**_NOT_AGAIN, State.AVAILABLE: _DUE},
}


def why_unfit(command: str, allowed: Sequence[State], state: State) -> str:
    """One sentence for a person.

    Args:
        command: its name.
        allowed: the states of jobs that it can be done to.
        state: that of the job.
    """
    if _DONE[command] == state:
        return f"it is {state} already"
    *others, last = allowed
    only = f"{', '.join(others)} or {last}" if others else last
    told = f"it is {state}, and only {only} jobs can be {_DONE[command]}"
    instead = _INSTEAD[command].get(state)
    return f"{told}; {instead}" if instead else told
