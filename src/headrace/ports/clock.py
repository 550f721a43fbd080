"""The clock that leases are measured with."""

import time
from functools import partial

BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


# Seconds since boot, suspended time included where the system tells (protocol rule R5).
boottime: partial[float] = partial(time.clock_gettime, BOOTTIME)
