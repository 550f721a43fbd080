"""What running attempts tell is kept with their job; stale ones tell nothing."""

from uuid import uuid4

from headrace.model.told import LINES, Telling
from headrace.testing.engines.rig import Rig, completion

_MORE = (
    '{"attempt": %d, "dropped": %d, "log": [[1.5, "%s"]], "progress": [0.5, %.2f, "connecting"]}'
)


def _more(text: str, *, attempt: int = 1, fraction: float = 0.5, dropped: int = 0) -> str:
    return _MORE % (attempt, dropped, text, fraction)


class Tellings:
    """Tests of tell."""

    async def test_what_is_told_is_seen_and_outlives_the_job(self, rig: Rig) -> None:
        one = await rig.given()
        assert (await rig.get(one.id)).told.progress is None
        await rig.engine.tell([Telling(*one.token, _more("first"), 1)])
        await rig.engine.tell([Telling(*one.token, _more("second", fraction=0.75, dropped=2), 1)])
        await rig.settle(completion(one))
        told = (await rig.get(one.id)).told
        assert [line.text for line in told.log] == ["first", "second"]
        assert told.dropped == 2
        assert told.progress is not None
        assert (told.progress.fraction, told.progress.message) == (0.75, "connecting")
        assert told.log[-1].at < told.progress.at

    async def test_a_stale_attempt_tells_nothing(self, rig: Rig) -> None:
        one = await rig.given()
        await rig.engine.tell([Telling(one.id, one.gen + 1, _more("not yet"), 1)])
        await rig.settle(completion(one))
        await rig.engine.tell([Telling(*one.token, _more("too late"), 1)])
        told = (await rig.get(one.id)).told
        assert (told.log, told.progress) == ((), None)

    async def test_only_the_newest_lines_are_kept(self, rig: Rig) -> None:
        one, other = await rig.given(), await rig.given()
        for number in range(LINES + 3):
            await rig.engine.tell(
                [
                    Telling(*one.token, _more(str(number)), 1),
                    Telling(*other.token, _more("other"), 1) if number == 0 else _nobody(),
                ]
            )
        told = (await rig.get(one.id)).told
        assert [line.text for line in told.log] == [str(n) for n in range(3, LINES + 3)]
        assert told.dropped == 3
        assert [line.text for line in (await rig.get(other.id)).told.log] == ["other"]


def _nobody() -> Telling:
    return Telling(uuid4(), 1, _more("nobody"), 1)
