"""The adult head: a skull-stripped brain as tissue fractions at any set of points.

A hand-made model in the manner of a stereotaxic atlas: coordinates are mm from the anterior commissure, x right, y
anterior, z superior, near MNI space; places and sizes of the structures were set by hand after the textbook picture
(such as the atlas of Talairach and Tournoux, 1988), not fitted. Both halves are drawn at once on |x|; a smooth random
deformation, other folds and other sizes make each patient's own brain.

- Solids: cerebrum, temporal lobes, the core (corpus callosum and basal ganglia), brain stem and cerebellum as
  ellipsoids and tubes.
- Folds: sulci are sheets, the zero sets of narrow-band random fields on the pial surface, carried inwards along the
  surface normal to a random depth; the cortex is what lies within 2.7 mm of a sheet or of the outer surface (Fischl
  and Dale 2000, PNAS 97:11050: 1 to 4.5 mm, mean about 2.5 mm).
- Deep structures: lateral, third and fourth ventricles, caudate, putamen, pallidum, thalamus, hippocampus, red nucleus
  and substantia nigra, choroid plexus, venous sinuses, larger arteries.

An anatomy is any object with the public members of `Brain`; `neonatal_anatomy` has another one.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from scipy import ndimage

from kerasgan.phantom.shapes import (
    Field,
    Table,
    beyond,
    coverage,
    ellipsoid,
    random_field,
    sheet_coverage,
    smoothstep,
    tabulate,
    tube,
    union,
)

Tissues = dict[str, np.ndarray]

CORTEX = 2.7  # mm
# Box around every head, mm, and the spacing at which its slowly varying shape is tabulated.
LOW, HIGH, SPACING = (-84.0, -126.0, -90.0), (84.0, 90.0, 96.0), 3.0
# The atlas brain is larger than the mean patient's; the masks of BraTS hold about 1.4 litres.
MEAN_SCALE = (0.975, 0.955, 0.97)


# ---- solids: signed distances at mirrored points q, where x >= 0 ----------------------------------------------------


def cerebrum(q: np.ndarray) -> np.ndarray:
    """Both hemispheres in one piece, without the temporal lobes: a dome over the orbits and the tentorium."""
    x, y, z = q
    dome = ellipsoid(q, (0, -17, 7), (67, 88, 72))
    knots = [(-110, -15), (-80, -17), (-55, -14), (-30, -12), (-5, -10), (15, -19), (35, -20), (60, -18), (75, -10)]
    floor = np.interp(y, *np.float32(knots).T).astype(np.float32)
    floor += (2 * smoothstep((x - 6) / 12) + 9 * smoothstep((x - 30) / 20)) * smoothstep(y / 20)
    floor -= 9 * smoothstep((x - 12) / 40) * smoothstep((-35 - y) / 20)
    return -union(-dome, z - floor, 8)


def temporal_lobe(q: np.ndarray) -> np.ndarray:
    """Lateral part, and the fusiform, hippocampal and lingual gyri."""
    lobe = tube(q, [(42, 15, -24, 12.5), (48, -4, -24, 17), (52, -30, -17, 18), (47, -58, -8, 19)])
    hippocampal = tube(q, [(24, -2, -22, 8), (24, -28, -16, 11), (17, -48, -5, 11)])
    return union(union(lobe, hippocampal, 8), tube(q, [(33, -15, -28, 8), (34, -48, -20, 10)]), 8)


def core(q: np.ndarray) -> np.ndarray:
    """What joins the hemispheres: corpus callosum, basal ganglia, thalami, hypothalamus. It carries no cortex."""
    callosum = ellipsoid(q, (0, -4, 7), (25, 37, 20.5))
    rostrum = (0.6 * q[1] - q[2] - 14) / 1.17
    basal = ellipsoid(q, (0, -2, 3), (33, 27, 18))
    return union(union(np.maximum(callosum, rostrum), basal, 8), ellipsoid(q, (0, -4, -12), (8, 9, 8)), 6)


def brain_stem(q: np.ndarray) -> np.ndarray:
    """Cerebral peduncles, tectum, pons, medulla and the stalks to the cerebellum."""
    peduncle = tube(q, [(16, -14, 0, 8), (10, -19, -12, 7), (6, -25, -26, 9)])
    midbrain = union(peduncle, tube(q, [(0, -28, -6, 10), (0, -30, -22, 10)]), 5)
    pons = union(midbrain, ellipsoid(q, (0, -26, -33), (17, 12, 14)), 6)
    medulla = tube(q, [(0, -33, -44, 10), (0, -37, -56, 7.5), (0, -41, -75, 6.5)])
    return union(union(pons, medulla, 8), tube(q, [(12, -32, -34, 8), (24, -48, -38, 8)]), 8)


def cerebellum(q: np.ndarray) -> np.ndarray:
    """Hemispheres and vermis."""
    return union(
        ellipsoid(q, (24, -63, -37), (29, 28, 21), pitch=-8), ellipsoid(q, (0, -60, -29), (10, 23, 23)), blend=7
    )


def thalamus(q: np.ndarray) -> np.ndarray:
    """One ellipsoid a side, diverging backwards."""
    return ellipsoid(q, (10.5, -19, 6), (8, 14.5, 8.5), yaw=-22)


def caudate(q: np.ndarray) -> np.ndarray:
    """Head beside the frontal horn, and the thinning body above the thalamus."""
    head = ellipsoid(q, (12.5, 14, 4), (5, 10, 9), yaw=10)
    return union(head, tube(q, [(13, 8, 12, 4), (17, -8, 18, 2.5), (21, -22, 18, 1.5)]), 3)


# ---- one patient's brain --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Brain:
    """One patient's brain: sizes and random fields. `draw_brain` makes it; points are (3, n) float32 in mm."""

    cortex: ClassVar[float] = CORTEX

    scale: np.ndarray  # (3,) size relative to the atlas
    atrophy: float  # 0 to 1: width of sulci and ventricles
    ventricles: float  # size of the ventricles relative to the atlas
    caps: float  # 0 to 1: periventricular white matter hyperintensity, common with age
    warp: tuple[Field, ...] = field(repr=False)  # deformation of the whole head
    meander: tuple[Field, ...] = field(repr=False)  # deformation at the scale of gyri
    sulci: tuple[Field, ...] = field(repr=False)  # signed distance (mm) to primary and secondary sulci
    depth: Field = field(repr=False)  # how deep sulci reach
    rough: Field = field(repr=False)  # unevenness of the skull stripping
    vessels: Field = field(repr=False)  # where small vessels cross the CSF

    @property
    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Opposite corners (3), (3) in mm of a box that holds the outline and at least 6 mm around it."""
        table = self._outline
        near = np.argwhere(table.values[0] < 6 + table.spacing)
        return table.low + near.min(0) * table.spacing, table.low + near.max(0) * table.spacing

    def outline(self, points: np.ndarray) -> np.ndarray:
        """Signed distance (n) to the surface at which skull stripping cuts: brain and the CSF of its cisterns."""
        return self._outline(points)[0] - 0.5 * self.rough(points)

    def tissues(self, points: np.ndarray, voxel: float) -> Tissues:
        """Fractions (n) of each tissue in voxels `voxel` mm wide at `points`; they sum to 1, and outside all is CSF."""
        p = self._atlas(points)
        q, meander = mirror(p), np.stack([m(p) for m in self.meander])
        fibres = core(q + 1.2 * meander)
        stem = brain_stem(q)
        brain, white = self._cortex(p, q, meander, np.minimum(fibres, stem), voxel)
        folia, arbor = self._cerebellum(q, meander, voxel)
        stem_share = coverage(np.maximum(stem, -fibres), voxel)
        brain, white = np.maximum(brain, folia), np.maximum(white, arbor)
        # Pons and midbrain are fibres and nuclei finely mixed.
        white = np.minimum(white + stem_share * (0.75 - white), brain)
        tissue = {"white": white, "grey": brain - white}
        self._place_nuclei(tissue, q, max(voxel, 1.5))
        self._place_fluid(tissue, points, q, voxel)
        return tissue

    def barrier(self, points: np.ndarray, side: float) -> np.ndarray:
        """How far (mm, n) points lie beyond the falx, seen from the `side` of sign +1 or -1, or below the tentorium."""
        q = points / np.float32(self.scale)[:, None]
        mirrored = mirror(q)
        fossa = np.minimum(cerebellum(mirrored), np.maximum(brain_stem(mirrored), q[2] + 12))
        return np.maximum(-side * q[0], 0) + 2 * np.maximum(4 - fossa, 0)

    def _atlas(self, points: np.ndarray) -> np.ndarray:
        """The place in the atlas that patient `points` correspond to."""
        p = points / np.float32(self.scale)[:, None]
        return p + np.float32(1.3) * np.stack([w(p) for w in self.warp])

    def _hemispheres(self, q: np.ndarray) -> np.ndarray:
        fissure = np.float32(0.3 + 0.4 * self.atrophy) - q[0]
        return union(np.maximum(cerebrum(q), fissure), np.maximum(temporal_lobe(q), fissure), 5)

    @cached_property
    def _outline(self) -> Table:
        def surface(points: np.ndarray) -> np.ndarray:
            q = mirror(self._atlas(points))
            upper = union(union(cerebrum(q), temporal_lobe(q), 9), core(q), 8)
            cisterns = np.minimum(ellipsoid(q, (0, -34, -16), (36, 32, 15)), ellipsoid(q, (32, 8, -12), (13, 13, 9)))
            lower = union(union(cerebellum(q), brain_stem(q), 12), cisterns, 4)
            return union(upper, lower, 10) - np.float32(0.4 * self.atrophy)

        return tabulate(surface, LOW, HIGH, SPACING)

    @cached_property
    def _outward(self) -> Table:
        """Unit vectors (3) away from the middle of a hemisphere, in the atlas."""
        distance = tabulate(self._hemispheres, (-9, *LOW[1:]), HIGH, SPACING)
        slope = np.stack(np.gradient(ndimage.gaussian_filter(distance.values[0], 4 / SPACING), SPACING))
        return Table(slope / np.maximum(np.sqrt((slope**2).sum(0)), 0.5), distance.low, SPACING)

    def _cortex(
        self, p: np.ndarray, q: np.ndarray, meander: np.ndarray, uncovered: np.ndarray, voxel: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Share of brain and of white matter: cerebrum and core with their folds."""
        hemispheres = self._hemispheres(q)
        below = np.maximum(-hemispheres, 0)
        on_surface = q + self._outward(q) * below
        on_surface[0] = np.copysign(on_surface[0], p[0])
        on_surface += np.float32(2.2) * meander
        bare = smoothstep(1 - np.maximum(uncovered, 0) / 4)
        reach = self.depth(on_surface)
        # The temporal lobe is slender, and its sulci are shallower.
        shallow = 1 - 0.45 * smoothstep((cerebrum(q) - temporal_lobe(q)) / 6)
        opening = (0.1 + 0.3 * self.atrophy) + (0.5 + 0.8 * self.atrophy) * np.exp(-below / 4)
        sheets = []
        for sulci, bottom in zip(self.sulci, self._bottoms(reach, shallow), strict=True):
            end = np.hypot(np.maximum(below - np.clip(bottom, 0, 24), 0), 8 * bare)
            sheets.append((np.hypot(sulci(on_surface), end), opening))
        sheets += self._sylvian(q, meander)
        # The border of cortex and white matter is soft: fibres thin out over about a millimetre.
        soft = 1.5 * voxel + 0.7
        solid = np.minimum(hemispheres, uncovered)
        brain, white = coverage(solid, voxel), coverage(solid + self.cortex * (1 - bare), soft)
        for distance, half_width in sheets:
            brain *= 1 - sheet_coverage(distance, half_width, voxel)
            white *= 1 - sheet_coverage(distance, half_width + self.cortex, soft)
        return brain, np.minimum(white, brain)

    def _bottoms(self, reach: np.ndarray, shallow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How deep (mm) primary and secondary sulci lie; where negative, there is none."""
        return (15 + 7 * reach) * shallow, (4 - 6 * reach) * shallow

    def _sylvian(self, q: np.ndarray, meander: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """The lateral fissure and the cleft over the insula it opens into: (distance, half width) of two sheets."""
        x, y, z = q
        height = z - (-9 - 0.42 * (y - 20) + 2.2 * meander[2])
        insula = 37 + 1.5 * meander[0]
        lateral = np.sqrt((0.9 * height) ** 2 + np.maximum(insula - x, 0) ** 2 + beyond(y, -38, 24) ** 2)
        medial = np.sqrt((x - insula) ** 2 + beyond(height, -9, 13) ** 2 + beyond(y, -22, 22) ** 2)
        front = smoothstep((y + 5) / 30)
        return [
            (lateral, 0.3 + 0.5 * self.atrophy + 0.8 * front),
            (medial, 0.4 + 0.4 * self.atrophy + 0.4 * front),
        ]

    def _cerebellum(self, q: np.ndarray, meander: np.ndarray, voxel: float) -> tuple[np.ndarray, np.ndarray]:
        """Share of brain and of white matter: leaves that fan out from the fourth ventricle."""
        x, y, z = q
        surface = cerebellum(q)
        back, up = -46 - y + 0.25 * (x - 15) + 3 * meander[1], z + 34
        radius, turn = np.hypot(back, up), np.arctan2(up, back) / np.float32(2 * np.pi)
        brain, white = coverage(surface, voxel), coverage(surface + 1.6, voxel)
        for leaves, bottom, half_width, wobble in ((19, 12, 0.05, 0.35), (40, 5, 0.0, 0.5)):
            phase = leaves * turn + wobble * meander[2] + 0.03 * x
            leaf = np.abs(phase - np.round(phase)) * (2 * np.pi / leaves) * np.clip(radius, 8, 36)
            leaf = np.hypot(leaf, np.maximum(-surface - bottom, 0) + np.maximum(12 - radius, 0))
            brain *= 1 - sheet_coverage(leaf, half_width + 0.1 * self.atrophy, voxel)
            white *= 1 - sheet_coverage(leaf, half_width + 1.2, voxel)
        return brain, np.minimum(white, brain)

    def _place_nuclei(self, tissue: Tissues, q: np.ndarray, soft: float) -> None:
        """Deep grey matter takes the place of white matter; its borders are `soft` mm wide."""
        pallidum = ellipsoid(q, (19.5, -2, -1), (4.5, 9, 7), yaw=-20)
        nigra = np.minimum(ellipsoid(q, (4.5, -20, -9), (2.8, 3, 3)), ellipsoid(q, (9, -16, -12), (6, 1.8, 3), yaw=40))
        putamen = ellipsoid(q, (26, 4, 0), (5.5, 16, 11), yaw=-10)
        hippocampus = tube(q, [(24, -6, -20, 6), (27, -20, -16, 4.5), (23, -36, -5, 3.5)])
        claim(tissue, "pallidum", np.maximum(coverage(pallidum, soft), 0.6 * coverage(nigra, soft)), "white")
        claim(tissue, "striatum", coverage(np.minimum(putamen, caudate(q)), soft), "white")
        claim(tissue, "striatum", 0.6 * coverage(thalamus(q), soft), "white")
        claim(tissue, "grey", coverage(hippocampus, soft), "white")

    def _place_fluid(self, tissue: Tissues, points: np.ndarray, q: np.ndarray, voxel: float) -> None:
        """Ventricles, their hyperintense caps and choroid plexus, then CSF and vessels in whatever is left."""
        lateral, ventricles = self._ventricles(q)
        inside = coverage(ventricles, voxel)
        for name in tissue:
            tissue[name] = tissue[name] * (1 - inside)
        horns = smoothstep((np.abs(q[1] + 8) - 18) / 15)
        claim(tissue, "gliosis", 0.5 * self.caps * np.exp(-np.maximum(lateral, 0) / 2.5) * horns, "white")
        tissue["ventricle"] = inside
        tissue["csf"] = 1 - sum(tissue.values())
        plexus = tube(q, [(14, -24, 14, 1.2), (21, -40, 9, 2.2), (30, -38, -2, 1.2)])
        claim(tissue, "plexus", 0.8 * coverage(plexus, max(voxel, 1.5)), "ventricle")
        pial = smoothstep((self.vessels(points) - 1.9) / 0.5)
        claim(tissue, "vessel", np.maximum(pial, coverage(_vessels(q), voxel)), "csf")

    def _ventricles(self, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Signed distances to the lateral ventricles, and to all."""
        g = self.ventricles * (0.95 + 0.45 * self.atrophy)
        # Paths of (x, y, z, radius). The wings make the sections wider above than below.
        body = [
            (14, 32, 3, 1.8),
            (8, 23, 7, 3.6),
            (4.5, 9, 12, 3.8),
            (5, -7, 17, 3.4),
            (8, -22, 18, 3),
            (17, -37, 14, 4),
        ]
        wing = [(14, 30, 6, 1.6), (11, 18, 12, 2.4), (10, 4, 16, 2.6), (11, -10, 19, 2.4), (13, -26, 19, 2.6)]
        atrium = [(17, -37, 14, 4), (23, -48, 8, 4), (25, -60, 3, 2.6), (23, -74, 2, 1)]
        atrium_wing = [(13, -26, 19, 2.6), (20, -38, 17, 3), (28, -50, 12, 2.2), (29, -58, 5, 1.6)]
        temporal = [(23, -44, 8, 3.6), (32, -36, -4, 2.6), (34, -22, -14, 2), (30, -10, -18, 1.6)]
        lateral = np.float32(np.inf)
        for path in (body, wing, atrium, atrium_wing, temporal):
            lateral = union(lateral, tube(q, [(*place, radius * g) for *place, radius in path]), 5)
        septum = np.float32(0.25) - q[0]
        lateral = np.maximum(np.maximum(lateral, septum), 0.3 - np.minimum(caudate(q), thalamus(q)))
        adhesion = ellipsoid(q, (0, -9, 1), (9, 3.5, 3))
        third = np.maximum(ellipsoid(q, (0, -9, -2), (1.0 + 1.2 * g, 13, 8), pitch=-15), -adhesion)
        fourth = ellipsoid(q, (0, -44, -33), (5.5, 5, 11), pitch=-15)
        aqueduct = tube(q, [(0, -26, -3, 0.9), (0, -36, -20, 1)])
        return lateral, np.minimum(np.minimum(lateral, third), np.minimum(fourth, aqueduct))


def draw_brain(rng: np.random.Generator) -> Brain:
    """A random patient's brain."""
    return Brain(
        scale=np.array(MEAN_SCALE) * rng.normal(1, 0.018, 3) * rng.normal(1, 0.015),
        atrophy=rng.uniform(0, 1),
        ventricles=float(np.exp(rng.normal(0, 0.2))),
        caps=rng.uniform(0, 1),
        warp=tuple(random_field(rng, 90, 0.5, cells=32) for _ in range(3)),
        meander=tuple(random_field(rng, 26) for _ in range(3)),
        sulci=tuple(sulcal_field(rng, wavelength) for wavelength in (30, 20)),
        depth=random_field(rng, 30),
        rough=random_field(rng, 20),
        vessels=random_field(rng, 7, cells=96),
    )


def sulcal_field(rng: np.random.Generator, wavelength: float) -> Field:
    """Signed distance (mm) to the zero set of a narrow-band field; the two hemispheres are alike but not equal."""
    folds, own = (random_field(rng, wavelength, 0.3, cells=96) for _ in range(2))
    half = folds.values.shape[0] // 2
    left = folds.values[1:half][::-1]
    values = 0.75 * np.concatenate([folds.values[: half + 1], left]) + 0.65 * own.values
    slope = np.sqrt(sum(g * g for g in np.gradient(values, folds.spacing)))
    # Without the second term, saddle points, where the slope vanishes, would be lakes.
    return Field(values / np.hypot(slope, 0.35 * np.sqrt((slope**2).mean())), folds.spacing)


def mirror(points: np.ndarray) -> np.ndarray:
    """Points (3, n) with both halves of the head on the right."""
    return np.stack([np.abs(points[0]), points[1], points[2]])


def claim(tissue: Tissues, name: str, share: np.ndarray, source: str) -> None:
    """Turn `share` (0 to 1) of the tissue `source` into the tissue `name`."""
    part = tissue[source] * share
    tissue[source] = tissue[source] - part
    tissue[name] = tissue[name] + part if name in tissue else part


def _vessels(q: np.ndarray) -> np.ndarray:
    """Signed distance to sinuses and larger arteries; they show only where they run through CSF."""
    roof = np.hypot(ellipsoid(q, (0, -17, 7), (67, 88, 72)) + 1, beyond(q[2], 5, np.inf))
    veins = [
        np.hypot(q[0], roof) - 2.6,
        tube(q, [(0, -5, 13, 1), (0, -38, 11, 1.2), (0, -48, 6, 2), (0, -70, -8, 1.8), (0, -98, -11, 2.5)]),
        tube(q, [(0, -98, -11, 2.5), (30, -90, -18, 2.5), (52, -62, -22, 2)]),
    ]
    arteries = [
        tube(q, [(0, -13, -40, 1.7), (0, -13, -24, 1.7), (8, -16, -18, 1)]),
        tube(q, [(6, 4, -24, 1.8), (5, 4, -15, 1.6), (20, 5, -15, 1.3), (36, 8, -12, 1.2), (37, -10, 4, 1)]),
        tube(q, [(3, 6, -14, 1.2), (1, 22, -8, 1.1), (1, 38, 4, 1.1), (1, 30, 22, 1), (1, 5, 33, 0.9)]),
    ]
    return np.minimum.reduce(veins + arteries)
