from uuid import UUID, uuid4

from headrace.lanes.redis.keys import Keys, ledger_of
from headrace.lanes.redis.scripts import script

ONE = UUID("0a0b0c0d" * 4)


def test_all_keys_of_a_lane_are_in_one_slot() -> None:
    keys, worker = Keys(ONE), uuid4()
    every = [*keys.of_lane(), *keys.of_queue("a{b}"), *keys.of_worker(worker.bytes)]
    every.append(keys.nudge(worker))
    assert {key[: key.index(b"}") + 1] for key in every} == {b"{headrace:0a0b0c0d}"}
    assert len(set(every)) == len(every)


def test_queues_and_lanes_share_no_key() -> None:
    one = {*Keys(ONE).of_queue("b"), *Keys(ONE).of_queue("b:1"), *Keys(uuid4()).of_queue("b")}
    assert len(one) == 36


def test_a_key_tells_its_ledger() -> None:
    assert ledger_of(Keys(ONE).meta) == "0a0b0c0d"


def test_every_script_but_those_of_the_epoch_is_fenced() -> None:
    assert b"WRONGEPOCH" in script("put").text
    assert b"SMEMBERS" in script("close").text
    assert script("take").text.startswith(b"#!lua flags=allow-oom\n")
    assert script("put").text.startswith(b"#!lua\n"), "a put may be refused for want of memory"
