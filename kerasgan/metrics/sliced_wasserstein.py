"""Sliced Wasserstein distance of local patches, level by level of a Laplacian pyramid (Karras et al. 2018, section 5).

Small distances at a coarse level mean alike structures at large scale, at a fine level alike edges and noise.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import correlate1d

from kerasgan.errors import UserError

# The published numbers.
SMALLEST = 16  # pixels of the coarsest level
PATCH = 7  # pixels
PATCHES = 128  # of each image and level
REPEATS = 4
DIRECTIONS = 128  # of each repeat

BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16  # of Burt and Adelson's pyramid (1983)
FLAT = 1e-6  # patches that deviate less than this from their mean are all of one grey but for rounding


def sliced_wasserstein_by_level(
    real: np.ndarray,
    synthetic: np.ndarray,
    *,
    seed: int,
    smallest: int = SMALLEST,
    patch: int = PATCH,
    patches: int = PATCHES,
    repeats: int = REPEATS,
    directions: int = DIRECTIONS,
) -> dict[int, float]:
    """The distance at each level of the pyramid, as in Karras et al. 2018 but of one channel.

    At every level random patches of each image are taken, those of each set reduced to mean 0 and standard deviation 1,
    and compared by `sliced_wasserstein`. So a brightness or contrast that all images of a set have is not seen, but how
    images differ in it is. Numbers fall with more images: compare those of equal counts alone. Patches lie at the same
    places in both sets (the published code draws them anew), so that equal sets have the distance 0. Two sets of 500
    images of 256x256 pixels took 6 s on two cores and 0.9 GB.

    Args:
        real, synthetic: float (n, size, size), as many of each; `size` is a power of two, at least `smallest`.
        seed: of places and directions.
        smallest: pixels of the coarsest level, a power of two.
        patch: pixels of a patch's side, odd, at most `smallest`.
        patches: of each image and level.
        repeats, directions: see `sliced_wasserstein`.

    Returns:
        The distance by the level's pixels, the finest first, at least 0, in standard deviations of the patches. Papers
        print it times 1000.

    Raises:
        UserError: the sets differ in shape, or the size is none of the above.
    """
    _check(real, synthetic, smallest)
    pyramids = zip(laplacian_pyramid(real, smallest), laplacian_pyramid(synthetic, smallest), strict=True)
    found = {}
    for number, levels in enumerate(pyramids):
        size = levels[0].shape[1]
        descriptors = (_descriptors(own, patch, patches, np.random.default_rng([seed, number])) for own in levels)
        found[size] = sliced_wasserstein(*descriptors, repeats, directions, seed)
    return found


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, repeats: int, directions: int, seed: int) -> float:
    """The mean 1-Wasserstein distance of two sets of points, projected on random directions (Rabin et al. 2011).

    Args:
        a, b: (n, d), of one shape, otherwise ValueError.
        repeats, directions: `repeats` times as many directions are drawn, uniform on the sphere; memory holds those of
            one repeat.
        seed: of the draws.
    """
    if a.shape != b.shape:
        raise ValueError(f"as many points of each set are needed, not {a.shape} and {b.shape}")
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        drawn = rng.normal(size=(a.shape[1], directions))
        drawn = (drawn / np.linalg.norm(drawn, axis=0)).astype(a.dtype)
        # On a line, the cheapest way to move n points to n others keeps their order.
        one, two = (np.sort(points @ drawn, axis=0) for points in (a, b))
        found.append(np.abs(one - two).mean(dtype=np.float64))
    return float(np.mean(found))


def laplacian_pyramid(images: np.ndarray, smallest: int) -> list[np.ndarray]:
    """Images (n, size, size) as float32 levels (n, size, size), (n, size / 2, size / 2) and so on, to `smallest`.

    Each level is what the next coarser one, enlarged, lacks of the image at that size; the last is the image itself.
    """
    levels = [np.asarray(images, np.float32)]
    while levels[-1].shape[1] > smallest:
        levels.append(_blurred(levels[-1])[:, ::2, ::2])
        levels[-2] = levels[-2] - _enlarged(levels[-1])
    return levels


def _enlarged(images: np.ndarray) -> np.ndarray:
    n, height, width = images.shape
    sparse = np.zeros((n, 2 * height, 2 * width), images.dtype)
    sparse[:, ::2, ::2] = images
    return 4 * _blurred(sparse)


def _blurred(images: np.ndarray) -> np.ndarray:
    """Borders are mirrored on the middle of the outermost pixels."""
    return correlate1d(correlate1d(images, BINOMIAL, axis=1, mode="mirror"), BINOMIAL, axis=2, mode="mirror")


def _descriptors(level: np.ndarray, patch: int, patches: int, rng: np.random.Generator) -> np.ndarray:
    """Standardised patches float32 (n * patches, patch ** 2) at random places."""
    windows = sliding_window_view(level, (patch, patch), axis=(1, 2))
    n, height, width = windows.shape[:3]
    rows, columns = (rng.integers(0, size, (n, patches)) for size in (height, width))
    found = windows[np.arange(n)[:, None], rows, columns].reshape(n * patches, patch**2)
    found = found - found.mean(dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.square(found, dtype=np.float64).mean()).astype(np.float32)
    return found / deviation if deviation > FLAT else np.zeros_like(found)


def _check(real: np.ndarray, synthetic: np.ndarray, smallest: int) -> None:
    if real.shape != synthetic.shape:
        raise UserError(
            f"the sets have {_words(real)} and {_words(synthetic)}; a sliced Wasserstein distance takes as many of "
            "each, of one size"
        )
    height, width = real.shape[1:]
    if height != width or height < smallest or height & (height - 1):
        raise UserError(
            f"images of {height}x{width} pixels have no pyramid down to {smallest}x{smallest}; expected square ones "
            f"whose size is a power of two, {smallest} or more"
        )


def _words(images: np.ndarray) -> str:
    return f"{len(images)} images of {'x'.join(map(str, images.shape[1:]))} pixels"
