"""What is accepted comes back equal from jsonb; what jsonb refuses was refused at the door."""

import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from headrace import BadPayload, Headrace

# One database serves all examples: each only asks it to read JSON.
_MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
app = Headrace("payloads")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


@dataclass
class Point:
    x: float
    label: str | None = None


class Order(BaseModel):
    number: int
    at: datetime
    price: Decimal
    lines: list[str] = []


@app.task()
def loose(value: Any) -> None:
    del value


@app.task()
def strict(
    *,
    when: datetime,
    day: date,
    span: timedelta,
    amount: Decimal,
    key: UUID,
    colour: Colour,
    size: Size,
    point: Point,
    order: Order,
    number: float,
    blob: bytes = b"",
    tags: set[str] = frozenset(),  # type: ignore[assignment] # a default that cannot change
    pair: tuple[int, str] | None = None,
) -> None: ...


async def through_jsonb(connection: asyncpg.Connection, payload: bytes) -> bytes:
    stored: str = await connection.fetchval("SELECT $1::text::jsonb::text", payload.decode())
    return stored.encode()


@pytest.fixture
async def postgres_connection(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


json_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.floats()
    | st.text()
    | st.characters().map(lambda one: one * 3)
    | st.sampled_from([-0.0, 1e308, 5e-324, 1e22, "\x00", "\ud800", r"\u0000", "null", "[[[{"])
)
json_values = st.recursive(
    json_scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def storable(value: object) -> bool:
    """The rule, said without headrace: what Python's own strict JSON and UTF-8 can express."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except ValueError:
        return False
    return "\\u0000" not in text.replace("\\\\", "")


def as_numbers(value: object) -> object:
    """jsonb keeps a number by its decimal value: 1e2 is 100, and -0.0 is 0.0."""
    if isinstance(value, dict):
        return {key: as_numbers(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_numbers(one) for one in value]
    return Decimal(repr(value)) if type(value) in (int, float) else value


@_MANY
@given(value=json_values)
async def test_any_json_value_comes_back_equal_or_is_refused(
    postgres_connection: asyncpg.Connection, value: object
) -> None:
    try:
        spec = loose.job(value)
    except BadPayload:
        assert not storable(value)
        return
    assert storable(value)
    read = loose.decode(await through_jsonb(postgres_connection, spec.payload))
    assert as_numbers(read["value"]) == as_numbers(value)


finite = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"))
earliest = datetime(1900, 1, 1, tzinfo=UTC).replace(tzinfo=None)
aware = st.datetimes(timezones=st.timezones() | st.just(UTC), min_value=earliest).map(
    lambda instant: instant.astimezone(UTC)
)


@_MANY
@given(
    when=aware | st.datetimes(),
    day=st.dates(),
    span=st.timedeltas(min_value=timedelta(days=-9999), max_value=timedelta(days=9999)),
    amount=st.decimals(allow_nan=False, allow_infinity=False),
    key=st.uuids(),
    colour=st.sampled_from(Colour),
    size=st.sampled_from(Size),
    point=st.builds(Point, finite, st.none() | text),
    order=st.builds(
        Order,
        number=st.integers(),
        at=aware,
        price=st.decimals(-1000, 1000, places=2),
        lines=st.lists(text),
    ),
    number=finite,
    blob=st.binary(),
    tags=st.sets(text),
    pair=st.none() | st.tuples(st.integers(), text),
)
async def test_typed_arguments_come_back_equal(
    postgres_connection: asyncpg.Connection, **arguments: Any
) -> None:
    spec = strict.job(**arguments)
    read = strict.decode(await through_jsonb(postgres_connection, spec.payload))
    assert read == arguments


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [None, v], lambda v: {"a": Point(v)}])
def test_what_json_cannot_express_is_refused(value: float, wrap: Any) -> None:
    with pytest.raises(BadPayload, match=rf'task "loose": argument "value" contains {value}'):
        loose.job(wrap(value))


async def test_a_float_keeps_its_value_beyond_what_jsonb_writes_with_exponents(
    postgres_connection: asyncpg.Connection,
) -> None:
    fields = {
        "when": datetime.now(UTC),
        "day": date(2024, 2, 29),
        "span": timedelta(seconds=1),
        "amount": Decimal("1.10"),
        "key": uuid4(),
        "colour": Colour.RED,
        "size": Size.LARGE,
        "point": Point(1e308),
        "order": Order(number=1, at=datetime.now(UTC), price=Decimal(1)),
    }
    for number in (1e308, 5e-324, -0.0, 1e22, 1.7976931348623157e308, 2.0**53 + 2):
        spec = strict.job(**fields, number=number)  # type: ignore[arg-type] # a dict of many types
        read = strict.decode(await through_jsonb(postgres_connection, spec.payload))
        assert read["number"] == number
        assert isinstance(read["number"], float)
