import pytest

from chaos.twins import Twin, apply_twin_of_this_process, by_name, swap_method, swap_text


class Statements:
    settle = "UPDATE job SET state = 2 WHERE id = $1 AND gen = $2"


class Lane:
    def take(self) -> str:
        return "leased"


def test_a_twin_swaps_one_place_of_a_text() -> None:
    statements = Statements()
    swap_text(statements, "settle", " AND gen = $2", "")
    assert statements.settle == "UPDATE job SET state = 2 WHERE id = $1"


@pytest.mark.parametrize(("old", "places"), [("owner", 0), ("= $", 2)])
def test_a_twin_that_would_swap_nothing_or_too_much_is_refused(old: str, places: int) -> None:
    with pytest.raises(ValueError, match=f"settle has {places} places"):
        swap_text(Statements(), "settle", old, "")


def test_a_twin_swaps_a_method() -> None:
    class Copy(Lane):
        pass

    swap_method(Copy, "take", lambda _lane: "popped")
    assert (Copy().take(), Lane().take()) == ("popped", "leased")


def test_a_twin_of_a_method_that_is_gone_is_refused() -> None:
    with pytest.raises(AttributeError, match="Lane has no method 'pop' to swap"):
        swap_method(Lane, "pop", lambda _lane: "popped")


def test_the_environment_names_the_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    put_on: list[str] = []
    naive = Twin("naive-reaper", "redelivers in the lane", lambda: put_on.append("naive"))
    twins = by_name(naive, Twin("no-fence", "settles any gen", lambda: put_on.append("fence")))
    monkeypatch.delenv("HEADRACE_CHAOS_TWIN", raising=False)
    assert apply_twin_of_this_process(twins) is None
    assert put_on == []
    monkeypatch.setenv("HEADRACE_CHAOS_TWIN", "naive-reaper")
    assert apply_twin_of_this_process(twins) is naive
    assert put_on == ["naive"]
    monkeypatch.setenv("HEADRACE_CHAOS_TWIN", "misspelt")
    with pytest.raises(KeyError, match="names 'misspelt'; the twins are naive-reaper, no-fence"):
        apply_twin_of_this_process(twins)


def test_two_twins_of_one_name_are_refused() -> None:
    twin = Twin("naive-reaper", "redelivers in the lane", lambda: None)
    with pytest.raises(ValueError, match="one name"):
        by_name(twin, twin)
