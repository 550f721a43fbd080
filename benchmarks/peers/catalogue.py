"""The peers, as `versions.toml` lists them."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
DRIVERS = HERE / "drivers"
VERSIONS = HERE / "versions.toml"
OURS = "headrace"


@dataclass(frozen=True, slots=True)
class Peer:
    """One line of the table.

    Attributes:
        name: for the command line and in JSON.
        title: for people.
        driver: the file that speaks for it.
        variant: which of the driver's ways.
        stores: the servers that it uses, "postgresql" or "valkey".
        packages: what its environment needs, with versions.
        python: the oldest Python that it runs on.
    """

    name: str
    title: str
    driver: Path
    variant: str
    stores: tuple[str, ...]
    packages: tuple[str, ...]
    python: str = "3.11"

    @property
    def is_node(self) -> bool:
        """Whether it runs on Node, not on Python."""
        return self.driver.suffix == ".mjs"

    @property
    def is_ours(self) -> bool:
        """Whether it is headrace itself."""
        return self.driver.stem == OURS

    @property
    def environment(self) -> str:
        """Name of its environment, which the variants of a driver share."""
        return self.driver.stem

    @property
    def database(self) -> str:
        """Name of its database."""
        return "peer_" + self.name.replace("-", "_")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All peers, in the order of the file, and the version of Node."""

    peers: tuple[Peer, ...]
    node: str

    def only(self, names: Sequence[str]) -> tuple[Peer, ...]:
        """The peers of these names, or whose driver has that name; all where none is named.

        Raises:
            ValueError: no peer has the name.
        """
        known = {peer.name for peer in self.peers} | {peer.environment for peer in self.peers}
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f'no peer is named "{unknown[0]}"; known: {", ".join(sorted(known))}')
        wanted = set(names)
        return tuple(
            peer
            for peer in self.peers
            if not wanted or peer.name in wanted or peer.environment in wanted
        )


def read_catalogue(path: Path = VERSIONS) -> Catalogue:
    """Read the file of versions."""
    read = tomllib.loads(path.read_text())
    peers = (
        Peer(
            name=name,
            title=one["title"],
            driver=DRIVERS / one["driver"],
            variant=one.get("variant", ""),
            stores=tuple(one["stores"]),
            packages=tuple(one["packages"]),
            python=one.get("python", "3.11"),
        )
        for name, one in read["peers"].items()
    )
    return Catalogue(tuple(peers), read["node"]["runtime"])
