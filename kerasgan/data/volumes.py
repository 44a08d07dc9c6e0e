"""Volumes from NIfTI (and MetaImage) files as arrays with RAS+ axes, and back onto the source's grid.

A *source* is a path, or ``path#2`` for channel 2 (from 0) of a 4-D file such as those of the Medical Segmentation
Decathlon, or 2-D images (see `images` and `matlab`), whose voxels count as cubes of 1 mm since their size is unknown.

Nibabel reads headers and orientations; ISA-L inflates ``.nii.gz`` in one call, whose bytes the array then views:
reorientation is a matter of strides, so nothing is copied. 240 x 240 x 155 int16 takes about 10 ms on one core,
nibabel's ``get_fdata`` about 60 ms.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from gzip import BadGzipFile
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
from isal import igzip, igzip_lib
from nibabel import orientations
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike

from kerasgan.data import images, matlab, metaimage
from kerasgan.errors import UserError
from kerasgan.files import written_aside

SUFFIXES = (".nii.gz", ".nii", ".mha")
CORNER_TOLERANCE = 0.1  # mm; grids of one patient differ by rounding (float32 quaternions), not by more
_LARGEST_DEFLATE_RATIO = 1032  # of the format, RFC 1951: 258 bytes from 2 bits
_RAS = orientations.axcodes2ornt("RAS")
_UNKNOWN_SPACING = np.eye(4)  # of 2-D images: as if voxels were cubes of 1 mm


@dataclass(frozen=True, eq=False)
class Geometry:
    """The grid of a file as stored: `shape` (3 integers), `affine` (4 x 4, voxel indices to RAS+ mm).

    `orientation` has the anatomical direction in which each axis runs, e.g. ``"LPS"`` for BraTS.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    orientation: str

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel sizes along the stored axes in mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3-D image whose axes run to the right, anterior and superior.

    `data` keeps the file's dtype where no scaling is set and is float32 otherwise; it may be a read-only view with
    negative strides. `affine` (4 x 4, to RAS+ mm) belongs to `data`; `geometry` is the grid as stored.
    """

    data: np.ndarray
    affine: np.ndarray
    geometry: Geometry
    source: str


@dataclass(frozen=True, eq=False)
class _Stored:
    """A decoded file: voxels in the stored order of axes (x, y, z and perhaps channels), before scaling."""

    voxels: np.ndarray
    affine: np.ndarray
    slope: float
    intercept: float


class _Header(NamedTuple):
    """What a NIfTI header says of the voxels: `offset` in bytes, then their grid and scaling."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    affine: np.ndarray
    slope: float
    intercept: float


def read_volume(source: str | Path) -> Volume:
    """The volume of one source; UserError if it is unreadable, truncated, not 3-D, or has NaN or infinite voxels."""
    path, channel = split_source(source)
    return _volume(_decode(path), channel, str(source))


def read_each(sources: Mapping[str, str]) -> dict[str, Volume | UserError]:
    """Volumes by name, each distinct file decoded once; where that fails, its UserError in place of the volume."""
    decode = cache(_attempt)
    volumes: dict[str, Volume | UserError] = {}
    for name, source in sources.items():
        try:
            path, channel = split_source(source)
            volumes[name] = _volume(decode(path), channel, source)
        except UserError as error:
            volumes[name] = error
    return volumes


def read_volumes(sources: Mapping[str, str]) -> dict[str, Volume]:
    """The volumes of one visit by name; UserError if one fails or if they do not lie on one grid."""
    volumes: dict[str, Volume] = {}
    for name, volume in read_each(sources).items():
        if isinstance(volume, UserError):
            raise volume
        volumes[name] = volume
    first = next(iter(volumes.values()), None)
    for volume in volumes.values():
        if problem := disagreement(first, volume):
            raise UserError(problem)
    return volumes


def labels_of(volume: Volume) -> np.ndarray:
    """A segmentation's voxels as uint8 labels; UserError if they are not whole numbers from 0 to 255."""
    data = volume.data
    if data.dtype == np.uint8:
        return data
    # Files that scale their integers come back a rounding error off.
    whole = np.rint(data) if data.dtype.kind == "f" else data
    if whole.min() < 0 or whole.max() > 255 or (whole is not data and np.abs(data - whole).max() > 1e-3):
        raise UserError(f"the segmentation has values other than labels 0, 1, 2, ...: {volume.source}")
    return whole.astype(np.uint8)


def disagreement(first: Volume, second: Volume) -> str | None:
    """A sentence on how the grids of two volumes differ, or None if voxels can be compared one to one.

    Grids are compared with RAS+ axes, so differently stored orientations agree; each corner voxel's centre must lie
    within 0.1 mm.
    """
    if first.data.shape != second.data.shape:
        return (
            f"shapes differ: {first.source} is {_times(first.data.shape)} and {second.source} is "
            f"{_times(second.data.shape)}: resample one onto the other's grid"
        )
    distance = np.linalg.norm((first.affine - second.affine)[:3] @ _corners(first.data.shape), axis=0).max()
    if distance > CORNER_TOLERANCE:
        return (
            f"affines differ: corners of {first.source} and {second.source} lie up to {distance:.3g} mm apart: "
            "register one to the other, or correct the header"
        )
    return None


