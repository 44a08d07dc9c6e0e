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
    figure, axes = grid(len(rows), 4, title)
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
            show(axis, images[name], name)
            if name == real:
                box = Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, color="red", linewidth=2.5)
                axis.add_patch(box)
    save(figure, path)


def curves(path: Path, history: Mapping[str, np.ndarray], groups: Mapping[str, Sequence[str]]) -> None:
    """One panel per group of columns of a history, over the epochs; columns without a value are left out."""
    drawn = {
        title: [name for name in names if name in history and np.isfinite(history[name]).any()]
        for title, names in groups.items()
    }
    drawn = {title: names for title, names in drawn.items() if names}
    figure = Figure(figsize=(4 * len(drawn), 2.8), layout="constrained")
    for axis, (title, names) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items(), strict=True):
        for name in names:
            known = np.isfinite(history[name])
            axis.plot(history["epoch"][known], history[name][known], label=name.replace("_", " "), linewidth=1)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("epoch", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.legend(fontsize=6)
    save(figure, path)


def grid(rows: int, columns: int, title: str) -> tuple[Figure, np.ndarray]:
    """A figure under a title with (rows, columns) axes for images, none of them framed."""
    figure = Figure(figsize=(INCH * columns, (INCH + 0.15) * rows + 0.6), layout="constrained")
    figure.suptitle(wrapped(title, 22 * columns), fontsize=7)
    axes = figure.subplots(rows, columns, squeeze=False)
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
        FigureCanvasAgg(figure).print_figure(aside, dpi=130, format="png")
