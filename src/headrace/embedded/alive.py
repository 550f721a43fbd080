"""Whether a process lives."""

import os


def is_alive(pid: int) -> bool:
    """Whether there is such a process on this machine, of whatever account; 0 is none."""
    if pid == 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
