"""Pituitary macroadenomas: round or snowman-shaped masses on the midline, from the sella up to the optic chiasm.

Their shape follows Gupta et al. 2018 (J Nat Sci Biol Med 9:34): they outgrow the sella upwards and downwards more than
to the sides, which makes some a snowman. They are larger than 10 mm by definition, like grey matter on T1 and T2, and
enhance moderately (Radiopaedia, "Pituitary macroadenoma", revision of 2023). Microadenomas, bleeding and cysts are not
modelled. Probabilities and sizes below are assumed, and so is that skull stripping spares the tumour: the sella lies
below the surface at which it cuts.
"""

from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.anatomy import Brain, Tissues
from kerasgan.phantom.mass import Mass, draw_texture
from kerasgan.phantom.shapes import coverage, union
from kerasgan.phantom.tumour import ENHANCING

SELLA = (0.0, 4.0, -32.0)  # the middle of its floor, mm, atlas; the chiasm lies about 16 mm above
MARGIN = 1.5  # mm that skull stripping leaves around the tumour


@dataclass(frozen=True, kw_only=True)
class PituitaryTumour(Mass):
    """One macroadenoma: a ball in the sella, and above it a second one in a snowman."""

    snowman: bool

    def outline(self, points: np.ndarray, brain: Brain) -> np.ndarray:
        """Signed distance (n) to the surface at which skull stripping cuts: around the brain and the tumour."""
        return union(brain.outline(points), self.depth(points) - np.float32(MARGIN), 4)

    def invade(self, points: np.ndarray, tissue: Tissues, voxel: float, brain: Brain) -> tuple[Tissues, np.ndarray]:
        """The tissue fractions with the tumour in place, and the BraTS labels (n) uint8."""
        core = coverage(self.depth(points), max(voxel, 1.0))
        labels = np.where(core > 0.5, ENHANCING, 0)
        return self.fill(tissue, "adenoma", core, points), labels.astype(np.uint8)


def draw_pituitary_tumour(rng: np.random.Generator, brain: Brain) -> PituitaryTumour:
    """A random macroadenoma below a brain, about 13 to 30 mm wide."""
    snowman = bool(rng.random() < 0.4)
    radius = float(np.clip(rng.lognormal(np.log(11), 0.2), 7, 11.5 if snowman else 15))
    floor = np.array(SELLA) * brain.scale + rng.normal(0, (0.8, 1, 1))
    root, lobules = np.array([0, 0, radius]), [(0, 0, radius, radius)]  # from the floor
    if snowman:
        lower, upper = 0.9 * radius, radius * rng.uniform(0.75, 0.95)
        root = np.array([0, 0, 1.75 * lower])  # the waist
        lobules = [(0, 0, lower, lower), (0, 0.1 * rng.normal() * upper, root[2] + 0.75 * upper, upper)]
    return PituitaryTumour(
        snowman=snowman,
        root=np.float32(floor + root),
        lobules=np.float32(lobules) + np.float32([*floor, 0]),
        push=rng.uniform(0.75, 0.95),
        mottle=rng.uniform(0.1, 0.3),
        **draw_texture(rng, radius),
    )
