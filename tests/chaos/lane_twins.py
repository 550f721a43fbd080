"""The broken twins of hybrid mode, each with the rule of the protocol that it breaks."""

from collections.abc import Mapping

from chaos.twins import Twin

LANE_TWINS: Mapping[str, Twin] = {}
