"""Claims: one computes, whoever that is, and whatever becomes of it."""

import asyncio

from headrace.testing.caches.rig import Rig

ONE, OTHER = b"one", b"other"


async def claim(rig: Rig, token: bytes, early: float = 0.0) -> bool:
    """On the key a, for ten seconds."""
    return await rig.store.claim("users", "a", token, 10.0, early)


async def fill(rig: Rig, token: bytes, value: bytes = b"1") -> bool:
    """Of the key a, under the version that is now."""
    version = (await rig.store.read("users", ())).version
    return await rig.store.fill("users", version, "a", token, value, 60.0)


class Claims:
    """Rules of claim, fill and forgo."""

    async def test_one_of_many_has_the_claim(self, rig: Rig) -> None:
        claims = [claim(rig, str(number).encode()) for number in range(20)]
        assert sum(await asyncio.gather(*claims)) == 1

    async def test_to_fill_ends_the_claim_and_gives_the_value(self, rig: Rig) -> None:
        assert await claim(rig, ONE)
        assert not await claim(rig, OTHER)
        assert await fill(rig, ONE)
        assert await rig.values("users", "a") == [b"1"]
        assert not await fill(rig, ONE, b"2")

    async def test_there_is_no_claim_where_there_is_a_value_but_early_before_its_end(
        self, rig: Rig
    ) -> None:
        await rig.put("users", 60.0, a=b"1")
        assert not await claim(rig, ONE, early=6.0)
        await rig.pass_time(55.0)
        assert await claim(rig, ONE, early=6.0)
        assert await rig.values("users", "a") == [b"1"]

    async def test_a_value_of_an_earlier_version_is_none(self, rig: Rig) -> None:
        await rig.put("users", a=b"1")
        await rig.store.invalidate("users")
        assert await claim(rig, ONE)

    async def test_a_claim_ends_with_its_time_and_the_next_one_goes_on(self, rig: Rig) -> None:
        assert await claim(rig, ONE)
        await rig.pass_time(10.0)
        assert await claim(rig, OTHER)
        assert not await fill(rig, ONE, b"too late")
        await rig.store.forgo("users", "a", ONE)
        assert await fill(rig, OTHER)
        assert await rig.values("users", "a") == [b"1"]

    async def test_to_forgo_lets_others(self, rig: Rig) -> None:
        assert await claim(rig, ONE)
        await rig.store.forgo("users", "a", OTHER)
        assert not await claim(rig, OTHER)
        await rig.store.forgo("users", "a", ONE)
        assert await claim(rig, OTHER)

    async def test_to_delete_ends_the_claim_so_that_nothing_older_is_kept(self, rig: Rig) -> None:
        assert await claim(rig, ONE)
        await rig.store.delete("users", ("a",))
        assert not await fill(rig, ONE, b"of before")
        assert await rig.values("users", "a") == [None]

    async def test_what_was_computed_before_an_invalidate_is_not_given_out(self, rig: Rig) -> None:
        version = (await rig.store.read("users", ())).version
        assert await claim(rig, ONE)
        await rig.store.invalidate("users")
        assert await rig.store.fill("users", version, "a", ONE, b"of before", 60.0)
        assert await rig.values("users", "a") == [None]
