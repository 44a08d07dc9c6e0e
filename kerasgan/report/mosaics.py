"""Many images side by side, pixel by pixel: in a table with names, or bare as the frames of an animation."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import IdentityTransform
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from kerasgan.files import written_aside
from kerasgan.report.figures import DPI, GREY, save, wrapped

GAP = 2  # pixels between images
FRAME_TIME = 400  # milliseconds of an animation's frame
CAPTION = "Description"  # PNG's own word for the text that a bare mosaic carries
# Of `image_sheet`, in pixels.
SIDE = 96  # of an image that is enlarged, about
NARROWEST = 640  # of a picture
BETWEEN = 8  # groups
LETTERS = (13, 19)  # their height, at least and at most
CHARACTERS = 18  # of a row's name in a line


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


def image_sheet(
    path: Path, images: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, window: str = GREY
) -> None:
    """A table of images under a title, with names of its rows and columns; each pixel is one, or a square of several.

    Args:
        path: the PNG.
        images: (rows, columns, h, w) in [-1, 1], clipped.
        rows, columns: names. Where there are fewer names than rows or columns, each is that of a group of neighbours,
            all groups of one size; groups stand apart.
        title: what is shown, of which data, after how many steps.
        window: which values are black and white; ends the title.
    """
    blocks = _blocks(images, len(rows), len(columns))
    tall, wide = blocks[0][0].shape
    step = wide + BETWEEN
    table = max(NARROWEST, len(columns) * step)
    points = float(np.clip(table / 90, *LETTERS)) * 72 / DPI
    beside = [wrapped(name, CHARACTERS) for name in rows]
    above = [wrapped(name, _characters(step, points)) for name in columns]
    left = max(_size(name, points)[0] for name in beside) + 2 * BETWEEN
    head = wrapped(f"{title}; {window}", _characters(left + table, points))
    top = _size(head, points)[1] + max(_size(name, points)[1] for name in above) + 4 * BETWEEN
    width, height = left + table, top + len(rows) * (tall + BETWEEN)
    # Not a pixel less by rounding.
    figure = Figure(figsize=((width + 0.1) / DPI, (height + 0.1) / DPI), dpi=DPI)
    say = partial(figure.text, transform=IdentityTransform(), fontsize=points)
    say(BETWEEN, height - BETWEEN, head, va="top")
    for j, name in enumerate(above):
        say(left + j * step + wide / 2, height - top + BETWEEN, name, ha="center", va="bottom")
    for i, name in enumerate(beside):
        bottom = height - top - i * (tall + BETWEEN) - tall
        say(left - BETWEEN, bottom + tall / 2, name, ha="right", va="center")
        for j, block in enumerate(blocks[i]):
            # As colours, since a colour map rounds some levels down.
            figure.figimage(np.stack([block] * 3, axis=-1), left + j * step, bottom)
    save(figure, path)


def _blocks(images: np.ndarray, rows: int, columns: int) -> list[list[np.ndarray]]:
    """Images (n, m, h, w) in groups, rows x columns of them, each a mosaic; small images are enlarged."""
    n, m, *sides = images.shape
    if n % rows or m % columns:
        raise ValueError(f"{n} x {m} images make no groups of one size for {rows} x {columns} names")
    times = max(1, round(SIDE / max(sides)))
    large = images.repeat(times, axis=2).repeat(times, axis=3)
    groups = large.reshape(rows, n // rows, columns, m // columns, *large.shape[2:]).swapaxes(1, 2)
    return [[mosaic(group.reshape(-1, *group.shape[2:]), m // columns) for group in line] for line in groups]


def _characters(pixels: float, points: float) -> int:
    """How many characters fit, as wide as the wider ones are."""
    return max(1, int(pixels / (0.6 * points * DPI / 72)))


def _size(words: str, points: float) -> tuple[int, int]:
    """Width and height of a text in pixels."""
    figure = Figure(dpi=DPI)
    box = figure.text(0, 0, words, fontsize=points).get_window_extent(FigureCanvasAgg(figure).get_renderer())
    return math.ceil(box.width), math.ceil(box.height)


def feature_maps(path: Path, maps: Mapping[str, np.ndarray], title: str) -> None:
    """A square of maps (n, h, w) in [-1, 1] per name, side by side in grey."""
    squares = []
    for own in maps.values():
        side = math.isqrt(len(own) - 1) + 1
        filled = np.concatenate([own, np.full((side**2 - len(own), *own.shape[1:]), -1.0)])
        squares.append(filled.reshape(side, side, *own.shape[1:]))
    window = "grey: training mean, black and white: 2 standard deviations"
    image_sheet(path, np.concatenate(squares, axis=1), [""], list(maps), title, window)


def write_mosaic(path: Path, images: np.ndarray, columns: int, caption: str) -> None:
    """A bare mosaic as PNG, such as a frame of an animation; it carries a caption, which the page of a run shows."""
    words = PngInfo()
    words.add_itxt(CAPTION, caption)
    with written_aside(path) as aside:
        Image.fromarray(mosaic(images, columns)).save(aside, "PNG", pnginfo=words)


def write_animation(path: Path, frames: Sequence[Path], size: int, count: int, caption: str) -> None:
    """The upper left count x count images, of `size` pixels, of some mosaics as a GIF that repeats.

    The last one stays longer. The GIF carries the caption, and which mosaics they are.
    """
    side = count * (size + GAP) - GAP
    pictures = []
    for frame in frames:
        with Image.open(frame) as picture:
            pictures.append(picture.convert("L").crop((0, 0, side, side)))
    times = [FRAME_TIME] * (len(pictures) - 1) + [4 * FRAME_TIME]
    first, last = (path.stem.replace("_", " ") for path in (frames[0], frames[-1]))
    words = f"{caption}; {len(frames)} frames, from {first} to {last}"
    more = {"append_images": pictures[1:], "duration": times, "loop": 0, "comment": words.encode()}
    with written_aside(path) as aside:
        pictures[0].save(aside, "GIF", save_all=True, **more)


def caption_of(path: Path) -> str:
    """What a PNG or GIF of this module carries; "" if nothing, such as a figure that says it in the picture."""
    with Image.open(path) as picture:
        return picture.info.get(CAPTION) or picture.info.get("comment", b"").decode()
