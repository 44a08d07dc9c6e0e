import math

import numpy as np
import pytest
from scipy.stats import entropy

from kerasgan.metrics import histogram_divergence as metric

EPSILON = 1e-10  # of configs/aggrgan.yaml


def histogram_divergence(real, generated, epsilon=EPSILON):
    return metric.histogram_divergence(real, generated, epsilon)


@pytest.fixture
def images():
    rng = np.random.default_rng(5)
    return rng.integers(0, 200, (3, 24, 20)).astype(np.uint8), rng.integers(40, 256, (3, 24, 20)).astype(np.uint8)


def as_written(real, generated, epsilon):
    """Equation 4 for one pair, level by level."""
    shares = []
    for image in (real, generated):
        counts = [0] * 256
        for value in image.ravel():
            counts[value] += 1
        raised = [count / image.size + epsilon for count in counts]
        shares.append([share / math.fsum(raised) for share in raised])
    return math.fsum(p * math.log(p / q) for p, q in zip(*shares, strict=True))


def test_divergence_by_hand():
    real = np.array([[[0, 0, 255, 255]]])  # P(0) = P(255) = 1/2
    generated = np.array([[[0, 255, 255, 255]]])  # Q(0) = 1/4, Q(255) = 3/4
    # 1/2 ln 2 + 1/2 ln(2/3) = 0.143841
    assert histogram_divergence(real, generated)[0] == pytest.approx(0.143841, abs=1e-6)
    # 1/4 ln(1/2) + 3/4 ln(3/2) = 0.130812: P is the first
    assert histogram_divergence(generated, real)[0] == pytest.approx(0.130812, abs=1e-6)


@pytest.mark.parametrize("epsilon", [EPSILON, 1e-3])
def test_divergence_equals_scipy_and_the_equation(images, epsilon):
    found = histogram_divergence(*images, epsilon)
    for value, real, generated in zip(found, *images, strict=True):
        p, q = (np.histogram(image, 256, (0, 256), density=True)[0] + epsilon for image in (real, generated))
        assert value == pytest.approx(entropy(p, q), rel=1e-12)
        assert value == pytest.approx(as_written(real, generated, epsilon), rel=1e-12)


def test_an_intensity_that_is_not_generated_costs_what_epsilon_says():
    black, white = np.zeros((1, 4, 4)), np.full((1, 4, 4), 255)
    assert histogram_divergence(black, white)[0] == pytest.approx(math.log(1e10), rel=1e-6)
    # shares (1 + e) and e before they are made to add up to 1: (1 + e - e) ln((1 + e) / e) / (1 + 256 e)
    assert histogram_divergence(black, white, 1e-4)[0] == pytest.approx(math.log(10001) / 1.0256, rel=1e-12)


def test_places_and_sizes_do_not_count(images):
    real, generated = images
    shuffled = np.random.default_rng(6).permuted(real.reshape(3, -1), axis=1).reshape(3, 40, 12)
    np.testing.assert_array_equal(histogram_divergence(real, shuffled), 0)
    doubled = generated.repeat(2, axis=2)
    np.testing.assert_allclose(histogram_divergence(real, doubled), histogram_divergence(real, generated), rtol=1e-12)


def test_divergence_is_never_negative_and_each_pair_is_its_own(images):
    real, generated = images
    both = histogram_divergence(real, generated)
    assert (both > 0).all()
    for i in range(3):
        assert histogram_divergence(real[i : i + 1], generated[i : i + 1])[0] == both[i]


def test_fractions_are_rounded(images):
    real, generated = images
    noise = np.random.default_rng(7).uniform(-0.4, 0.4, real.shape)
    np.testing.assert_array_equal(histogram_divergence(real + noise, real), 0)
    np.testing.assert_array_equal(
        histogram_divergence(real, generated), histogram_divergence(real.astype(np.float32), generated + noise / 2)
    )


@pytest.mark.parametrize("value", [-1, 256, np.nan])
def test_other_scales_are_refused(value):
    with pytest.raises(ValueError, match="intensities must be 0 to 255"):
        histogram_divergence(np.full((1, 2, 2), 7.0), np.full((1, 2, 2), value))


def test_an_epsilon_of_zero_is_refused():
    with pytest.raises(ValueError, match="epsilon must be above 0, got 0"):
        histogram_divergence(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)), 0)
