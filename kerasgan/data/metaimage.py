"""MetaImage (.mha) files, in which BraTS came until 2015. Needs SimpleITK, the extra `mha`."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kerasgan.errors import UserError

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels, in the stored order of axes, and affine (4 x 4, voxel indices to RAS+ mm) of a file."""
    reader = _open(path)
    try:
        # SimpleITK's arrays have the slowest axis first.
        voxels = _simpleitk(path).GetArrayFromImage(reader.Execute()).transpose()
    except RuntimeError as error:
        raise UserError(f"{path} is truncated or damaged: copy or download it again") from error
    return voxels, _ras_affine(reader)


def _simpleitk(path: Path) -> ModuleType:
    try:
        return importlib.import_module("SimpleITK")
    except ImportError as error:
        raise UserError(f"{path} is a MetaImage file, which needs SimpleITK: pip install 'kerasgan[mha]'") from error


def _open(path: Path) -> Any:
    reader = _simpleitk(path).ImageFileReader()
    if not path.is_file():
        raise UserError(f"no such file: {path}")
    try:
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise UserError(f"{path} is no MetaImage file: its header cannot be read") from error
    if reader.GetNumberOfComponents() != 1:
        raise UserError(f"{path} has {reader.GetNumberOfComponents()} numbers per voxel: expected one")
    return reader


def _ras_affine(reader: Any) -> np.ndarray:
    affine, dimensions = np.eye(4), reader.GetDimension()
    if dimensions < 3:  # the caller refuses the shape
        return affine
    direction = np.reshape(reader.GetDirection(), (dimensions, dimensions))[:3, :3]
    affine[:3, :3] = direction * reader.GetSpacing()[:3]
    affine[:3, 3] = reader.GetOrigin()[:3]
    return _LPS_TO_RAS @ affine
