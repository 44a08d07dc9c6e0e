"""Pictures of pairs: a synthetic image beside the training image that is nearest to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasgan.report.figures import grid, save, show, wrapped

PAIRS_PER_ROW = 2
CHARACTERS = 30  # of a name in one line


@dataclass(frozen=True)
class Pair:
    """Two images (height, width) in [-1, 1], their names and their distance."""

    synthetic: np.ndarray
    real: np.ndarray
    synthetic_name: str
    real_name: str
    distance: float


def pairs_picture(path: Path, pairs: Sequence[Pair], title: str) -> None:
    """Two pairs to a row, in their order: synthetic left, real right with the distance."""
    figure, axes = grid(-(-len(pairs) // PAIRS_PER_ROW), 2 * PAIRS_PER_ROW, title)
    cells = axes.reshape(-1, 2)
    for (left, right), pair in zip(cells, pairs, strict=False):
        show(left, pair.synthetic, wrapped(f"synthetic {pair.synthetic_name}", CHARACTERS))
        show(right, pair.real, wrapped(f"real {pair.real_name}", CHARACTERS) + f"\ndistance {pair.distance:.4g}")
    save(figure, path)
