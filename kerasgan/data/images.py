"""Slices kept as 2-D images: a pattern of PNG, TIFF or JPEG files stands for a volume, a slice per file.

``P01/P01_*[0-9].tif#2`` in a cohort's cell names the third colour channel of P01_1.tif, P01_2.tif, ..., P01_10.tif, in
the order of the last number in their names. Such images are upright axial slices, as they are shown. Only the last
part of a pattern has wildcards; the folder's name is taken literally. ``P01/P01_1.tif`` is a volume of one slice.
"""

import re
from fnmatch import fnmatch
from glob import has_magic
from pathlib import Path

import numpy as np
from PIL import Image

from kerasgan.errors import UserError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
_AS_RGB = ("P", "PA", "LA", "RGBA", "CMYK", "YCbCr")  # modes of Pillow that are neither grey nor RGB


def is_image(source: str | Path) -> bool:
    """Whether a source (with or without ``#channel``) is a 2-D image or a pattern of them."""
    return re.sub(r"#\d+$", "", str(source)).lower().endswith(SUFFIXES)


def is_pattern(source: str | Path) -> bool:
    """Whether a source (with or without ``#channel``) is a pattern of 2-D images."""
    return is_image(source) and has_magic(Path(source).name)


def files_of(pattern: str | Path) -> list[Path]:
    """The images of a pattern, in the order of the last number in their names; none is a `UserError`."""
    if not is_pattern(pattern):
        return [Path(pattern)]
    folder, name = Path(pattern).parent, Path(pattern).name
    beside = folder.iterdir() if folder.is_dir() else ()
    # Hidden files are macOS's ``._NAME.tif``.
    found = [path for path in beside if fnmatch(path.name, name) and not path.name.startswith(".")]
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


def one_channel(voxels: np.ndarray, source: str) -> np.ndarray:
    """Voxels (x, y, z) of grey images, also of those kept as RGB with equal channels; UserError for other colours."""
    if voxels.ndim == 3:
        return voxels
    if (voxels == voxels[..., :1]).all():
        return voxels[..., 0]
    last = voxels.shape[3] - 1
    raise UserError(f"{source} are colour images: name the channel to read, {source}#0 to #{last}")


def grey_size(path: Path) -> tuple[int, int]:
    """Rows and columns of a grey image, also of one kept as RGB with equal channels; UserError for other colours."""
    pixels = _read(path)
    if pixels.ndim == 3 and (pixels != pixels[..., :1]).any():
        raise UserError(f"{path} is a colour image, expected a grey one: convert it, or leave it out")
    return pixels.shape[:2]


def _read(path: Path) -> np.ndarray:
    """Pixels (rows, columns) or (rows, columns, channels) as stored: 8 bits, 16 bits or float."""
    try:
        with Image.open(path) as image:
            pages = getattr(image, "n_frames", 1)
            pixels = np.asarray(image.convert("RGB") if image.mode in _AS_RGB else image)
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    # Of damaged files Pillow's parsers raise nearly anything.
    except Exception as error:
        raise UserError(f"{path} cannot be read as an image ({error}): copy or download it again") from None
    if pages > 1:
        raise UserError(f"{path} has {pages} pages: expected one slice per file, save them as images of their own")
    return pixels.astype(np.uint8) if pixels.dtype == bool else pixels


def _described(image: np.ndarray) -> str:
    channels = f" with {image.shape[2]} channels" if image.ndim == 3 else ""
    return f"{image.shape[0]} x {image.shape[1]} {image.dtype}{channels}"
