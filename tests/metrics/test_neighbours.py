"""Nearest neighbours, and the measures that are made of them: prdc."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from kerasgan.metrics import nearest as module
from kerasgan.metrics.nearest import kth_squared_distance, nearest, squared_distances
from kerasgan.metrics.prdc import prdc


@pytest.fixture
def points():
    rng = np.random.default_rng(4)
    return rng.normal(5, 1, (40, 6)).astype(np.float32), rng.normal(5.5, 0.8, (30, 6)).astype(np.float32)


@pytest.fixture(params=[2**24, 100], ids=["one block", "many blocks"])
def blocks(request, monkeypatch):
    monkeypatch.setattr(module, "ENTRIES", request.param)


@pytest.mark.usefixtures("blocks")
def test_distances_equal_scipy(points):
    found = np.concatenate(list(squared_distances(*points)))
    np.testing.assert_allclose(found, cdist(*points, "sqeuclidean"), rtol=1e-10)


@pytest.mark.usefixtures("blocks")
def test_nearest_equals_sklearn(points):
    distances, index = NearestNeighbors(n_neighbors=1).fit(points[1]).kneighbors(points[0])
    found = nearest(*points)
    np.testing.assert_array_equal(found[0], index[:, 0])
    np.testing.assert_allclose(found[1], distances[:, 0], rtol=1e-6)


def test_a_copy_is_at_exactly_0(points):
    index, distance = nearest(points[0][[7, 3]], points[0] + 0)
    assert index.tolist() == [7, 3]
    assert distance.tolist() == [0, 0]


@pytest.mark.usefixtures("blocks")
def test_kth_neighbour_is_not_the_point_itself(points):
    expected = np.sort(cdist(points[0], points[0], "sqeuclidean"), axis=1)[:, 3]
    np.testing.assert_allclose(kth_squared_distance(points[0], 3), expected, rtol=1e-10)


def prdc_by_loops(real, synthetic, k):
    """As the definitions read, point by point."""

    def radius(own, i):
        return sorted(np.linalg.norm(own[i] - own[j]) for j in range(len(own)) if j != i)[k - 1]

    real_radii, synthetic_radii = ([radius(own, i) for i in range(len(own))] for own in (real, synthetic))
    inside = np.array([[np.linalg.norm(r - s) < radius for s in synthetic] for r, radius in zip(real, real_radii)])  # noqa: B905
    within = [any(np.linalg.norm(r - s) < own for s, own in zip(synthetic, synthetic_radii)) for r in real]  # noqa: B905
    return inside.any(axis=0).mean(), np.mean(within), inside.sum() / k / len(synthetic), inside.any(axis=1).mean()


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("k", [1, 3, 5])
def test_prdc_equals_the_loops(points, k):
    found = prdc(*points, k)
    expected = prdc_by_loops(*(own.astype(np.float64) for own in points), k)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(expected, abs=1e-12)


def test_prdc_by_hand():
    # Real balls at k = 1: 0 and 1 have radius 1, 10 has 9. Synthetic: 0.5 and 2.5 have 2, 30 has 27.5.
    found = prdc(np.array([[0.0], [1], [10]]), np.array([[0.5], [2.5], [30]]), 1)
    assert found.precision == pytest.approx(2 / 3), "0.5 near 0, 2.5 near 10, 30 near none"
    assert found.recall == 1, "30's ball reaches 10"
    assert found.density == pytest.approx(3 / 3), "0.5 lies in two balls, 2.5 in one"
    assert found.coverage == 1


@pytest.mark.usefixtures("blocks")
def test_a_copy_in_another_order_has_1_throughout(points):
    found = prdc(points[0], points[0][::-1], 5)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx((1, 1, 1, 1))


def test_one_distribution_has_the_expected_density_and_coverage():
    found = [prdc(*np.random.default_rng(i).normal(size=(2, 100, 4)), 5) for i in range(20)]
    expected = 1 - np.prod([(100 - i) / (200 - i) for i in range(1, 6)])
    assert np.mean([each.density for each in found]) == pytest.approx(1, abs=0.03)
    assert np.mean([each.coverage for each in found]) == pytest.approx(expected, abs=0.015)


def test_a_collapsed_generator():
    rng = np.random.default_rng(5)
    real = rng.normal(size=(100, 4))
    found = prdc(real, real[:1] + rng.normal(0, 1e-3, (100, 4)), 5)
    assert found.precision == 1 and found.density > 1
    assert found.recall < 0.05 and found.coverage < 0.3


def test_k_needs_more_points():
    with pytest.raises(ValueError, match="neighbour 5 of 5 and 9 points"):
        prdc(np.zeros((5, 2)), np.zeros((9, 2)), 5)
