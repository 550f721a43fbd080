"""The signature of a handler of many jobs: what one of them takes and returns."""

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.context import is_context_type
from headrace.errors import UsageError
from headrace.signature import Signature, hints_of, injected_among, signature_of

_Kind = inspect.Parameter


@dataclass(frozen=True, slots=True)
class BatchSignature:
    """What a handler of many jobs takes.

    Attributes:
        one: the signature of one job, whose only argument is `item`.
        wants_contexts: the handler takes their contexts first.
    """

    one: Signature
    wants_contexts: bool


def read_batch_signature(fn: Callable[..., Any], task: str) -> BatchSignature:
    """Read `async def fn(items: list[A]) -> list[R]`, or `fn(contexts: list[Context], items, ...)`.

    Raises:
        UsageError: it is something else.
    """
    hints = hints_of(fn, task)
    parameters = list(inspect.signature(fn).parameters.values())
    provided = injected_among(parameters, hints, task)
    own = [one for one in parameters if one.name not in provided]
    wants_contexts = bool(own) and is_context_type(_each(hints.get(own[0].name)))
    rest = own[1:] if wants_contexts else own
    if len(rest) != 1 or rest[0].kind in (_Kind.KEYWORD_ONLY, _Kind.VAR_KEYWORD):
        raise UsageError(
            f'task "{task}" takes many jobs in one call: write `async def {fn.__name__}(items: '
            "list[...])`, with `contexts: list[Context]` before it if they are wanted"
        )
    item = _each(hints.get(rest[0].name, list[Any]))
    if item is None:
        raise UsageError(
            f'task "{task}": "{rest[0].name}" takes the arguments of many jobs; annotate it '
            "list[...]"
        )
    parameter = _Kind("item", _Kind.POSITIONAL_OR_KEYWORD)
    one = {"item": item, "return": _returned(hints.get("return", Any))}
    return BatchSignature(
        signature_of(task, [parameter], one, wants_context=False, injected=provided),
        wants_contexts,
    )


def _each(hint: object) -> Any:  # noqa: ANN401 - any annotation
    """What a list is of; None where it is no list."""
    if hint is list or typing.get_origin(hint) is list or typing.get_origin(hint) is Sequence:
        return next(iter(typing.get_args(hint)), Any)
    return None


def _returned(hint: object) -> Any:  # noqa: ANN401 - as above
    """What one of the jobs returns, whose handler returns a list of that, or None for all."""
    if hint is None or hint is type(None):
        return None
    options = typing.get_args(hint) if _each(hint) is None else (hint,)
    return next((_each(one) for one in options if _each(one) is not None), Any)
