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
    ticks = 0
    for entry in _PROC.iterdir():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else []
        if not fields:
            continue
        if int(entry.name) == parent:
            ticks += sum(int(field) for field in fields[11:15])
        elif int(fields[1]) == parent:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


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
