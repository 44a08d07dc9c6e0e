import numpy as np
import pytest

from kerasgan.metrics.inception_score import inception_score


def test_by_hand():
    # p(y) = (0.5, 0.5); KL of each row: 0.9 ln 1.8 + 0.1 ln 0.2 = 0.368064
    assert inception_score([[0.9, 0.1], [0.1, 0.9]], 1) == (pytest.approx(np.exp(0.368064), abs=1e-5), 0)
    # Two parts: the first as above; in the second all rows are alike.
    found = inception_score([[0.9, 0.1], [0.1, 0.9], [0.7, 0.3], [0.7, 0.3]], 2)
    first = np.exp(0.368064)
    assert found == (pytest.approx((first + 1) / 2, abs=1e-5), pytest.approx((first - 1) / 2, abs=1e-5))


def test_bounds():
    assert inception_score(np.full((6, 3), 1 / 3), 2) == (pytest.approx(1), pytest.approx(0))
    assert inception_score(np.tile(np.eye(4), (5, 1)), 1)[0] == pytest.approx(4), "sure, and of all classes"
    assert inception_score(np.tile(np.eye(4)[:1], (5, 1)), 1)[0] == pytest.approx(1), "sure, and of one class"


def test_parts_are_as_nearly_equal_as_can_be():
    rows = np.random.default_rng(1).dirichlet(np.ones(3), 7)
    parts = [inception_score(own, 1)[0] for own in (rows[:3], rows[3:5], rows[5:])]
    assert inception_score(rows, 3) == (pytest.approx(np.mean(parts)), pytest.approx(np.std(parts)))


@pytest.mark.parametrize("rows", [[[0.5, 0.4]], [[1.2, -0.2]], [[np.nan, 1]]])
def test_no_probabilities(rows):
    with pytest.raises(ValueError, match="the sum 1"):
        inception_score(rows, 1)


@pytest.mark.parametrize("splits", [0, 3])
def test_no_parts(splits):
    with pytest.raises(ValueError, match="parts of 2 rows"):
        inception_score(np.eye(2), splits)
