"""Small bar charts of a run, as SVG."""

from pathlib import Path

from matplotlib.figure import Figure as Picture

from benchmarks.peers.figures import FIGURES
from benchmarks.peers.report import Report

_PLOTS = {
    "peers-drain": ("drain_1", "drain_2"),
    "peers-enqueue": ("enqueue_single", "enqueue_concurrent", "enqueue_bulk"),
    "peers-latency": ("latency_p50", "latency_p99"),
    "peers-backlog": ("backlog_10000", "backlog_100000", "backlog_1000000"),
    "peers-recovery": ("recovery",),
}
_TITLES = {
    "peers-drain": "Drain of no-op jobs",
    "peers-enqueue": "Enqueue",
    "peers-latency": "Idle latency",
    "peers-backlog": "Drain at a backlog",
    "peers-recovery": "All jobs of a killed worker run again",
}
_LOGARITHMIC = {"peers-enqueue", "peers-latency"}
_OURS, _THEIRS = ("#0b4f8a", "#3f86c4", "#8fbce6"), ("#4a4a4a", "#8a8a8a", "#c4c4c4")


def write_plots(report: Report, folder: Path) -> list[str]:
    """Write each plot that has something to show; the names of the files."""
    return [f"{name}.svg" for name in _PLOTS if _write(report, name, folder)]


def _write(report: Report, name: str, folder: Path) -> bool:
    figures = [one for one in _PLOTS[name] if report.results.has(one)]
    shown = (
        [peer for peer in report.peers if report.results.sample(peer.name, figures[0])]
        if figures
        else []
    )
    if not shown:
        return False
    picture = Picture(figsize=(7.2, 0.9 + 0.19 * len(shown) * (len(figures) + 0.6)))
    axes = picture.subplots()
    height = 0.8 / len(figures)
    for turn, figure in enumerate(figures):
        for place, peer in enumerate(shown):
            if sample := report.results.sample(peer.name, figure):
                colour = (_OURS if peer.is_ours else _THEIRS)[turn]
                error = [[sample.middle - sample.low], [sample.high - sample.middle]]
                axes.barh(
                    place + (turn + 0.5) * height - 0.4, sample.middle, height, color=colour,
                    xerr=error, error_kw={"elinewidth": 0.6, "ecolor": "#b03030"},
                )  # fmt: skip
    axes.set_yticks(range(len(shown)), [peer.title for peer in shown], fontsize=8)
    axes.invert_yaxis()
    if name in _LOGARITHMIC:
        axes.set_xscale("log")
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", linewidth=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend = ", ".join(FIGURES[one].label for one in figures)
    unit = FIGURES[figures[0]].unit
    axes.set_title(f"{_TITLES[name]}: {legend} ({unit})", fontsize=9, loc="left")
    picture.tight_layout()
    picture.savefig(folder / f"{name}.svg", metadata={"Date": None})
    return True
