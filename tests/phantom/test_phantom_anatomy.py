import numpy as np
import pytest

from kerasgan.phantom.anatomy import draw_brain

VOXEL = 4.0


@pytest.fixture(scope="module")
def brain():
    return draw_brain(np.random.default_rng(3))


@pytest.fixture(scope="module")
def head(brain):
    """Points of a 4 mm grid inside the outline, and their tissue."""
    points = grid(VOXEL)
    points = points[:, brain.outline(points) < 0]
    return points, brain.tissues(points, VOXEL)


def grid(voxel):
    axes = [np.arange(-84, 84, voxel), np.arange(-126, 90, voxel), np.arange(-67, 90, voxel)]
    return np.float32(np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1))


def at(brain, *places, voxel=1.0):
    """Tissue at places of the atlas."""
    return brain.tissues(np.float32(places).T * np.float32(brain.scale)[:, None], voxel)


def test_fractions_are_shares_of_one(head):
    _, tissue = head
    np.testing.assert_allclose(sum(tissue.values()), 1, atol=1e-5)
    for name, share in tissue.items():
        assert share.min() >= -1e-6, name


def test_volumes_are_those_of_an_adult(head):
    points, tissue = head
    litres = points.shape[1] * VOXEL**3 / 1e6
    share = {name: float(values.mean()) for name, values in tissue.items()}
    assert 1.1 < litres < 1.8
    assert 0.3 < share["white"] < 0.55
    assert 0.35 < share["grey"] < 0.55
    assert 0.05 < share["csf"] < 0.25
    assert 0.005 < share["ventricle"] * litres < 0.08


def test_volumes_do_not_depend_on_the_voxel(brain, head):
    coarse_points = grid(6.0)
    coarse_points = coarse_points[:, brain.outline(coarse_points) < 0]
    coarse = brain.tissues(coarse_points, 6.0)
    for name in ("white", "grey", "csf"):
        assert coarse[name].mean() == pytest.approx(head[1][name].mean(), rel=0.2), name


def test_structures_are_where_the_atlas_has_them(brain):
    def share(name, *place):
        return at(brain, place)[name][0]

    for side in (-1, 1):
        assert share("striatum", side * 26, 4, 0) > 0.7  # putamen
        assert share("pallidum", side * 19, -3, -1) > 0.7
        assert share("striatum", side * 11, -19, 5) > 0.5  # thalamus
        assert share("ventricle", side * 6, 8, 12) > 0.5  # body of the lateral ventricle
    assert share("ventricle", 0, -44, -33) > 0.7  # fourth ventricle
    assert share("white", 0, 31, 6) > 0.5  # genu of the corpus callosum
    between_hemispheres = at(brain, *[(x / 2, 20, 55) for x in range(-10, 11)])["csf"]
    assert between_hemispheres.max() > 0.5


def test_cortex_covers_the_hemispheres(brain):
    turn, height = np.meshgrid(np.linspace(0, np.pi, 60), np.linspace(0.2, 0.9, 20))
    directions = np.stack([np.cos(turn) * np.sqrt(1 - height**2), np.sin(turn) * np.sqrt(1 - height**2), height])
    directions = np.float32(directions.reshape(3, -1))
    radii = np.arange(20, 110, 0.5, dtype=np.float32)
    rays = (directions[:, :, None] * radii).reshape(3, -1) + np.float32([[0], [-10], [7]])
    outline = brain.outline(rays).reshape(-1, radii.size)
    tissue = {k: v.reshape(outline.shape) for k, v in brain.tissues(rays, 1.0).items()}
    near, deep = (outline > -3) & (outline < -1), (outline > -30) & (outline < -25)
    assert tissue["grey"][near].mean() > 0.5
    assert tissue["white"][near].mean() < 0.2
    assert tissue["white"][deep].mean() > 0.5


def test_sulci_reach_deeper_than_a_centimetre(brain, head):
    points, tissue = head
    shell = (brain.outline(points) > -16) & (brain.outline(points) < -10) & (points[2] > 30) & (np.abs(points[0]) > 15)
    assert 0.01 < tissue["csf"][shell].mean() < 0.2
    assert tissue["grey"][shell].mean() > 0.2


def test_halves_are_alike_but_not_equal(brain):
    points = grid(6.0)
    points = points[:, (brain.outline(points) < -5) & (points[0] > 5)]
    right = brain.tissues(points, 3.0)["white"]
    left = brain.tissues(points * np.float32([[-1], [1], [1]]), 3.0)["white"]
    assert 0.4 < np.corrcoef(right, left)[0, 1] < 0.95


def test_the_box_holds_the_head(brain):
    low, high = brain.extent
    points = grid(5.0)
    outside = ((points < low[:, None]) | (points > high[:, None])).any(0)
    assert outside.any()
    assert brain.outline(points[:, outside]).min() > 4


def test_barrier_is_the_falx_and_the_tentorium(brain):
    places = np.float32([(30, 0, 40), (-30, 0, 40), (-30, -60, -40)]).T * np.float32(brain.scale)[:, None]
    right = brain.barrier(places, 1.0)
    assert right[0] == 0
    assert right[1] == pytest.approx(30, abs=0.1)
    left = brain.barrier(places, -1.0)
    assert left[1] == 0
    assert left[2] > 10


def test_patients_differ_and_a_seed_repeats():
    one, same, other = (draw_brain(np.random.default_rng(seed)) for seed in (1, 1, 2))
    points = grid(12.0)
    np.testing.assert_array_equal(one.outline(points), same.outline(points))
    points = points[:, one.outline(points) < -5]
    np.testing.assert_array_equal(one.tissues(points, 2.0)["grey"], same.tissues(points, 2.0)["grey"])
    assert np.abs(one.tissues(points, 2.0)["grey"] - other.tissues(points, 2.0)["grey"]).mean() > 0.1
