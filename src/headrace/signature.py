"""A task's signature: read once, so that binding and decoding a call costs little."""

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from headrace.context import is_context_type
from headrace.dependencies import Depends, injected, marked
from headrace.errors import BadArguments, BadPayload, UsageError
from headrace.payload import decode_hook, encode

_Kind = inspect.Parameter


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """The parameters of a task's function, without its context.

    Attributes:
        task: the task's name, for errors.
        wants_context: the function takes a context first.
        positional: names that may be given by position, in order.
        positional_only: those of them that may not be given by name, with their defaults.
        by_name: names that may be given by name.
        required: names without a default.
        defaults: those of the others.
        injected: parameters that are no arguments of the job, with what provides them.
    """

    task: str
    wants_context: bool
    positional: tuple[str, ...]
    positional_only: dict[str, object]
    by_name: frozenset[str]
    required: frozenset[str]
    defaults: Mapping[str, object]
    injected: Mapping[str, Depends]
    _decoder: msgspec.json.Decoder[Any]
    _fields: tuple[tuple[str, str], ...]
    _result: msgspec.json.Decoder[Any]

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset(name for name, _ in self._fields)

    @property
    def sole(self) -> str | None:
        """The one that a call with a single argument gives; None if there is no such call."""
        if len(self.required) > 1:
            return None
        candidates = self.required or self.names
        return next(iter(candidates)) if len(candidates) == 1 else None

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        """Arguments by name; what was left out is not there.

        Raises:
            BadArguments: they do not fit.
        """
        if len(args) > len(self.positional):
            raise BadArguments(
                f'task "{self.task}" takes at most {len(self.positional)} arguments by position, '
                f"{len(args)} were given; it takes ({self._shown()})"
            )
        bound = dict(zip(self.positional, args, strict=False))
        if kwargs:
            self._refuse_names(bound, kwargs)
            bound.update(kwargs)
        if not self.required <= bound.keys():
            missing = [name for name, _ in self._fields if name in self.required - bound.keys()]
            raise BadArguments(
                f'task "{self.task}" needs the argument "{missing[0]}"; it takes ({self._shown()})'
            )
        return bound

    def with_defaults(
        self, arguments: Mapping[str, object], names: Iterable[str] | None
    ) -> dict[str, object]:
        """Arguments, and the defaults of those of these names (None: of all) that are left out."""
        wanted = self.defaults.keys() if names is None else self.defaults.keys() & names
        return {**{name: self.defaults[name] for name in wanted}, **arguments}

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse names that are not those of arguments.

        Raises:
            UsageError: it names the first one.
        """
        for name in names:
            if name not in self.required and name not in self.defaults:
                raise UsageError(
                    f'task "{self.task}" has no argument "{name}" to be unique by; '
                    f"it takes ({self._shown()})"
                )

    def encode(self, arguments: Mapping[str, object], limit: int) -> bytes:
        """Arguments as a JSON object, checked against the type hints.

        Raises:
            BadArguments: a value does not fit its hint.
            BadPayload: they cannot be stored.
        """
        try:
            payload = encode(arguments, limit)
        except BadPayload as exc:
            raise BadPayload(
                f'task "{self.task}": {self._culprit(arguments, limit)} {exc}'
            ) from exc
        self._read(payload)
        return payload

    def decode(self, payload: bytes) -> dict[str, Any]:
        """Arguments by name, as the function takes them.

        Raises:
            BadArguments: the payload does not fit the signature (any more).
        """
        read = self._read(payload)
        arguments = {}
        for name, field in self._fields:
            value = getattr(read, field)
            if value is not msgspec.UNSET:
                arguments[name] = value
        return arguments

    def decode_result(self, result: bytes) -> Any:  # noqa: ANN401 - what the task returns
        """A stored result as the return annotation says; as plain JSON where it does not fit."""
        try:
            return self._result.decode(result)
        except msgspec.ValidationError:
            return msgspec.json.decode(result)

    def arrange(self, arguments: Mapping[str, Any]) -> tuple[list[Any], Mapping[str, Any]]:
        """Arguments by position and by name, for a function with positional-only parameters."""
        by_position = [
            arguments.get(name, default) for name, default in self.positional_only.items()
        ]
        by_name = {
            name: value for name, value in arguments.items() if name not in self.positional_only
        }
        return by_position, by_name

    def _read(self, payload: bytes) -> object:
        try:
            return self._decoder.decode(payload)
        except msgspec.ValidationError as exc:
            raise BadArguments(
                f'task "{self.task}": {_plainly(str(exc))}; it takes ({self._shown()})'
            ) from exc
        except (msgspec.DecodeError, RecursionError) as exc:
            raise BadArguments(f'task "{self.task}": the payload cannot be read ({exc})') from exc

    def _refuse_names(self, bound: Mapping[str, object], kwargs: Mapping[str, object]) -> None:
        for name in kwargs:
            if name in bound and name in self.by_name:
                raise BadArguments(
                    f'task "{self.task}" got the argument "{name}" twice, by position and by name'
                )
            if name in self.injected:
                raise BadArguments(
                    f'task "{self.task}": "{name}" is no argument of its jobs: each run provides '
                    "it; leave it out"
                )
            if name not in self.by_name:
                raise BadArguments(
                    f'task "{self.task}" has no argument "{name}" to be given by name; '
                    f"it takes ({self._shown()})"
                )

    def _culprit(self, arguments: Mapping[str, object], limit: int) -> str:
        for name, value in arguments.items():
            try:
                encode({name: value}, limit)
            except BadPayload:
                return f'argument "{name}"'
        return "the arguments together"

    def _shown(self) -> str:
        return ", ".join(name for name, _ in self._fields)


def _plainly(message: str) -> str:
    """A message of msgspec, `Expected int, got str - at $.n`, with the argument in front."""
    what, _, where = message.replace("`", "").partition(" - at ")
    what = what.replace("Object missing required field", "missing argument")
    what = what.replace("Object contains unknown field", "unknown argument")
    return f'argument "{where.removeprefix("$.")}": {what.lower()}' if where else what


def read_signature(fn: Callable[..., Any], task: str) -> Signature:
    """Read the signature of a task's function.

    Raises:
        UsageError: it has parameters that a job cannot carry, or hints that cannot be read.
    """
    hints = hints_of(fn, task)
    parameters = list(inspect.signature(fn).parameters.values())
    wants_context = bool(parameters) and _is_context(parameters[0], hints)
    if wants_context:
        parameters = parameters[1:]
    provided = injected_among(parameters, hints, task)
    parameters = [one for one in parameters if one.name not in provided]
    for parameter in parameters:
        _refuse_unfit(parameter, hints, task)
    return signature_of(task, parameters, hints, wants_context=wants_context, injected=provided)


def signature_of(
    task: str,
    parameters: list[inspect.Parameter],
    hints: Mapping[str, Any],
    *,
    wants_context: bool,
    injected: Mapping[str, Depends],
) -> Signature:
    """The signature of jobs with these arguments; `hints` has what they return, too.

    Raises:
        UsageError: a hint cannot be read from JSON.
    """
    fields = tuple((one.name, f"a{place}") for place, one in enumerate(parameters))
    return Signature(
        task=task,
        wants_context=wants_context,
        positional=tuple(one.name for one in parameters if one.kind is not _Kind.KEYWORD_ONLY),
        positional_only={
            one.name: one.default for one in parameters if one.kind is _Kind.POSITIONAL_ONLY
        },
        by_name=frozenset(one.name for one in parameters if one.kind is not _Kind.POSITIONAL_ONLY),
        required=frozenset(one.name for one in parameters if one.default is _Kind.empty),
        defaults={one.name: one.default for one in parameters if one.default is not _Kind.empty},
        injected=injected,
        _decoder=_arguments_decoder(task, parameters, hints),
        _fields=fields,
        _result=_result_decoder(task, hints),
    )


def hints_of(fn: Callable[..., Any], task: str) -> dict[str, Any]:
    """The annotations of a function.

    Raises:
        UsageError: one cannot be read.
    """
    try:
        return typing.get_type_hints(fn, include_extras=True)
    except NameError as exc:
        raise UsageError(
            f'task "{task}": the annotation {exc.name!r} is unknown at run time; '
            "import or define it at module level, outside `if TYPE_CHECKING`"
        ) from exc
    except Exception as exc:
        raise UsageError(
            f'task "{task}": an annotation cannot be read ({type(exc).__name__}: {exc}); mend it'
        ) from exc


def _is_context(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> bool:
    return parameter.name == "ctx" or is_context_type(hints.get(parameter.name))


def injected_among(
    parameters: list[inspect.Parameter], hints: Mapping[str, Any], task: str
) -> dict[str, Depends]:
    """The parameters that a run provides.

    Raises:
        UsageError: one cannot be provided, or stands before an argument.
    """
    marks = {one.name: marked(hints.get(one.name)) for one in parameters}
    for one in parameters:
        if marks[one.name] is None and one.default is injected:
            raise UsageError(
                f'task "{task}": "{one.name}" is injected by nothing; annotate it '
                "Annotated[T, Depends(f)]"
            )
        if marks[one.name] is not None and one.kind is _Kind.POSITIONAL_ONLY:
            raise UsageError(
                f'task "{task}": "{one.name}" is injected by its name, so it cannot be '
                "positional-only; move it behind the /"
            )
    _refuse_unordered(parameters, marks, task)
    return {name: mark for name, mark in marks.items() if mark is not None}


def _refuse_unordered(
    parameters: list[inspect.Parameter], marks: Mapping[str, object], task: str
) -> None:
    """By position, enqueue() and a plain call must mean the same."""
    before = ""
    for one in parameters:
        if one.kind is not _Kind.POSITIONAL_OR_KEYWORD:
            continue
        if marks[one.name] is not None:
            before = one.name
        elif before:
            raise UsageError(
                f'task "{task}": "{one.name}" comes after what is injected; move "{before}" to the '
                "end"
            )


def _refuse_unfit(parameter: inspect.Parameter, hints: Mapping[str, Any], task: str) -> None:
    name = parameter.name
    if parameter.kind in (_Kind.VAR_POSITIONAL, _Kind.VAR_KEYWORD):
        stars = "*" if parameter.kind is _Kind.VAR_POSITIONAL else "**"
        raise UsageError(
            f'task "{task}": a job carries arguments by name, so {stars}{name} cannot be stored; '
            f"name each parameter, or take one list or dict"
        )
    if name == "tx":
        raise UsageError(
            f'task "{task}": a parameter cannot be called "tx", which enqueue() takes for the '
            "transaction; choose another name"
        )
    if name == "ctx" or is_context_type(hints.get(name)):
        raise UsageError(f'task "{task}": the context "{name}" must be the first parameter')


def _arguments_decoder(
    task: str, parameters: list[inspect.Parameter], hints: Mapping[str, Any]
) -> msgspec.json.Decoder[Any]:
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    rename = {}
    for place, parameter in enumerate(parameters):
        hint = hints.get(parameter.name, Any)
        _decoder_for(hint, f'task "{task}": parameter "{parameter.name}"')
        field = f"a{place}"  # a parameter may have any name, an attribute of a struct may not
        rename[field] = parameter.name
        fields.append(
            (field, hint) if parameter.default is _Kind.empty else (field, hint, msgspec.UNSET)
        )
    struct = msgspec.defstruct(
        "Arguments", fields, rename=rename, kw_only=True, forbid_unknown_fields=True, gc=False
    )
    return msgspec.json.Decoder(struct, dec_hook=decode_hook)


def _result_decoder(task: str, hints: Mapping[str, Any]) -> msgspec.json.Decoder[Any]:
    hint = _without_outcomes(hints.get("return", Any))
    return _decoder_for(hint, f'task "{task}": the result')


def _without_outcomes(hint: Any) -> Any:  # noqa: ANN401 - any annotation
    """`str | Snooze` leaves a `str`: what steers, or is an error, is not kept as a result."""
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    kept = [
        one for one in options if not (isinstance(one, type) and issubclass(one, BaseException))
    ]
    if len(kept) == len(options):
        return hint
    return typing.Union[tuple(kept)] if kept else Any  # noqa: UP007 - built at run time


def _is_union(hint: object) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _decoder_for(hint: Any, what: str) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - any annotation
    try:
        return msgspec.json.Decoder(hint, dec_hook=decode_hook)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise UsageError(
            f"{what} is annotated {hint}, which cannot be read from JSON ({exc}); "
            "use a simpler type"
        ) from exc
