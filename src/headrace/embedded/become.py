"""First code of a server's process: drops root, ties its life to its owner's, becomes the server.

Run by path in a bare interpreter, because code between fork and exec of a threaded process may
deadlock, and because only root may be able to read the interpreter.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1


def become(
    owner: int, life: int, death_signal: int, uid: int, gid: int, command: list[str]
) -> None:
    """Replaces this process by `command`, running as `uid` and ended by `death_signal`.

    Args:
        owner: Process id whose end ends the server.
        life: A pipe whose other end only the owner has, where the kernel does not tell of its end;
            else -1.
        death_signal: Signal that is then sent.
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
    # Only now, for a change of user clears the death signal, and the watchman may not be root.
    if life == -1:
        _die_with_owner(owner, death_signal)
    else:
        _post_watchman(life, death_signal)
    os.execv(command[0], command)  # noqa: S606 - becoming the program is the purpose


def _die_with_owner(owner: int, death_signal: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "prctl")
    if os.getppid() != owner:
        sys.exit(f"process {owner} ended before its server began")


def _post_watchman(life: int, death_signal: int) -> None:
    """Leaves a process behind that ends the server once its owner has ended."""
    server = os.getpid()
    while_it_lives, held_by_server = os.pipe()
    os.set_inheritable(held_by_server, True)
    if (child := os.fork()) == 0:
        if os.fork():
            os._exit(0)  # so that the server has no child that it never made
        _watch(life, while_it_lives, server, death_signal)
    os.waitpid(child, 0)
    os.close(while_it_lives)


def _watch(life: int, while_it_lives: int, server: int, death_signal: int) -> None:
    """Waits for the end of the owner or of the server, holding nothing else of theirs."""
    watched = [life, while_it_lives]
    for other in {int(name) for name in os.listdir("/dev/fd")}.difference(watched):  # noqa: PTH208 - by number
        with contextlib.suppress(OSError):  # that of the list itself
            os.close(other)
    ended, _, _ = select.select(watched, [], [])
    if while_it_lives not in ended:
        os.kill(server, death_signal)
    os._exit(0)


if __name__ == "__main__":
    _owner, _life, _signal, _uid, _gid = map(int, sys.argv[1:6])
    become(_owner, _life, _signal, _uid, _gid, sys.argv[6:])
