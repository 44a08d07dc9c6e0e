import numpy as np
import pytest
from sklearn import metrics as sklearn

from kerasgan.errors import UserError
from kerasgan.metrics.classification import (
    MEASURES,
    Confusion,
    bootstrap,
    patient_vote,
    roc_auc,
    roc_curve,
    summarise,
)

TRUTH = np.array([1, 1, 1, 0, 0, 0, 0])
SCORE = np.array([0.9, 0.6, 0.4, 0.6, 0.3, 0.2, 0.1])
DECISION = (SCORE > 0.5).astype(int)


@pytest.fixture(params=range(5))
def drawn(request):
    """Random classes and scores with many ties."""
    rng = np.random.default_rng(request.param)
    truth = rng.integers(0, 2, 80)
    return truth, np.round(rng.normal(0.4 + 0.2 * truth, 0.2), 1)


@pytest.fixture
def slices():
    """Truth, score, decision, patient: 12 patients with 1 to 6 slices each, four of them positive."""
    rng = np.random.default_rng(7)
    patients = np.repeat(np.arange(12), rng.integers(1, 7, 12))
    truth = (patients % 3 == 0).astype(int)
    score = np.round(rng.normal(0.4 + 0.2 * truth, 0.2), 1)
    return truth, score, (score > 0.5).astype(int), patients


def test_confusion_by_hand():
    confusion = Confusion.of(TRUTH, DECISION)
    assert confusion == Confusion(tp=2, fn=1, fp=1, tn=3)
    assert confusion.accuracy == pytest.approx(5 / 7)
    assert confusion.sensitivity == pytest.approx(2 / 3)
    assert confusion.specificity == pytest.approx(3 / 4)
    assert confusion.balanced_accuracy == pytest.approx(17 / 24)
    assert confusion.harmonic_mean == pytest.approx(12 / 17)


def test_harmonic_mean_of_nothing_is_0_and_of_an_absent_class_nan():
    assert Confusion(tp=0, fn=2, fp=3, tn=0).harmonic_mean == 0
    assert np.isnan(Confusion(tp=1, fn=1, fp=0, tn=0).harmonic_mean)
    several = Confusion(*np.array([[2, 0], [1, 2], [1, 3], [3, 0]]))
    np.testing.assert_allclose(several.harmonic_mean, [12 / 17, 0])


def test_measures_equal_scikit_learn(drawn):
    truth, score = drawn
    decision = (score > 0.5).astype(int)
    found = summarise(truth, score, decision)
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(truth, decision))
    assert found["sensitivity"] == pytest.approx(sklearn.recall_score(truth, decision))
    assert found["specificity"] == pytest.approx(sklearn.recall_score(truth, decision, pos_label=0))
    assert found["balanced_accuracy"] == pytest.approx(sklearn.balanced_accuracy_score(truth, decision))
    assert found["auc"] == pytest.approx(sklearn.roc_auc_score(truth, score))


@pytest.mark.parametrize(("absent", "known"), [("sensitivity", "specificity"), ("specificity", "sensitivity")])
def test_absent_class_gives_nan_and_no_warning(absent, known):
    truth = np.full(3, int(absent == "specificity"))
    found = summarise(truth, [0.9, 0.2, 0.6], [1, 0, 1])
    assert np.isnan([found[absent], found["balanced_accuracy"], found["auc"]]).all()
    assert found[known] == pytest.approx(1 / 3 if known == "specificity" else 2 / 3)
    assert found["majority_rate"] == 1
    assert np.isnan(Confusion(0, 0, 0, 0).accuracy)


def test_summary_counts_rows_and_the_larger_class():
    found = summarise(TRUTH, SCORE, DECISION)
    assert list(found) == [*MEASURES, "majority_rate", "n"]
    assert found["majority_rate"] == pytest.approx(4 / 7)
    assert found["n"] == 7
    assert summarise(1 - TRUTH, SCORE, DECISION)["majority_rate"] == pytest.approx(4 / 7)


def test_auc_by_hand():
    # 0.9 beats four negatives, 0.6 three and ties with one, 0.4 three: (4 + 3.5 + 3) / 12
    assert roc_auc(TRUTH, SCORE) == pytest.approx(10.5 / 12)
    assert roc_auc([1, 0], [0.3, 0.3]) == 0.5
    assert roc_auc([1, 1, 0], [2, 3, 1]) == 1


def test_auc_is_unchanged_by_rising_functions_and_mirrored_by_falling_ones(drawn):
    truth, score = drawn
    area = roc_auc(truth, score)
    assert roc_auc(truth, np.exp(3 * score) - 5) == pytest.approx(area)
    assert roc_auc(truth, -score) == pytest.approx(1 - area)
    assert roc_auc(1 - truth, score) == pytest.approx(1 - area)


def test_curve_by_hand_takes_ties_in_one_diagonal_step():
    false, true = roc_curve(TRUTH, SCORE)
    np.testing.assert_allclose(false, np.array([0, 0, 1, 1, 2, 3, 4]) / 4)
    np.testing.assert_allclose(true, np.array([0, 1, 2, 3, 3, 3, 3]) / 3)


