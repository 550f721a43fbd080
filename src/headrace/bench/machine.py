"""The machine: its name, and the CPU time of a server that runs on it."""

import os
import platform
from pathlib import Path

_PROC = Path("/proc")


def describe_machine() -> dict[str, str | int | float]:
    """Processor, cores, memory, kernel and Python."""
    return {
        "processor": _first_field("cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(int((_first_field("meminfo", "MemTotal") or "0").split()[0]) / 1e6, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def parent_of(pid: int) -> int | None:
    """The parent of a process of this machine; None where it cannot be seen."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def family_cpu(parent: int) -> float:
    """Seconds of CPU that a process and its children have used, those that ended included."""
    ended: tuple[int, ...] | None = None
    living = 0
    own = _ticks(parent)
    while own[2:] != ended:  # a child that ends meanwhile would be counted in neither
        ended = own[2:]
        living = sum(sum(_ticks(child)[:2]) for child in _children(parent))
        own = _ticks(parent)
    return (sum(own) + living) / os.sysconf("SC_CLK_TCK")


def _children(parent: int) -> list[int]:
    known = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    return [one for one in known if parent_of(one) == parent]


def _ticks(pid: int) -> tuple[int, ...]:
    """In user mode and in the kernel, of a process and of its children that have ended."""
    return tuple(int(field) for field in _stat(pid)[11:15])


def _stat(pid: int) -> list[str]:
    """What follows the command in /proc/PID/stat; nothing once the process is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _first_field(file: str, name: str) -> str | None:
    try:
        lines = (_PROC / file).read_text().splitlines()
    except FileNotFoundError:
        return None
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, None)
