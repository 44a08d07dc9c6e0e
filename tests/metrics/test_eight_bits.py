"""SSIM and PSNR of images from 0 to 255, as the tables of Mukherjee et al. 2022 give them (equations 1 to 3)."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kerasgan.metrics.psnr import psnr
from kerasgan.metrics.ssim import ssim


@pytest.fixture
def images():
    rng = np.random.default_rng(9)
    real = rng.integers(0, 256, (3, 24, 20)).astype(np.uint8)
    return real, np.clip(real + rng.normal(0, 25, real.shape), 0, 255).astype(np.uint8)


def test_psnr_of_8_bits_by_hand():
    real, generated = np.array([[[0, 255], [10, 10]]], np.uint8), np.array([[[3, 255], [10, 6]]], np.uint8)
    # MSE = (9 + 16) / 4 = 6.25; 20 log10(255 / 2.5) = 40.1720; uint8 would wrap 0 - 3 to 253
    assert psnr(real, generated, 255)[0] == pytest.approx(20 * math.log10(255 / 2.5), abs=1e-12)
    assert psnr(real, generated, 255)[0] == pytest.approx(40.1720, abs=1e-4)


def test_psnr_of_8_bits_equals_scikit_image(images):
    expected = [peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(*images, strict=True)]
    np.testing.assert_allclose(psnr(*images, 255), expected, rtol=1e-12)


def test_ssim_of_8_bits_equals_scikit_image(images):
    options = dict(data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    expected = [structural_similarity(a, b, **options) for a, b in zip(*images, strict=True)]
    np.testing.assert_allclose(ssim(*images, 255), expected, atol=1e-10)


def test_psnr_does_not_depend_on_the_scale_and_ssim_on_its_offset(images):
    """SSIM of [-1, 1] has other means, so the two scales give different numbers: a table says which it is of."""
    signed = [own / 127.5 - 1 for own in images]
    np.testing.assert_allclose(psnr(*signed, 2), psnr(*images, 255), rtol=1e-12)
    unit = [own / 255 for own in images]
    np.testing.assert_allclose(ssim(*unit, 1), ssim(*images, 255), atol=1e-10)
    assert (np.abs(ssim(*signed, 2) - ssim(*images, 255)) > 1e-4).all()
