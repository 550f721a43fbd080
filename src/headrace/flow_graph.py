"""The order of a flow's steps, and what its callbacks come after."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.flow import Step


def in_order(steps: "Sequence[Step[Any]]", flow: str) -> "list[Step[Any]]":
    """The steps, each after those that it comes after, else as they were added.

    Raises:
        UsageError: they go round in a circle, or one comes after a step of another flow.
    """
    known = set(steps)
    children: dict[Step[Any], list[Step[Any]]] = defaultdict(list)
    waits = dict.fromkeys(steps, 0)
    for step in steps:
        for parent in _steps_of(step):
            if parent not in known:
                raise UsageError(
                    f'step "{step.name}" comes after "{parent.name}", which is of another flow; '
                    "enqueue that first, and give the job that it became"
                )
            children[parent].append(step)
            waits[step] += 1
    ordered = [step for step in steps if not waits[step]]
    for step in ordered:
        for child in children[step]:
            waits[child] -= 1
            if not waits[child]:
                ordered.append(child)
    if len(ordered) < len(steps):
        names = " -> ".join(step.name for step in _circle(known.difference(ordered)))
        called = f'flow "{flow}"' if flow else "the flow"
        raise UsageError(f"{called} goes round in a circle: {names}; take one of these away")
    return ordered


def callbacks_of(
    steps: "Sequence[Step[Any]]",
    on_success: "Sequence[Step[Any]]",
    on_complete: "Sequence[Step[Any]]",
) -> "list[Step[Any]]":
    """The callbacks, each after what it needs.

    All are completed once the last ones are. All are over only when each of them is: a job that
    fails with one of its parents does not wait for the others.
    """
    followed = {parent for step in steps for parent in _steps_of(step)}
    for callback in on_success:
        callback.after([step for step in steps if step not in followed])
    for callback in on_complete:
        callback.after(steps, on_failure="ignore")
    return [*on_success, *on_complete]


def _steps_of(step: "Step[Any]") -> "Iterable[Step[Any]]":
    return (parent for parent in step.parents if not isinstance(parent, UUID))


def _circle(stuck: "set[Step[Any]]") -> "list[Step[Any]]":
    """A way round among steps each of which waits for another of them."""
    way = [min(stuck, key=lambda step: step.name)]
    while (parent := next(one for one in _steps_of(way[-1]) if one in stuck)) not in way:
        way.append(parent)
    round_ = [*way[way.index(parent) :], parent]
    return round_[::-1]
