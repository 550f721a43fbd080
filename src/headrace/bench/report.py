"""The figures of a run as a table for a terminal, and as JSON."""

from collections.abc import Mapping
from statistics import median

import msgspec

from headrace.bench.figures import Results

Facts = Mapping[str, str | int | float]
_Line = tuple[str, str, str, str, str]


def as_json(results: Results, facts: Facts) -> str:
    """Everything, samples included."""
    figures = {
        name: {
            "label": figure.label.strip(),
            "unit": figure.unit,
            "median": median(samples),
            "low": min(samples),
            "high": max(samples),
            "samples": samples,
            "limit": figure.limit,
            "ratio": results.ratio(name),
        }
        for name, figure, samples in results.rows()
    }
    return msgspec.json.format(msgspec.json.encode({"run": facts, "figures": figures})).decode()


def as_table(results: Results, facts: Facts) -> str:
    """A line a figure: median, range, and the ratio to its limit in the same run."""
    lines: list[_Line] = [("", "median", "range", "", "share of the limit")]
    for name, figure, samples in results.rows():
        spread = f"{_number(min(samples))} - {_number(max(samples))}" if len(samples) > 1 else ""
        lines.append(
            (figure.label, _number(median(samples)), spread, figure.unit, _share(results, name))
        )
    return "\n".join([*_aligned(lines), "", *(f"{name}: {fact}" for name, fact in facts.items())])


def _aligned(lines: list[_Line]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    left = "<>><<"
    padded = (
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, left, widths, strict=True)
        )
        for line in lines
    )
    return [line.rstrip() for line in padded]


def _share(results: Results, name: str) -> str:
    ratio = results.ratio(name)
    limit = results.figures[name].limit
    return "" if ratio is None or limit is None else f"{ratio:.2f} x {results.figures[limit].label}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
