import numpy as np
import pytest
from scipy import stats

from kerasgan.metrics.paired_tests import mcnemar, paired_permutation


def correct(both, only_a, only_b, neither):
    """Two arrays of right and wrong with these counts."""
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


def test_mcnemar_by_hand():
    # 2 (1 + 6) / 2^6
    assert mcnemar(*correct(10, 1, 5, 4)) == (1, 5, pytest.approx(14 / 64))
    assert mcnemar(*correct(0, 5, 0, 0)) == (5, 0, pytest.approx(2 / 32))


def test_mcnemar_without_or_with_balanced_discordant_pairs_is_one():
    assert mcnemar(*correct(7, 0, 0, 2)) == (0, 0, 1)
    assert mcnemar(*correct(7, 3, 3, 2)) == (3, 3, 1)


@pytest.mark.parametrize(("b", "c"), [(0, 1), (2, 9), (9, 2), (14, 20), (60, 31)])
def test_mcnemar_equals_scipy_and_looks_at_discordant_pairs_only(b, c):
    p = mcnemar(*correct(3, b, c, 0))[2]
    assert p == pytest.approx(stats.binomtest(b, b + c, 0.5).pvalue)
    assert p == mcnemar(*correct(30, b, c, 50))[2]


def test_permutation_by_hand():
    # Of the 8 sign vectors two, (+, +, +) and (-, -, -), reach |6|.
    assert paired_permutation([1, 2, 3], 8, seed=0) == 2 / 8
    # |1 + 2 - 3| = 0 is reached by all.
    assert paired_permutation([1, 2, -3], 8, seed=0) == 1
    # |-1 + 2 + 3| = 4: the sums' distances from 0 are 6, 4, 2 and 0, twice each.
    assert paired_permutation([-1, 2, 3], 8, seed=0) == 4 / 8


def test_permutation_of_no_difference_is_one():
    assert paired_permutation(np.zeros(5), 100, seed=0) == 1
    assert paired_permutation(np.zeros(30), 100, seed=0) == 1


@pytest.mark.parametrize("seed", range(4))
def test_exact_permutation_equals_scipy(seed):
    difference = np.random.default_rng(seed).normal(0.4, 1, 9)
    expected = stats.permutation_test((difference,), np.mean, permutation_type="samples", n_resamples=np.inf, axis=0)
    assert paired_permutation(difference, 512, seed=0) == pytest.approx(expected.pvalue)


def test_rounding_does_not_break_ties():
    # In binary, sums of thirds and tenths that are equal on paper differ in the last digit; whole numbers' do not.
    difference = np.array([1 / 3, 0.1, -1 / 3, 0.1, 0.1, 1 / 3, 1 / 3, -0.1, 0.2, -1 / 3])
    whole = np.round(30 * difference).astype(int)
    assert paired_permutation(difference, 1024, seed=0) == paired_permutation(whole, 1024, seed=0)


def test_drawn_permutations_approach_the_exact_value():
    difference = np.random.default_rng(3).normal(0.5, 1, 14)
    exact = paired_permutation(difference, 2**14, seed=0)
    assert 0.01 < exact < 0.5
    assert paired_permutation(difference, 2**14 - 1, seed=1) == pytest.approx(exact, abs=0.02)


def test_drawn_permutations_count_the_observed_one_in():
    assert paired_permutation(np.ones(40), 99, seed=0) == 1 / 100


def test_permutation_has_two_sides_and_a_seed():
    difference = np.random.default_rng(4).normal(0.3, 1, 25)
    p = paired_permutation(difference, 500, seed=0)
    assert paired_permutation(-difference, 500, seed=0) == p
    assert paired_permutation(10 * difference, 500, seed=0) == p
    assert len({paired_permutation(difference, 500, seed=seed) for seed in range(6)}) > 1


def test_differences_that_are_not_numbers_are_an_error():
    with pytest.raises(ValueError, match="finite"):
        paired_permutation([0.1, np.nan], 10, seed=0)
