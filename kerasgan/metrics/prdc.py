"""Precision, recall, density and coverage of synthetic features by nearest neighbours."""

from dataclasses import dataclass

import numpy as np

from kerasgan.metrics.nearest import kth_squared_distance, squared_distances

# A point at the radius itself does not count, and rounding must not decide that.
INSIDE = 1 - 1e-9


@dataclass(frozen=True)
class Prdc:
    """Shares from 0 to 1, but for the density, which has no upper bound; near 1 for samples of one distribution."""

    precision: float  # synthetic points within a ball around a real one (Kynkäänniemi et al. 2019)
    recall: float  # real points within a ball around a synthetic one (the same)
    density: float  # balls around real points that a synthetic one lies in, over k (Naeem et al. 2020)
    coverage: float  # balls around real points that have a synthetic one in them (the same)


def prdc(real: np.ndarray, synthetic: np.ndarray, k: int) -> Prdc:
    """The four measures; a ball reaches up to, without, a point's k-th nearest neighbour in its own set.

    Precision and recall of one distribution lie well below 1 for small k and depend on the number of points, density
    and coverage less so: for n = m the density is expected at 1, the coverage at 1 - (n - 1)...(n - k) / ((2n - 1)...
    (2n - k)), which is 0.97 for k = 5 (Naeem et al. 2020).

    Args:
        real, synthetic: (n, f) and (m, f), each with more than k rows, otherwise ValueError.
        k: which neighbour; 3 in Kynkäänniemi et al., 5 in Naeem et al.
    """
    if not 1 <= k < min(len(real), len(synthetic)):
        raise ValueError(f"neighbour {k} of {len(real)} and {len(synthetic)} points")
    real, synthetic = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    real_radii, synthetic_radii = (kth_squared_distance(each, k) * INSIDE for each in (real, synthetic))  # squared
    balls = np.zeros(len(synthetic), int)  # around real points, per synthetic one
    covered, recalled, first = [], [], 0
    for block in squared_distances(real, synthetic):
        inside = block < real_radii[first : first + len(block), None]
        balls += inside.sum(axis=0)
        covered.append(inside.any(axis=1))
        recalled.append((block < synthetic_radii).any(axis=1))
        first += len(block)
    return Prdc(
        precision=float((balls > 0).mean()),
        recall=float(np.concatenate(recalled).mean()),
        density=float(balls.mean() / k),
        coverage=float(np.concatenate(covered).mean()),
    )
