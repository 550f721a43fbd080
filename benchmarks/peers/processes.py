"""Trees of processes: their CPU time, and their end."""

import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")


def family(roots: Iterable[int]) -> list[int]:
    """These processes and all that descend from them, parents first."""
    children = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children[int(fields[1])].append(int(entry.name))
    found = list(roots)
    for one in found:  # grows while it is walked
        found.extend(children[one])
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU time of these processes and of all that descend from them, living or ended."""
    return sum(_cpu(pid) for pid in family(roots))


def end_family(root: int) -> None:
    """SIGKILL to a process and all that descend from it; each is stopped first, so none forks."""
    stopped: list[int] = []
    while fresh := [pid for pid in family([root]) if pid not in stopped]:
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        stopped += fresh
    for pid in reversed(stopped):
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    if not fields:
        return 0.0
    ended = sum(int(field) for field in fields[13:15]) / _TICK
    return sum(int(field) for field in fields[11:13]) / _TICK + ended


def _stat(pid: int) -> list[str]:
    """What follows the command in /proc/PID/stat; nothing once the process is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
