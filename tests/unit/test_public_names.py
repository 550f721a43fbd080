import subprocess
import sys

import pytest

import headrace


@pytest.mark.parametrize("name", headrace.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(headrace, name).__name__ == name
    assert name in dir(headrace)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Headrcae'"):
        headrace.Headrcae  # type: ignore[attr-defined]  # noqa: B018 - the case


def test_importing_headrace_imports_no_driver() -> None:
    code = "import sys, headrace; print({'asyncpg', 'pydantic', 'msgspec'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
