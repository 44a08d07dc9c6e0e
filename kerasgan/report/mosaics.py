"""Many images side by side, pixel by pixel: PNG and animated GIF."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from kerasgan.files import written_aside
from kerasgan.report.figures import save, wrapped

GAP = 2  # pixels between images


def mosaic(images: np.ndarray, columns: int) -> np.ndarray:
    """Images (n, h, w) in [-1, 1], clipped, as one uint8 picture of `columns` columns; what is left over is black."""
    n, height, width = images.shape
    rows = -(-n // columns)
    levels = np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)
    picture = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), np.uint8)
    for number, image in enumerate(levels):
        top, left = number // columns * (height + GAP), number % columns * (width + GAP)
        picture[top : top + height, left : left + width] = image
    return picture


def write_mosaic(path: Path, images: np.ndarray, columns: int) -> None:
    """A mosaic as PNG."""
    with written_aside(path) as aside:
        Image.fromarray(mosaic(images, columns)).save(aside, "PNG")


def feature_maps(path: Path, maps: Mapping[str, np.ndarray], title: str) -> None:
    """A square of maps (n, h, w) in [-1, 1] per name, side by side in grey; maps are large enough to be seen."""
    figure = Figure(figsize=(3.2 * len(maps), 3.7), layout="constrained")
    caption = f"{title}; grey: training mean, black and white: 2 standard deviations"
    figure.suptitle(wrapped(caption, 34 * len(maps)), fontsize=7)
    for axis, (name, own) in zip(figure.subplots(1, len(maps), squeeze=False)[0], maps.items(), strict=True):
        axis.imshow(mosaic(own, math.isqrt(len(own) - 1) + 1), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(name, fontsize=8)
        axis.axis("off")
    save(figure, path)


def write_animation(path: Path, frames: Sequence[Path], shown: tuple[int, int], milliseconds: int = 400) -> None:
    """The upper left `shown` (height, width) pixels of some PNGs as a GIF that repeats; the last one stays longer."""
    height, width = shown
    pictures = []
    for frame in frames:
        with Image.open(frame) as picture:
            pictures.append(picture.convert("L").crop((0, 0, width, height)))
    times = [milliseconds] * (len(pictures) - 1) + [4 * milliseconds]
    with written_aside(path) as aside:
        pictures[0].save(aside, "GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0)