def test_curve_equals_scikit_learn_and_encloses_the_auc(drawn):
    truth, score = drawn
    false, true = roc_curve(truth, score)
    expected = sklearn.roc_curve(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(false, expected[0])
    np.testing.assert_allclose(true, expected[1])
    assert np.trapezoid(true, false) == pytest.approx(roc_auc(truth, score))


def test_curve_of_one_class_has_one_rate():
    false, true = roc_curve([0, 0], [0.1, 0.2])
    np.testing.assert_array_equal(false, [0, 0.5, 1])
    assert np.isnan(true).all()


def test_majority_vote_of_equation_6():
    probability = [0.51, 0.51, 0.1, 0.9, 0.9, 0.2, 0.2, 0.5, 0.9]
    patients = ["b", "b", "b", "a", "a", "a", "a", "c", "d"]
    names, score, decision = patient_vote(probability, patients, "majority")
    assert names == ["a", "b", "c", "d"]
    np.testing.assert_allclose(score, [1 / 2, 2 / 3, 0, 1])
    assert decision.tolist() == [0, 1, 0, 1], "a's tie is wild-type, and so is c's probability of one half"


def test_mean_vote_may_overrule_the_majority():
    names, score, decision = patient_vote(
        np.float32([0.51, 0.51, 0.1, 0.99, 0.45, 0.45, 0.5]), np.array(list("bbbaaac")), "mean"
    )
    assert names == ["a", "b", "c"]
    np.testing.assert_allclose(score, [0.63, 1.12 / 3, 0.5], rtol=1e-6)
    assert decision.tolist() == [1, 0, 0]


def bootstrap_by_concatenation(truth, score, decision, groups, samples, rng):
    """The same bootstrap, row by row: draws patients of each class and joins their rows."""
    members = [np.unique(groups[truth == k]) for k in (0, 1)]
    found = []
    for _ in range(samples):
        chosen = np.concatenate([rng.choice(each, each.size) for each in members])
        rows = np.concatenate([np.flatnonzero(groups == group) for group in chosen])
        values = summarise(truth[rows], score[rows], decision[rows])
        found.append([values[name] for name in MEASURES])
    return np.array(found)


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_bootstrap_agrees_with_joining_the_rows_of_drawn_patients(slices, confidence):
    expected = bootstrap_by_concatenation(*slices, 3000, np.random.default_rng(1))
    intervals = bootstrap(*slices, 20000, confidence, seed=2)
    low, high = np.quantile(expected, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    assert list(intervals) == list(MEASURES)
    np.testing.assert_allclose([intervals[name][0] for name in MEASURES], low, atol=0.02)
    np.testing.assert_allclose([intervals[name][1] for name in MEASURES], high, atol=0.02)


def test_bootstrap_knows_every_outcome_of_two_patients_a_class():
    # The patients of a class: (both right), (one), (none) with 1/4, 1/2, 1/4, so sensitivity is 0, 1/2 or 1.
    truth, decision, groups = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]), np.arange(4)
    wide = bootstrap(truth, decision, decision, groups, 4000, 0.9, seed=0)
    narrow = bootstrap(truth, decision, decision, groups, 4000, 0.4, seed=0)
    assert wide["sensitivity"] == (0, 1)
    assert narrow["sensitivity"] == (0.5, 0.5)
    assert wide["specificity"] == (1, 1)
    assert wide["accuracy"] == (0.5, 1)
    assert wide["auc"] == (0.5, 1)


def test_bootstrap_of_slices_is_wider_than_if_they_were_independent():
    truth = np.repeat([1, 0], 60)
    decision = np.tile(np.repeat([1, 0], 6), 10)  # the six slices of a patient agree
    score, patients = decision * 0.5, np.repeat(np.arange(20), 6)
    together = bootstrap(truth, score, decision, patients, 2000, 0.95, seed=0)["accuracy"]
    apart = bootstrap(truth, score, decision, np.arange(120), 2000, 0.95, seed=0)["accuracy"]
    assert np.ptp(together) > 1.8 * np.ptp(apart)


def test_bootstrap_repeats_with_its_seed_and_ignores_the_names_of_groups(slices):
    truth, score, decision, patients = slices
    first = bootstrap(*slices, 200, 0.9, seed=5)
    assert first == bootstrap(truth, score, decision, np.char.add("p", (patients + 10).astype(str)), 200, 0.9, seed=5)
    assert first != bootstrap(*slices, 200, 0.9, seed=6)
    chosen = bootstrap(*slices, 200, 0.9, seed=5, measures=("specificity", "harmonic_mean"))
    assert list(chosen) == ["specificity", "harmonic_mean"] and chosen["specificity"] == first["specificity"]


def test_bootstrap_without_a_class_is_nan():
    found = bootstrap(np.zeros(3), np.arange(3), [0, 1, 0], ["a", "b", "c"], 100, 0.9, seed=0)
    assert np.isnan([found["sensitivity"], found["balanced_accuracy"], found["auc"]]).all()
    assert found["specificity"] == found["accuracy"]
    assert found["accuracy"][1] == 1


def test_patient_of_two_classes_is_an_error():
    with pytest.raises(UserError, match="anna has slices of both classes"):
        bootstrap([1, 0, 0], [0.5] * 3, [1, 1, 1], ["anna", "anna", "bert"], 10, 0.9, seed=0)


def test_scores_that_are_not_numbers_are_an_error():
    for call in (
        lambda score: roc_auc([0, 1], score),
        lambda score: roc_curve([0, 1], score),
        lambda score: patient_vote(score, ["a", "a"], "majority"),
        lambda score: bootstrap([0, 1], score, [0, 1], ["a", "b"], 10, 0.9, 0),
    ):
        with pytest.raises(UserError, match="1 of 2 scores"):
            call([0.5, np.nan])


@pytest.mark.parametrize(("truth", "decision"), [([0, 2], [0, 1]), ([0, 1], [0.3, 1]), ([0, np.nan], [0, 1])])
def test_classes_other_than_0_and_1_are_an_error(truth, decision):
    with pytest.raises(ValueError, match="0 or 1"):
        Confusion.of(truth, decision)
