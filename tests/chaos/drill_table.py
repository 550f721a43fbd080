"""Writes what the drills of `make chaos` came to into docs/reliability.md and reliability.json.

    python -m chaos.drill_table RESULTS DOCS

A target that was missed is shown as missed, and so is a drill that never came to its end.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chaos.drill import Result

BEGIN, END = "<!-- drills: begin -->", "<!-- drills: end -->"
HEAD = (
    "| scenario | faults | jobs | lost | twice | late | other | recovered | target | met? |",
    "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --- |",
)


def row(result: Result) -> str:
    """One line of the table."""
    faults = ", ".join(f"{count} x {kind}" for kind, count in result.faults.items())
    recovered = "never" if result.recovered is None else f"{result.recovered:.1f} s"
    counts = (result.jobs, result.lost, result.twice, result.late, result.other)
    cells = (
        result.scenario,
        faults,
        *(f"{count:,}" for count in counts),
        recovered,
        f"{result.within:g} s",
        "yes" if result.met else "**missed**",
    )
    return f"| {' | '.join(cells)} |"


def table(results: Sequence[Result]) -> str:
    """The table, in the order of the scenarios' names."""
    return "\n".join((*HEAD, *map(row, sorted(results, key=lambda one: one.scenario))))


def between(page: str, text: str) -> str:
    """The page with this text between its two marks.

    Raises:
        ValueError: the page has no such marks.
    """
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page has no {BEGIN} with {END} after it")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main(results: Path, docs: Path) -> None:
    """Read the results of the last run, and write both files."""
    found = [
        msgspec.json.decode(file.read_bytes(), type=Result)
        for file in sorted(results.glob("*.json"))
    ]
    page = docs / "reliability.md"
    page.write_text(between(page.read_text(), table(found)))
    rows = [{**msgspec.to_builtins(one), "met": one.met} for one in found]
    encoded = msgspec.json.format(msgspec.json.encode(rows), indent=2)
    (docs / "reliability.json").write_bytes(encoded + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
