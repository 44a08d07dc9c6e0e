"""Random pairs, and MS-SSIM against TensorFlow's."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from skimage.metrics import structural_similarity

from kerasgan.metrics.ms_ssim import WEIGHTS, ms_ssim, scales_of
from kerasgan.metrics.ssim import ssim
from kerasgan.metrics.ssim_diversity import pair_similarities, random_pairs


def noisy(shape, noise, seed=1):
    rng = np.random.default_rng(seed)
    base = np.cumsum(np.cumsum(rng.normal(0, 0.1, shape), axis=1), axis=2)
    base = (2 * (base - base.min()) / np.ptp(base) - 1).astype(np.float32)
    return base, np.clip(base + rng.normal(0, noise, shape), -1, 1).astype(np.float32)


@pytest.mark.parametrize(("size", "scales"), [(176, 5), (100, 4), (64, 3), (32, 2), (21, 1)])
def test_ms_ssim_equals_tensorflow(size, scales):
    assert scales_of(size, size) == scales
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    real, fake = noisy((3, size, size), 0.2)
    expected = tf.image.ssim_multiscale(real[..., None], fake[..., None], 2.0, power_factors=weights.tolist())
    if size % 2 ** (scales - 1) == 0:
        np.testing.assert_allclose(ms_ssim(real, fake, 2.0), expected, atol=1e-5)
    else:  # TensorFlow repeats a last odd row
        np.testing.assert_allclose(ms_ssim(real, fake, 2.0), expected, atol=0.01)


def test_one_scale_is_ssim():
    real, fake = noisy((2, 21, 21), 0.1)
    np.testing.assert_allclose(ms_ssim(real, fake, 2.0), ssim(real, fake, 2.0), atol=1e-12)


def test_equal_images_have_1_and_negatives_0():
    real, _ = noisy((1, 64, 64), 0.1)
    assert ms_ssim(real, real, 2.0)[0] == pytest.approx(1)
    checkers = np.indices((64, 64)).sum(axis=0)[None] % 2 * 2.0 - 1
    assert ms_ssim(checkers, -checkers, 2.0)[0] == 0


def test_pairs_are_of_different_groups_and_different():
    groups = [f"p{i // 5}" for i in range(30)]
    pairs = random_pairs(groups, 100, seed=1)
    assert pairs.shape == (100, 2)
    assert len({tuple(pair) for pair in pairs.tolist()}) == 100
    assert all(a < b and groups[a] != groups[b] for a, b in pairs)


def test_pairs_that_are_fewer_than_asked_for_are_all_taken():
    assert sorted(map(tuple, random_pairs(["a", "a", "b", "c"], 100, 1).tolist())) == [
        (0, 2),
        (0, 3),
        (1, 2),
        (1, 3),
        (2, 3),
    ]
    assert random_pairs(["a", "a"], 100, 1).shape == (0, 2)


@pytest.mark.parametrize("count", [3, 40])
def test_the_seed_decides(count):
    groups = list("abcdefghijk")
    one, two, other = (random_pairs(groups, count, seed) for seed in (1, 1, 2))
    assert one.tolist() == two.tolist() != other.tolist()


def test_similarities_equal_scikit_image_pair_by_pair():
    images, _ = noisy((20, 24, 24), 0.1)
    pairs = random_pairs([str(i) for i in range(20)], 70, 3)
    options = dict(data_range=2.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    expected = [structural_similarity(images[a], images[b], **options) for a, b in pairs]
    np.testing.assert_allclose(pair_similarities(images, pairs, partial(ssim, data_range=2.0)), expected, atol=1e-6)
    assert pair_similarities(images, pairs[:0], partial(ssim, data_range=2.0)).shape == (0,)
