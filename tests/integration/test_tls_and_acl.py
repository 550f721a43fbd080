"""Both servers over TLS, and a user of the lane's server that may do what docs/servers.md says."""

import asyncio
import os
import pwd
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from typer.testing import CliRunner

import headrace.lanes.redis
from headrace import Context, Headrace
from headrace.cli.root import app as cli
from headrace.embedded import EmbeddedPostgres
from headrace.embedded.process import free_port
from headrace.errors import HeadraceError, LaneUnavailable, LedgerUnavailable
from headrace.lanes.redis import doctor as lane_doctor
from headrace.lanes.redis.lane import RedisLane
from headrace.ledger import doctor
from headrace.ledger.migrate import migrate
from headrace.model.finding import Level
from headrace.model.lane_view import Mode
from headrace.relay.services import services
from headrace.service import running
from headrace.testing.lanes import LaneConformance, Rig
from headrace.testing.lanes.rigs import redis_rig
from headrace.worker.worker import Worker
from integration.served import until
from programs import program

PAGE = Path(__file__).parents[2] / "docs/servers.md"
SECRET = "a-secret-of-the-test"


@dataclass(frozen=True)
class Certificates:
    """Files: the authority's certificate, another's, and the server's own."""

    authority: Path
    stranger: Path
    chain: Path
    key: Path


def certify(folder: Path, *names: str) -> Certificates:
    """Certificates for a server, whose key only the account that runs servers may read."""
    authority = trustme.CA()
    made = Certificates(*(folder / f"{name}.pem" for name in ("ca", "other", "chain", "key")))
    authority.cert_pem.write_to_path(made.authority)
    trustme.CA().cert_pem.write_to_path(made.stranger)
    issued = authority.issue_cert(*names)
    made.chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(made.key)
    made.key.chmod(0o600)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(made.key, nobody.pw_uid, nobody.pw_gid)
    return made


@pytest.fixture
def certificates(server_directory: Path) -> Certificates:
    return certify(server_directory, "127.0.0.1")


@contextmanager
def postgres_with(certificates: Certificates, folder: Path) -> Iterator[str]:
    """The URL of a server that speaks TLS, without any query."""
    bin_dir = Path(program("initdb", "postgresql")).resolve().parent
    settings = {
        "ssl": "on",
        "ssl_cert_file": str(certificates.chain),
        "ssl_key_file": str(certificates.key),
    }
    with EmbeddedPostgres(folder / "postgres", bin_dir=bin_dir, settings=settings) as server:
        yield server.url


