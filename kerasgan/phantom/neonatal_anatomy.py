"""The neonatal head at term: the adult's plan, smaller and smoother, in a skull with more fluid.

What differs from the adult follows the textbook picture (such as Barkovich and Raybaud, Pediatric Neuroimaging): a head
of about 0.7 of the adult's length, wider spaces of CSF around the brain, sulci that are shallower the younger the
child, deep grey matter that is one block, white matter without myelin but for brain stem, posterior limb of the
internal capsule and the central tracts, and with wetter patches in front and behind. Skull stripping leaves a rim of
bone and scalp. Sizes were set by eye.

Abnormal neonates, those at risk of ADHD in the study that this stands in for, differ from normal ones in the means of
three sizes that vary in both: deep grey matter is smaller (the sign of Hoogman et al. 2017, Lancet Psychiatry 4:310, in
children), the frontal lobes are set back, and their white matter holds more water. The differences are assumed, and far
larger than any that is known in patients; they overlap, so that no one sign tells the classes apart. From 12 simple
features of the images (200 patients at 2.5 mm, cross-validated) a linear SVM reaches an area under the ROC curve of
0.89 at strength 1, 0.71 at 0.5 and 0.53 at 0.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from kerasgan.phantom.anatomy import (
    Brain,
    Tissues,
    brain_stem,
    caudate,
    cerebellum,
    cerebrum,
    claim,
    core,
    mirror,
    sulcal_field,
    temporal_lobe,
    thalamus,
)
from kerasgan.phantom.shapes import Field, Table, coverage, ellipsoid, random_field, smoothstep, tabulate, tube, union

# Box around every head, mm, and the spacing at which its slowly varying shape is tabulated.
LOW, HIGH, SPACING = (-66.0, -96.0, -72.0), (66.0, 74.0, 80.0), 2.5
MEAN_SCALE = (0.66, 0.70, 0.71)  # relative to the atlas, at 40 weeks
SKULL, SCALP = 2.0, 1.2  # mm below the surface at which skull stripping cuts


@dataclass(frozen=True, kw_only=True)
class NeonatalBrain(Brain):
    """One neonate's brain: see `Brain`. `draw_neonate` makes it."""

    cortex: ClassVar[float] = 3.2  # mm of the atlas, 2.2 mm of the neonate

    maturity: float  # 0 to 1: from 37 to 44 weeks after conception
    space: float  # mm between brain and skull
    nuclei: float  # size of deep grey matter relative to the atlas
    retreat: float  # mm by which the frontal lobes are set back
    wetness: float  # 0 to 1: share of wet white matter in the frontal lobes
    swell: Field = field(repr=False)  # unevenness of the space
    patches: Field = field(repr=False)  # of wet white matter, and of what skull stripping left

    def tissues(self, points: np.ndarray, voxel: float) -> Tissues:
        """See `Brain.tissues`; with "immature", "myelin", "base", "skull" and "scalp"."""
        wide = voxel / float(self.scale.mean())
        tissue = super().tissues(points, wide)
        q = mirror(self._atlas(points))
        patches = self.patches(points)
        self._place_myelin(tissue, q, wide)
        self._place_wet_white_matter(tissue, q, patches)
        self._place_skull(tissue, points, q, patches, voxel)
        return tissue

    def _atlas(self, points: np.ndarray) -> np.ndarray:
        p = super()._atlas(points)
        p[1] += np.float32(self.retreat / self.scale[1]) * smoothstep((p[1] + 5) / 65)
        return p

    def _bottoms(self, reach: np.ndarray, shallow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grown = 0.75 + 0.35 * self.maturity
        return grown * (15 + 6 * reach) * shallow, grown * (3.5 - 6 * reach + 2 * self.maturity) * shallow

    @cached_property
    def _outline(self) -> Table:
        def surface(points: np.ndarray) -> np.ndarray:
            q = mirror(super(NeonatalBrain, self)._atlas(points))
            upper = union(union(cerebrum(q), temporal_lobe(q), 24), core(q), 8)
            cisterns = np.minimum(ellipsoid(q, (0, -34, -16), (42, 36, 18)), ellipsoid(q, (30, 10, -12), (18, 18, 13)))
            cisterns = np.minimum(cisterns, ellipsoid(q, (0, 2, -26), (34, 22, 16)))
            lower = union(union(cerebellum(q), brain_stem(q), 18), cisterns, 10)
            space = np.maximum(self.space + 0.8 * self.swell(points), 0.8)
            return union(upper, lower, 16) * np.float32(self.scale.mean()) - space

        return tabulate(surface, LOW, HIGH, SPACING)

    def _place_nuclei(self, tissue: Tissues, q: np.ndarray, soft: float) -> None:
        middle = np.float32([[17], [-4], [3]])
        near = middle + (q - middle) / np.float32(self.nuclei)
        pallidum = ellipsoid(near, (19.5, -2, -1), (4.5, 9, 7), yaw=-20)
        putamen = ellipsoid(near, (26, 4, 0), (6, 16, 11), yaw=-10)
        hippocampus = tube(q, [(24, -6, -20, 6), (27, -20, -16, 4.5), (23, -36, -5, 3.5)])
        claim(tissue, "pallidum", coverage(pallidum, soft), "white")
        deep = np.minimum(np.minimum(putamen, caudate(near)), thalamus(near))
        claim(tissue, "striatum", coverage(deep, soft), "white")
        # Without myelin, the capsules between the nuclei hardly stand out.
        block = ellipsoid(near, (18, -6, 3), (13, 24, 12), yaw=-14)
        claim(tissue, "striatum", 0.6 * coverage(block, 4), "white")
        claim(tissue, "grey", coverage(hippocampus, soft), "white")

    def _place_myelin(self, tissue: Tissues, q: np.ndarray, wide: float) -> None:
        """Posterior limb of the internal capsule, the tracts above it to the central gyri, brain stem, cerebellum."""
        limb = ellipsoid(q, (20, -12, 5), (2.2, 9, 10), yaw=-35)
        tracts = tube(q, [(22, -14, 12, 3), (24, -18, 28, 3.5), (30, -20, 44, 3)])
        stem, arbor = coverage(brain_stem(q), 3 * wide), coverage(cerebellum(q) + 2, 2 * wide)
        share = 0.4 + 0.45 * self.maturity
        inside = coverage(limb, 4 + wide) * share
        for name in ("white", "striatum"):
            claim(tissue, "myelin", inside, name)
        elsewhere = np.maximum(0.5 * coverage(tracts, 4), np.maximum(0.7 * stem, 0.3 * arbor))
        claim(tissue, "myelin", elsewhere * share, "white")

    def _place_wet_white_matter(self, tissue: Tissues, q: np.ndarray, patches: np.ndarray) -> None:
        x, y, z = q
        frontal = smoothstep((y - 2) / 30) * self.wetness
        crossroads = np.exp(-(((x - 26) / 14) ** 2 + ((y + 58) / 18) ** 2 + ((z - 14) / 18) ** 2)) * 0.6
        young = 0.35 * (1 - self.maturity)
        share = np.clip(frontal + crossroads + young + 0.15 * patches, 0, 1)
        claim(tissue, "immature", share * smoothstep((z + 24) / 12), "white")

    def _place_skull(
        self, tissue: Tissues, points: np.ndarray, q: np.ndarray, patches: np.ndarray, voxel: float
    ) -> None:
        """A dark line of bone, in front a bright one of scalp, and the base of the skull: all in the place of fluid."""
        outline = self.outline(points)
        front = smoothstep(0.25 + 0.35 * patches + (q[1] - 15) / 50)
        below = smoothstep((q[1] + 8) / 10) * smoothstep((-17 - q[2]) / 6)
        claim(tissue, "base", below * np.clip(0.75 + 0.2 * patches, 0, 1), "csf")
        claim(tissue, "skull", 0.85 * coverage(-SKULL - outline, voxel), "csf")
        claim(tissue, "scalp", front * coverage(-SCALP - outline, voxel), "skull")


# Of the three signs: mean, standard deviation, and difference of the classes' means in standard deviations.
SIGNS = {"nuclei": (1.12, 0.07, -2.4), "retreat": (4.0, 1.6, 2.2), "wetness": (0.45, 0.18, 2.5)}


def draw_signs(rng: np.random.Generator, abnormal: bool, strength: float) -> dict[str, float]:
    """The sizes by which the classes differ; at `strength` 0 (to 1) the class makes no difference."""
    shift = strength * (0.5 if abnormal else -0.5)
    drawn = {
        name: mean + deviation * (rng.normal() + shift * apart) for name, (mean, deviation, apart) in SIGNS.items()
    }
    return drawn | {"retreat": max(drawn["retreat"], 0.0), "wetness": float(np.clip(drawn["wetness"], 0, 1))}


def draw_neonate(rng: np.random.Generator, abnormal: bool, strength: float) -> NeonatalBrain:
    """A random neonate's brain of a class; `strength` as of `draw_signs`."""
    maturity = rng.uniform(0, 1)
    signs = draw_signs(rng, abnormal, strength)
    return NeonatalBrain(
        scale=np.array(MEAN_SCALE) * (0.95 + 0.1 * maturity) * rng.normal(1, (0.045, 0.02, 0.02)),
        atrophy=rng.uniform(0.2, 0.7),
        ventricles=float(np.exp(rng.normal(-0.05, 0.3))),
        caps=0.0,
        warp=tuple(random_field(rng, 90, 0.5, cells=32) for _ in range(3)),
        meander=tuple(random_field(rng, 26) for _ in range(3)),
        sulci=tuple(sulcal_field(rng, wavelength) for wavelength in (31, 22)),
        depth=random_field(rng, 30),
        rough=random_field(rng, 20),
        vessels=random_field(rng, 7, cells=96),
        maturity=maturity,
        space=rng.uniform(1.2, 3.0),
        swell=random_field(rng, 60, 0.5, cells=32),
        patches=random_field(rng, 35, 0.6),
        **signs,
    )
