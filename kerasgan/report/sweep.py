"""A number that is varied, and what was measured at each of its values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from kerasgan.report.figures import save, wrapped

Interval = tuple[float, float, float]  # mean, lower and upper bound


def sweep_plot(
    path: Path,
    numbers: Sequence[int],
    series: Mapping[str, Sequence[Interval]],
    dots: Mapping[str, Mapping[int, float]],
    labels: tuple[str, str],
    title: str,
) -> None:
    """A line with a band per name over `numbers`; `dots`, such as published values, in the line's colour and hollow.

    Args:
        path: the PNG.
        numbers: of the horizontal axis.
        series: name -> mean and bounds at each number.
        dots: name in `series` -> value by number.
        labels: of the horizontal and the vertical axis.
        title: above the plot.
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axis = figure.subplots()
    for name, values in series.items():
        mean, low, high = zip(*values, strict=True)
        (line,) = axis.plot(numbers, mean, marker=".", label=name)
        axis.fill_between(numbers, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        for number, value in dots.get(name, {}).items():
            axis.plot(number, value, marker="o", markerfacecolor="none", color=line.get_color(), linestyle="none")
    axis.set_xlabel(labels[0])
    axis.set_ylabel(labels[1])
    axis.set_ylim(0, 1)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    axis.set_title(wrapped(title, 90), fontsize=8)
    save(figure, path)
