"""The end of a process that cannot end by itself: a thread or a coroutine of it is stuck."""

import logging
import os
from typing import NoReturn

EX_SOFTWARE = 70
_log = logging.getLogger("headrace.worker")


def end_process(why: str) -> NoReturn:
    """Log why, and end this process at once, with status 70."""
    _log.critical("%s", why)
    logging.shutdown()
    os._exit(EX_SOFTWARE)
