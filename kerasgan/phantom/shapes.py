"""Building blocks of simulated anatomy: signed distances, partial-volume coverage and smooth random fields.

Points are arrays (3, n) float32 in mm: x to the patient's right, y anterior, z superior. A signed distance (n) is in mm
and negative inside the shape. Everything is a function of points, so images of any voxel size show the same head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import fft, ndimage

SAMPLES_PER_WAVELENGTH = 8


@dataclass(frozen=True)
class Field:
    """A periodic random field of zero mean and unit variance, sampled on a cubic lattice `spacing` mm apart."""

    values: np.ndarray
    spacing: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The field (n) at points (3, n), by trilinear interpolation."""
        where = points * np.float32(1 / self.spacing)
        return ndimage.map_coordinates(self.values, where, order=1, mode="grid-wrap", output=np.float32)


def random_field(rng: np.random.Generator, wavelength: float, bandwidth: float = 0.4, cells: int = 64) -> Field:
    """White noise filtered to a shell of spatial frequencies around 1/wavelength (mm), `bandwidth` relative to it.

    A narrow shell makes the labyrinth of stripes that cortical folding resembles, a wide one makes clouds. The field
    repeats after cells / SAMPLES_PER_WAVELENGTH wavelengths.
    """
    noise = fft.rfftn(rng.standard_normal((cells, cells, cells), dtype=np.float32))
    line, half = np.float32(fft.fftfreq(cells)), np.float32(fft.rfftfreq(cells))
    frequency = np.sqrt(line[:, None, None] ** 2 + line[:, None] ** 2 + half**2) * SAMPLES_PER_WAVELENGTH
    values = fft.irfftn(noise * np.exp(-(((frequency - 1) / bandwidth) ** 2) / 2), s=(cells, cells, cells))
    values -= values.mean()
    return Field(values / values.std(), wavelength / SAMPLES_PER_WAVELENGTH)


@dataclass(frozen=True)
class Table:
    """Slowly varying functions of a point, (k, i, j, l) values tabulated `spacing` mm apart from the corner `low`."""

    values: np.ndarray
    low: np.ndarray
    spacing: float

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The k functions (k, n) at points (3, n), trilinear; beyond the table its border goes on."""
        where = (points - self.low[:, None]) * np.float32(1 / self.spacing)
        return np.stack(
            [ndimage.map_coordinates(v, where, order=1, mode="nearest", output=np.float32) for v in self.values]
        )


def tabulate(
    function: Callable[[np.ndarray], np.ndarray], low: Sequence[float], high: Sequence[float], spacing: float
) -> Table:
    """A table of one `function` of points over the box from `low` to `high` (mm)."""
    axes = [np.arange(a, b + spacing, spacing, dtype=np.float32) for a, b in zip(low, high, strict=True)]
    mesh = np.stack(np.meshgrid(*axes, indexing="ij"))
    values = function(mesh.reshape(3, -1)).reshape(1, *mesh.shape[1:])
    return Table(values, np.float32(low), spacing)


def ellipsoid(
    points: np.ndarray, centre: Sequence[float], radii: Sequence[float], yaw: float = 0.0, pitch: float = 0.0
) -> np.ndarray:
    """Signed distance to an ellipsoid, exact to first order at its surface.

    `yaw` turns its front end to the right of the patient, `pitch` its front end up (degrees).
    """
    x, y, z = (points[i] - np.float32(centre[i]) for i in range(3))
    if yaw:
        c, s = np.float32(np.cos(np.radians(yaw))), np.float32(np.sin(np.radians(yaw)))
        x, y = c * x - s * y, s * x + c * y
    if pitch:
        c, s = np.float32(np.cos(np.radians(pitch))), np.float32(np.sin(np.radians(pitch)))
        y, z = c * y + s * z, c * z - s * y
    scaled = [v * np.float32(1 / r) for v, r in zip((x, y, z), radii, strict=True)]
    # Kept from 0, the level gives -min(radii) at the centre instead of 0, the surface.
    tiny = np.float32(1e-6)
    level = np.maximum(np.sqrt(sum(v * v for v in scaled)), tiny)
    slope = np.sqrt(sum((v * np.float32(1 / r)) ** 2 for v, r in zip(scaled, radii, strict=True)))
    return level * (level - 1) / np.maximum(slope, tiny / np.float32(min(radii)))


def tube(points: np.ndarray, path: Sequence[Sequence[float]]) -> np.ndarray:
    """Signed distance to a tube through the (x, y, z, radius) of `path`: straight pieces with round ends."""
    distance = np.float32(np.inf)
    for start, end in pairwise(path):
        a, along = np.float32(start), np.float32(end) - np.float32(start)
        x, y, z = (points[i] - a[i] for i in range(3))
        share = np.clip((along[0] * x + along[1] * y + along[2] * z) / np.sum(along[:3] ** 2), 0, 1)
        off = np.sqrt((x - along[0] * share) ** 2 + (y - along[1] * share) ** 2 + (z - along[2] * share) ** 2)
        distance = np.minimum(distance, off - a[3] - along[3] * share)
    return distance


def union(first: np.ndarray, second: np.ndarray, blend: float) -> np.ndarray:
    """The union of two signed distances, its crease filled over about `blend` mm (polynomial smooth minimum)."""
    overlap = np.maximum(blend - np.abs(first - second), 0) * np.float32(1 / blend)
    return np.minimum(first, second) - overlap * overlap * np.float32(blend / 4)


def smoothstep(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and a smooth rise between."""
    value = np.clip(value, 0, 1)
    return value * value * (3 - 2 * value)


def coverage(distance: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """The share (0 to 1) of a voxel `width` mm wide that lies inside the shape at signed `distance` from its centre."""
    return np.clip(np.float32(0.5) - distance / np.float32(width), 0, 1)


def sheet_coverage(distance: np.ndarray, half_width: np.ndarray | float, width: float) -> np.ndarray:
    """The share of a voxel `width` mm wide covered by a sheet `2 * half_width` thick, `distance` >= 0 from its middle.

    Correct for sheets thinner than a voxel, such as a sulcus on a coarse grid.
    """
    return coverage(distance - half_width, width) - coverage(distance + half_width, width)


def beyond(value: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """How far `value` lies outside the interval from `low` to `high`; 0 inside."""
    return np.maximum(np.maximum(low - value, value - high), 0)
