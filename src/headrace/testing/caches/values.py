"""Values: how long they are there, and what ends them."""

from headrace.testing.caches.rig import Rig


class Values:
    """Rules of read, write, delete, invalidate and count."""

    async def test_a_value_is_there_until_its_life_is_over(self, rig: Rig) -> None:
        await rig.put("users", 10.0, a=b"1")
        reading = await rig.store.read("users", ("a", "b"))
        assert reading.found[0] is not None
        assert reading.found[1] is None
        assert reading.found[0].value == b"1"
        assert 9.0 < reading.found[0].left <= 10.0
        await rig.pass_time(9.0)
        assert await rig.values("users", "a") == [b"1"]
        await rig.pass_time(1.0)
        assert await rig.values("users", "a") == [None]

    async def test_a_value_takes_the_place_of_another(self, rig: Rig) -> None:
        await rig.put("users", 10.0, a=b"1")
        await rig.put("users", 20.0, a=b"2")
        await rig.pass_time(10.0)
        assert await rig.values("users", "a") == [b"2"]

    async def test_namespaces_are_apart(self, rig: Rig) -> None:
        await rig.put("users", a=b"1")
        await rig.put("users:a", a=b"2")
        await rig.store.invalidate("users")
        assert await rig.values("users", "a") == [None]
        assert await rig.values("users:a", "a") == [b"2"]

    async def test_many_are_read_in_order_and_odd_keys_are_keys(self, rig: Rig) -> None:
        keys = [
            *(str(number) for number in range(1200)),
            "a/b",
            "a\nb",
            "{x}",
            "entry/ä",
            "x" * 500,
        ]
        version = (await rig.store.read("users", ())).version
        await rig.store.write("users", version, {key: key.encode() for key in keys}, 60.0)
        assert await rig.values("users", *keys) == [key.encode() for key in keys]
        await rig.store.delete("users", keys[1:])
        assert await rig.values("users", *keys) == [b"0", *([None] * (len(keys) - 1))]

    async def test_a_large_value_and_an_empty_one(self, rig: Rig) -> None:
        await rig.put("users", large=b"x" * (1 << 20), empty=b"")
        assert await rig.values("users", "large", "empty") == [b"x" * (1 << 20), b""]

    async def test_to_invalidate_ends_all_at_once(self, rig: Rig) -> None:
        await rig.put("users", a=b"1", b=b"2")
        before = (await rig.store.read("users", ())).version
        await rig.store.invalidate("users")
        assert await rig.values("users", "a", "b") == [None, None]
        assert (await rig.store.read("users", ())).version != before
        await rig.put("users", a=b"3")
        assert await rig.values("users", "a", "b") == [b"3", None]

    async def test_what_was_read_before_is_not_given_out_after_it(self, rig: Rig) -> None:
        version = (await rig.store.read("users", ())).version
        await rig.store.invalidate("users")
        await rig.store.write("users", version, {"a": b"of before"}, 60.0)
        assert await rig.values("users", "a") == [None]

    async def test_counters_add_up(self, rig: Rig) -> None:
        assert await rig.store.count("users", {"hits": 2}) == {"hits": 2}
        assert await rig.store.count("users", {"hits": 1, "misses": 1}) == {"hits": 3, "misses": 1}
        await rig.store.invalidate("users")
        assert await rig.store.count("users", {}) == {"hits": 3, "misses": 1}
        assert await rig.store.count("others", {}) == {}
