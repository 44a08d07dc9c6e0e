"""Geometric augmentation of an image and its mask in the tf.data graph: one random warp, one resampling.

Coordinates are (row, column) in pixels, pixel centres at whole numbers, rows downward. A transform is described
backward, as SciPy and TensorFlow do: it maps a point of the output to the point of the input to be read there.
Affine maps are 3x3 matrices over (row, column, 1) relative to the image's centre; `a @ b` applies `a` first, then `b`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

Interpolation = Literal["bilinear", "nearest"]


@dataclass(frozen=True)
class Augmentation:
    """The ranges of `augment`; every random number is uniform in them. Mehra et al., Table 1, at 240x240."""

    flip_horizontally: float  # probability of exchanging left and right; Table 1: 0.5
    flip_vertically: float  # probability of exchanging top and bottom; 0.5
    elastic_alpha: float  # pixels, 720; 0 for no elastic distortion
    elastic_sigma: float  # pixels, 24
    rotation: float  # degrees, either direction; 20
    shift: float  # fraction of height and of width, either direction; 0.1
    shear: float  # columns per row, either direction; 0.05
    zoom: float  # magnification 1 +- this, its own for rows and for columns; 0.1


def augment(
    image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor, settings: Augmentation, background: tf.Tensor | float = 0.0
) -> tuple[tf.Tensor, tf.Tensor]:
    """Image (h, w, c) float32 and mask (h, w, k) of any type under the same random warp, which `seed` (2,) decides.

    Mehra et al., Table 1, in the order of TensorLayer's u-net-brain-tumor example, which the paper starts from: flips,
    elastic distortion, rotation, shift, shear, zoom. That example resamples after each of them. Here their maps are
    composed and the input is read once: what five resamplings blur stays sharp, and what leaves the frame in one step
    and returns in a later one is not lost. What comes in from outside is `background`, a number or (c,) numbers, and 0
    in the mask. The image is interpolated bilinearly; the mask takes its nearest pixel, so it has no new values.

    What differs from the example on purpose: rows and columns have elastic fields of their own (Simard et al. 2003),
    where its function for several images displaces both by the same field; the shear is horizontal as Table 1 says,
    where its matrix shears vertically; the zoom is drawn as a magnification, not as its inverse; a seed decides.
    """
    size = tf.shape(image)[:2]
    seeds = tf.random.split(seed, 3)
    chances = [settings.flip_horizontally, settings.flip_vertically]
    heads = tf.unstack(tf.random.stateless_uniform([2], seeds[0]) < chances)
    points = affine_points(random_affine(seeds[1], size, settings), size)
    if settings.elastic_alpha:
        displacement = elastic_displacement(seeds[2], size, settings.elastic_alpha, settings.elastic_sigma)
        points += resample(displacement, within(points, size))
    warped = resample(flip(image, *heads), points, background=background)
    chosen = resample(flip(mask, *heads), points, "nearest")
    return tf.ensure_shape(warped, image.shape), tf.ensure_shape(chosen, mask.shape)


def random_affine(seed: tf.Tensor, size: tf.Tensor, settings: Augmentation) -> tf.Tensor:
    """Rotation, shift, shear and zoom (3, 3), in this order, of an image of `size` (height, width)."""
    angle, down, right, level, *factors = tf.unstack(tf.random.stateless_uniform([6], seed, -1.0, 1.0))
    height, width = tf.unstack(tf.cast(size, tf.float32))
    return (
        rotation(angle * settings.rotation)
        @ translation(down * settings.shift * height, right * settings.shift * width)
        @ shear(level * settings.shear)
        @ zoom(1 + factors[0] * settings.zoom, 1 + factors[1] * settings.zoom)
    )


def rotation(degrees: tf.Tensor | float) -> tf.Tensor:
    """The affine map (3, 3) that turns an image about its centre, counter-clockwise as displayed."""
    radians = tf.cast(degrees, tf.float32) * (math.pi / 180)
    cosine, sine = tf.cos(radians), tf.sin(radians)
    return _matrix([cosine, sine, 0, -sine, cosine, 0])


def translation(down: tf.Tensor | float, right: tf.Tensor | float) -> tf.Tensor:
    """The affine map (3, 3) that moves an image by `down` rows and `right` columns."""
    return _matrix([1, 0, -tf.cast(down, tf.float32), 0, 1, -tf.cast(right, tf.float32)])


def shear(level: tf.Tensor | float) -> tf.Tensor:
    """The affine map (3, 3) that reads each row `level` times its distance below the centre further to the right."""
    return _matrix([1, 0, 0, level, 1, 0])


def zoom(rows: tf.Tensor | float, columns: tf.Tensor | float) -> tf.Tensor:
    """The affine map (3, 3) that magnifies an image about its centre by these factors: above 1, it grows."""
    return _matrix([1 / tf.cast(rows, tf.float32), 0, 0, 0, 1 / tf.cast(columns, tf.float32), 0])


def _matrix(two_rows: list[tf.Tensor | float]) -> tf.Tensor:
    return tf.reshape(tf.stack([tf.cast(each, tf.float32) for each in (*two_rows, 0, 0, 1)]), [3, 3])


def flip(images: tf.Tensor, horizontally: tf.Tensor | bool, vertically: tf.Tensor | bool) -> tf.Tensor:
    """Images (..., h, w, c) mirrored: left and right exchanged, top and bottom exchanged, each if so."""
    images = tf.where(horizontally, tf.reverse(images, [-2]), images)
    return tf.where(vertically, tf.reverse(images, [-3]), images)


def pixel_centres(size: tf.Tensor) -> tf.Tensor:
    """The points (h, w, 2) float32 of an image of `size` (height, width)."""
    rows, columns = tf.meshgrid(*(tf.range(length) for length in tf.unstack(size)), indexing="ij")
    return tf.cast(tf.stack([rows, columns], axis=-1), tf.float32)


def affine_points(matrix: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Where an affine map (..., 3, 3) reads an image of `size` (height, width): points (..., h, w, 2)."""
    centre = tf.cast(size - 1, tf.float32) / 2
    offsets = pixel_centres(size) - centre
    linear = tf.einsum("...ij,hwj->...hwi", matrix[..., :2, :2], offsets)
    return linear + (centre + matrix[..., :2, 2])[..., None, None, :]


