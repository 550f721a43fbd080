"""Broken twins: the product with one statement, script or method swapped, for chaos to find.

A twin is put on once in a chaos process, as HEADRACE_CHAOS_TWIN says, and never taken off.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

VARIABLE = "HEADRACE_CHAOS_TWIN"


@dataclass(frozen=True)
class Twin:
    """One defect.

    Attributes:
        name: what the environment calls it.
        defect: the rule of the protocol that it breaks, in a sentence.
        apply: puts it on.
    """

    name: str
    defect: str
    apply: Callable[[], None]


def swap_text(owner: object, attribute: str, old: str, new: str) -> None:
    """Replace the one place of ``old`` in a text such as an SQL statement or a Lua script.

    Raises:
        ValueError: the text has no such place or several, so the twin would not be what it says.
    """
    text = getattr(owner, attribute)
    places = text.count(old)
    if places != 1:
        raise ValueError(f"{attribute} has {places} places of {old!r}; a twin swaps exactly one")
    setattr(owner, attribute, text.replace(old, new))


def swap_method(owner: type, method: str, replacement: Callable[..., object]) -> None:
    """Replace a method of a class.

    Raises:
        AttributeError: the class has no such method, so the twin would change nothing.
    """
    if not hasattr(owner, method):
        raise AttributeError(f"{owner.__name__} has no method {method!r} to swap")
    setattr(owner, method, replacement)


def by_name(*twins: Twin) -> Mapping[str, Twin]:
    """Return a registry of the twins.

    Raises:
        ValueError: two have one name.
    """
    registry = {twin.name: twin for twin in twins}
    if len(registry) != len(twins):
        raise ValueError(f"two twins have one name among {sorted(twin.name for twin in twins)}")
    return registry


def apply_twin_of_this_process(twins: Mapping[str, Twin]) -> Twin | None:
    """Put on the twin that the environment names and return it, or None where it names none.

    Raises:
        KeyError: the registry has no such twin.
    """
    name = os.environ.get(VARIABLE)
    if name is None:
        return None
    if name not in twins:
        raise KeyError(f"{VARIABLE} names {name!r}; the twins are {', '.join(sorted(twins))}")
    twins[name].apply()
    return twins[name]
