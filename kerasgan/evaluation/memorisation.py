"""Are synthetic images copies of training images? Distances to the nearest one, against those of real held-out images.

A generator that has learnt the distribution comes as near to its training images as images of other patients do. The
baseline is the distance of each held-out real image to its nearest training image; of synthetic images 1 % and 5 % are
expected below its 1st and 5th percentile. More may be memorisation, or images smoother than real ones, which lie nearer
to everything in pixels: look at the worst pairs. Fewer is no guarantee of privacy: a copy can be hidden from a
distance, say by a shift. The held-out images of a patient depend on one another, so few patients make a rough baseline.
"""

from dataclasses import dataclass

import numpy as np

from kerasgan.metrics.nearest import nearest

PERCENTILES = (1, 5)  # of the baseline


@dataclass(frozen=True)
class Memorisation:
    """Of n synthetic and m held-out images."""

    nearest: np.ndarray  # int (n,), the nearest training image of each synthetic one
    distances: np.ndarray  # float64 (n,), to it
    baseline: np.ndarray  # float64 (m,), of each held-out image to its nearest training image

    def percentile(self, percent: int) -> float:
        """The distance below which so many per cent of the baseline lie."""
        return float(np.percentile(self.baseline, percent))

    def share_below(self, percent: int, distances: np.ndarray) -> float:
        """The share, 0 to 1, of distances that are smaller than that percentile."""
        return float((distances < self.percentile(percent)).mean())

    def worst(self, count: int) -> np.ndarray:
        """The `count` synthetic images that are nearest to a training image, the nearest first."""
        return np.argsort(self.distances, kind="stable")[:count]


def memorisation(training: np.ndarray, held_out: np.ndarray, synthetic: np.ndarray) -> Memorisation:
    """Euclidean distances between features (t, f), (m, f) and (n, f); no patient is in both real sets."""
    index, distances = nearest(synthetic, training)
    return Memorisation(index, distances, nearest(held_out, training)[1])
