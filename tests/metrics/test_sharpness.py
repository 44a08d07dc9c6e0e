import math

import numpy as np
import pytest
from scipy.ndimage import convolve

from kerasgan.metrics.sharpness import sharpness_difference


@pytest.fixture
def images():
    rng = np.random.default_rng(8)
    real = rng.integers(0, 256, (3, 24, 20)).astype(np.uint8)
    return real, np.clip(real + rng.normal(0, 25, real.shape), 0, 255).astype(np.uint8)


def as_written(f, g):
    """Equations 5 to 7 for one pair, pixel by pixel."""

    def gradient(image, i, j):
        return 2 * float(image[i, j]) - float(image[i - 1, j]) - float(image[i, j - 1])

    inner = [(i, j) for i in range(1, f.shape[0]) for j in range(1, f.shape[1])]
    mean = math.fsum(abs(gradient(f, i, j) - gradient(g, i, j)) for i, j in inner) / len(inner)
    return 10 * math.log10(255**2 / mean)


def test_sharpness_difference_by_hand():
    real = np.array([[[10, 20], [30, 100]]], np.uint8)  # D = 200 - 20 - 30 = 150
    generated = np.array([[[0, 40], [50, 60]]], np.uint8)  # D = 120 - 40 - 50 = 30
    # 10 log10(65025 / 120) = 27.3389
    assert sharpness_difference(real, generated)[0] == pytest.approx(27.3389, abs=1e-4)


def test_sharpness_difference_equals_the_equations(images):
    expected = [as_written(f, g) for f, g in zip(*images, strict=True)]
    np.testing.assert_allclose(sharpness_difference(*images), expected, rtol=1e-12)


def test_sharpness_difference_equals_that_of_scipys_convolution(images):
    kernel = np.array([[0, 0, 0], [0, 2, -1], [0, -1, 0]])  # convolve flips it: to the pixels above and to the left
    real, generated = (np.stack([convolve(i.astype(float), kernel)[1:, 1:] for i in own]) for own in images)
    expected = 10 * np.log10(255**2 / np.abs(real - generated).mean(axis=(1, 2)))
    np.testing.assert_allclose(sharpness_difference(*images), expected, rtol=1e-12)


def test_equal_gradients_are_infinitely_alike(images):
    real, _ = images
    assert np.isposinf(sharpness_difference(real, real)).all()
    assert np.isposinf(sharpness_difference(real, real.astype(float) + 9)).all(), "a constant has no gradient"


def test_sharpness_difference_is_symmetric_and_falls_with_noise(images):
    real, noisy = images
    np.testing.assert_array_equal(sharpness_difference(real, noisy), sharpness_difference(noisy, real))
    worse = real + 2 * (noisy.astype(float) - real)
    np.testing.assert_allclose(sharpness_difference(real, noisy) - sharpness_difference(real, worse), 10 * np.log10(2))


def test_the_scale_counts(images):
    """SD of images in [-1, 1] with data_range 2 is another number: d is not squared."""
    signed = [own / 127.5 - 1 for own in images]
    shift = sharpness_difference(*images) - sharpness_difference(*signed, data_range=2.0)
    np.testing.assert_allclose(shift, 10 * np.log10(127.5))


def test_one_row_has_no_gradient():
    with pytest.raises(ValueError, match="at least 2x2"):
        sharpness_difference(np.zeros((1, 1, 8)), np.ones((1, 1, 8)))
