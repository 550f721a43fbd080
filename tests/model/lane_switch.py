"""The switch to direct mode while the lane cannot be told, and the way back."""

from collections.abc import Iterator

from model.explorer import Step
from model.lane_process import Process
from model.lane_state import (
    ACKING,
    HELD,
    UNSTARTED,
    Delivery,
    Setting,
    State,
    Statement,
    Worker,
    lose,
    with_worker,
)
from model.ledger import LIVE, NOBODY, Row
from model.redis_lane import RedisLane
from model.values import Value


class Switch(Value, frozen=True):
    """Who lives votes the lane out; the ledger gives out jobs once all have said what they hold.

    The lane goes on as before: whoever has not heard of it may put into it and take from it.
    """

    model: Setting
    state: State

    def steps(self) -> Iterator[Step[State]]:
        """Return what the voters, the relay and the workers can do about the mode."""
        state = self.state
        if not state.direct:
            if state.budget.switches:
                yield self._switch()
            return
        for number, worker in enumerate(state.workers):
            yield from self._wake(number, worker)
            yield from self._heed(number, worker)
            yield from self._adopt(number, worker)
            yield from self._say(number, worker)
            yield from self._claim(number, worker)
        if state.grace:
            yield from self._calm()
        yield self._return()

    def _switch(self) -> Step[State]:
        workers = tuple(one._replace(heeds=False, said=False) for one in self.state.workers)
        direct = self.state._replace(
            direct=True,
            closed=self.state.grace,
            epoch=self.state.epoch + 1,
            grace=True,
            workers=workers,
        )
        return Step("switch", "voter", direct.spend("switches"))

    def _become(self, number: int, worker: Worker) -> State:
        return with_worker(self.state, number, worker)

    def _wake(self, number: int, worker: Worker) -> Iterator[Step[State]]:
        """A beat that comes after a silence tells of the switch, too."""
        if worker.silent and worker.id not in self.state.judged:
            awake = Process(self.model, self.state, number).voided()
            if not self.model.twin.late_beat_heeds_nothing:
                awake = heeding(self.model, awake)
            yield Step("beat", f"p{number}", self._become(number, awake), "late")

    def _heed(self, number: int, worker: Worker) -> Iterator[Step[State]]:
        """A beat tells of the switch: what the lane gave is booked no more."""
        early = self.model.twin.heeds_after_it_said_so and not worker.said
        if not worker.heeds and not early and worker.id not in self.state.judged:
            yield Step("heed", f"p{number}", self._become(number, heeding(self.model, worker)))

    def _adopt(self, number: int, worker: Worker) -> Iterator[Step[State]]:
        """The next beat reads what it holds, and owns it in the ledger as far as it can be had."""
        if worker.id in self.state.judged:
            return
        if worker.named is None:
            ready = worker.heeds or self.model.twin.adopts_by_old_names
            if ready and worker.hand and self._is_adoptable(worker.hand):
                named = worker._replace(named=(worker.hand.gen, worker.hand.call))
                yield Step("names", f"p{number}", self._become(number, named))
            return
        gen, call = worker.named
        asked = worker._replace(named=None)
        hand, row = worker.hand, adopted(self.state.row, worker.id, gen, call)
        if row is None and hand and hand.gen == gen and hand.phase in UNSTARTED:
            asked = asked._replace(hand=None)  # lost: somebody else has it
        after = self._become(number, asked)
        yield Step("adopt", f"p{number}", after._replace(row=row or self.state.row), f"gen {gen}")
        late = Statement("adopt", worker.id, gen, call, epoch=self.state.epoch)
        unheard = self._become(number, worker._replace(named=None))
        yield from lose(self.model, unheard, late, f"p{number}")

    def _is_adoptable(self, hand: Delivery) -> bool:
        row = self.state.row
        return _is_carried(hand) and (row.state, row.gen, row.owner) == (LIVE, hand.gen, NOBODY)

    def _say(self, number: int, worker: Worker) -> Iterator[Step[State]]:
        """And then says that it holds nothing else, and will not."""
        if worker.said or worker.id in self.state.judged:
            return
        if not worker.heeds and not self.model.twin.heeds_after_it_said_so:
            return
        untold = worker.named is not None or (worker.hand and self._is_adoptable(worker.hand))
        if not untold or self.model.twin.said_before_adopted:
            yield Step("say", f"p{number}", self._become(number, worker._replace(said=True)))

    def _calm(self) -> Iterator[Step[State]]:
        """All who live have said so; who has not is silent by its own clock after the grace."""
        state = self.state
        mute = [n for n, one in enumerate(state.workers) if not one.said]
        mute = [n for n in mute if state.workers[n].id not in state.judged]
        calm = state._replace(grace=False)
        if not mute or (self.model.twin.calm_by_majority and len(mute) < len(state.workers)):
            yield Step("calm", "relay", calm)
        elif state.budget.expiries:
            for number in mute:
                calm = with_worker(calm, number, calm.workers[number]._replace(silent=True))
            yield Step("calm", "relay", calm.spend("expiries"), "worker cut off", fault=True)

    def _claim(self, number: int, worker: Worker) -> Iterator[Step[State]]:
        state = self.state
        calm = can_claim(state) or self.model.twin.claim_before_calm
        ready = worker.heeds and not (worker.hand or worker.reply or worker.silent)
        if calm and ready and state.row.claimable and worker.id not in state.judged:
            called = worker._replace(calls=worker.calls + 1)
            row = self.model.ledger.claim(state.row, worker.id, called.calls)
            hand = Delivery(row.gen, 0, called.calls, verify=False, phase=HELD)
            claimed = self._become(number, called._replace(hand=hand))
            yield Step("claim", f"p{number}", claimed._replace(row=row), "direct")
            late = Statement("claim direct", worker.id, 0, called.calls)
            yield from lose(self.model, self._become(number, called), late, f"p{number}")

    def _return(self) -> Step[State]:
        """The lane is there again: it is opened, empty, and refuses all that came before."""
        workers = tuple(
            one._replace(heeds=True, said=True, named=None) for one in self.state.workers
        )
        back = self.state._replace(
            direct=False,
            closed=False,
            epoch=self.state.epoch + 1,
            lane=RedisLane(),
            lost=False,
            workers=workers,
        )
        return Step("open", "relay", back)


def can_claim(state: State) -> bool:
    """Return whether the ledger gives out what may have lain in the lane."""
    return state.direct and not state.grace


def adopted(row: Row, worker: int, gen: int, call: int) -> Row | None:
    """Return the row as its new owner's; None where it cannot be had."""
    if (row.state, row.gen) == (LIVE, gen) and row.owner in (NOBODY, worker):
        return row._replace(owner=worker, call=call)
    return None


def heeding(model: Setting, worker: Worker) -> Worker:
    """Return the worker once it knows of the switch."""
    if model.twin.heed_keeps_the_reply:
        return worker._replace(heeds=True)
    return worker._replace(heeds=True, reply=None, forgone=False)


def _is_carried(hand: Delivery) -> bool:
    return hand.gen == hand.entry_gen and hand.phase != ACKING
