"""Generated beside real images, by thumbnails."""

import numpy as np
import pytest

from kerasgan.data.imagesets import ImageSet
from kerasgan.evaluation import thumbnails


def image_set(images, groups):
    names = tuple(f"{i}" for i in range(len(images)))
    return ImageSet(np.asarray(images, np.float32), names, tuple(groups), ("t1",) * len(images), "by hand")


def test_measures_by_hand():
    """Images of 1x1 pixel a, b: the kernel is (ab + 1)^3."""
    real = image_set(np.reshape([0.0, 0.5, 0.9, 0.4], (4, 1, 1)), ["p", "p", "q", "q"])
    fake = np.reshape([-0.5, -0.6, -3.0, 0.3], (4, 1, 1))  # -3 is clipped to -1
    found = thumbnails.compared(real, fake)
    x, y = np.array([0, 0.5, 0.9, 0.4]), np.array([-0.5, -0.6, -1, 0.3])

    def kernel(a, b):
        return (np.outer(a, b) + 1) ** 3

    within = sum((kernel(a, a).sum() - np.trace(kernel(a, a))) / 12 for a in (x, y))
    assert found["kernel_distance"] == pytest.approx(within - 2 * kernel(x, y).mean(), rel=1e-6)
    assert found["spread"] == pytest.approx(y.std(), rel=1e-6)
    assert found["spread_of_real"] == pytest.approx(x.std(), rel=1e-6)
    # Known are p's 0, 0.5 and the synthetic -0.5, -1. Of the judged, 0.9, 0.4 and -0.6 are told right, 0.3 is not.
    assert found["nearest_neighbour"] == 0.75


def test_the_nearest_of_other_patients_decides():
    """Each patient's images are alike, so that of all images the nearest would always be right."""
    real = image_set(np.repeat([[[0.9]], [[-0.9]]], 4, axis=0), 4 * ["p"] + 4 * ["q"])
    fake = np.full((8, 1, 1), 0.5)  # nearer to q's than p's are
    assert thumbnails.compared(real, fake)["nearest_neighbour"] == 0.5
    apart = thumbnails.compared(image_set(0 * real.images + 0.9, real.groups), fake)
    assert apart["nearest_neighbour"] == 1
    assert apart["spread"] == apart["spread_of_real"] == pytest.approx(0, abs=1e-6)


def test_large_images_are_compared_by_means_of_blocks():
    rng = np.random.default_rng(1)
    small = rng.uniform(-1, 1, (12, 16, 16)).astype(np.float32)
    noise = rng.uniform(-0.1, 0.1, (12, 16, 16)).astype(np.float32)
    checks = np.kron(noise, np.array([[1, -1], [-1, 1]], np.float32))  # of no mean
    large = np.clip(small.repeat(2, axis=1).repeat(2, axis=2), -0.9, 0.9)
    small, groups = np.clip(small, -0.9, 0.9), ["p", "q"] * 6
    found = thumbnails.compared(image_set(large + checks, groups), large[::-1] - checks)
    expected = thumbnails.compared(image_set(small, groups), small[::-1])
    assert found.keys() == set(thumbnails.MEASURES)
    assert found == {name: pytest.approx(value, abs=1e-5) for name, value in expected.items()}
    smaller = thumbnails.compared(image_set(small[:, :8, :8], groups), small[::-1, :8, :8])
    assert smaller["spread"] == pytest.approx(smaller["spread_of_real"])  # not shrunk
