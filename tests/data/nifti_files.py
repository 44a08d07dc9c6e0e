"""Small NIfTI files of any orientation."""

import gzip

import nibabel
import numpy as np

SHAPE = (8, 9, 7)
OBLIQUE = np.array([[-0.9, 0.1, 0.3, 10], [0.2, 1.4, -0.1, -20], [0.1, -0.2, 2.9, 30], [0, 0, 0, 1]])


def affine_of(codes, spacing=(1.0, 1.5, 2.25)):
    """A stored grid whose axes run as `codes` say."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, code in enumerate(codes):
        row = ["RL", "AP", "SI"].index(next(pair for pair in ("RL", "AP", "SI") if code in pair))
        affine[row, axis] = spacing[axis] * (1 if code in "RAS" else -1)
    affine[:3, 3] = (-90.5, 126, -72.25)
    return affine


def voxels(dtype=np.int16, shape=SHAPE):
    return np.random.default_rng(3).integers(0, 200, shape).astype(dtype)


def save(path, data, affine=None, slope=None):
    image = nibabel.Nifti1Image(data, np.eye(4) if affine is None else affine, dtype=data.dtype)
    image.header.set_slope_inter(*(slope or (1, 0)))
    path.write_bytes(gzip.compress(image.to_bytes()) if path.name.endswith(".gz") else image.to_bytes())
    return str(path)
