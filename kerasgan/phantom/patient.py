"""What adult and neonatal patients have in common: their images, their voxels, their random streams and their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from kerasgan.phantom.anatomy import Brain


@dataclass(frozen=True)
class Patient:
    """One simulated patient.

    `images`: of adults "t1", "t1e", "t2", "flair", of neonates "t1", "t2", each (i, j, k) int16 in scanner units, 0
    outside the head. `segmentation`: (i, j, k) uint8 with the BraTS labels 1 necrotic and non-enhancing core, 2 oedema,
    4 enhancing tumour; None for neonates, who have no tumour. `affine` (4, 4) maps voxels to mm; axes run left,
    posterior, superior. `labels`: "patient"; of adults "idh" (mutant or wildtype) and "grade" (HGG or LGG), both ""
    unless the tumour is a glioma, and "tumour" (one of TUMOURS); of neonates "class" (one of CLASSES).
    """

    images: Mapping[str, np.ndarray]
    segmentation: np.ndarray | None
    affine: np.ndarray
    labels: Mapping[str, str]


@dataclass(frozen=True)
class FieldOfView:
    """A box of `size` (mm) along the axes left, posterior, superior of an image, square in plane.

    `commissure`: where the anterior commissure lies, mm from the centre of the voxel (0, 0, 0) of a 1 mm image.
    """

    size: tuple[float, float, float]
    commissure: tuple[float, float, float]


ADULT = FieldOfView((240, 240, 155), (119.5, 110.0, 67.0))  # of BraTS
NEONATE = FieldOfView((160, 160, 120), (79.5, 66.0, 52.0))


def geometry(grid: int, view: FieldOfView = ADULT) -> tuple[tuple[int, int, int], float, np.ndarray]:
    """Shape, voxel width (mm) and affine (4, 4) of a grid with `grid` voxels across the view, as BraTS lies."""
    voxel = view.size[0] / grid
    half = (voxel - 1) / 2
    affine = np.diag([-voxel, -voxel, voxel, 1.0])
    affine[:3, 3] = 0.0 - half, view.size[1] - 1 - half, half
    return (grid, grid, round(grid * view.size[2] / view.size[0])), voxel, affine


def head_box(
    brain: Brain, shape: tuple[int, ...], voxel: float, view: FieldOfView = ADULT
) -> tuple[tuple[slice, ...], np.ndarray]:
    """The part of the grid that holds the head, as slices, and the places (3, i, j, k) of its voxels in mm."""
    low, high = brain.extent
    slices, axes = [], []
    for size, commissure, sign, a, b in zip(shape, view.commissure, (-1, -1, 1), low, high, strict=True):
        place = sign * (np.arange(size) * voxel + (voxel - 1) / 2 - commissure)
        kept = np.flatnonzero((place >= a) & (place <= b))
        slices.append(slice(kept[0], kept[-1] + 1))
        axes.append(place[kept].astype(np.float32))
    return tuple(slices), np.stack(np.meshgrid(*axes, indexing="ij"))


@dataclass(frozen=True)
class Raster:
    """The voxels of an image that show a head, and a border, so that blurring its surface mixes in what is beyond.

    `region` (i, j, k) bool are those voxels in the `box` of `head_box`; of each of the n, `points` (3, n) is the place
    in mm, and `inside` (n,) bool whether it is the head's own.
    """

    shape: tuple[int, int, int]
    voxel: float  # mm
    affine: np.ndarray
    box: tuple[slice, ...]
    region: np.ndarray
    points: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(
        cls, brain: Brain, outline: Callable[[np.ndarray], np.ndarray], grid: int, view: FieldOfView = ADULT
    ) -> "Raster":
        """Of a head by its `outline`: the distance in mm of places (3, n) from its surface, negative inside."""
        shape, voxel, affine = geometry(grid, view)
        box, points = head_box(brain, shape, voxel, view)
        distance = outline(points.reshape(3, -1)).reshape(points.shape[1:])
        region = distance < 2 * voxel
        return cls(shape, voxel, affine, box, region, points[:, region], distance[region] < 0)

    def place(self, values: np.ndarray) -> np.ndarray:
        """A volume with the values (n,) in their voxels, 0 outside the head."""
        volume = np.zeros(self.shape, values.dtype, order="F")
        volume[self.box][self.region] = values * self.inside
        return volume


def streams(seed: int, index: int) -> list[np.random.SeedSequence]:
    """Independent seeds of a patient's anatomy, grade, tumour and scans."""
    return np.random.SeedSequence(seed, spawn_key=(0, index)).spawn(4)


def random_order(patients: int, seed: int, purpose: int) -> np.ndarray:
    """A random order of the patients; each has its own number in it, whatever the size of the cohort."""
    return np.argsort(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(purpose,))).random(patients))


def patient_name(index: int) -> str:
    """Of patient `index`, from 0."""
    return f"Phantom_{index + 1:04d}"
