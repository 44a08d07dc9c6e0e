"""Slices kept as 2-D images: a pattern of PNG, TIFF or JPEG files stands for a volume, a slice per file.

``P01/P01_*[0-9].tif#2`` in a cohort's cell names the third colour channel of P01_1.tif, P01_2.tif, ..., P01_10.tif, in
the order of the last number in their names. Such images are upright axial slices, as they are shown.
"""

import re
from glob import glob, has_magic
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from kerasgan.errors import UserError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


def is_pattern(source: str | Path) -> bool:
    """Whether a source (with or without ``#channel``) is a pattern of 2-D images."""
    name = Path(re.sub(r"#\d+$", "", str(source))).name
    return has_magic(name) and name.lower().endswith(SUFFIXES)


def files_of(pattern: str | Path) -> list[Path]:
    """The images of a pattern, in the order of the last number in their names; none is a `UserError`."""
    found = [Path(name) for name in glob(str(pattern))]
    if not found:
        raise UserError(f"no file matches {pattern}: correct the pattern, or copy the images there")
    return sorted(found, key=lambda path: ([int(n) for n in re.findall(r"\d+", path.stem)][-1:], path.name))


def read_stack(pattern: str | Path) -> np.ndarray:
    """The images of a pattern as voxels (x, y, z) or, in colour, (x, y, z, channels), axes to the right, front and top.

    UserError if one cannot be read, or if sizes, channels or kinds of number differ.
    """
    files = files_of(pattern)
    images = [_read(path) for path in files]
    for path, image in zip(files, images, strict=True):
        if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
            raise UserError(
                f"{path} is {_described(image)}, {files[0].name} is {_described(images[0])}: the images of one patient "
                "must be alike, since each is a slice of one head"
            )
    # Rows run from the front to the back, columns from the patient's right to the left.
    stacked = np.stack(images)[:, ::-1, ::-1]
    return np.moveaxis(stacked, (0, 1, 2), (2, 1, 0))


def _read(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image)
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an image ({error}): copy or download it again") from None
    if pixels.dtype == bool:
        return pixels.astype(np.uint8)
    if pixels.ndim not in (2, 3):
        raise UserError(f"{path} is {pixels.ndim}-D; a 2-D image is expected")
    return pixels


def _described(image: np.ndarray) -> str:
    channels = f" with {image.shape[2]} channels" if image.ndim == 3 else ""
    return f"{image.shape[0]} x {image.shape[1]} {image.dtype}{channels}"