def within(points: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The points (..., 2), those outside an image of `size` moved to its border."""
    return tf.clip_by_value(points, 0.0, tf.cast(size - 1, tf.float32))


def elastic_displacement(seed: tf.Tensor, size: tf.Tensor, alpha: float, sigma: float) -> tf.Tensor:
    """The random displacements (h, w, 2), in pixels, of Simard et al. 2003, section 2; and of TensorLayer.

    Uniform noise in [-1, 1], one field for rows and one for columns, smoothed by a Gaussian of `sigma` pixels with
    zeros around it, times `alpha`. Away from the border its standard deviation is alpha / (sqrt(12 pi) sigma) pixels:
    4.9 for alpha 720, sigma 24. The same distortion of an image k times as large takes k sigma and k^2 alpha.
    """
    noise = tf.random.stateless_uniform(tf.concat([size, [2]], axis=0), seed, -1.0, 1.0)
    return alpha * gaussian_filter(noise, sigma)


def gaussian_filter(images: tf.Tensor, sigma: float, truncate: float = 4.0) -> tf.Tensor:
    """Images (..., h, w, c) smoothed by a Gaussian of `sigma` > 0 pixels cut off at `truncate` sigma; zeros outside.

    The two passes are products with band matrices: at sigma 24 these are faster than convolutions with 193 taps.
    """
    height, width = tf.unstack(tf.shape(images)[-3:-1])
    reach = int(truncate * sigma + 0.5)
    return tf.einsum("ij,...jkc,lk->...ilc", _band(height, sigma, reach), images, _band(width, sigma, reach))


def _band(length: tf.Tensor, sigma: float, reach: int) -> tf.Tensor:
    taps = tf.range(-reach, reach + 1, dtype=tf.float32)
    kernel = tf.nn.softmax(-(taps**2) / (2 * sigma**2))
    places = tf.range(length)
    lag = places[:, None] - places[None, :] + reach
    return tf.gather(tf.pad(kernel, [[1, 1]]), tf.clip_by_value(lag + 1, 0, 2 * reach + 2))


def resample(
    images: tf.Tensor,
    points: tf.Tensor,
    interpolation: Interpolation = "bilinear",
    background: tf.Tensor | float = 0.0,
) -> tf.Tensor:
    """Images (h, w, c) or (n, h, w, c) read at points (h', w', 2), or (n, h', w', 2) for a batch.

    Bilinear needs float images; nearest takes any type, and of two equally near pixels the later one. Pixels outside
    are `background`, a number or (c,) numbers, also as neighbours of the border: SciPy's mode "grid-constant", and the
    fill mode CONSTANT of TensorFlow's ImageProjectiveTransformV3, which knows affine maps and one number only.
    """
    images = tf.convert_to_tensor(images)
    if images.shape.rank == 3:
        return resample(images[None], points, interpolation, background)[0]
    framed, size = _framed(images, background), tf.shape(images)[1:3]
    points = tf.broadcast_to(points, tf.concat([tf.shape(images)[:1], tf.shape(points)[-3:]], axis=0))
    if interpolation == "nearest":
        nearest = tf.clip_by_value(tf.floor(points + 0.5), -1.0, tf.cast(size, tf.float32))
        return _gather(framed, nearest + 1)
    first = tf.clip_by_value(tf.floor(points), -1.0, tf.cast(size - 1, tf.float32))
    down, right = tf.split(tf.clip_by_value(points - first, 0.0, 1.0), 2, axis=-1)
    # The four neighbours lie side by side as channels, so that one look-up finds them all.
    squares = [framed[:, :-1, :-1], framed[:, :-1, 1:], framed[:, 1:, :-1], framed[:, 1:, 1:]]
    corners = tf.split(_gather(tf.concat(squares, axis=-1), first + 1), 4, axis=-1)
    weights = [(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right]
    return tf.add_n([weight * corner for weight, corner in zip(weights, corners, strict=True)])


def _framed(images: tf.Tensor, background: tf.Tensor | float) -> tf.Tensor:
    """Images (n, h, w, c) with one pixel of background on each side."""
    border = [[0, 0], [1, 1], [1, 1], [0, 0]]
    inside = tf.pad(tf.ones_like(images[:1, ..., :1], tf.bool), border)
    return tf.where(inside, tf.pad(images, border), tf.cast(background, images.dtype))


def _gather(images: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """The pixels of images (n, h, w, c) at places (n, h', w', 2), whole numbers inside."""
    count, height, width, channels = tf.unstack(tf.shape(images))
    rows, columns = tf.unstack(tf.cast(places, tf.int32), axis=-1)
    starts = height * tf.range(count)[:, None, None]
    return tf.gather(tf.reshape(images, [-1, channels]), (starts + rows) * width + columns)
