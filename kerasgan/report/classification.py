"""Pictures of a binary classifier: what it decides, what it attends to, where it looks."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from kerasgan.metrics.classification import Confusion
from kerasgan.report.figures import INCH, grid, save, show, wrapped

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # told apart by the colour-blind (Okabe and Ito 2008)
LINES = ("-", "--", ":", "-.")
HEAT, OUTLINE = "inferno", "deepskyblue"


def confusion_and_roc(
    path: Path,
    confusions: Mapping[str, Confusion],
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, float]],
    names: tuple[str, str],
    title: str,
) -> None:
    """A confusion matrix per level (slices, patients) and one panel with the ROC curve of each.

    Args:
        confusions: per level.
        curves: per level of `confusions`: false and true positive rates, and the area under them. The dot on a curve
            is the decision that its matrix counts.
        names: of the negative and of the positive class.
    """
    figure = Figure(figsize=(2.9 * (len(confusions) + 1) + 0.3, 3.3), layout="constrained")
    figure.suptitle(wrapped(title, 36 * (len(confusions) + 1)), fontsize=9)
    *matrices, roc = figure.subplots(1, len(confusions) + 1, squeeze=False)[0]
    for axis, (level, confusion) in zip(matrices, confusions.items(), strict=True):
        _matrix(axis, confusion, names, level)
    for (level, (false, true, area)), colour, line in zip(curves.items(), cycle(COLOURS), cycle(LINES), strict=False):
        roc.plot(false, true, line, color=colour, linewidth=1.5, label=f"{level}, AUC {area:.3f}", clip_on=False)
        confusion = confusions[level]
        roc.plot(1 - confusion.specificity, confusion.sensitivity, "o", color=colour, clip_on=False)
    roc.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=(0, (1, 2)), label="chance, AUC 0.500")
    roc.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    roc.set_title("ROC; dot: the decision", fontsize=9)
    roc.set_xlabel("1 - specificity", fontsize=8)
    roc.set_ylabel(f"sensitivity ({names[1]})", fontsize=8)
    roc.tick_params(labelsize=7)
    roc.legend(fontsize=7, loc="lower right")
    save(figure, path)


def attention_by_class(path: Path, attention: Mapping[str, np.ndarray], modalities: Sequence[str], title: str) -> None:
    """The attention weight of each slice and its quartiles, per modality and class, and the uniform weight 1/M.

    Args:
        attention: (n, M) of each class, rows adding up to 1.
        modalities: M names.
    """
    figure = Figure(figsize=(1.5 * len(modalities) + 1.5, 3.4), layout="constrained")
    figure.suptitle(wrapped(title, 18 * len(modalities) + 18), fontsize=9)
    axis, rng = figure.subplots(), np.random.default_rng(0)  # of the points' places across a box
    width, uniform = 0.8 / len(attention), 1 / len(modalities)
    axis.axhline(uniform, color="grey", linewidth=1, linestyle="--", label=f"uniform, {uniform:.2f}")
    for k, ((name, weights), colour) in enumerate(zip(attention.items(), cycle(COLOURS), strict=False)):
        centres = np.arange(len(modalities)) + (k - (len(attention) - 1) / 2) * width
        places = centres + rng.uniform(-0.3, 0.3, weights.shape) * width
        axis.scatter(
            places, weights, s=5, color=colour, alpha=0.35, linewidth=0, label=f"{name}, {len(weights)} slices"
        )
        lines = {part: {"color": "black", "linewidth": 1} for part in ("whiskerprops", "capprops")}
        axis.boxplot(
            weights,
            positions=centres,
            widths=0.75 * width,
            showfliers=False,
            boxprops={"color": colour, "linewidth": 1.5},
            medianprops={"color": "black", "linewidth": 2},
            **lines,
        )
    axis.set_xticks(range(len(modalities)), modalities)
    axis.set_xlim(-0.5, len(modalities) - 0.5)
    axis.set_ylabel("attention weight", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.ticklabel_format(axis="y", useOffset=False)
    legend = figure.legend(fontsize=8, loc="outside lower center", ncols=len(attention) + 1, markerscale=3)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    save(figure, path)


def gradcam_sheet(
    path: Path,
    images: Mapping[str, np.ndarray],
    maps: Mapping[str, np.ndarray],
    tumour: np.ndarray,
    captions: Sequence[str],
    title: str,
) -> None:
    """A row per modality, a column per slice: the image, over it the heat map, as opaque as it is hot; the tumour blue.

    Args:
        images: (n, size, size) in [-1, 1] per modality.
        maps: (n, size, size) in [0, 1] of the same modalities.
        tumour: (n, size, size) bool, outlined.
        captions: of the n slices.
    """
    figure, axes = grid(len(images), len(captions), f"{title}; tumour outlined in blue")
    figure.set_size_inches(INCH * len(captions) + 0.9, INCH * len(images) + 0.7)
    for line, (modality, slices) in zip(axes, images.items(), strict=True):
        line[0].text(
            -0.06, 0.5, modality, rotation=90, va="center", ha="right", transform=line[0].transAxes, fontsize=8
        )
        for axis, image, heat, outline in zip(line, slices, maps[modality], tumour, strict=True):
            show(axis, image, "")
            axis.imshow(heat, cmap=HEAT, vmin=0, vmax=1, alpha=np.clip(heat, 0, 1))
            if outline.any():
                axis.contour(outline, [0.5], colors=OUTLINE, linewidths=0.8)
    for axis, caption in zip(axes[0], captions, strict=True):
        axis.set_title(caption, fontsize=7, pad=3)
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), HEAT), ax=axes, shrink=0.6, aspect=30, pad=0.01)
    bar.set_label("Grad-CAM", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    save(figure, path)


def _matrix(axis: Axes, confusion: Confusion, names: tuple[str, str], level: str) -> None:
    """Rows are the truth, columns the decision; counts, and per cent of their row, which also give the shade."""
    counts = np.array([[confusion.tn, confusion.fp], [confusion.fn, confusion.tp]])
    rows = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(rows, 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        shade = share[row, column]
        text = f"{count}\n{100 * shade:.0f} %" if rows[row, 0] else "0"
        axis.text(column, row, text, ha="center", va="center", fontsize=11, color="white" if shade > 0.5 else "black")
    axis.set_title(f"{counts.sum()} {level}, {100 * confusion.accuracy:.1f} % right", fontsize=9)
    axis.set_xticks([0, 1], names, fontsize=8)
    axis.set_yticks([0, 1], names, fontsize=8, rotation=90, va="center")
    axis.tick_params(length=0)
    axis.set_xlabel("decision", fontsize=8)
    axis.set_ylabel("truth", fontsize=8)
