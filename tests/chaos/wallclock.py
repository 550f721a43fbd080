"""A host's wall clock that can be stepped, for processes that are started under it."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.site import Site
from programs import missing

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


@dataclass(frozen=True)
class WallClock:
    """What the processes of a host believe; time since boot goes on as ever."""

    file: Path

    def step(self, offset: str) -> None:
        """Set it off the true time, such as by "+3600" seconds."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.rename(self.file)

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes a process go by it."""
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",  # seconds until a step is seen
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def rules(self, site: Site) -> Site:
        """The same run, whose processes go by this clock."""
        return replace(site, environment={**site.environment, **self.environment})

    def off(self) -> float:
        """How far it is off, in seconds, as a process sees it."""
        command = [sys.executable, "-c", "import time; print(time.time())"]
        environment = {**os.environ, **self.environment}
        seen = subprocess.run(command, env=environment, capture_output=True, check=True)
        return float(seen.stdout) - time.time()


def wall_clock(folder: Path) -> WallClock:
    """A clock that is right; the test is skipped where there is no library for it."""
    if not LIBRARIES:
        missing("libfaketime", "faketime")
    clock = WallClock(folder / "clock")
    clock.step("+0")
    return clock
