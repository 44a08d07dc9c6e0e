import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from kerasgan.metrics.kernel_distance import kernel_distance, squared_mmd


def by_loops(x, y):
    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def within(each):
        values = [kernel(a, b) for i, a in enumerate(each) for j, b in enumerate(each) if i != j]
        return sum(values) / len(values)

    return within(x) + within(y) - 2 * np.mean([kernel(a, b) for a in x for b in y])


def test_by_hand():
    # k(0, 0) = 1, k(2, 2) = 125, k(0, 2) = 1: 1 + 125 - 2
    assert squared_mmd(np.zeros((2, 1)), np.full((2, 1), 2.0)) == pytest.approx(124)


def test_equals_the_double_loop():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(9, 4)), rng.normal(0.5, 2, (7, 4))
    assert squared_mmd(x, y) == pytest.approx(by_loops(x, y), rel=1e-10)


def test_one_subset_of_everything_equals_sklearn():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(20, 6)), rng.normal(1, 1, (20, 6))
    own, other, between = (polynomial_kernel(a, b, degree=3, coef0=1) for a, b in ((x, x), (y, y), (x, y)))
    expected = sum((k.sum() - np.trace(k)) / (20 * 19) for k in (own, other)) - 2 * between.mean()
    assert kernel_distance(x, y, subsets=3, size=20, seed=1) == (pytest.approx(expected), pytest.approx(0, abs=1e-9))


def test_mean_and_spread_of_the_subsets():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(25, 3))
    draws = np.random.default_rng(5)
    each = [squared_mmd(x[draws.permutation(30)[:10]], y[draws.permutation(25)[:10]]) for _ in range(4)]
    assert kernel_distance(x, y, subsets=4, size=10, seed=5) == pytest.approx((np.mean(each), np.std(each)))


def test_no_bias_for_one_distribution():
    found = [squared_mmd(*np.random.default_rng(i).normal(size=(2, 10, 3))) for i in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    assert min(found) < 0


@pytest.mark.parametrize("size", [1, 6])
def test_subsets_that_cannot_be_drawn(size):
    with pytest.raises(ValueError, match=f"subsets of {size} rows"):
        kernel_distance(np.zeros((5, 2)), np.zeros((9, 2)), subsets=2, size=size, seed=1)
