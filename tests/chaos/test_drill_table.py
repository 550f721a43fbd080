import json
from pathlib import Path

import msgspec
import pytest

from chaos.drill import Result, keep
from chaos.drill_table import BEGIN, END, between, main

GOOD = Result(
    scenario="a fault",
    faults={"kill": 2},
    jobs=1200,
    lost=0,
    twice=0,
    late=0,
    other=0,
    recovered=1.25,
    within=5.0,
)
PAGE = f"before\n{BEGIN}\nof old\n{END}\nafter\n"


@pytest.mark.parametrize(
    ("change", "met", "shown"),
    [
        ({}, True, "| 1.2 s | 5 s | yes |"),
        ({"lost": 1}, False, "| **missed** |"),
        ({"other": 1}, False, "| **missed** |"),
        ({"recovered": 5.1}, False, "| 5.1 s | 5 s | **missed** |"),
        ({"recovered": None}, False, "| never | 5 s | **missed** |"),
    ],
)
def test_a_target_that_is_missed_is_shown_as_missed(
    change: dict[str, int | None], met: bool, shown: str, tmp_path: Path
) -> None:
    keep(msgspec.structs.replace(GOOD, **change), tmp_path / "results")
    (tmp_path / "reliability.md").write_text(PAGE)
    main(tmp_path / "results", tmp_path)
    page = (tmp_path / "reliability.md").read_text()
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "of old" not in page
    assert shown in page
    (written,) = json.loads((tmp_path / "reliability.json").read_text())
    assert written["met"] is met


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="drills: end"):
        between(f"{BEGIN} only", "text")