def users() -> str:
    """The user that the page describes, in the words of a configuration file."""
    line: str
    (line,) = re.findall(r"^ACL SETUSER (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    return "user " + line.replace(">password", f">{SECRET}")


@contextmanager
def redis_with(certificates: Certificates, *settings: str) -> Iterator[str]:
    """The address of a server, over TLS."""
    port = free_port()
    lines = [
        "bind 127.0.0.1",
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {certificates.chain}",
        f"tls-key-file {certificates.key}",
        f"tls-ca-cert-file {certificates.authority}",
        "tls-auth-clients no",
        'save ""',
        "user default off",
        *settings,
    ]
    with subprocess.Popen(
        [program("redis-server", "redis-server"), "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n".join(lines) + "\n")
            process.stdin.close()
            said = []
            for line in process.stdout:
                said.append(line)
                if "Ready to accept connections" in line:
                    break
            else:
                pytest.fail(f"redis-server did not start: {''.join(said)}")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def lane_url(place: str, certificates: Certificates, user: str = f"headrace:{SECRET}") -> str:
    return f"rediss://{user}@{place}/0?ssl_ca_certs={certificates.authority}"


async def nothing_told() -> tuple[None, float]:
    """A ledger that cannot be asked."""
    return None, 0.0


async def refusal(url: str) -> str:
    """What a lane says of its server at its first call, which the doctor says, too."""
    lane = RedisLane(url, lease=2.0)
    try:
        with pytest.raises(LaneUnavailable) as refused:
            await lane.epoch()
    finally:
        await lane.close()
    (finding,) = await lane_doctor.examine(url, nothing_told)
    assert finding.level is Level.FAIL
    assert finding.text == str(refused.value)
    return finding.text


@pytest.fixture(scope="module")
def lane_place(shared_directory: Path) -> Iterator[tuple[str, Certificates]]:
    """A server over TLS with the page's user, and one that may do too little."""
    (folder := shared_directory / f"tls-{os.getpid()}").mkdir(mode=0o755)
    made = certify(folder, "127.0.0.1")
    with redis_with(made, users(), f"user idle on >{SECRET} -@all") as place:
        yield place, made


@pytest.fixture(scope="module")
def plain_port(shared_directory: Path) -> Iterator[int]:
    """A server without TLS, whose handshakes take time, with these users."""
    (folder := shared_directory / f"acl-{os.getpid()}").mkdir(mode=0o755)
    port = free_port()
    clock = f"user clock on >{SECRET} ~{{headrace:* +hincrby"
    with redis_with(certify(folder, "127.0.0.1"), f"port {port}", users(), clock):
        yield port


class TestLaneWithTheLeastPermissions(LaneConformance):
    @pytest.fixture
    async def rig(self, plain_port: int) -> AsyncIterator[Rig]:
        place = f"{SECRET}@127.0.0.1:{plain_port}"
        operator = f"redis://clock:{place}"
        async with redis_rig(f"redis://headrace:{place}", operator=operator) as rig:
            await rig.begin()
            yield rig


async def test_jobs_run_over_tls_to_both_servers(
    certificates: Certificates,
    server_directory: Path,
    lane_place: tuple[str, Certificates],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lane = lane_url(*lane_place)
    with postgres_with(certificates, server_directory) as plain:
        url = f"{plain}?sslmode=verify-full&sslrootcert={certificates.authority}"
        await migrate(url)
        app = Headrace("tls", database_url=url, redis_url=lane, lease="2s")

        @app.task(queue="q")
        async def encrypted(ctx: Context) -> bool:
            async with ctx.transaction() as tx:
                return bool(
                    await tx.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
                )

        async with app, running(services(app.engine, lease=2.0)):
            direct = await asyncpg.connect(url)
            await until(lambda: is_hybrid(direct), 30.0)
            jobs = await app.enqueue_many([encrypted.job() for _ in range(20)])
            await Worker(app, {"q": 5}).run(burst=True)
            assert all([await job.result("10s") for job in jobs])
            assert not await direct.fetch(
                "SELECT 1 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                "WHERE NOT ssl AND backend_type = 'client backend'"
            )
            await direct.close()
        monkeypatch.setenv("HEADRACE_REDIS_URL", lane)
        monkeypatch.setenv("HEADRACE_DATABASE_URL", url)
        done = await asyncio.to_thread(CliRunner().invoke, cli, ["doctor", "--json"])
        assert done.exit_code == 0, done.output
        assert "at epoch" not in done.output
        assert SECRET not in done.output
        done = await asyncio.to_thread(CliRunner().invoke, cli, ["verify", "--json"])
        assert done.exit_code == 0, done.output
        await refusals_of_postgres(plain, url, certificates)


async def is_hybrid(direct: asyncpg.Connection) -> bool:
    return bool(await direct.fetchval("SELECT mode FROM headrace.lane") == Mode.HYBRID)


async def refusals_of_postgres(plain: str, url: str, certificates: Certificates) -> None:
    """On the same server, since one takes a second to make."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE ROLE guest LOGIN PASSWORD '{SECRET}'")
    await connection.close()
    server = urlsplit(plain)
    guest = url.replace(f"{server.username}:{server.password}@", f"guest:{SECRET}@")
    stranger = f"{plain}?sslmode=verify-full&sslrootcert={certificates.stranger}"
    named = url.replace("127.0.0.1", "localhost")
    for wrong, sentence in [
        (stranger, "is not trusted over TLS .*; check sslrootcert and sslmode"),
        (named, "is not trusted over TLS .*mismatch.*; check sslrootcert and sslmode"),
        (guest.replace(SECRET, "mistaken"), "refused the user or password; check the URL"),
        (guest.replace("guest", "nobody"), "refused the user or password; check the URL"),
        (guest, "forbids the user of the URL .*permission denied.*; name the user that ran"),
    ]:
        with pytest.raises(HeadraceError, match=sentence) as refused:
            await Headrace("tls", database_url=wrong).start()
        (finding,) = await doctor.examine(wrong)
        assert finding.level is Level.FAIL
        for told in (str(refused.value), finding.text):
            assert re.search(sentence, told)
            assert not re.search(f"{SECRET}|mistaken|{server.password}", told)


async def test_what_the_lanes_server_refuses_is_one_sentence(
    lane_place: tuple[str, Certificates],
) -> None:
    place, made = lane_place
    good = lane_url(place, made)
    for wrong, sentence in [
        (good.replace(str(made.authority), str(made.stranger)), "is not trusted over TLS"),
        (good.replace("127.0.0.1", "localhost"), "is not trusted over TLS.*mismatch"),
        (good.replace(SECRET, "mistaken"), "refused user or password"),
        (good.replace("headrace:", "nobody:"), "refused user or password"),
        (lane_url(place, made, f"idle:{SECRET}"), "forbids .*; grant what docs/servers.md lists"),
    ]:
        told = await refusal(wrong)
        assert re.search(sentence, told), told
        assert not re.search(f"{SECRET}|mistaken", told)
        assert "\n" not in told


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"names .*/ca\.pem, which cannot be read \(No such file or directory\); correct"),
        ("no PEM", r"names .*/ca\.pem, which holds no certificate; give the authority's, in PEM"),
    ],
)
async def test_a_file_of_authorities_that_cannot_be_used_is_named(
    tmp_path: Path, content: str | None, sentence: str
) -> None:
    authorities = tmp_path / "ca.pem"
    if content is not None:
        authorities.write_text(content)
    place = f"someone:{SECRET}@127.0.0.1:{free_port()}"
    told = await refusal(f"rediss://{place}/0?ssl_ca_certs={authorities}")
    assert re.search(f"TLS: ssl_ca_certs in its URL {sentence}", told), told
    sentinels = await refusal(f"rediss+sentinel://{place}/service?ssl_ca_certs={authorities}")
    assert re.search(f"TLS: ssl_ca_certs in its URL {sentence}", sentinels), sentinels
    url = f"postgresql://{place}/shop?sslmode=verify-full&sslrootcert={authorities}"
    for begin in (Headrace("tls", database_url=url).start, lambda: migrate(url)):
        with pytest.raises(LedgerUnavailable) as refused:
            await begin()
        assert re.search(f"TLS: sslrootcert in its URL {sentence}", str(refused.value))
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize("flaw", ["no PEM", "the key of another", "a password"])
async def test_a_certificate_of_the_client_that_cannot_be_used_is_named(
    certificates: Certificates, tmp_path: Path, flaw: str
) -> None:
    key = tmp_path / "key.pem"
    if flaw == "no PEM":
        key.write_text(flaw)
    elif flaw == "the key of another":
        trustme.CA().issue_cert("nobody").private_key_pem.write_to_path(key)
    else:
        private = load_pem_private_key(certificates.key.read_bytes(), None)
        locked = BestAvailableEncryption(b"secret")
        key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    place = f"someone:{SECRET}@127.0.0.1:{free_port()}"
    sentence = "in its URL name {} and {}, which are no certificate and its key; give both in PEM"
    sentence = sentence.format(certificates.chain, key)
    told = await refusal(f"rediss://{place}/0?ssl_certfile={certificates.chain}&ssl_keyfile={key}")
    assert (
        f"ssl_certfile and ssl_keyfile {sentence}, and what opens the key as ssl_password" in told
    )
    url = f"postgresql://{place}/shop?sslmode=require&sslcert={certificates.chain}&sslkey={key}"
    with pytest.raises(LedgerUnavailable) as refused:
        await migrate(url)
    assert f"sslcert and sslkey {sentence}, and what opens the key as sslpassword" in str(
        refused.value
    )
    if flaw == "a password":
        with pytest.raises(LedgerUnavailable, match="cannot be reached"):
            await migrate(f"{url}&sslpassword=secret")


async def test_a_file_that_is_not_asked_for_is_not_blamed(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    url = f"postgresql://127.0.0.1:{free_port()}/shop?sslmode=disable&sslrootcert={missing}"
    with pytest.raises(LedgerUnavailable, match="cannot be reached"):
        await migrate(url)


def test_the_page_grants_nothing_that_is_never_called() -> None:
    granted = set(re.findall(r"\+([a-z]+)", users()))
    source = Path(headrace.lanes.redis.__file__).parent
    words = set[str]()
    for file in [*source.rglob("*.lua"), *source.glob("*.py")]:
        words |= {word.lower() for word in re.findall(r"['\"]([A-Z]{3,})['\"]", file.read_text())}
    # The driver says these in its own words.
    by_driver = {"time", "scan", "select"}
    assert granted - by_driver <= words
