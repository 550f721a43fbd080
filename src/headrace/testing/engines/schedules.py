"""What an engine's inspector does with schedules; what their ticks make is the scheduler's."""

from datetime import timedelta

import pytest

from headrace.errors import UnknownSchedule
from headrace.model.schedule import NO_ID, Condition, Template, template_of, tick_of
from headrace.model.timing import Timing
from headrace.testing.engines.rig import OTHER, TASK, Rig

HOURLY = Timing(every=timedelta(hours=1))
ACTOR = "test:ann"


def template(rig: Rig) -> Template:
    """A job of another queue than its task's."""
    return template_of(rig.job(id=NO_ID, queue=OTHER, priority=2, tenant="acme"))


class SchedulesByHand:
    """Schedules that are made, changed and run by hand."""

    async def test_a_run_by_hand_is_a_job_that_knows_its_schedule(self, rig: Rig) -> None:
        schedules = rig.engine.inspector.schedules
        await schedules.create("hourly", HOURLY, template(rig), ACTOR)
        await schedules.pause("hourly", ACTOR)
        job_id = await schedules.run("hourly", ACTOR)
        (delivery,) = await rig.take(queue=OTHER)
        tick = tick_of(delivery.headers)
        assert (delivery.id, delivery.priority, delivery.tenant) == (job_id, 2, "acme")
        assert tick is not None
        assert (tick.name, tick.by_hand) == ("hourly", True)

    async def test_what_its_task_says_completes_a_job(self, rig: Rig) -> None:
        schedules = rig.engine.inspector.schedules
        await schedules.create("hourly", HOURLY, {"task": TASK, "args": {"to": "a"}}, ACTOR)
        job_id = await schedules.run("hourly", ACTOR)
        (delivery,) = await rig.take()
        assert (delivery.id, delivery.payload.replace(b" ", b"")) == (job_id, b'{"to":"a"}')

    async def test_a_pause_is_kept_and_told_of(self, rig: Rig) -> None:
        schedules = rig.engine.inspector.schedules
        await schedules.create("hourly", HOURLY, template(rig), ACTOR)
        assert [await schedules.pause("hourly", ACTOR) for _ in range(2)] == [True, False]
        assert (await schedules.get("hourly")).condition is Condition.PAUSED
        assert [await schedules.resume("hourly", ACTOR) for _ in range(2)] == [True, False]
        kinds = [(one.kind, one.actor) for one in await schedules.history("hourly")]
        assert kinds == [(kind, ACTOR) for kind in ("created", "paused", "resumed")]

    async def test_what_is_deleted_is_unknown(self, rig: Rig) -> None:
        schedules = rig.engine.inspector.schedules
        await schedules.create("hourly", HOURLY, template(rig), ACTOR)
        await schedules.delete("hourly", ACTOR)
        for verb in (schedules.pause, schedules.resume, schedules.delete, schedules.run):
            with pytest.raises(UnknownSchedule):
                await verb("hourly", ACTOR)
