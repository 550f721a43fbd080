"""How fast this machine is at it: the product beside the bare limits of its parts, in one run."""

from headrace.bench.main import main
from headrace.bench.options import Options

__all__ = ["Options", "main"]
