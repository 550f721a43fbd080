"""Keys made of a job's arguments: a text with their names in it, such as "{org}:{region}"."""

from string import Formatter

from headrace.errors import UsageError
from headrace.model.shown import shown


def check_template(what: str, key: object) -> str | None:
    """Return the template; `what` it is of stands in the error.

    Raises:
        UsageError: it names something else than arguments.
    """
    if key is None:
        return None
    try:
        parts = list(Formatter().parse(key if isinstance(key, str) else "{"))
    except ValueError:
        parts = [("", "?", "", "")]
    if all(
        field is None or (field.isidentifier() and not spec and not how)
        for _, field, spec, how in parts
    ):
        return str(key)
    raise UsageError(
        f"{what} {shown(key)} is none; write a text with names of arguments, such as "
        '"{org}" or "{org}:{region}"'
    )


def parts_of(key: str | None) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """The texts of a template, each with the argument that follows it, or None; of None: none."""
    parts = [] if key is None else list(Formatter().parse(key)) or [("", None, None, None)]
    return tuple(text for text, _, _, _ in parts), tuple(field for _, field, _, _ in parts)


def fields_of(key: str | None) -> frozenset[str]:
    """The arguments that a template names."""
    return frozenset(field for _, field, _, _ in Formatter().parse(key or "") if field)
