"""The plugin of pytest: fixtures by which tests choose how the jobs of an application are kept.

Nothing of ours but this file is imported before a test asks for one of them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from headrace.app import Headrace
    from headrace.testing.kit.memory import MemoryJobs
    from headrace.testing.kit.real import RealJobs, Server


@pytest.fixture
def headrace_inline() -> "Iterator[Callable[[Headrace], MemoryJobs]]":
    """Until the test ends, jobs of the application it is called with run as they are enqueued."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_in_memory(app, inline=True))


@pytest.fixture
def headrace_manual() -> "Iterator[Callable[[Headrace], MemoryJobs]]":
    """Until the test ends, jobs of the application it is called with run when they are told to."""
    with ExitStack() as stack:
        yield lambda app: stack.enter_context(_in_memory(app, inline=False))


@pytest.fixture
def headrace_real(
    headrace_server: "Server",
) -> "Callable[[Headrace], AbstractAsyncContextManager[RealJobs]]":
    """Makes an async context with a database of its own and a worker in the loop of the test."""
    from headrace.testing.kit.real import in_earnest  # noqa: PLC0415 - when it is needed

    return lambda app: in_earnest(app, headrace_server)


@pytest.fixture(scope="session")
def headrace_server() -> "Iterator[Server]":
    """The server of `headrace_real`, for all tests of this process."""
    from headrace.testing.kit.real import Server  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        yield Server(stack)


def _in_memory(app: "Headrace", *, inline: bool) -> "AbstractContextManager[MemoryJobs]":
    from headrace.testing.kit.memory import in_memory  # noqa: PLC0415 - as above

    return in_memory(app, inline=inline)
