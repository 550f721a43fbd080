"""Small bar charts of a run, as SVG: a chart a table, a panel a column."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.peers.figures import FIGURES
from benchmarks.peers.report import Report
from benchmarks.peers.tables import number

_PLOTS = {
    "peers-drain": ("Drain of no-op jobs", ("drain_1", "drain_2", "mixed")),
    "peers-enqueue": ("Enqueue", ("enqueue_single", "enqueue_concurrent", "enqueue_bulk")),
    "peers-latency": ("Idle latency", ("latency_p50", "latency_p99")),
    "peers-backlog": (
        "Drain at a backlog",
        ("backlog_10000", "backlog_100000", "backlog_1000000"),
    ),
    "peers-recovery": ("Jobs of a killed worker", ("recovery",)),
}
_LOGARITHMIC = "ms"  # latencies span three orders of magnitude
_OURS, _THEIRS, _RANGE = "#0b4f8a", "#9a9a9a", "#303030"
_SMALL = 7


def write_plots(report: Report, folder: Path) -> list[str]:
    """Write each plot that has something to show; the names of the files."""
    return [f"{name}.svg" for name in _PLOTS if _write(report, name, folder)]


def _write(report: Report, name: str, folder: Path) -> bool:
    title, wanted = _PLOTS[name]
    figures = [one for one in wanted if report.results.has(one)]
    if not figures:
        return False
    height = 0.75 + 0.17 * len(report.peers)
    picture = Picture(figsize=(7.6, height), layout="constrained")
    panels = picture.subplots(1, len(figures), sharey=True, squeeze=False)[0]
    for axes, figure in zip(panels, figures, strict=True):
        _bars(axes, report, figure)
    panels[0].set_yticks(
        range(len(report.peers)), [peer.title for peer in report.peers], fontsize=_SMALL
    )
    panels[0].invert_yaxis()
    picture.suptitle(title, fontsize=9)
    picture.savefig(folder / f"{name}.svg", metadata={"Date": None})
    return True


def _bars(axes: Axes, report: Report, figure: str) -> None:
    for place, peer in enumerate(report.peers):
        if sample := report.results.sample(peer.name, figure):
            axes.barh(
                place,
                sample.middle,
                0.72,
                color=_OURS if peer.is_ours else _THEIRS,
                xerr=[[sample.middle - sample.low], [sample.high - sample.middle]],
                error_kw={"elinewidth": 0.7, "ecolor": _RANGE},
            )
    described = FIGURES[figure]
    if described.unit == _LOGARITHMIC:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_title(f"{described.label}, {described.unit}", fontsize=_SMALL, loc="left")
    axes.tick_params(axis="x", labelsize=_SMALL - 1)
    axes.tick_params(axis="y", length=0)
    axes.margins(y=0.01)
    axes.grid(axis="x", linewidth=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
