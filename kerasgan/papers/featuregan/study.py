"""What Mehra et al. report, ours beside it: Table 2, Table 3 and the sweep of 4.2.4; of 4.2.3 see generation.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t as students_t

from kerasgan.papers.featuregan import published
from kerasgan.papers.featuregan.classification import OURS
from kerasgan.papers.featuregan.segmentation import best_epochs, cautions
from kerasgan.papers.featuregan.settings import StudySettings
from kerasgan.report.tables import Table

MEASURES = ("class1", "class0", "total", *OURS)  # in the order of Table 3, and ours


@dataclass(frozen=True)
class Point:
    """The classifier with so many synthetic features: accuracies of each training, by measure."""

    count: int
    added: Mapping[str, int]  # of each class
    values: Mapping[str, Sequence[float]]


def interval(values: Sequence[float], confidence: float) -> tuple[float, float, float]:
    """Mean, lower and upper bound of Student's interval for the mean of at least two shares, cut to [0, 1]."""
    mean, n = float(np.mean(values)), len(values)
    half = float(students_t.ppf(0.5 + confidence / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))
    return mean, max(0.0, mean - half), min(1.0, mean + half)


def unet_table(metrics: dict[str, Any], loss: str) -> Table:
    """Table 2, whose values survive without the names of their rows; `loss` was trained with."""
    names = {"loss": "soft Dice loss", "dice": "hard Dice", "iou": "IoU"}
    rows = [
        [shown, *best_epochs(metrics["best"], name, loss), f"{metrics['delivered'][name]:.3f}"]
        for name, shown in names.items()
    ]
    dice, spread = metrics["patients"]["dice"]
    values = " and ".join(map(str, published.TABLE_2))
    return Table(
        "table2",
        "Table 2: U-Net",
        ["measure", "best, training", "best, validation", "delivered, held out"],
        rows,
        [
            *cautions(metrics),
            f"Mehra et al.: {values} survive in the text, without the names of their rows and columns. Ours, of whole "
            f"held-out patients: hard Dice {dice:.3f} (SD {spread:.3f}).",
        ],
    )


def sweep_table(
    points: Sequence[Point], linear: Mapping[str, float], study: StudySettings, confidence: float, notes: Sequence[str]
) -> Table:
    """Table 3 and section 4.2.4: accuracies on real held-out slices by the number of synthetic features."""
    rows = [["linear, down-sampled", "0", *(f"{linear[name]:.3f}" for name in MEASURES), "HGG always"]]
    for point in points:
        cells = []
        for name in MEASURES:
            mean, low, high = interval(point.values[name], confidence)
            cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}]")
        known = published.TABLE_3.get(point.count)
        theirs = " / ".join(map(str, known)) if known else "–"
        added = ", ".join(f"{count} {name}" for name, count in point.added.items())
        rows.append(["classifier", f"{point.count} ({added})" if point.count else "0", *cells, theirs])
    theirs = "Mehra et al.: HGG / LGG / total"
    header = ["", "synthetic", study.positive, study.negative, "total", *OURS.values(), theirs]
    return Table("table3", "Table 3: accuracy with synthetic features", header, rows, notes)
