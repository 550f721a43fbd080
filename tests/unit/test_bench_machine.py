"""The CPU time of a server and of its processes, which come and go."""

import os
from pathlib import Path

import pytest

from headrace.bench import machine

SERVER, BACKEND = 10, 11
BEFORE, AFTER = (3, 2, 0, 0), (3, 2, 20, 4)  # the backend's time is the server's once it has ended


def test_a_backend_that_ends_while_it_is_looked_at_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pid in (SERVER, BACKEND):
        (tmp_path / str(pid)).mkdir()
    reads = 0

    def stat(pid: int) -> list[str]:
        nonlocal reads
        if pid == BACKEND:
            return []  # it has just ended
        reads += 1
        ticks = BEFORE if reads == 1 else AFTER
        return ["S", "1", *["0"] * 9, *map(str, ticks)]

    monkeypatch.setattr(machine, "_PROC", tmp_path)
    monkeypatch.setattr(machine, "_stat", stat)
    assert machine.family_cpu(SERVER) == sum(AFTER) / os.sysconf("SC_CLK_TCK")
