"""What a run has found out, as Markdown and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.figures import FIGURES, TABLES, Results
from benchmarks.peers.plan import Plan
from benchmarks.peers.tables import markdown_table, number

_NOTHING = "-"
_INTRODUCTION = (
    "Made by `make bench-peers`; do not edit. [README.md](README.md) says what is measured and "
    "how, and what is unfair to whom. Cells are medians, with the range in brackets; the best of "
    "each column is bold."
)


@dataclass(frozen=True, slots=True)
class Report:
    """All there is to tell of a run.

    Attributes:
        plan: sizes.
        peers: who took part.
        results: samples and failures.
        facts: what each driver says of its peer.
        versions: what is installed, by peer.
        run: machine, servers, date, rounds and seconds.
    """

    plan: Plan
    peers: Sequence[Peer]
    results: Results
    facts: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, Mapping[str, str]]
    run: Mapping[str, str | int | float]

    def as_json(self) -> str:
        """Everything, samples included."""
        peers = {
            peer.name: {
                "title": peer.title,
                "stores": peer.stores,
                "facts": self.facts.get(peer.name),
                "versions": self.versions.get(peer.name),
                "samples": self.results.samples.get(peer.name, {}),
                "failures": self.results.failures.get(peer.name, {}),
            }
            for peer in self.peers
        }
        figures = {name: asdict(figure) for name, figure in FIGURES.items()}
        told = {"run": self.run, "plan": _finite(asdict(self.plan))}
        return json.dumps({**told, "figures": figures, "peers": peers}, indent=1) + "\n"

    def as_markdown(self, plots: Sequence[str] = ()) -> str:
        """Tables, with the best of each column in bold."""
        parts = [
            "# headrace beside its peers",
            _INTRODUCTION,
            self._run(),
            *(f"![{name.removesuffix('.svg').replace('-', ' ')}]({name})" for name in plots),
            "## Peers",
            self._peers(),
            *self._tables(),
            *self._failures(),
        ]
        return "\n\n".join(parts) + "\n"

    def _run(self) -> str:
        return "\n".join(f"* {name.replace('_', ' ')}: {fact}" for name, fact in self.run.items())

    def _peers(self) -> str:
        head = ["peer", "version", "stores", "durability", "settings", "what it cannot"]
        return markdown_table(head, [self._peer(peer) for peer in self.peers], left=len(head))

    def _peer(self, peer: Peer) -> list[str]:
        facts = self.facts.get(peer.name)
        if facts is None:
            return [peer.title, *[_NOTHING] * 5]
        stores = " + ".join(
            "PostgreSQL" if one == "postgresql" else "Valkey" for one in peer.stores
        )
        settings = f"{facts['settings']} ([docs]({facts['docs']}))"
        version = self._version(peer)
        return [
            peer.title,
            version,
            stores,
            facts["durability"],
            settings,
            facts["cannot"] or _NOTHING,
        ]

    def _version(self, peer: Peer) -> str:
        versions = self.versions.get(peer.name, {})
        first = "headrace" if peer.is_ours else _distribution(peer.packages[0])
        runtime = "node" if peer.is_node else "python"
        return f"{versions.get(first, '?')} ({runtime} {versions.get(runtime, '?')})"

    def _tables(self) -> Iterator[str]:
        for title, names in TABLES.items():
            shown = [name for name in names if self.results.has(name)]
            peers = [peer for peer in self.peers if any(self._has(peer, name) for name in names)]
            if not shown or not peers:
                continue
            yield f"## {title}"
            head = ["peer", *(f"{FIGURES[one].label}, {FIGURES[one].unit}" for one in shown)]
            rows = [[peer.title, *(self._cell(peer, one) for one in shown)] for peer in peers]
            yield markdown_table(head, rows)

    def _has(self, peer: Peer, name: str) -> bool:
        return name in self.results.samples.get(peer.name, {})

    def _cell(self, peer: Peer, name: str) -> str:
        sample = self.results.sample(peer.name, name)
        if sample is None:
            missed = name == "recovery" and self._has(peer, "recovery_rerun")
            return f"not in {self.plan.recovery:.0f} s" if missed else _NOTHING
        middle = number(sample.middle)
        if sample.middle == self.results.best(name):
            middle = f"**{middle}**"
        if sample.low == sample.high:
            return middle
        return f"{middle} ({number(sample.low)} - {number(sample.high)})"

    def _failures(self) -> Iterator[str]:
        lines = [
            f"* {peer.title}, {what}: {reason}"
            for peer in self.peers
            for what, reason in self.results.failures.get(peer.name, {}).items()
        ]
        if lines:
            yield "## What has no figure, and why"
            yield "\n".join(lines)


def _distribution(package: str) -> str:
    """The name in "name[extra]==1.2" or "@scope/name@1.2"."""
    if "==" in package:
        return package.partition("==")[0].partition("[")[0]
    return package.rpartition("@")[0]


def _finite(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value == float("inf") else value for name, value in plan.items()}
