import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import wasserstein_distance

from kerasgan.errors import UserError
from kerasgan.metrics.sliced_wasserstein import laplacian_pyramid, sliced_wasserstein, sliced_wasserstein_by_level

FEW = {"patches": 8, "repeats": 2, "directions": 16}


def smooth(count, size, seed, sigma=2.0):
    noise = np.random.default_rng(seed).normal(size=(count, size, size))
    return gaussian_filter(noise, (0, sigma, sigma)).astype(np.float32)


def mirrored(index, size):
    return size - 1 - abs(size - 1 - abs(index))


def blurred_by_hand(image):
    """Burt and Adelson's 5x5 weights, pixel by pixel, mirrored at the borders."""
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    size = len(image)
    found = np.zeros_like(image)
    for y, x in np.ndindex(image.shape):
        for i, j in np.ndindex(5, 5):
            found[y, x] += weights[i, j] * image[mirrored(y + i - 2, size), mirrored(x + j - 2, size)]
    return found


def enlarged_by_hand(image):
    sparse = np.zeros((2 * len(image),) * 2)
    sparse[::2, ::2] = image
    return 4 * blurred_by_hand(sparse)


def pyramid_by_hand(images):
    coarse = [blurred_by_hand(image.astype(float))[::2, ::2] for image in images]
    return np.array([own - enlarged_by_hand(small) for own, small in zip(images, coarse, strict=True)]), np.array(
        coarse
    )


def test_pyramid_by_hand():
    images = smooth(2, 8, 1)
    for found, expected in zip(laplacian_pyramid(images, 4), pyramid_by_hand(images), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_pyramid_of_one_grey_is_black_but_for_its_top():
    *fine, top = laplacian_pyramid(np.full((1, 64, 64), 0.25, np.float32), 16)
    assert [level.shape[1] for level in fine] == [64, 32]
    assert not any(level.any() for level in fine) and (top == 0.25).all()


def test_points_by_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(40, 3)), rng.normal(1, 2, size=(40, 3))
    drawn = np.random.default_rng(5).normal(size=(3, 20))
    drawn /= np.linalg.norm(drawn, axis=0)
    expected = np.mean([wasserstein_distance(a @ own, b @ own) for own in drawn.T])
    assert sliced_wasserstein(a, b, 1, 20, seed=5) == pytest.approx(expected)


def test_distance_of_a_shift_is_its_mean_projection():
    points = np.random.default_rng(1).normal(size=(30, 2))
    # E |cos| of a uniform angle is 2 / pi.
    found = [sliced_wasserstein(points, points + np.array([shift, 0]), 4, 5000, seed=1) for shift in (1, 3)]
    assert found == pytest.approx([2 / np.pi, 6 / np.pi], rel=0.02)


def test_levels_by_hand():
    """All of it anew: the pyramid pixel by pixel, patches by loops, distances by SciPy; with the same draws."""
    real, synthetic = smooth(3, 8, 1), smooth(3, 8, 2, sigma=0.7)
    found = sliced_wasserstein_by_level(
        real, synthetic, seed=4, smallest=4, patch=3, patches=5, repeats=1, directions=6
    )
    assert list(found) == [8, 4]
    drawn = np.random.default_rng(4).normal(size=(9, 6))
    drawn /= np.linalg.norm(drawn, axis=0)
    for number, levels in enumerate(zip(pyramid_by_hand(real), pyramid_by_hand(synthetic), strict=True)):
        size = levels[0].shape[1]
        rng = np.random.default_rng([4, number])
        rows, columns = rng.integers(0, size - 2, (3, 5)), rng.integers(0, size - 2, (3, 5))
        sets = []
        for level in levels:
            cut = [
                level[i, rows[i, j] : rows[i, j] + 3, columns[i, j] : columns[i, j] + 3].ravel()
                for i in range(3)
                for j in range(5)
            ]
            sets.append((np.array(cut) - np.mean(cut)) / np.std(cut))
        expected = np.mean([wasserstein_distance(*(own @ one for own in sets)) for one in drawn.T])
        assert found[size] == pytest.approx(expected, rel=1e-4)


def test_equal_sets_have_no_distance_and_the_order_of_sets_does_not_matter():
    a, b = smooth(6, 32, 1), smooth(6, 32, 2, sigma=1)
    assert sliced_wasserstein_by_level(a, a, seed=1, **FEW) == {32: 0, 16: 0}
    forth, back = (sliced_wasserstein_by_level(*both, seed=1, **FEW) for both in ((a, b), (b, a)))
    assert forth == back and min(forth.values()) > 0


def test_the_seed_decides():
    a, b = smooth(4, 16, 1), smooth(4, 16, 2)
    first, again, other = (sliced_wasserstein_by_level(a, b, seed=seed, **FEW) for seed in (1, 1, 2))
    assert first == again != other


def test_it_grows_with_a_shift_of_some_images_but_not_with_one_of_all():
    a = smooth(16, 16, 1)
    half = np.arange(16)[:, None, None] % 2
    found = [sliced_wasserstein_by_level(a, a + shift * half, seed=1, **FEW)[16] for shift in (0, 0.2, 0.5, 1)]
    assert found == sorted(found) and found[1] > found[0]
    assert sliced_wasserstein_by_level(a, 3 * a + 1, seed=1, **FEW)[16] == pytest.approx(0, abs=1e-5)


def test_levels_tell_fine_from_coarse():
    a, b = smooth(8, 64, 1, sigma=3), smooth(8, 64, 2, sigma=3)
    noisy = b + 0.05 * np.random.default_rng(3).normal(size=b.shape)
    plain, fine = (sliced_wasserstein_by_level(a, own, seed=1, patches=64, repeats=1) for own in (b, noisy))
    assert fine[64] > 2 * plain[64]
    assert fine[16] == pytest.approx(plain[16], rel=0.2)


def test_images_of_one_grey_have_a_distance_too():
    found = sliced_wasserstein_by_level(smooth(4, 32, 1), np.full((4, 32, 32), 0.3, np.float32), seed=1, **FEW)
    assert all(0.3 < value < 1.2 for value in found.values())


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            ((2, 8, 8), (2, 8, 8)),
            "8x8 pixels have no pyramid down to 16x16; expected square ones whose size is a power",
        ),
        (((2, 48, 48), (2, 48, 48)), "48x48 pixels have no pyramid"),
        (((2, 32, 16), (2, 32, 16)), "32x16 pixels have no pyramid"),
        (((2, 16, 16), (3, 16, 16)), "2 images of 16x16 pixels and 3 images of 16x16 pixels; .* as many of each"),
        (((2, 32, 32), (2, 16, 16)), "of one size"),
    ],
)
def test_images_without_a_pyramid(shapes, message):
    with pytest.raises(UserError, match=message):
        sliced_wasserstein_by_level(*(np.zeros(shape, np.float32) for shape in shapes), seed=1)


def test_as_many_points_of_each():
    with pytest.raises(ValueError, match="as many points"):
        sliced_wasserstein(np.zeros((3, 2)), np.zeros((4, 2)), 1, 1, seed=1)
