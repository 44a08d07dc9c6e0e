import math

import numpy as np
import pytest
from scipy.stats import binomtest

from kerasgan.metrics.proportions import binomial_p, fleiss_kappa, wilson_interval

# Fleiss 1971, Table 1: of 30 patients the diagnoses of 6 psychiatrists each: depression, personality disorder,
# schizophrenia, neurosis, other.
DIAGNOSES = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""


def test_wilson_by_hand():
    # z^2 = 3.8415: (0.5 + 0.019207 +- 1.96 sqrt(0.0025 + 0.000096)) / 1.038415
    assert wilson_interval(50, 100) == pytest.approx((0.403832, 0.596168), abs=1e-6)
    # Of 0 in n it is (0, z^2 / (n + z^2)).
    assert wilson_interval(0, 10) == pytest.approx((0, 3.841459 / 13.841459))


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (1, 1), (3, 7), (70, 100), (100, 100), (1234, 5678)])
def test_wilson_equals_scipy(successes, trials):
    expected = binomtest(successes, trials).proportion_ci(0.95, "wilson")
    low, high = wilson_interval(successes, trials)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= successes / trials <= high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (5, 4), (-1, 4)])
def test_wilson_of_impossible_counts_is_refused(successes, trials):
    with pytest.raises(ValueError, match="successes of"):
        wilson_interval(successes, trials)


def test_binomial_by_hand():
    # 8 of 10 or further from 5: 2 (45 + 10 + 1) / 2^10
    assert binomial_p(8, 10) == pytest.approx(112 / 1024)
    assert binomial_p(2, 10) == pytest.approx(112 / 1024)
    assert binomial_p(50, 100) == 1


def test_kappa_of_fleiss_own_example():
    counts = np.array([[int(digit) for digit in row] for row in DIAGNOSES.split()])
    assert counts.sum(axis=0).tolist() == [26, 26, 30, 55, 43], "the table's column sums"
    assert fleiss_kappa(counts) == pytest.approx(0.430, abs=5e-4)


def test_kappa_by_hand():
    # Two raters agree on 3 of 4; 5 of 8 answers are A: (3/4 - 34/64) / (1 - 34/64)
    assert fleiss_kappa([[2, 0], [2, 0], [1, 1], [0, 2]]) == pytest.approx((48 - 34) / (64 - 34))
    # Three raters, one of whom always dissents: (1/3 - 1/2) / (1/2)
    assert fleiss_kappa([[2, 1], [1, 2]]) == pytest.approx(-1 / 3)


def test_kappa_of_full_agreement_is_one_and_of_one_category_undefined():
    assert fleiss_kappa([[3, 0], [0, 3], [3, 0]]) == pytest.approx(1)
    assert math.isnan(fleiss_kappa([[3, 0], [3, 0]]))


def test_kappa_of_chance_is_near_zero():
    answers = np.random.default_rng(1).integers(0, 2, (4000, 5))
    yes = answers.sum(axis=1)
    assert abs(fleiss_kappa(np.stack([yes, 5 - yes], axis=1))) < 0.02


@pytest.mark.parametrize("counts", [[[1, 0], [0, 1]], [[2, 0], [2, 1]]])
def test_kappa_needs_the_same_raters_for_all(counts):
    with pytest.raises(ValueError, match="same number of raters"):
        fleiss_kappa(counts)
