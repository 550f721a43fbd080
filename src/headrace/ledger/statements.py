"""The statements of the ledger, one a file in sql/."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """The text of sql/NAME.sql."""
    return files("headrace.ledger").joinpath("sql", f"{name}.sql").read_text("utf-8")


def names() -> list[str]:
    """The names of all statements."""
    folder = files("headrace.ledger").joinpath("sql")
    return sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir())
