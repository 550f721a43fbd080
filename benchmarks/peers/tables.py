"""Tables of Markdown whose source is as easy to read as what it becomes."""

from collections.abc import Sequence


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table whose columns align in the source, too; the first `left` of them to the left."""
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    aligned = ["<" if number < left else ">" for number in range(len(head))]
    rule = [
        "-" * width if side == "<" else "-" * (width - 1) + ":"
        for width, side in zip(widths, aligned, strict=True)
    ]
    lines = [
        [f"{cell:{side}{width}}" for cell, width, side in zip(row, widths, aligned, strict=True)]
        for row in (head, *rows)
    ]
    lines.insert(1, rule)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """For people: whole numbers where they are large, two digits that tell where they are small."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"
