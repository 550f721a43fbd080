"""The processes of a chaos run: started by role, started again when killed, ended at the end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from chaos.events import KILL, FaultInjected, ProcessEnded, ProcessStarted
from chaos.history import History

OUTPUT_SHOWN = 4000


@dataclass(frozen=True)
class Role:
    """A kind of process: its command, how many run at once, what its environment adds."""

    name: str
    command: Sequence[str]
    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


class Process(Protocol):
    """A child process of the runner, or one that is told of by a nursery."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    async def wait(self) -> int: ...

    def send_signal(self, signal: int, /) -> None: ...

    def kill(self) -> None: ...

    def terminate(self) -> None: ...


class ProcessFailed(Exception):
    """A process of the fleet ended by itself with a failure, which no fault explains."""


@dataclass(eq=False)
class Member:
    """A living process of the fleet."""

    role: Role
    process: Process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid


class Fleet:
    """Keeps the processes of all roles alive while entered.

    A process killed by SIGKILL is started again; one that returns 0 has finished; any other end
    stops the fleet with ProcessFailed when it is left.

    Args:
        roles: what to run.
        history: gets each start and end, and each fault before it strikes.
        output: a folder for what the processes print, one file each.
        launch: starts a process of a role that prints to a file.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        history: History,
        output: Path,
        launch: Callable[[Role, Path], Awaitable[Process]] | None = None,
    ) -> None:
        self.history = history
        self._launch = launch or execute
        self._roles = roles
        self._output = output
        self._members: list[Member] = []
        self._change = asyncio.Condition()
        self._group = asyncio.TaskGroup()
        self._keepers: dict[str, list[asyncio.Task[None]]] = {}
        self._retired: set[str] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        for role in self._roles:
            self.add(role)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error the group cancels them itself; a second cancel would break their clean-up.
        if error is None:
            for keeper in chain.from_iterable(self._keepers.values()):
                keeper.cancel()
        await self._group.__aexit__(kind, error, trace)

    def add(self, role: Role) -> None:
        """Start the processes of one more role."""
        outputs = [self._output / f"{role.name}-{n}.log" for n in range(role.processes)]
        self._keepers[role.name] = [
            self._group.create_task(self._keep(role, output)) for output in outputs
        ]

    def members(self, role: str | None = None) -> list[Member]:
        """Return the living processes, of one role or of all, oldest first."""
        return [member for member in self._members if role in {None, member.role.name}]

    async def pick(self, role: str, draw: int) -> Member:
        """Return the living process of a role that a drawn number falls on; waits for one."""
        async with self._change:
            await self._change.wait_for(lambda: self.members(role))
            living = self.members(role)
            return living[draw % len(living)]

    @asynccontextmanager
    async def frozen(self, member: Member) -> AsyncIterator[None]:
        """Freeze a process by SIGSTOP; on leaving it goes on."""
        self.history.append(FaultInjected(kind="stop", victim=member.pid))
        member.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                member.process.send_signal(signal.SIGCONT)

    async def kill(self, member: Member) -> None:
        """End a process by SIGKILL and wait until it is gone."""
        self.history.append(FaultInjected(kind=KILL, victim=member.pid))
        member.process.kill()
        async with self._change:
            await self._change.wait_for(lambda: member not in self._members)

    async def stop(self, member: Member, seconds: float) -> None:
        """Freeze a process by SIGSTOP and let it go on after so many seconds, if it still lives."""
        async with self.frozen(member):
            await asyncio.sleep(seconds)  # the fault is its length

    async def retire(self, role: str) -> None:
        """Ask every process of a role to end by SIGTERM and wait; none is started again."""
        self._retired.add(role)
        for member in self.members(role):
            member.process.terminate()
        await self.finished(role)

    async def finished(self, role: str) -> None:
        """Wait until every process of a role has returned 0."""
        await asyncio.gather(*self._keepers[role])

    async def _keep(self, role: Role, output: Path) -> None:
        while (status := await self._live(role, output)) == -signal.SIGKILL:
            if role.name in self._retired:
                return
        # One that is asked to end while it starts does not catch the signal yet.
        asked = role.name in self._retired and status == -signal.SIGTERM
        if status != 0 and not asked:
            raise ProcessFailed(
                f"a process of role {role.name} ended with status {status} and no fault did it;"
                f" {_end_of(output)}"
            )

    async def _live(self, role: Role, output: Path) -> int:
        process = await self._launch(role, output)
        member = Member(role, process)
        try:
            self.history.append(ProcessStarted(role=role.name, child=member.pid))
            self._members.append(member)
            if role.name in self._retired:
                process.terminate()  # the role was retired while this one was being born
            await self._tell()
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
            status = await process.wait()
            self.history.append(ProcessEnded(role=role.name, child=member.pid, status=status))
            self._members.remove(member)
            await self._tell()

    async def _tell(self) -> None:
        async with self._change:
            self._change.notify_all()


async def execute(role: Role, output: Path) -> asyncio.subprocess.Process:
    """Start the command of a role as a child of this process."""
    with output.open("ab") as printed:
        return await asyncio.create_subprocess_exec(
            *role.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            env={**os.environ, **role.environment},
        )


def _end_of(output: Path) -> str:
    return f"the end of {output}:\n{output.read_text(errors='replace')[-OUTPUT_SHOWN:]}"
