import asyncio
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from chaos.events import (
    AnyEvent,
    CrashPointReached,
    EnqueueCalled,
    EnqueueReturned,
    LeaseLost,
    Outcome,
    RunEnded,
    Settled,
    SettleSent,
    StartChecked,
)
from chaos.history import History, TornHistory, events_of, read_history

BUSY_WRITER = """
import sys
from pathlib import Path
from chaos.events import EnqueueCalled
from chaos.history import History
with History(Path(sys.argv[1])) as history:
    for number in range(300_000):
        history.append(EnqueueCalled(job=str(number)))
        if number == 1000:
            print("writing", flush=True)
"""


def unstamped(events: list[AnyEvent]) -> list[AnyEvent]:
    return [msgspec.structs.replace(event, at=0, pid=0) for event in events]


def test_events_of_one_kind_are_those_of_all_files(tmp_path: Path) -> None:
    for job in ("a", "b"):
        with History(tmp_path) as history:
            history.append(EnqueueCalled(job=job))
            history.append(EnqueueReturned(job=job))
    with next(tmp_path.glob("*.jsonl")).open("ab") as file:
        file.write(b'{"event":"enqueue_called","jo')
    assert [event.job for event in events_of(EnqueueCalled, tmp_path)] == ["a", "b"]
    assert events_of(LeaseLost, tmp_path) == []


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    written: list[AnyEvent] = [
        EnqueueCalled(job="a"),
        EnqueueReturned(job="a"),
        StartChecked(job="a", gen=1, worker="w", attempt=1, asked_at=7, ledger_xmin=9),
        RunEnded(job="a", gen=1, worker="w"),
        SettleSent(job="a", gen=1, worker="w", outcome=Outcome.RETRY),
        Settled(job="a", gen=1, worker="w", outcome=Outcome.RETRY, accepted=True),
        LeaseLost(cause="flush"),
        CrashPointReached(name="ledger.settle:after"),
    ]
    with History(tmp_path) as history:
        for event in written:
            history.append(event)
    read = read_history(tmp_path)
    assert unstamped(read) == written
    assert {event.pid for event in read} == {os.getpid()}
    assert all(earlier.at <= later.at for earlier, later in pairwise(read))


def test_files_are_merged_by_time(tmp_path: Path) -> None:
    with History(tmp_path) as one, History(tmp_path) as two:
        for number in range(6):
            (one, two)[number % 2].append(EnqueueCalled(job=str(number)))
    assert len(list(tmp_path.iterdir())) == 2
    jobs = [event.job for event in read_history(tmp_path) if isinstance(event, EnqueueCalled)]
    assert jobs == [str(number) for number in range(6)]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    with History(tmp_path) as history:
        history.append(EnqueueCalled(job="whole"))
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes() + b'{"event":"enqueue_cal')
    assert unstamped(read_history(tmp_path)) == [EnqueueCalled(job="whole")]


def test_a_torn_line_within_a_file_is_an_error(tmp_path: Path) -> None:
    with History(tmp_path) as history:
        history.append(EnqueueCalled(job="whole"))
    (file,) = tmp_path.iterdir()
    file.write_bytes(b'{"event":"enqueue_cal\n' + file.read_bytes())
    with pytest.raises(TornHistory, match="line 1 of"):
        read_history(tmp_path)


def test_an_unknown_event_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1-1.jsonl").write_text('{"event":"misspelt","at":1,"pid":1}\n')
    with pytest.raises(TornHistory, match="misspelt"):
        read_history(tmp_path)


async def test_lines_of_a_process_killed_while_writing_are_whole(tmp_path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        BUSY_WRITER,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    try:
        assert writer.stdout is not None
        assert await asyncio.wait_for(writer.stdout.readline(), 10) == b"writing\n"
    finally:
        writer.send_signal(signal.SIGKILL)
        await writer.wait()
    jobs = [event.job for event in read_history(tmp_path) if isinstance(event, EnqueueCalled)]
    assert len(jobs) > 1000
    assert jobs == [str(number) for number in range(len(jobs))]
