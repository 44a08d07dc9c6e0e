"""From a volume to 2-D slices of one size, and back.

Arrays of volumes have canonical axes (RAS+: x to the right, y to the front, z upwards). Slices are upright and in
radiological convention: the patient's right (sagittal: the front) is on the left, the front (axial) or the top
(coronal, sagittal) is up.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from skimage.transform import resize

from kerasgan.data.settings import SliceSettings
from kerasgan.data.volumes import is_planar
from kerasgan.errors import UserError

# Order of the volume's axes in a stack of slices: (slice, row, column).
_STACK_AXES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}


def stack(volume: np.ndarray, view: str) -> np.ndarray:
    """A volume (x, y, z) as upright slices (slice, row, column): a view, nothing is copied."""
    return volume.transpose(_STACK_AXES[view])[:, ::-1, ::-1]


def unstack(slices: np.ndarray, view: str) -> np.ndarray:
    """The inverse of `stack`: a view (x, y, z)."""
    return slices[:, ::-1, ::-1].transpose(np.argsort(_STACK_AXES[view]))


def intensity_range(volume: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """The intensities at two percentiles of the brain: of all voxels that are not 0, the background."""
    voxels = volume.ravel(order="K")  # in the order of memory, three times faster than through a reoriented view
    brain = voxels[voxels != 0]
    if brain.size == 0:
        raise UserError("every voxel is 0; expected a brain on a background of 0")
    low, high = (float(value) for value in np.percentile(brain, percentiles))
    if not low < high:
        raise UserError(f"percentiles {percentiles} of the brain are both {low}; expected an image with contrast")
    return low, high


def normalise(intensities: np.ndarray, low: float, high: float) -> np.ndarray:
    """Intensities to float32 in [0, 1]: background (0), `low` and less to 0, `high` and more to 1."""
    # In C order whatever the volume's: the matrix products of `Frame.fit` are slow on other strides.
    voxels = intensities.astype(np.float32, order="C")
    scaled = np.clip((voxels - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    if low < 0:  # z-scored images, in whose range the background would be grey
        scaled[voxels == 0] = 0
    return scaled


def refuse_other_views(source: str, settings: SliceSettings) -> None:
    """2-D images are axial slices: cutting them along other views is a `UserError`."""
    if is_planar(source) and set(settings.views) != {"axial"}:
        raise UserError(
            f"{source} are axial 2-D images, which cannot be cut into {' and '.join(settings.views)} slices; give "
            "--set 'data.views=[axial]' (and, to use every one with tumour, --set data.selection=every_tumour)"
        )


def select(segmentation: np.ndarray, view: str, settings: SliceSettings) -> list[int]:
    """Indices of a view's slices, ascending.

    largest_tumour: those with the largest tumour area, at least `min_gap` apart; every_tumour: all with tumour;
    range: all between two fractions of the axis. Fewer than asked for, and a range that holds less than one of the
    volume's slices, is a `UserError`.
    """
    count = segmentation.shape[_STACK_AXES[view][0]]
    if settings.selection == "range":
        low, high = settings.slice_range
        if (high - low) * count < 1:
            raise UserError(
                f"the volume has {count} {view} slice{'s' * (count > 1)}, of which the range {low:g} to {high:g} is "
                "less than one; widen data.slice_range ([0.0, 1.0] is all), or leave the patient out"
            )
        first, last = (round(fraction * (count - 1)) for fraction in settings.slice_range)
        return list(range(first, last + 1))
    area = np.count_nonzero(stack(segmentation, view), axis=(1, 2))
    if settings.selection == "every_tumour":
        return [int(index) for index in np.flatnonzero(area)]
    chosen: list[int] = []
    for index in np.argsort(-area, kind="stable"):
        if area[index] and all(abs(index - other) >= settings.min_gap for other in chosen):
            chosen.append(int(index))
        if len(chosen) == settings.slices_per_view:
            return sorted(chosen)
    raise UserError(
        f"only {len(chosen)} {view} slices with tumour lie {settings.min_gap} apart, {settings.slices_per_view} "
        "wanted; lower data.min_gap or data.slices_per_view, or leave the patient out"
    )


def corners(settings: SliceSettings) -> dict[str, tuple[slice, slice]]:
    """Names and places (rows, columns) of the patches of `size` pixels in a `frame`: its four corners, which overlap.

    One patch without a name, the whole slice, where slices are not cut.
    """
    size, frame = settings.size, settings.frame or settings.size
    if frame == size:
        return {"": (slice(0, size), slice(0, size))}
    ends = {"top": slice(0, size), "bottom": slice(frame - size, frame)}
    sides = {"left": ends["top"], "right": ends["bottom"]}
    return {f"{end}-{side}": (ends[end], sides[side]) for end in ends for side in sides}


def refuse_patches(settings: SliceSettings, purpose: str) -> None:
    """Slices cut into patches cannot be put together again: a `UserError`."""
    if len(corners(settings)) > 1:
        raise UserError(
            f"slices of {settings.frame} pixels were cut into patches of {settings.size}, from which {purpose} cannot "
            "be made; prepare the data and train with data.frame=null"
        )


@cache
def _resampling(length: int, size: int) -> np.ndarray:
    """The linear map (size, length) that scikit-image's anti-aliased, linear `resize` applies along an axis."""
    return resize(np.eye(length), (size, length), order=1, anti_aliasing=size < length).astype(np.float32)


