import numpy as np
import pytest
from scipy.linalg import sqrtm

from kerasgan.metrics.frechet import frechet_distance


def by_matrix_root(real, synthetic):
    difference = real.mean(axis=0) - synthetic.mean(axis=0)
    one, two = (np.atleast_2d(np.cov(each, rowvar=False)) for each in (real, synthetic))
    return float(difference @ difference + np.trace(one + two - 2 * sqrtm(one @ two).real))


def correlated(n, features, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)) @ rng.normal(size=(features, features)) + shift


def test_one_dimension_by_hand():
    # Means 1 and 4, standard deviations 2 and 5: (1 - 4)^2 + (2 - 5)^2 = 18.
    standard = np.array([[-1.0], [0.0], [1.0]])  # mean 0, variance 1 with n - 1
    assert frechet_distance(1 + 2 * standard, 4 + 5 * standard) == pytest.approx(18, abs=1e-12)


def test_independent_features_add_up():
    # Every combination of signs: uncorrelated features, so the squared differences of the deviations add up.
    signs = np.array([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)]) * np.sqrt(3 / 4)
    found = frechet_distance(signs * [1, 2], signs * [3, 7] + [0.5, 0])
    assert found == pytest.approx(0.25 + (1 - 3) ** 2 + (2 - 7) ** 2, abs=1e-12)


@pytest.mark.parametrize(("n", "m", "features"), [(200, 300, 12), (50, 40, 30)])
def test_equals_the_matrix_root(n, m, features):
    real, synthetic = correlated(n, features, 1), correlated(m, features, 2, shift=0.3)
    assert frechet_distance(real, synthetic) == pytest.approx(by_matrix_root(real, synthetic), rel=1e-8)


def test_fewer_images_than_features():
    real, synthetic = correlated(9, 20, 1), correlated(12, 20, 2)
    one, two = (np.cov(each, rowvar=False) for each in (real, synthetic))
    root = np.sqrt(np.maximum(np.linalg.eigvals(one @ two).real, 0)).sum()
    expected = np.square(real.mean(0) - synthetic.mean(0)).sum() + np.trace(one) + np.trace(two) - 2 * root
    assert frechet_distance(real, synthetic) == pytest.approx(expected, rel=1e-5)


def test_equal_sets_are_at_0_and_order_does_not_count():
    real, synthetic = correlated(60, 8, 1).astype(np.float32), correlated(60, 8, 2).astype(np.float32)
    assert frechet_distance(real, real[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(real, synthetic) == pytest.approx(frechet_distance(synthetic, real), rel=1e-9)


def test_small_samples_of_one_distribution_are_further_apart():
    def halves(n):
        return np.mean([frechet_distance(*np.random.default_rng(i).normal(size=(2, n, 10))) for i in range(5)])

    assert halves(20) > 2 * halves(200) > 0


def test_one_row_has_no_covariance():
    with pytest.raises(ValueError, match="two or more rows"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
