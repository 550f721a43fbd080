"""What the pages tell to do is done, block after block, and works."""

from pathlib import Path

import pytest

from examples.blocks import RUN, SHOWN, blocks_of, commands_of, matches, pages
from examples.reader import ROOT, reading


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


WITH_CODE = [
    page
    for page in pages(ROOT)
    if any(block.language in RUN for block in blocks_of(page.read_text("utf-8")))
]


@pytest.mark.parametrize("page", WITH_CODE, ids=_name)
def test_what_a_page_says_works(
    page: Path, server_directory: Path, migrated_url: str, redis_url: str
) -> None:
    with reading(server_directory, migrated_url, redis_url) as reader:
        for block in blocks_of(page.read_text("utf-8")):
            if not block.excuse:
                reader.follow(block)


@pytest.mark.parametrize("page", pages(ROOT), ids=_name)
def test_every_block_has_a_language_that_says_whether_it_runs(page: Path) -> None:
    for block in blocks_of(page.read_text("utf-8")):
        assert block.language in {*RUN, *SHOWN}, f"{page}:{block.line}"


@pytest.mark.parametrize(
    "wrong",
    [
        "```python\nraise SystemExit(1)\n```",
        "```python\n# shop.py\nimport nothing_like_it\n```",
        "```python\nawait missing()\n```",
        "```console\n$ headrace jobs lits\n```",
        "```console\n$ echo one\ntwo\n```",
        "```console\n$ pip install 'headrace[spede]'\n```",
        "```console\n$ make nothing\n```",
        "```console\n$ headrace worker nothing:app\n```",
        "```sql\nSELECT headrace_enqueue(1, 2, 3)\n```",
    ],
)
def test_what_does_not_work_is_found(
    wrong: str, server_directory: Path, migrated_url: str, redis_url: str
) -> None:
    (block,) = blocks_of(wrong)
    with (
        pytest.raises((Exception, SystemExit)),
        reading(server_directory, migrated_url, redis_url) as reader,
    ):
        reader.follow(block)


def test_a_block_and_its_excuse_are_read() -> None:
    page = "Text.\n\n*Not run by the tests: it needs a host.*\n\n```console\n$ scp a b:\n```\n"
    (block,) = blocks_of(page)
    assert (block.line, block.language, block.excuse) == (6, "console", "it needs a host.")
    (bare,) = blocks_of(page.replace("*Not run by the tests", "*Beware"))
    assert not bare.excuse


def test_commands_and_what_they_print_are_read() -> None:
    one, two = commands_of("$ echo a \\\n    b  # a remark\na b\nc\n$ true\n")
    assert (one.text, one.printed) == ("echo a b", "a b\nc")
    assert (two.text, two.printed) == ("true", "")
    assert matches("a ... c", "a b c\n")
    assert not matches("a ... c", "a b d")