@dataclass(frozen=True)
class Frame:
    """How slices of (rows, columns) voxels of a given spacing (mm) sit in a square image of `size` pixels.

    With `aspect` "keep" the slice is centred in a square of background as large as its longer side in mm, so a
    circle stays a circle also where voxels are not cubes; "stretch" fills the square.
    """

    rows: int
    columns: int
    row_spacing: float
    column_spacing: float
    size: int
    aspect: str

    @staticmethod
    def of(
        shape: tuple[int, int, int], spacing: tuple[float, float, float], view: str, size: int, aspect: str
    ) -> "Frame":
        """The frame of a volume's slices; shape and spacing in canonical axes."""
        _, row, column = _STACK_AXES[view]
        return Frame(shape[row], shape[column], float(spacing[row]), float(spacing[column]), size, aspect)

    def fit(self, slices: np.ndarray) -> np.ndarray:
        """float32 (n, rows, columns) with background 0 to (n, size, size), anti-aliased."""
        (up, rows), (left, columns) = self._padding()
        down = _resampling(rows, self.size)[:, up : up + self.rows]
        across = _resampling(columns, self.size)[:, left : left + self.columns]
        return down @ slices @ across.T

    def fit_labels(self, slices: np.ndarray) -> np.ndarray:
        """Labels (n, rows, columns) to (n, size, size) by nearest neighbour; padding is label 0."""
        (up, rows), (left, columns) = self._padding()
        row = np.floor((np.arange(self.size) + 0.5) * rows / self.size).astype(int) - up
        column = np.floor((np.arange(self.size) + 0.5) * columns / self.size).astype(int) - left
        inside = np.outer((row >= 0) & (row < self.rows), (column >= 0) & (column < self.columns))
        nearest = slices[:, row.clip(0, self.rows - 1)][:, :, column.clip(0, self.columns - 1)]
        return np.where(inside, nearest, np.zeros((), slices.dtype))

    def restore(self, images: np.ndarray) -> np.ndarray:
        """float32 (n, size, size) back to the slices' own grid (n, rows, columns)."""
        (up, rows), (left, columns) = self._padding()
        down = _resampling(self.size, rows)[up : up + self.rows]
        across = _resampling(self.size, columns)[left : left + self.columns]
        return down @ images @ across.T

    def _padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(voxels before, voxels in all) of the padded slice, for rows and columns."""
        if self.aspect == "stretch":
            return (0, self.rows), (0, self.columns)
        side = max(self.rows * self.row_spacing, self.columns * self.column_spacing)
        rows, columns = round(side / self.row_spacing), round(side / self.column_spacing)
        return ((rows - self.rows) // 2, rows), ((columns - self.columns) // 2, columns)
