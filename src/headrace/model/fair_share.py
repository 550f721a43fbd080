"""Fair shares: each part of a queue gets its share of the starts, however many jobs others have."""

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.errors import UsageError
from headrace.model.concurrency import SHARE, LineRule
from headrace.model.key_template import check_template, fields_of, parts_of
from headrace.model.shown import shown

WINDOW = 200
"""How many jobs of a part of weight 1 are ready at once: see docs/learn/concurrency.md."""
HEAVIEST = 1000
_WEIGHTS = range(1, HEAVIEST + 1)
_TENANT = "$tenant"


@dataclass(frozen=True, slots=True, init=False)
class FairShare:
    """By what a queue is shared out.

    Args:
        queue: which.
        by: "tenant", or a text with arguments of its tasks in it, such as "{org}".
        weights: of parts, by key; 1 where none is said.

    Attributes:
        queue: which.
        key: the template, or None: by tenant.
        weights: by key.

    Raises:
        UsageError: one of these cannot be.
    """

    queue: str
    key: str | None
    weights: Mapping[str, int]

    def __init__(self, queue: str, by: str, weights: Mapping[str, int]) -> None:
        template = None if by == "tenant" else check_template("fair_by", by)
        if by != "tenant" and not fields_of(template):
            raise UsageError(
                f'fair_by={shown(by)} makes no parts; write "tenant", or a text with arguments of '
                'the tasks in it, such as "{org}"'
            )
        for key, weight in weights.items():
            if isinstance(weight, bool) or weight not in _WEIGHTS:
                raise UsageError(
                    f"weight {shown(weight)} of {shown(key)} cannot be; give a whole number from 1 "
                    f"to {HEAVIEST:,}"
                )
        object.__setattr__(self, "queue", queue)
        object.__setattr__(self, "key", template)
        object.__setattr__(self, "weights", dict(weights))

    @property
    def limit(self) -> str:
        """The name of the limit that does it."""
        return SHARE + self.queue

    @property
    def fields(self) -> frozenset[str]:
        """The arguments that its key names."""
        return fields_of(self.key)

    @property
    def rule(self) -> LineRule:
        """Which jobs stand in which of its lines."""
        texts, arguments = (("",), (_TENANT,)) if self.key is None else parts_of(self.key)
        return LineRule(name=self.limit, queue=self.queue, texts=texts, arguments=arguments)
