import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.neighbors import KNeighborsClassifier

from kerasgan.metrics.two_sample import above_chance_p, combined_p, grouped_p, nearest_neighbour_decisions


def test_decisions_equal_sklearn():
    rng = np.random.default_rng(1)
    train, labels, test = rng.normal(size=(50, 4)), rng.integers(0, 2, 50), rng.normal(size=(30, 4))
    expected = KNeighborsClassifier(1).fit(train, labels).predict(test)
    np.testing.assert_array_equal(nearest_neighbour_decisions(train, labels, test), expected)


def test_binomial_by_hand():
    assert above_chance_p(2, 3) == pytest.approx(4 / 8)
    assert above_chance_p(3, 3) == pytest.approx(1 / 8)
    assert above_chance_p(0, 3) == 1


def test_binomial_is_near_the_normal_of_the_paper():
    assert above_chance_p(1050, 2000) == pytest.approx(norm.sf(1049.5 / 2000, 0.5, np.sqrt(1 / (4 * 2000))), rel=1e-3)


def test_groups_by_hand():
    # All right, 3 groups of 2 each: residuals of +-1/2, group totals 1, variance 3/2 * 3 / 36 per class, t = 1 / 0.5.
    truth = np.repeat([0, 1], 6)
    groups = [f"g{i // 2}" for i in range(12)]
    assert grouped_p(truth, truth, groups) == pytest.approx(t.sf(2, 4))
    assert grouped_p(truth, truth, groups) == pytest.approx(0.058, abs=1e-3)
    assert grouped_p(1 - truth, truth, groups) == pytest.approx(1 - t.sf(2, 4)), "one-sided"


def test_images_that_are_independent_give_nearly_the_binomial():
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], 500)
    decision = np.where(rng.random(1000) < 0.53, truth, 1 - truth)
    found = grouped_p(decision, truth, np.arange(1000))
    assert found == pytest.approx(above_chance_p(int((decision == truth).sum()), 1000), rel=0.15)


def null_p_values(rng, patients, slices, synthetic, grouped):
    """p under the null hypothesis: the decisions of a patient's slices are alike, those of synthetic images not."""
    truth = np.repeat([0, 1], [patients * slices, synthetic])
    groups = np.concatenate([np.repeat(np.arange(patients), slices), patients + np.arange(synthetic)])
    found = []
    for _ in range(400):
        tendency = np.concatenate([np.repeat(rng.beta(1, 1, patients), slices), rng.beta(1, 1, synthetic)])
        decision = (rng.random(len(truth)) < tendency).astype(int)
        found.append(
            grouped_p(decision, truth, groups) if grouped else above_chance_p((decision == truth).sum(), len(truth))
        )
    return np.array(found)


def test_slices_of_patients_do_not_make_the_grouped_test_reject():
    rng = np.random.default_rng(3)
    for patients in (4, 20):
        assert (null_p_values(rng, patients, 15, patients * 15, grouped=True) < 0.05).mean() < 0.08
    naive = null_p_values(rng, 20, 15, 300, grouped=False)
    assert (naive < 0.05).mean() > 0.12, "taking slices for independent is what rejects"


def test_nothing_to_tell():
    truth = np.array([0, 0, 1, 1])
    assert grouped_p(np.ones(4), truth, list("abcd")) == 1, "all the same"
    assert grouped_p(truth, truth, list("aacd")) == 1, "one patient"


def test_p_values_of_several_splits():
    assert combined_p([0.03]) == 0.03
    assert combined_p([0.01, 0.02, 0.9]) == pytest.approx(0.04)
    assert combined_p([0.7, 0.8]) == 1
