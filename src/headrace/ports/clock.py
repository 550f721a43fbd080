"""The clock that leases are measured with."""

import time

BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime() -> float:
    """Seconds since boot, suspended time included where the system tells (protocol rule R5)."""
    return time.clock_gettime(BOOTTIME)
