"""A worker process of a chaos run: one node with its services; ends with 0 on SIGTERM."""

import json
import os

from chaos.processes.patience import until_the_ledger_is_there
from chaos.processes.stage import set_stage
from chaos.processes.tasks import build
from headrace.supervisor.node import run_node

QUEUES = "HEADRACE_CHAOS_QUEUES"
GRACE = 5.0


async def main() -> None:
    stage = set_stage()
    queues: dict[str, int] = json.loads(os.environ[QUEUES])
    app = build(stage.middle, queues)
    await until_the_ledger_is_there(lambda: run_node(app, queues, grace=GRACE))
