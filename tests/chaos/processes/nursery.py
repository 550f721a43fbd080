"""A process that has imported everything and forks chaos processes from itself on request.

Each line on standard input asks for one; each line on standard output tells of a start or an end.
Importing would take each of them a second of a processor, and kills would strike half-started ones.
"""

import asyncio
import json
import logging
import os
import select
import signal
import sys
import traceback
from ctypes import CDLL
from importlib import import_module
from pathlib import Path

from chaos.processes import producer, services, worker

PROCESSES = (producer, services, worker)
PR_SET_PDEATHSIG = 1


def main() -> None:
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    orders = os.fdopen(sys.stdin.fileno(), "rb", buffering=0)
    _tell({"ready": os.getpid()})
    while True:
        readable, _, _ = select.select([orders.fileno(), wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            _bury()
        if orders.fileno() in readable:
            line = orders.readline()
            if not line:
                return  # the children die with us
            _fork(json.loads(line))


def _fork(order: dict[str, str]) -> None:
    parent = os.getpid()
    child = os.fork()
    if child:
        _tell({"order": order["order"], "started": child})
        return
    status = 1
    try:
        _become(order, parent)
        module = import_module(order["module"])
        asyncio.run(module.main())
        status = 0
    except BaseException:  # noqa: BLE001  its end is the status below
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(status)


def _become(order: dict[str, str], parent: int) -> None:
    CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(Path(order["output"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(json.loads(order["environment"]))
    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")


def _bury() -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if child == 0:
            return
        _tell({"ended": child, "status": os.waitstatus_to_exitcode(status)})


def _tell(news: dict[str, object]) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    main()
