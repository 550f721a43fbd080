"""First code of a server's process: drops root, ties its life to its owner's, becomes the server.

Run by path in a bare interpreter, because code between fork and exec of a threaded process may
deadlock, and because only root may be able to read the interpreter.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def become(owner: int, death_signal: int, uid: int, gid: int, command: list[str]) -> None:
    """Replaces this process by `command`, running as `uid` and ended by `death_signal`.

    Args:
        owner: Process id whose end ends the server.
        death_signal: Signal that the kernel then sends (Linux; elsewhere nothing is sent).
        uid: User to run as.
        gid: Group to run as.
        command: Absolute path of the program, then its arguments.

    Raises:
        OSError: The user cannot be changed, or the program cannot be executed.
    """
    os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # Only now, for a change of user clears the death signal.
        _die_with_owner(owner, death_signal)
    os.execv(command[0], command)  # noqa: S606 - becoming the program is the purpose


def _die_with_owner(owner: int, death_signal: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "prctl")
    if os.getppid() != owner:
        sys.exit(f"process {owner} ended before its server began")


if __name__ == "__main__":
    _owner, _signal, _uid, _gid = map(int, sys.argv[1:5])
    become(_owner, _signal, _uid, _gid, sys.argv[5:])
