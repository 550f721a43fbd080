from uuid import uuid4

import pytest

from headrace.errors import ConfigError
from headrace.lanes.redis.keys import Keys
from headrace.lanes.redis.scripts import script


def test_all_keys_of_a_lane_are_in_one_slot() -> None:
    keys, worker = Keys("main"), uuid4()
    every = [*keys.of_lane(), *keys.of_queue("a{b}"), *keys.of_worker(worker.bytes)]
    every.append(keys.nudge(worker))
    assert {key[: key.index(b"}") + 1] for key in every} == {b"{headrace:main}"}
    assert len(set(every)) == len(every)


def test_queues_and_lanes_share_no_key() -> None:
    one = {*Keys("a").of_queue("b"), *Keys("a").of_queue("b:1"), *Keys("a:b").of_queue("")}
    assert len(one) == 36


@pytest.mark.parametrize("name", ["", "a b", "{x}", "a" * 101])
def test_a_lane_is_named_like_a_queue(name: str) -> None:
    with pytest.raises(ConfigError, match="lane name"):
        Keys(name)


def test_every_script_but_those_of_the_epoch_is_fenced() -> None:
    assert b"WRONGEPOCH" in script("put").text
    assert b"SMEMBERS" in script("close").text
    assert script("take").text.startswith(b"#!lua flags=allow-oom\n")
    assert script("put").text.startswith(b"#!lua\n"), "a put may be refused for want of memory"
