"""The broken twins of direct mode, each with the rule of the protocol that it breaks."""

from collections.abc import Mapping

from chaos.twins import Twin, by_name

DIRECT_TWINS: Mapping[str, Twin] = by_name()
