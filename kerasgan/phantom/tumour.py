"""Gliomas: where they sit, what they are made of, how they push and replace tissue, and their BraTS labels.

What the IDH status means for the picture follows the radiology of adult diffuse gliomas. Mutant tumours sit more often
in a frontal lobe (odds ratio 3.8 among the ReSPOND consortium's 2165 grade 4 gliomas), enhance less, have less necrosis
and oedema and a sharper margin; the T2-FLAIR mismatch sign (bright on T2, dark on FLAIR but for a bright rim) occurs in
a part of them and hardly in others (Patel et al. 2017, Clin Cancer Res 23:6078; Corell et al. 2020, BMC Cancer 20:450:
sensitivity 26 %, specificity 98 %). Most mutants are low grade (LGG), most wild-types high grade (HGG), with exceptions
both ways. The probabilities and medians below are assumed within this picture, not estimated from patients.

A lesion is any object with `outline`, `displace` and `invade` as `Glioma` has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.special import ndtri

from kerasgan.phantom.anatomy import Brain, Tissues
from kerasgan.phantom.shapes import Field, coverage, random_field, smoothstep, union

# BraTS labels
NECROTIC, OEDEMA, ENHANCING = 1, 2, 4


@dataclass(frozen=True)
class Profile:
    """How tumours of one class look: probabilities of signs, and medians in mm."""

    frontal: float  # probability of a frontal seat
    enhances: float  # probability of solid enhancement; else at most a few spots
    necrosis: float  # probability of a necrotic core in an enhancing tumour
    mismatch: float  # probability of the T2-FLAIR mismatch sign in a tumour that does not enhance
    oedema: float  # reach beyond the core, mm
    margin: float  # width over which core and oedema fade, mm


PROFILES: Mapping[tuple[str, str], Profile] = {
    ("mutant", "LGG"): Profile(frontal=0.60, enhances=0.15, necrosis=0.15, mismatch=0.45, oedema=4, margin=2.5),
    ("mutant", "HGG"): Profile(frontal=0.55, enhances=0.60, necrosis=0.50, mismatch=0.30, oedema=8, margin=3.5),
    ("wildtype", "LGG"): Profile(frontal=0.28, enhances=0.40, necrosis=0.30, mismatch=0.03, oedema=9, margin=7),
    ("wildtype", "HGG"): Profile(frontal=0.25, enhances=0.96, necrosis=0.90, mismatch=0.02, oedema=14, margin=6),
}
HGG_SHARE: Mapping[str, float] = {"mutant": 0.30, "wildtype": 0.87}

# Seats: mean and standard deviation (mm, atlas) on the right side; the tumour's side is a coin.
FRONTAL = ((26, 34, 22), (8, 11, 13))
ELSEWHERE = (
    ((45, -12, -20), (5, 13, 5)),  # temporal
    ((30, -48, 36), (8, 10, 9)),  # parietal
    ((27, -76, 14), (5, 6, 7)),  # occipital
    ((33, 0, 6), (4, 10, 6)),  # insular
)
ELSEWHERE_SHARE = (0.45, 0.3, 0.1, 0.15)
MAIN_LOBULE = 0.85  # its radius relative to the core's


def profile(idh: str, grade: str, strength: float) -> Profile:
    """The class's profile at `strength` 1, one profile for all classes at 0, and a straight line between."""
    own = PROFILES[idh, grade]
    weights = {(i, g): 0.5 * (HGG_SHARE[i] if g == "HGG" else 1 - HGG_SHARE[i]) for i, g in PROFILES}
    common = {f.name: sum(w * getattr(PROFILES[k], f.name) for k, w in weights.items()) for f in fields(Profile)}
    return Profile(**{name: c + strength * (getattr(own, name) - c) for name, c in common.items()})


