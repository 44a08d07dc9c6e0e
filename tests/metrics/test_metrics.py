import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from kerasgan.metrics.psnr import psnr
from kerasgan.metrics.ssim import ssim


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    real = rng.uniform(-1, 1, (4, 32, 40)).astype(np.float32)
    return real, np.clip(real + rng.normal(0, 0.3, real.shape), -1, 1).astype(np.float32)


def test_psnr_by_hand():
    real = np.zeros((1, 2, 2))
    fake = np.array([[[0.2, 0, 0, 0.2]]]).reshape(1, 2, 2)
    # MSE = 2 * 0.04 / 4 = 0.02; 10 log10(4 / 0.02) = 23.0103
    assert psnr(real, fake, 2.0)[0] == pytest.approx(23.0103, abs=1e-4)
    region = np.array([[[True, False], [False, False]]])
    assert psnr(real, fake, 2.0, region)[0] == pytest.approx(20.0, abs=1e-9)  # MSE 0.04


def test_psnr_equals_scikit_image(images):
    real, fake = images
    expected = [peak_signal_noise_ratio(a, b, data_range=2.0) for a, b in zip(real, fake, strict=True)]
    np.testing.assert_allclose(psnr(real, fake, 2.0), expected, rtol=1e-6)


def test_ssim_equals_scikit_image(images):
    real, fake = images
    options = dict(data_range=2.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    expected = [structural_similarity(a, b, **options) for a, b in zip(real, fake, strict=True)]
    np.testing.assert_allclose(ssim(real, fake, 2.0), expected, atol=1e-6)


def test_ssim_over_a_region_is_the_mean_of_the_map(images):
    real, fake = images
    options = dict(data_range=2.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True)
    region = np.zeros(real.shape, bool)
    region[:, 8:20, 10:30] = True
    expected = [structural_similarity(a, b, **options)[1][8:20, 10:30].mean() for a, b in zip(real, fake, strict=True)]
    np.testing.assert_allclose(ssim(real, fake, 2.0, region), expected, atol=1e-6)


def test_equal_images_and_an_empty_region(images):
    real, _ = images
    np.testing.assert_allclose(ssim(real, real, 2.0), 1)
    assert np.isposinf(psnr(real, real, 2.0)).all()
    empty = np.zeros(real.shape, bool)
    assert np.isnan(psnr(real, -real, 2.0, empty)).all() and np.isnan(ssim(real, -real, 2.0, empty)).all()
