"""headrace demo --chaos: whatever is killed, the counts agree."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from headrace import Job, State
from headrace.cli.mailroom import chaos, storm
from headrace.mailroom.acknowledgement import acknowledgement_id
from headrace.mailroom.agreement import sent_too_often
from headrace.mailroom.app import app
from headrace.mailroom.mailbox_server import Delivery
from integration.folder import Folder

NOW = datetime.now(UTC)


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[chaos.Servers]:
    for name in ("HEADRACE_DATABASE_URL", "HEADRACE_REDIS_URL", "HEADRACE_LEASE", "MAILROOM_SMTP"):
        monkeypatch.setenv(name, "")  # so that all are as before, afterwards
    vars(app).pop("settings", None)
    with chaos.own_servers() as servers:
        yield servers
    vars(app).pop("settings", None)


async def test_the_counts_agree_after_a_storm(
    servers: chaos.Servers,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if not pytestconfig.getoption("--chaos-long"):
        monkeypatch.setattr(storm, "_BETWEEN", 0.6)
        monkeypatch.setattr(storm, "_BLOWS", 3)
        monkeypatch.setattr(chaos, "STORM_SECONDS", 2.4)
        monkeypatch.setattr(chaos, "_PONDERS", 0.6)
        monkeypatch.setenv("HEADRACE_LEASE", "2s")
    status = await chaos.run_chaos(servers)
    out, err = capfd.readouterr()
    assert (status, "disagreement" in err) == (0, False), err
    told = json.loads(out)
    assert told["messages"] == told["stored"] >= 90
    assert told["killed"]["workers"] >= 1
    assert told["killed"]["valkey"] >= 1
    assert told["killed"]["backends"] >= 5
    assert told["sent_again"] >= 1, "nothing was hit"
    assert err.count("died by SIGKILL") == told["killed"]["workers"]
    assert err.count("Valkey is killed") == err.count("Valkey is back") == told["killed"]["valkey"]


def test_what_was_sent_too_often_is_told() -> None:
    job = Job(
        id=UUID(int=1),
        queue="answers",
        task="answer_message",
        state=State.COMPLETED,
        gen=2,
        priority=5,
        attempt=1,
        failures=0,
        crashes=0,
        snoozes=0,
        max_attempts=6,
        created_at=NOW,
        run_at=NOW,
        started_at=NOW,
        settled_at=NOW,
        tenant="",
        payload=msgspec.Raw(b"{}"),
        result=None,
        error=None,
    )
    mail = Delivery("", (), f"Message-ID: {acknowledgement_id(job.id)}\r\n\r\n".encode())
    jobs = {job.id: job}
    assert sent_too_often(jobs, [mail] * 2, lanes_lost=0) == []
    assert sent_too_often(jobs, [mail] * 3, lanes_lost=1) == []
    assert sent_too_often(jobs, [mail] * 4, lanes_lost=1) != []
    (words,) = sent_too_often(jobs, [mail] * 3, lanes_lost=0)
    assert words.startswith("1 answers were sent more often")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--database-url", "postgresql://x"), "--chaos kills servers, so it brings its own"),
        (("mail.mbox",), "--chaos takes the mail that is installed: leave out mail.mbox"),
    ],
)
async def test_a_storm_takes_neither_servers_nor_mail(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    status, out, err = await Folder(tmp_path).run("demo", "--chaos", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
