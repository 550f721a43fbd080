"""The files that a run leaves: JSON, Markdown and, where matplotlib is installed, plots."""

from importlib.util import find_spec
from pathlib import Path

from benchmarks.peers.report import Report


def write_outputs(report: Report, folder: Path) -> list[Path]:
    """Write them into the folder; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    plots: list[str] = []
    if find_spec("matplotlib") is not None:
        from benchmarks.peers.plots import write_plots  # noqa: PLC0415 - of its own group

        plots = write_plots(report, folder)
    (folder / "peers.json").write_text(report.as_json())
    (folder / "peers.md").write_text(report.as_markdown(plots))
    return [folder / name for name in ("peers.json", "peers.md", *plots)]