@dataclass(frozen=True)
class Glioma:
    """One tumour. Lengths in mm, places in the patient's coordinates (see `shapes`)."""

    frontal: bool
    enhances: bool
    necrotic: bool
    mismatch: bool
    oedema: float  # mean reach beyond the core
    margin: float  # width over which oedema and a core without enhancement fade
    radius: float  # of the core
    rim: float  # thickness of living tumour around the necrosis
    gaps: float  # share of the living tumour that does not enhance
    push: float  # mass effect: 0 none, 0.5 strong
    lobules: np.ndarray = field(repr=False)  # (k, 4) centre and radius; the first is the seat
    shape: Field = field(repr=False)
    detail: Field = field(repr=False)
    patches: Field = field(repr=False)

    def outline(self, points: np.ndarray, brain: Brain) -> np.ndarray:
        """Signed distance (n) to the surface at which skull stripping cuts: the brain's."""
        return brain.outline(points)

    def displace(self, points: np.ndarray, brain: Brain) -> np.ndarray:
        """Where the tissue now at `points` (3, n) was before the tumour pushed it; the brain's surface stays."""
        offset = points - self.lobules[0, :3, None]
        share = np.float32(self.push) * np.exp(-(offset**2).sum(0) / np.float32((1.5 * self.radius) ** 2))
        return points - offset * (share * smoothstep(-brain.outline(points) / 12))

    def invade(self, points: np.ndarray, tissue: Tissues, voxel: float, brain: Brain) -> tuple[Tissues, np.ndarray]:
        """The tissue fractions with the tumour in place, and the BraTS labels (n) uint8."""
        detail = self.detail(points)
        depth = self._depth(points, brain) + 0.7 * detail
        patches = 0.95 * self.patches(points) + 0.3 * detail
        sharp = max(voxel, 1.5)
        inside = coverage(depth, sharp if self.enhances else max(voxel, self.margin))
        core = np.zeros_like(inside)
        tissue = dict(tissue)
        for name in [name for name in tissue if name not in ("ventricle", "plexus")]:
            # Fluid in the sulci is squeezed out, but not at the tumour's border.
            share = inside * coverage(depth + 3, 4) if name in ("csf", "vessel") else inside
            core += tissue[name] * share
            tissue[name] = tissue[name] * (1 - share)
        dead = core * coverage(depth + self.rim * (1 + 0.4 * patches), 1.5 * sharp) * self.necrotic
        bright = (core - dead) * smoothstep((patches - ndtri(self.gaps)) / 1.5 + 0.5) * (0.8 + 0.2 * np.tanh(patches))
        dull = core - dead - bright
        # Any tumour has looser and denser parts; in the mismatch sign all but the rim is loose.
        loose = np.maximum(0.4 * smoothstep(patches / 2), coverage(depth + 4 + detail, 3) * self.mismatch)
        # Mirrored, the field of the core's shape is as good as another one.
        reach = self.oedema * (1 + 0.5 * self.shape(-points))
        swollen = swell(tissue, coverage(depth - reach, 2 * self.margin))
        tissue |= {"necrosis": dead, "enhancing": bright, "tumour": dull * (1 - loose), "microcystic": dull * loose}
        labels = np.where(swollen > 0.4, OEDEMA, 0)
        labels = np.where(core > 0.5, np.where(bright > 0.45 * core, ENHANCING, NECROTIC), labels)
        return tissue | {"oedema": swollen}, labels.astype(np.uint8)

    def _depth(self, points: np.ndarray, brain: Brain) -> np.ndarray:
        """Signed distance to the core, negative inside: lobules with an irregular surface, held back by the dura."""
        depth = None
        for *centre, radius in self.lobules:
            lobule = np.sqrt(((points - np.float32(centre)[:, None]) ** 2).sum(0)) - np.float32(radius)
            depth = lobule if depth is None else union(depth, lobule, 0.6 * self.radius)
        depth += np.float32(0.15 * self.radius) * self.shape(points)
        return depth + np.float32(1.5) * brain.barrier(points, np.sign(self.lobules[0, 0]))


def swell(tissue: Tissues, share: np.ndarray) -> np.ndarray:
    """Turn `share` of the tissue into oedema, which spreads in white matter and spares the cortex; its fraction."""
    swollen = np.zeros_like(share)
    for name, taken in (("white", 0.95), ("gliosis", 0.95), ("grey", 0.3), ("striatum", 0.5), ("pallidum", 0.5)):
        part = tissue[name] * share * np.float32(taken)
        tissue[name] = tissue[name] - part
        swollen += part
    return swollen


def draw_glioma(rng: np.random.Generator, look: Profile, brain: Brain) -> Glioma:
    """A random tumour of the given profile in a brain."""
    frontal = rng.random() < look.frontal
    enhances = rng.random() < look.enhances
    necrotic = enhances and rng.random() < look.necrosis
    mismatch = not enhances and rng.random() < look.mismatch
    lobules = _draw_lobules(rng, frontal, np.clip(rng.lognormal(np.log(19), 0.25), 11, 30), brain)
    return Glioma(
        frontal=frontal,
        enhances=enhances,
        necrotic=necrotic,
        mismatch=mismatch,
        oedema=float(np.clip(rng.lognormal(np.log(look.oedema), 0.5), 2, 26)),
        margin=float(np.clip(rng.lognormal(np.log(look.margin), 0.4), 1.5, 12)),
        radius=float(lobules[0, 3]) / MAIN_LOBULE,
        rim=rng.uniform(2.5, 6),
        gaps=rng.uniform(0.05, 0.3) if necrotic else rng.uniform(0.2, 0.6) if enhances else rng.uniform(0.97, 0.9999),
        push=rng.uniform(0.1, 0.5),
        lobules=lobules,
        shape=random_field(rng, 32, 0.5, cells=48),
        detail=random_field(rng, 8),
        patches=random_field(rng, 20, 0.6),
    )


def _draw_lobules(rng: np.random.Generator, frontal: bool, radius: float, brain: Brain) -> np.ndarray:
    """Centre and radius of the main part and of 1 to 3 smaller ones, (k, 4); the seat is well inside the brain.

    A seat too near to the surface is drawn again, each time for a slightly smaller tumour.
    """
    mean, spread = FRONTAL if frontal else ELSEWHERE[rng.choice(len(ELSEWHERE), p=ELSEWHERE_SHARE)]
    side = rng.choice((-1.0, 1.0))
    depth = 0.0
    while depth < 0.35 * radius + 3:
        seat = rng.normal(mean, spread) * brain.scale * (side, 1, 1)
        depth = -float(brain.outline(np.float32(seat)[:, None])[0])
        radius *= 0.99
    lobules = [(*seat, MAIN_LOBULE * radius)]
    for _ in range(rng.integers(1, 4)):
        direction = rng.normal(size=3)
        place = seat + 0.65 * radius * direction / np.linalg.norm(direction)
        lobules.append((*place, radius * rng.uniform(0.4, 0.7)))
    return np.float32(lobules)
