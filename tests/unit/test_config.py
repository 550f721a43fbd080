"""Settings: where they come from, and what is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from headrace import ConfigError, Headrace
from headrace.config import Settings, read_settings
from headrace.ledger.migrate import migrate
from headrace.setting_names import SettingsArguments


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HEADRACE_{name.upper()}", raising=False)
    return tmp_path


def test_arguments_beat_the_environment_beats_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text(
        '[tool.headrace]\ndatabase_url = "pyproject"\nredis_url = "pyproject"\n'
        "pool_size = 2\nmax_payload = 2000\n"
    )
    assert read_settings({}).database_url == "pyproject"
    (folder / "headrace.toml").write_text(
        'database_url = "toml"\nredis_url = "toml"\npool_size = 3\n'
    )
    monkeypatch.setenv("HEADRACE_DATABASE_URL", "environment")
    monkeypatch.setenv("HEADRACE_REDIS_URL", "environment")
    settings = read_settings({"database_url": "argument", "redis_url": None})
    assert settings.model_dump() == {
        "database_url": "argument",
        "redis_url": "environment",
        "cache_url": None,
        "pool_size": 3,
        "listen": True,
        "prepared_statements": True,
        "max_payload": 2000,
        "lease": timedelta(seconds=15),
        "child_jobs": None,
        "child_memory": None,
        "redact": (),
        "unknown_tasks": timedelta(hours=1),
    }


def test_an_unknown_argument_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r'"databse_url" is no setting; did you mean "database_u'):
        Headrace("x", databse_url="y")  # type: ignore[call-arg]
    with pytest.raises(
        ConfigError, match=r'"colour" is no setting; known: database_url, redis_url'
    ):
        Headrace("x", colour="y")  # type: ignore[call-arg]


@pytest.mark.parametrize("file", ["headrace.toml", "pyproject.toml"])
def test_an_unknown_setting_in_a_file_is_refused(folder: Path, file: str) -> None:
    table = "[tool.headrace]\n" if file == "pyproject.toml" else ""
    (folder / file).write_text(f"{table}pool_szie = 3\n")
    with pytest.raises(ConfigError, match=r'"pool_szie" is no setting; did you mean "pool_size"'):
        read_settings({})


def test_a_misspelt_variable_is_refused_and_others_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADRACE_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("HEADRACE_POSTGRES_BIN", "/usr/bin")
    monkeypatch.setenv("HEADRACE_TEST_DATABASE_URL", "postgresql://localhost")  # of our own tests
    assert read_settings({}).pool_size == 8
    monkeypatch.setenv("HEADRACE_DATABSE_URL", "x")
    with pytest.raises(ConfigError, match=r"HEADRACE_DATABSE_URL is no setting; .*DATABASE_URL?"):
        read_settings({})


def test_a_wrong_value_is_named_but_never_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_POOL_SIZE", "many")
    with pytest.raises(ConfigError, match=r'"pool_size" has a value .*integer.*HEADRACE_POOL_SIZE'):
        read_settings({})
    monkeypatch.delenv("HEADRACE_POOL_SIZE")
    with pytest.raises(ConfigError, match=r'"max_payload".*1048576'):
        read_settings({"max_payload": 2 * 1024 * 1024})
    settings = read_settings({"database_url": "postgresql://u:secret@h/d"})
    assert "secret" not in repr(settings)


async def test_a_missing_url_is_told_with_its_fix() -> None:
    with pytest.raises(ConfigError, match=r"set HEADRACE_DATABASE_URL or give Headrace.database_u"):
        await Headrace("x").start()


async def test_a_url_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"begins with 'mysql', not with postgresql://"):
        await Headrace("x", database_url="mysql://root@h/d").start()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("db_user:hunter2@db:5432/shop", "names no scheme; write postgresql"),
        ("postgresql://u:hunt#er2@127.0.0.1:5432/d", "cannot be read: percent-encode"),
        ("postgresql://u:hunter2@127.0.0.1:99999/d", "names the port '99999', which is no number"),
    ],
)
async def test_a_mistyped_url_tells_nothing_of_its_password(url: str, words: str) -> None:
    for verb in (Headrace("x", database_url=url).start, lambda: migrate(url)):
        with pytest.raises(ConfigError, match=words) as refusal:
            await verb()
        assert "hunt" not in str(refusal.value)


def test_a_job_that_is_made_while_modules_are_imported_fixes_no_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = Headrace("x")

    @app.schedule("nightly", every="1h")
    @app.task()
    async def report() -> None: ...

    monkeypatch.setenv("HEADRACE_DATABASE_URL", "set afterwards")
    assert app.settings.database_url == "set afterwards"


def test_arguments_have_the_names_of_settings() -> None:
    assert set(SettingsArguments.__annotations__) == set(Settings.model_fields)
