"""Pictures of slices: images in [-1, 1], upright, in grey."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kerasgan.files import written_aside

INCH = 1.6  # of one image
LINE = 0.17  # inches, of a title
DPI = 130
GREY = "grey from -1 (black) to 1 (white)"
PANELS = 3  # of curves side by side, at most
WRITTEN = {"psnr": "PSNR", "ssim": "SSIM", "iou": "IoU", "l1": "L1"}  # in legends
FEW = 30  # points of a curve that are marked: a single one has no line


@dataclass(frozen=True)
class TranslationRow:
    """One slice and its translation; arrays (size, size), images in [-1, 1], tumour bool."""

    source: str
    target: str
    real_source: np.ndarray
    synthetic: np.ndarray
    real_target: np.ndarray
    tumour: np.ndarray


def translation_grid(path: Path, rows: Sequence[TranslationRow], title: str) -> None:
    """Per row: real source, synthetic target, real target, absolute difference; the tumour outlined in yellow."""
    figure, axes = grid(len(rows), 4, f"{title}; tumour outlined in yellow")
    for line, row in zip(axes, rows, strict=True):
        images = (row.real_source, row.synthetic, row.real_target)
        names = (f"real {row.source}", f"synthetic {row.target}", f"real {row.target}")
        for axis, image, name in zip(line, images, names, strict=False):
            show(axis, image, name)
            if row.tumour.any():
                axis.contour(row.tumour, [0.5], colors="gold", linewidths=0.5)
        line[3].imshow(np.abs(row.synthetic - row.real_target), cmap="inferno", vmin=0, vmax=1)
        line[3].set_title("|difference|, 0 to 1", fontsize=6, pad=2)
    save(figure, path)


def boxed_grid(
    path: Path, rows: Sequence[tuple[str, Mapping[str, np.ndarray]]], columns: Sequence[str], title: str
) -> None:
    """A column per name; in each row one image is real and boxed red, the others are synthetic.

    `rows` holds (name of the real one, {name: image}).
    """
    figure, axes = grid(len(rows), len(columns), title)
    for line, (real, images) in zip(axes, rows, strict=True):
        for axis, name in zip(line, columns, strict=True):
            if name not in images:
                continue
            show(axis, images[name], f"{'real' if name == real else 'synthetic'} {name}")
            if name == real:
                box = Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, color="red", linewidth=2.5)
                axis.add_patch(box)
    save(figure, path)


def curves(
    path: Path,
    history: Mapping[str, np.ndarray],
    groups: Mapping[str, Sequence[str]],
    title: str,
    stages: Mapping[str, int],
) -> None:
    """One panel per group of columns of a history, over the epochs; columns without a value are left out.

    `stages` holds the epochs of each stage of the run by its name. Where there are several, dashed lines part them, and
    an axis above names them, without the zeros that put folders in order.
    """
    drawn = {
        panel: [name for name in names if name in history and np.isfinite(history[name]).any()]
        for panel, names in groups.items()
    }
    drawn = {panel: names for panel, names in drawn.items() if names}
    rows = -(-len(drawn) // PANELS)
    columns = -(-len(drawn) // rows)
    head = wrapped(title, 62 * columns)
    figure = Figure(figsize=(4 * columns, 3 * rows + LINE * (2 + head.count("\n"))), layout="constrained")
    figure.suptitle(head, fontsize=9)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(drawn) :]:
        axis.remove()
    for axis, (panel, names) in zip(axes, drawn.items(), strict=False):
        _panel(axis, panel, {name: history[name] for name in names}, history["epoch"])
        if len(stages) > 1:
            _part(axis, stages)
    save(figure, path)


def _panel(axis: Axes, title: str, columns: Mapping[str, np.ndarray], epoch: np.ndarray) -> None:
    for name, values in columns.items():
        known = np.isfinite(values)
        marker = "." if known.sum() < FEW else None
        axis.plot(epoch[known], values[known], label=_legend(name), linewidth=1, marker=marker)
    axis.set_title(title, fontsize=9)
    axis.set_xlabel("epoch", fontsize=8)
    axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7)


def _legend(column: str) -> str:
    return " ".join(WRITTEN.get(word, word) for word in column.split("_"))


def _part(axis: Axes, stages: Mapping[str, int]) -> None:
    """Dashed lines between the epochs of stages, and the stages' names above."""
    ends = np.cumsum(list(stages.values())) + 0.5
    for end in ends[:-1]:
        axis.axvline(end, color="grey", linewidth=0.8, linestyle="--")
    above = axis.secondary_xaxis("top")
    names = [name.lstrip("0") for name in stages]
    above.set_xticks(ends - np.array(list(stages.values())) / 2, names, fontsize=7)
    above.tick_params(length=0)
    above.set_xlabel("stage", fontsize=7)


def grid(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    """A figure under a title with (rows, columns) axes for images as `show` has them, none of them framed."""
    head = wrapped(f"{title}; {GREY}", 22 * columns)
    height = (INCH + 0.15) * rows + LINE * (2 + head.count("\n"))
    figure = Figure(figsize=(INCH * columns, height), layout="constrained")
    figure.suptitle(head, fontsize=7)
    # Ticks that nobody sees would take half of the time.
    axes = figure.subplots(rows, columns, squeeze=False, subplot_kw={"xticks": [], "yticks": []})
    for axis in axes.flat:
        axis.axis("off")
    return figure, axes


def wrapped(title: str, characters: int) -> str:
    """A title in lines of at most so many characters, so that it stays within its figure."""
    return "\n".join(textwrap.wrap(title, characters))


def show(axis: Axes, image: np.ndarray, name: str) -> None:
    """An image in [-1, 1] in grey under its name."""
    axis.imshow(image, cmap="gray", vmin=-1, vmax=1)
    axis.set_title(name, fontsize=6, pad=2)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as a whole PNG."""
    with written_aside(path) as aside:
        FigureCanvasAgg(figure).print_figure(aside, dpi=DPI, format="png")
