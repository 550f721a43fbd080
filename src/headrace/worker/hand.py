"""What a worker holds, the numbers of its takes, and whether it may still start anything.

Shared by the event loop and the beat's thread. Its lock is the one of protocol A1: the beat reads
names and numbers under the lock that the loop holds to book a reply or to start a handler.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from headrace.model.job import Beat, Delivery
from headrace.model.lane_view import LaneView
from headrace.ports.clock import boottime

LEASE = 15.0
MARGIN = 3.0


class Hand:
    """The deliveries of one worker identity.

    Args:
        worker: the identity; once reaped it is void and a new hand replaces this one.
        registered: when the registration was sent, on `clock`.
    """

    def __init__(
        self,
        worker: UUID,
        registered: float,
        *,
        lease: float = LEASE,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self.worker = worker
        self._clock = clock
        self._patience = lease - min(MARGIN, lease / 5)
        self._beaten = registered
        self._lock = threading.Lock()
        self._held: dict[tuple[UUID, int], Delivery] = {}
        self._started: set[tuple[UUID, int]] = set()
        self._last_call = 0
        self._voided = 0
        self._view: LaneView | None = None
        self._open_calls: set[int] = set()
        self._void = False

    def open_call(self) -> int:
        """The number of a take that is about to be sent."""
        with self._lock:
            self._last_call += 1
            self._open_calls.add(self._last_call)
            return self._last_call

    def book(self, call: int, deliveries: Iterable[Delivery], epoch: int | None = None) -> bool:
        """Take the reply of a call into the hand, given by a lane of this epoch, if by one.

        Returns:
            False where it comes too late: the call stays open until it is given up, and nothing of
            its reply may start. So it is with what a lane gave under an epoch that is over: the
            beats may have said that nothing of it is held (the model's twin
            `heeds_after_it_said_so` runs a job twice without this).
        """
        with self._lock:
            over = epoch is not None and self._view is not None and epoch < self._view.epoch
            if self._void or call <= self._voided or over:
                return False
            self._open_calls.discard(call)
            self._held.update({(one.id, one.gen): one for one in deliveries})
            return True

    def give_up(self, call: int) -> None:
        """The reply of a call is lost; what it gave is returned by a beat."""
        with self._lock:
            self._open_calls.discard(call)

    def start(self, delivery: Delivery) -> bool:
        """The fence check: may this handler start now?

        No, if the lease may be over or the delivery was voided: somebody else may run it (the
        models' twin `no_self_fence` runs a completed job without this). Nor if this very token
        runs already: a lane that lost its data may give it again to whoever has it. Nor if it was
        given back and has come again by a later call: that one is charged by itself (test_hand.py).
        Nor if it was not claimed in the ledger and its queue has become strict since it was taken
        (the lane model's twin `unclaimed_start_though_strict`).
        """
        token = (delivery.id, delivery.gen)
        with self._lock:
            if token in self._started:
                return False  # its name stays: the run that goes on needs it
            held = self._held.get(token)
            if held is not None and held.call != delivery.call:
                return False
            unclaimed = (
                not delivery.owned
                and self._view is not None
                and delivery.queue in self._view.promises.strict
            )
            if held is None or unclaimed or self._silent_at(self._clock()):
                # It is tried once: what is no longer named is given back by the next beat.
                self._drop([token])
                return False
            self._started.add(token)
            return True

    def close(self, deliveries: Iterable[Delivery]) -> None:
        """These are settled, released or void."""
        with self._lock:
            for delivery in deliveries:
                token = (delivery.id, delivery.gen)
                self._held.pop(token, None)
                self._started.discard(token)

    def names(self) -> tuple[list[Delivery], int, int | None]:
        """What is held, the last call up to which all calls are answered or given up, the epoch.

        Of a lane's earlier epochs nothing else is held, nor will be. None until a beat told one.
        """
        with self._lock:
            awaited = [call for call in self._open_calls if call > self._voided]
            answered = min(awaited) - 1 if awaited else self._last_call
            return list(self._held.values()), answered, self._view and self._view.epoch

    def forgo(self) -> None:
        """Want no more what open calls bring: who would read it is busy with something else.

        Beats give it back from now on, so a reply that comes all the same is void (the models' twin
        `forgone_reply_kept` runs a job twice without this).
        """
        with self._lock:
            self._voided = self._last_call

    def beaten(self, beat: Beat, sent: float) -> None:
        """Book the reply to a beat that was sent at `sent`.

        A refused beat, and a good one that came too late after the one before, void what has not
        started. Lost deliveries that run already are left to the fence of the settle.

        After a late beat, and when the lane has begun another epoch, takes that are under way were
        answered in a time that is over: their replies are void, too (the models' twins
        `late_beat_keeps_the_reply` and `old_reply_kept` run a job twice without this).
        """
        with self._lock:
            if not beat.alive:
                self._void = True
                self._drop(set(self._held) - self._started)
                return
            late = self._silent_at(sent)
            if late:
                self._drop(set(self._held) - self._started)
            if late or self._in_another_epoch(beat):
                self._voided = self._last_call
            self._drop(beat.lost - self._started)
            self._beaten = sent

    def _in_another_epoch(self, beat: Beat) -> bool:
        before, self._view = self._view, beat.view or self._view
        return before is not None and before.epoch != (self._view and self._view.epoch)

    @property
    def view(self) -> LaneView | None:
        """How the lane is, by which the beats go; None until one told it.

        Who gives something back closes it here first and then goes by this view: under an earlier
        epoch the lane may give it to another while a beat adopts it (the model's twin
        `releases_by_the_loops_word`).
        """
        with self._lock:
            return self._view

    def unstarted(self) -> Sequence[Delivery]:
        """Take out what has not started, to release it."""
        with self._lock:
            waiting = [one for token, one in self._held.items() if token not in self._started]
            self._drop([one.token for one in waiting])
            return waiting

    def leave(self) -> Sequence[Delivery]:
        """Start nothing more; returns what has started and is not settled.

        Replies that are still to come are void, since the ledger is about to hear that nothing
        else has started (the model's twin `leaving_keeps_the_rest` runs a job twice without this).
        """
        with self._lock:
            self._void = True
            self._drop(set(self._held) - self._started)
            return list(self._held.values())

    @property
    def busy(self) -> int:
        """How many attempts have started and are not closed."""
        with self._lock:
            return len(self._started)

    @property
    def empty(self) -> bool:
        """Whether it holds nothing, and no take may bring anything."""
        with self._lock:
            return not self._held and not self._open_calls

    @property
    def silent(self) -> bool:
        """Whether the lease may be over: nothing may start, so nothing should be taken."""
        with self._lock:
            return self._silent_at(self._clock())

    @property
    def void(self) -> bool:
        """Whether the identity was reaped, or has left."""
        return self._void

    def _silent_at(self, now: float) -> bool:
        return self._void or now - self._beaten > self._patience

    def _drop(self, tokens: Iterable[tuple[UUID, int]]) -> None:
        for token in tokens:
            self._held.pop(token, None)
