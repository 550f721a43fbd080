"""One small chart: CPU a job in each dimension, as SVG."""

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.growth.plan import MODES
from benchmarks.growth.report import Report

NAME = "growth.svg"
_COLOURS = dict(zip(MODES, ("#0b4f8a", "#c2571a"), strict=True))
_LINES = {"worker_cpu": "-", "postgres_cpu": "--"}


def write_plot(report: Report, folder: Path) -> str:
    """Write it; its name."""
    dimensions = list(report.plan.sizes)
    picture = Figure(figsize=(2.3 * len(dimensions), 2.6), layout="constrained")
    panels = picture.subplots(1, len(dimensions), sharey=True, squeeze=False)[0]
    for axes, dimension in zip(panels, dimensions, strict=True):
        for mode in MODES:
            points = [one for one in report.found if (one.mode, one.dimension) == (mode, dimension)]
            for figure, line in _LINES.items():
                axes.plot(
                    [max(point.size, 1) for point in points],
                    [report.found[point][figure] for point in points],
                    line,
                    color=_COLOURS[mode],
                    marker=".",
                    linewidth=1,
                    label=f"{mode}, {figure.removesuffix('_cpu')}",
                )
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_title(dimension, fontsize=8, loc="left")
        axes.tick_params(labelsize=7)
        axes.grid(linewidth=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("CPU, us a job", fontsize=7)
    panels[0].legend(fontsize=6, frameon=False)
    picture.savefig(folder / NAME, metadata={"Date": None})
    return NAME
