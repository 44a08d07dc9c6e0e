import numpy as np
import pytest

from kerasgan.phantom import shapes


def points(*rows):
    return np.float32(rows).T


def test_an_ellipsoid_with_equal_radii_is_a_sphere():
    there = points((1, 2, 3), (1, 2, 8), (4, 6, 3), (11, 2, 3))
    np.testing.assert_allclose(shapes.ellipsoid(there, (1, 2, 3), (5, 5, 5)), [-5, 0, 0, 5], atol=1e-4)


def test_the_centre_of_an_ellipsoid_lies_inside():
    assert shapes.ellipsoid(points((1, 2, 3)), (1, 2, 3), (5, 4, 6))[0] == pytest.approx(-4, rel=1e-5)


@pytest.mark.parametrize(("tip", "turn"), [((10, 0, 0), {"yaw": 90}), ((0, 0, 10), {"pitch": 90})])
def test_an_ellipsoid_turns_its_front_end(tip, turn):
    long_forwards = (2, 10, 2)
    assert shapes.ellipsoid(points(tip), (0, 0, 0), long_forwards, **turn)[0] == pytest.approx(0, abs=1e-3)
    assert shapes.ellipsoid(points(tip), (0, 0, 0), long_forwards)[0] > 3


def test_distance_to_a_tube_is_that_to_its_axis_less_its_radius():
    there = points((5, 0, 3), (5, 0, 0), (-4, 0, 0), (10, 10, 0), (10, 5, 4))
    path = [(0, 0, 0, 1), (10, 0, 0, 2), (10, 10, 0, 2)]
    # By hand: half-way the radius is 1.5; ends are round; the second piece runs along y.
    np.testing.assert_allclose(shapes.tube(there, path), [1.5, -1.5, 3, -2, 2], atol=1e-5)


def test_union_fills_the_crease_and_leaves_the_rest():
    one, other = np.float32([3, 0, 0, -2]), np.float32([3, 10, 1, 9])
    # Equal distances lie blend / 4 deeper, distances further apart than the blend stay.
    np.testing.assert_allclose(shapes.union(one, other, 2), [2.5, 0, -0.125, -2])


def test_coverage_is_the_share_of_a_voxel_behind_a_plane():
    np.testing.assert_allclose(shapes.coverage(np.float32([-3, -1, -0.5, 0, 0.5, 3]), 2), [1, 1, 0.75, 0.5, 0.25, 0])


@pytest.mark.parametrize("width", [1.0, 4.0])
def test_a_sheet_covers_its_volume_whatever_the_voxel(width):
    centres = np.arange(-20, 20, width, dtype=np.float32) + 0.3
    covered = shapes.sheet_coverage(np.abs(centres), 0.4, width)
    assert covered.sum() * width == pytest.approx(0.8, rel=1e-4)


def test_how_far_beyond_an_interval():
    np.testing.assert_array_equal(shapes.beyond(np.float32([-3, 0, 2, 7]), -1, 4), [2, 0, 0, 3])


def test_a_random_field_has_its_wavelength_and_repeats():
    field = shapes.random_field(np.random.default_rng(0), wavelength=16, bandwidth=0.2, cells=64)
    assert field.values.mean() == pytest.approx(0, abs=1e-4)
    assert field.values.std() == pytest.approx(1, rel=1e-4)
    period = 64 / shapes.SAMPLES_PER_WAVELENGTH * 16
    there = np.random.default_rng(1).uniform(0, period, (3, 3000)).astype(np.float32)
    np.testing.assert_allclose(field(there), field(there + np.float32([[period], [0], [-period]])), atol=1e-3)

    def correlation(distance):
        return np.corrcoef(field(there), field(there + np.float32([[distance], [0], [0]])))[0, 1]

    # The autocorrelation of a thin isotropic shell of frequencies 1/w is sinc(2 r / w).
    assert correlation(8) == pytest.approx(0, abs=0.08)
    assert correlation(11.5) == pytest.approx(np.sinc(2 * 11.5 / 16), abs=0.08)
    assert correlation(2) == pytest.approx(np.sinc(2 * 2 / 16), abs=0.08)


def test_a_table_interpolates_its_function():
    table = shapes.tabulate(lambda p: 2 * p[0] - p[2], (-10, -10, -10), (10, 10, 10), 2.5)
    there = points((0.3, 4, -2.2), (-7, 0, 9.9))
    np.testing.assert_allclose(table(there), [[2.8, -23.9]], atol=1e-4)
