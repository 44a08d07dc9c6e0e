import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from kerasgan.evaluation.memorisation import memorisation


def test_by_hand():
    training, held_out = np.array([[0.0], [10]]), np.array([[1.0], [2], [7], [14]])
    found = memorisation(training, held_out, np.array([[9.5], [0.0], [20]]))
    assert found.nearest.tolist() == [1, 0, 1]
    assert found.distances.tolist() == [0.5, 0, 10]
    assert found.baseline.tolist() == [1, 2, 3, 4]
    assert found.percentile(5) == pytest.approx(1.15)
    assert found.share_below(5, found.distances) == pytest.approx(2 / 3)
    assert found.worst(2).tolist() == [1, 0]


def test_copies_are_found_and_new_images_are_not():
    rng = np.random.default_rng(1)
    training, held_out, new = rng.normal(size=(300, 8)), rng.normal(size=(400, 8)), rng.normal(size=(400, 8))
    copies = training[:100] + rng.normal(0, 0.01, (100, 8))
    fair, copied = (memorisation(training, held_out, own) for own in (new, copies))
    assert fair.share_below(5, fair.distances) == pytest.approx(0.05, abs=0.03)
    assert copied.share_below(1, copied.distances) == 1
    assert copied.nearest.tolist() == list(range(100))
    expected = NearestNeighbors(n_neighbors=1).fit(training).kneighbors(new)[0][:, 0]
    np.testing.assert_allclose(fair.distances, expected, rtol=1e-9)


def test_of_the_baseline_itself_the_percentiles_hold():
    rng = np.random.default_rng(2)
    found = memorisation(rng.normal(size=(50, 3)), rng.normal(size=(200, 3)), rng.normal(size=(5, 3)))
    assert found.share_below(5, found.baseline) == pytest.approx(0.05)
    assert found.share_below(1, found.baseline) == pytest.approx(0.01)
