"""Slices as MATLAB v7.3 files: the brain tumour set of Cheng et al. (figshare, 10.6084/m9.figshare.1512427).

Such a file is HDF5, whose arrays have MATLAB's axes in reverse order. N.mat holds a struct `cjdata` with

    image        int16 (rows, columns), mostly 512 x 512
    tumorMask    (rows, columns), 1 in the tumour
    label        1 meningioma, 2 glioma, 3 pituitary tumour
    PID          the patient's id as characters
    tumorBorder  points on the tumour's outline, which are not read

As a source of `volumes` it has two channels: ``N.mat#0`` is the image, ``N.mat#1`` the mask.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from kerasgan.errors import UserError

SUFFIX = ".mat"
IMAGE, MASK = 0, 1  # channels
TUMOURS = {1: "meningioma", 2: "glioma", 3: "pituitary"}

_VERSION_5 = b"MATLAB 5.0"  # how files of the versions 5 to 7 begin


def is_slice(source: str | Path) -> bool:
    """Whether a source (with or without ``#channel``) is a MATLAB file."""
    return re.sub(r"#\d+$", "", str(source)).lower().endswith(SUFFIX)


def read(path: Path) -> np.ndarray:
    """Image and mask of a file as voxels (x, y, 1, 2), upright axial slices with axes to the right, front and top.

    UserError if the file is no MATLAB v7.3 file, lacks a field, or if image and mask are not 2-D and of one size.
    """
    with _opened(path) as file:
        image, mask = (_numbers(file, f"cjdata/{name}", path) for name in ("image", "tumorMask"))
    if image.ndim != 2 or image.shape != mask.shape:
        raise UserError(
            f"{path}: image is {_times(image)} and tumorMask {_times(mask)}, expected two of one size, rows x columns: "
            "copy or download it again"
        )
    # As stored, columns come first, from the patient's right to the left, then rows, from the front to the back.
    return np.moveaxis(np.stack((image, mask))[:, ::-1, ::-1, None], 0, -1)


def read_patient(path: Path) -> tuple[str, str]:
    """The patient's id and the tumour's name of a file; UserError if a field is missing or says neither."""
    with _opened(path) as file:
        label, codes = (_numbers(file, f"cjdata/{name}", path) for name in ("label", "PID"))
        for name in ("image", "tumorMask"):  # so that what lacks one does not enter a cohort
            _field(file, f"cjdata/{name}", path)
    if label.size != 1 or label.item() not in TUMOURS:
        expected = ", ".join(f"{number} ({name})" for number, name in TUMOURS.items())
        found = ", ".join(f"{number:g}" for number in label.flat[:3])
        raise UserError(f"{path}: label is {found}, expected one of {expected}: correct it, or leave the file out")
    if codes.dtype != np.uint16:  # as which MATLAB stores characters
        raise UserError(f"{path}: PID is {codes.dtype}, expected the patient's id as text: leave the file out")
    return "".join(map(chr, codes.ravel())).strip(), TUMOURS[int(label.item())]


def read_folds(path: Path) -> dict[int, str]:
    """The fold (1 to 5) of each N.mat by N, from `cvind` of the set's own cvind.mat, which keeps patients together."""
    with _opened(path) as file:
        folds = _numbers(file, "cvind", path)
    return {number: f"{fold:g}" for number, fold in enumerate(folds.flat, 1)}


# ---- HDF5 -----------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    # What h5py raises also when the file is read, if it is damaged.
    except (OSError, RuntimeError) as error:
        if path.is_file() and path.read_bytes()[: len(_VERSION_5)] == _VERSION_5:
            raise UserError(
                f"{path} is a MATLAB file of version 5 to 7, expected version 7.3 as distributed: load it in MATLAB "
                "and save it with '-v7.3'"
            ) from None
        raise UserError(f"{path} cannot be read as a MATLAB v7.3 file ({error}): copy or download it again") from None


def _field(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    field = file.get(name)
    if not isinstance(field, h5py.Dataset):
        raise UserError(
            f"{path} lacks {name.replace('/', '.')}: expected a file as the figshare set of Cheng et al. has"
        )
    return field


def _numbers(file: h5py.File, name: str, path: Path) -> np.ndarray:
    """A field as stored: the axes are MATLAB's in reverse order."""
    numbers = _field(file, name, path)[()]
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "iuf":
        raise UserError(f"{path}: {name.replace('/', '.')} holds no array of numbers: copy or download it again")
    return numbers


def _times(stored: np.ndarray) -> str:
    return " x ".join(map(str, stored.shape[::-1]))