def is_planar(source: str | Path) -> bool:
    """Whether a source is a stack of 2-D images: axial slices whose distance is unknown, cut no other way."""
    return images.is_image(source) or matlab.is_slice(source)


def files_of(source: str | Path) -> list[Path]:
    """The files that a source is read from."""
    path, _ = split_source(source)
    return images.files_of(path) if images.is_image(path) else [path]


def write_volume(path: str | Path, data: np.ndarray, like: Geometry, dtype: DTypeLike) -> None:
    """`data` (RAS+ axes) as ``.nii`` or ``.nii.gz`` on the stored grid `like`: its orientation, shape and affine.

    Fractions are rounded for an integer `dtype`. The bytes depend on the arguments alone (no time, no file name).
    UserError if the shape does not fit the grid, the values do not fit the dtype, or NIfTI lacks the dtype.
    """
    path = Path(path)
    if _suffix(path) not in (".nii.gz", ".nii"):
        raise UserError(f"cannot write {path}: volumes are written as .nii.gz or .nii, change the file's suffix")
    stored = orientations.apply_orientation(
        data, orientations.ornt_transform(_RAS, orientations.io_orientation(like.affine))
    )
    if stored.shape != like.shape:
        raise UserError(
            f"cannot write {path}: {_times(stored.shape)} voxels (in {like.orientation} order) do not fit a grid of "
            f"{_times(like.shape)}: pass the geometry that the data came from"
        )
    content = _nifti(_cast(stored, np.dtype(dtype), path), like.affine, path)
    if _suffix(path) == ".nii.gz":
        content = igzip.compress(content, 2, mtime=0)
    with written_aside(path) as aside:
        aside.write_bytes(content)


def split_source(source: str | Path) -> tuple[Path, int | None]:
    """``"a.nii.gz#2"`` as (path, 2), a plain path as (path, None); UserError if the suffix is none of SUFFIXES."""
    match = re.fullmatch(r"(.+)#(\d+)", str(source))
    path, channel = (Path(match[1]), int(match[2])) if match else (Path(source), None)
    _suffix(path)
    return path, channel


def volume_stem(name: str) -> str | None:
    """A file name without its volume suffix (any case), or None if it has none."""
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), None)


# ---- files ----------------------------------------------------------------------------------------------------------


def _suffix(path: Path) -> str:
    if is_planar(path):
        return path.suffix.lower()
    stem = volume_stem(path.name)
    if stem is None:
        raise UserError(
            f"{path} is no volume: expected a name that ends with {', '.join(SUFFIXES)}, one with #channel, or 2-D "
            "images such as P01.png, P01_*.png or 1.mat"
        )
    return path.name[len(stem) :].lower()


def _attempt(path: Path) -> _Stored | UserError:
    try:
        return _decode(path)
    except UserError as error:
        return error


def _decode(path: Path) -> _Stored:
    if is_planar(path):
        read = matlab.read if matlab.is_slice(path) else images.read_stack
        return _Stored(read(path), _UNKNOWN_SPACING, slope=1.0, intercept=0.0)
    if _suffix(path) == ".mha":
        voxels, affine = metaimage.read(path)
        return _Stored(voxels, affine, slope=1.0, intercept=0.0)
    return _decode_nifti(path)


def _decode_nifti(path: Path) -> _Stored:
    content = _read(path)
    header = _header(content, path)
    size = int(np.prod(header.shape, dtype=object)) * header.dtype.itemsize
    if (missing := header.offset + size - len(content)) > 0:
        raise UserError(
            f"{path} is truncated: {missing} bytes of its {_times(header.shape)} voxels are missing, copy it again"
        )
    voxels = np.ndarray(header.shape, header.dtype, content, header.offset, order="F")
    return _Stored(voxels, header.affine, header.slope, header.intercept)


def _read(path: Path) -> bytes:
    """A file's whole content, inflated if it is gzipped."""
    try:
        content = path.read_bytes()
        return content if _suffix(path) == ".nii" else _inflate(content)
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (igzip_lib.IsalError, EOFError, BadGzipFile) as error:
        raise UserError(f"{path} is truncated or damaged ({error}): copy or download it again") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


def _inflate(zipped: bytes) -> bytes:
    # The last 4 bytes of a gzip member are its inflated size: told so, ISA-L needs one allocation. The spare byte lets
    # it see the end of the stream without growing the buffer, which halves the time.
    size = min(int.from_bytes(zipped[-4:], "little"), _LARGEST_DEFLATE_RATIO * len(zipped))
    inflater = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)
    content = inflater.decompress(zipped, size + 1)
    if inflater.eof and not inflater.unused_data:
        return content
    return igzip.decompress(zipped)  # several members, as bgzip writes, or a cut stream, which raises


