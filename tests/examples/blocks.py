"""The code blocks of a Markdown page.

A block that tests cannot run has a line of its own right before it, which readers see, too:

    *Not run by the tests: it builds an image.*
"""

import re
from dataclasses import dataclass
from pathlib import Path

RUN = ("python", "console", "sql")
SHOWN = ("text", "json", "toml", "ini")
_FENCE = re.compile(
    r"(?:^\*Not run by the tests: (?P<excuse>[^\n]+)\*\n\n?)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
_NAME = re.compile(r"(?:#|--) ([\w-]+\.(?:py|toml|sql))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: of the page, from 1, on which its code begins.
        excuse: why the tests do not run it, or "".
    """

    line: int
    language: str
    code: str
    excuse: str

    @property
    def file(self) -> str:
        """The name of the file that it shows, which its first line tells; else ""."""
        named = _NAME.match(self.code)
        return named[1] if named else ""


@dataclass(frozen=True)
class Command:
    """What stands behind a `$`, and what the page says that it prints."""

    text: str
    printed: str


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    return [
        Block(
            line=page.count("\n", 0, found.start("code")) + 1,
            language=found["language"],
            code=re.sub(rf"^{found['indent']}", "", found["code"], flags=re.MULTILINE),
            excuse=found["excuse"] or "",
        )
        for found in _FENCE.finditer(page)
    ]


def commands_of(code: str) -> list[Command]:
    """The commands of a console block."""
    parts = re.split(r"^\$ ", code, flags=re.MULTILINE)
    assert not parts[0].strip(), f"a console block begins with `$ `, not with {parts[0]!r}"
    found = []
    for part in parts[1:]:
        text, _, printed = re.sub(r"\s*\\\n\s*", " ", part).partition("\n")
        found.append(Command(text.partition("  # ")[0].strip(), printed.rstrip()))
    return found


def matches(said: str, printed: str) -> bool:
    """Whether what was printed is what the page says, where `...` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in said.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def pages(root: Path) -> list[Path]:
    """Every page of the project that a reader may follow."""
    inner = [sorted((root / folder).rglob("*.md")) for folder in ("docs", "examples")]
    return [root / "README.md", root / "CONTRIBUTING.md", *inner[0], *inner[1]]
