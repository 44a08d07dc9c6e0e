"""What extra-axial tumours, which grow beside the brain and not in it, have in common.

They are solid, round and sharp, enhance evenly, and push the brain away: a cortex that buckles around the mass instead
of being replaced is what tells them from gliomas. How far a push reaches is assumed.
"""

from dataclasses import dataclass, field

import numpy as np

from kerasgan.phantom.anatomy import Brain, Tissues
from kerasgan.phantom.shapes import Field, random_field, union

REACH = 1.25  # of a push into the brain, in radii of the mass


@dataclass(frozen=True, kw_only=True)
class Mass:
    """A tumour outside the brain's substance. Lengths in mm, places in the patient's coordinates (see `shapes`)."""

    root: np.ndarray  # (3,) where growth began: inside every lobule
    lobules: np.ndarray = field(repr=False)  # (k, 4) centre and radius
    push: float  # share of its extent by which the brain gave way, 0 to 1
    mottle: float  # share of its parts that enhance less, 0 to 1
    shape: Field = field(repr=False)
    detail: Field = field(repr=False)

    @property
    def radius(self) -> float:
        """Of the largest lobule."""
        return float(self.lobules[:, 3].max())

    def outline(self, points: np.ndarray, brain: Brain) -> np.ndarray:
        """Signed distance (n) to the surface at which skull stripping cuts: the brain's."""
        return brain.outline(points)

    def displace(self, points: np.ndarray, brain: Brain) -> np.ndarray:
        """Where the tissue now at `points` (3, n) was before the tumour grew from its root and pushed it outwards."""
        offset = points - self.root[:, None]
        distance = np.maximum(np.sqrt((offset**2).sum(0)), np.float32(1e-3))
        extent = self._extent(offset / distance)
        beyond = np.maximum(distance - extent, 0)
        shift = np.float32(self.push) * extent * np.exp(-beyond / np.float32(REACH * self.radius))
        return points - offset * (np.minimum(shift, distance) / distance * self._yields(points, brain))

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Signed distance (n) to the tumour's slightly uneven surface, negative inside."""
        depth = None
        for *centre, radius in self.lobules:
            ball = np.sqrt(((points - np.float32(centre)[:, None]) ** 2).sum(0)) - radius
            depth = ball if depth is None else union(depth, ball, 0.2 * self.radius)
        return depth + np.float32(0.07 * self.radius) * self.shape(points)

    def fill(self, tissue: Tissues, name: str, share: np.ndarray, points: np.ndarray) -> Tissues:
        """The fractions with a `share` (n) of each voxel made of the enhancing tissue `name` and duller spots."""
        dull = share * np.float32(self.mottle) * (0.5 + 0.5 * np.tanh(self.detail(points)))
        return take(tissue, name, share) | {name: share - dull, "tumour": dull}

    def _yields(self, points: np.ndarray, brain: Brain) -> np.ndarray | float:
        """How far (0 to 1, n) the tissue at `points` gives way."""
        return 1.0

    def _extent(self, direction: np.ndarray) -> np.ndarray:
        """How far (n) the tumour reaches from its root in unit directions (3, n)."""
        reach = []
        for *centre, radius in self.lobules:
            offset = np.float32(centre) - self.root
            along = offset @ direction
            reach.append(along + np.sqrt(along**2 + (radius**2 - offset @ offset)))
        return np.maximum.reduce(reach)


def draw_texture(rng: np.random.Generator, radius: float) -> dict[str, Field]:
    """The random fields of a mass of some radius (mm): its uneven surface, and the spots in it."""
    return {"shape": random_field(rng, 1.5 * radius, 0.5), "detail": random_field(rng, 10, 0.6)}


def take(tissue: Tissues, name: str, share: np.ndarray) -> Tissues:
    """The fractions after `name` took a `share` (0 to 1, n) of each voxel from all tissues alike."""
    taken = {other: fraction * (1 - share) for other, fraction in tissue.items()}
    return taken | {name: taken.get(name, 0) + share}
