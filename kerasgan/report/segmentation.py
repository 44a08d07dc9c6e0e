"""Pictures of segmentations: the true outline and the predicted one on the slice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasgan.report.figures import grid, save, show


@dataclass(frozen=True)
class SegmentedSlice:
    """Arrays (size, size): the image in [-1, 1], the mask bool, the predicted probability in [0, 1]."""

    name: str
    image: np.ndarray
    mask: np.ndarray
    probability: np.ndarray


def segmentation_grid(path: Path, rows: Sequence[SegmentedSlice], title: str) -> None:
    """Per row: the slice, the true mask outlined in yellow, the predicted one (above 1/2) in red, the probability."""
    figure, axes = grid(len(rows), 4, title)
    for line, row in zip(axes, rows, strict=True):
        show(line[0], row.image, row.name)
        for axis, region, colour, name in (
            (line[1], row.mask, "gold", "true tumour, yellow"),
            (line[2], row.probability > 0.5, "red", "predicted (above 0.5), red"),
        ):
            show(axis, row.image, name)
            if region.any() and not region.all():
                axis.contour(region, [0.5], colors=colour, linewidths=0.8)
        show(line[3], 2 * row.probability - 1, "probability, 0 to 1")
    save(figure, path)
