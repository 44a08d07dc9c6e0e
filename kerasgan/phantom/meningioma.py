"""Meningiomas: round masses with a broad base on the dura, outside the brain.

What they look like follows the typical picture in Watts et al. 2014 (Insights Imaging 5:113): on T1 and T2 much like
grey matter, strong and even enhancement, a sharp margin, often a cleft of CSF to the brain, which buckles, and oedema
beside a part of them. Their sites follow the atlas of 602 patients by Hosainey et al. 2021 (Neurosurg Rev,
10.1007/s10143-021-01652-9), with more tumours beside the sagittal sinus, along the falx and on the skull base of the
frontal and middle fossa; here they are the convexity, the parasagittal place, where the falx bounds the mass too, and
the sphenoid wing. The sites' shares, the sizes and all other numbers below are assumed. Dural tails, calcification and
the bone's reaction are not modelled: skull stripping takes dura and bone away.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.anatomy import Brain, Tissues
from kerasgan.phantom.mass import Mass, draw_texture, take
from kerasgan.phantom.shapes import coverage
from kerasgan.phantom.tumour import ENHANCING, OEDEMA, swell

# The dural base: it lies where the line from HUB through such a point leaves the head. Mean and standard deviation (mm,
# atlas) on the right side, and the site's share; the tumour's side is a coin.
HUB = (0.0, -17.0, 10.0)
SITES: Mapping[str, tuple[tuple[float, float, float], tuple[float, float, float], float]] = {
    "convexity": ((60, 0, 42), (7, 30, 16), 0.4),
    "parasagittal": ((8, -8, 78), (3, 32, 3), 0.35),
    "sphenoid wing": ((36, 20, -20), (4, 3, 2), 0.25),
}
FALX_HOLDS = 5.0  # mm that the tumour would have to grow for each that it crosses the falx
FALX_YIELDS = 6.0  # mm over which a push beyond the falx fades
OEDEMA_FADES = 8.0  # mm


@dataclass(frozen=True, kw_only=True)
class Meningioma(Mass):
    """One meningioma: a ball that the brain's surface cuts, `root` being the middle of the dural base."""

    site: str
    cleft: float  # mm of CSF between tumour and brain
    oedema: float  # mean reach into the brain, mm; 0 without

    def invade(self, points: np.ndarray, tissue: Tissues, voxel: float, brain: Brain) -> tuple[Tissues, np.ndarray]:
        """The tissue fractions with the tumour in place, and the BraTS labels (n) uint8."""
        depth = self.depth(points) + np.float32(FALX_HOLDS) * self._barrier(points, brain)
        tissue = dict(tissue)
        spread = np.zeros_like(depth)
        if self.oedema:
            spread = coverage(depth - self.oedema * (1 + 0.4 * self.shape(-points)), OEDEMA_FADES)
        tissue["oedema"] = swell(tissue, spread)
        sharp = max(voxel, 1.0)
        core = coverage(depth, sharp)
        if self.cleft:
            tissue = take(tissue, "csf", coverage(depth - self.cleft, sharp))
        tissue = self.fill(tissue, "meningioma", core, points)
        labels = np.where(tissue["oedema"] > 0.4, OEDEMA, 0)
        return tissue, np.where(core > 0.5, ENHANCING, labels).astype(np.uint8)

    def _yields(self, points: np.ndarray, brain: Brain) -> np.ndarray:
        return np.exp(-self._barrier(points, brain) / np.float32(FALX_YIELDS))

    def _barrier(self, points: np.ndarray, brain: Brain) -> np.ndarray:
        return brain.barrier(points, np.sign(self.root[0]))


def draw_meningioma(rng: np.random.Generator, brain: Brain) -> Meningioma:
    """A random meningioma on a brain, 22 to 56 mm wide."""
    site = str(rng.choice(list(SITES), p=[share for *_, share in SITES.values()]))
    root, inwards = _draw_base(rng, site, brain)
    radius = float(np.clip(rng.lognormal(np.log(17), 0.25), 11, 28))
    centre = root + radius * rng.uniform(0.25, 0.65) * inwards
    return Meningioma(
        site=site,
        root=np.float32(root),
        lobules=np.float32([(*centre, radius)]),
        push=rng.uniform(0.7, 0.95),
        mottle=rng.uniform(0.0, 0.15),
        cleft=rng.uniform(0.5, 1.8) if rng.random() < 0.75 else 0.0,
        oedema=float(np.clip(rng.lognormal(np.log(9), 0.4), 4, 20)) if rng.random() < 0.5 else 0.0,
        **draw_texture(rng, radius),
    )


def _draw_base(rng: np.random.Generator, site: str, brain: Brain) -> tuple[np.ndarray, np.ndarray]:
    """A place (3) on the brain's surface at a site, and the unit vector (3) from there into the head."""
    mean, spread, _ = SITES[site]
    x, y, z = rng.normal(mean, spread)
    hub = np.array(HUB) * brain.scale
    along = np.array([rng.choice((-1.0, 1.0)) * abs(x), y, z]) * brain.scale - hub
    along /= np.linalg.norm(along)
    way = np.arange(0, 130, 0.25)
    line = np.float32(hub[:, None] + along[:, None] * way)
    root = line[:, np.flatnonzero(brain.outline(line) < 0)[-1]]
    step = 4.0  # mm, beyond the spacing of the tabulated outline
    ends = np.float32(root[:, None] + step * np.concatenate([np.eye(3), -np.eye(3)], axis=1))
    slope = brain.outline(ends)
    slope = slope[:3] - slope[3:]
    return root, -slope / np.linalg.norm(slope)