def _header(content: bytes, path: Path) -> _Header:
    kinds = (nibabel.Nifti1Header, nibabel.Nifti2Header)
    kind = next((kind for kind in kinds if kind.may_contain_header(content)), None)
    if kind is None:
        raise UserError(f"{path} is no NIfTI file: its first bytes are not a NIfTI header")
    try:
        stored = kind.from_fileobj(io.BytesIO(content[: kind.sizeof_hdr]))  # extensions are not looked at
        slope, intercept = stored.get_slope_inter()
        layout = stored.get_data_shape(), stored.get_data_dtype(), stored.get_data_offset()
        header = _Header(*layout, stored.get_best_affine(), 1.0 if slope is None else slope, intercept or 0.0)
    except (HeaderDataError, ValueError, OverflowError) as error:
        raise UserError(f"{path} has a broken NIfTI header: {error}") from error
    if min(header.shape, default=0) < 1:
        raise UserError(f"{path} is empty: its header says {_times(header.shape)} voxels")
    return header


# ---- voxels ---------------------------------------------------------------------------------------------------------


def _volume(stored: _Stored | UserError, channel: int | None, source: str) -> Volume:
    if isinstance(stored, UserError):
        raise stored
    voxels = images.one_channel(stored.voxels, source) if channel is None and images.is_image(source) else stored.voxels
    shape = _spatial(voxels.shape, channel, source)
    geometry = _geometry(shape, stored.affine, source)
    voxels = voxels.reshape(shape, order="F") if channel is None else voxels[..., channel]
    data = _native(voxels, stored.slope, stored.intercept, source)
    to_ras = orientations.io_orientation(stored.affine)
    affine = stored.affine @ orientations.inv_ornt_aff(to_ras, shape)
    return Volume(orientations.apply_orientation(data, to_ras), affine, geometry, source)


def _native(voxels: np.ndarray, slope: float, intercept: float, source: str) -> np.ndarray:
    """Voxels scaled as the header says, in this machine's byte order, all of them finite."""
    if voxels.dtype.kind not in "iuf":
        raise UserError(f"{source} has {voxels.dtype} voxels: expected one integer or real number per voxel")
    if (slope, intercept) != (1.0, 0.0):
        with np.errstate(all="ignore"):  # what overflows is counted below
            voxels = (voxels * np.float32(slope) + np.float32(intercept)).astype(np.float32, copy=False)
    voxels = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    if voxels.dtype.kind == "f" and (bad := voxels.size - np.count_nonzero(np.isfinite(voxels))):
        raise UserError(f"{source} has {bad} NaN or infinite voxels of {voxels.size}: repair or leave out this file")
    return voxels


def _spatial(shape: tuple[int, ...], channel: int | None, source: str) -> tuple[int, int, int]:
    """The first three sizes of a 3-D file, or of a 4-D file of which one channel is named."""
    while len(shape) > 3 and shape[-1] == 1 and channel is None:
        shape = shape[:-1]
    if channel is None and len(shape) == 4:
        raise UserError(
            f"{source} is 4-D ({_times(shape)}), 3-D is expected: name a channel, {source}#0 to #{shape[3] - 1}"
        )
    if len(shape) != (3 if channel is None else 4):
        expected = "3-D is expected" if channel is None else f"a 4-D file is needed for channel {channel}"
        raise UserError(f"{source} is {len(shape)}-D ({_times(shape)}): {expected}")
    if channel is not None and channel >= shape[3]:
        raise UserError(f"{source}: the file has channels 0 to {shape[3] - 1}")
    return shape[:3]


def _geometry(shape: tuple[int, int, int], affine: np.ndarray, source: str) -> Geometry:
    affine = np.asarray(affine, np.float64)
    codes = orientations.aff2axcodes(affine) if np.isfinite(affine).all() else (None,)
    if None in codes or np.linalg.det(affine[:3, :3]) == 0:
        raise UserError(f"{source} has an affine that maps to no volume (a zero voxel size or NaN): correct its header")
    return Geometry(tuple(map(int, shape)), affine, "".join(codes))


def _corners(shape: tuple[int, ...]) -> np.ndarray:
    """Homogeneous voxel indices (4 x 8) of the corner voxels."""
    return np.array([(i, j, k, 1) for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)]).T


def _cast(data: np.ndarray, dtype: np.dtype, path: Path) -> np.ndarray:
    if dtype.kind not in "iu" or data.dtype in (dtype, bool):
        return data.astype(dtype, copy=False)
    whole = np.rint(data) if data.dtype.kind == "f" else data
    low, high, limits = whole.min(), whole.max(), np.iinfo(dtype)
    if not (low >= limits.min and high <= limits.max):  # NaN ends here too
        raise UserError(f"cannot write {path} as {dtype}: values run from {low} to {high}, choose a wider dtype")
    return whole.astype(dtype)


def _nifti(stored: np.ndarray, affine: np.ndarray, path: Path) -> bytes:
    try:
        image = nibabel.Nifti1Image(stored, affine, dtype=stored.dtype)
    except HeaderDataError as error:
        raise UserError(f"cannot write {path}: {error}, use uint8, int16 or float32") from error
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return image.to_bytes()


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
