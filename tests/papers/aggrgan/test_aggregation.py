"""Algorithm 1 against a loop over pixels after the paper's pseudo-code, with SciPy's and scikit-image's parts."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from kerasgan.papers.aggrgan.aggregation import aggregate, eight_bit, metric_shares

SIZE = 16
BOTH = [("filter", 1.0), ("pointwise", 60.0)]


def literal(real, images, metric, reading, sigma):
    """Algorithm 1 for one real image and three of one size, line by line, on lists and float64."""
    real, grey = eight_bit(real), [eight_bit(image) for image in images]
    order = sorted(range(len(images)), key=lambda k: -score(real, grey[k], metric))[:2]
    gaussian_matrix = []
    for k in order:
        horizontal, vertical = (ndimage.sobel(grey[k], axis, mode="mirror") for axis in (1, 0))
        edges = np.hypot(horizontal, vertical)
        if reading == "filter":
            gaussian_matrix.append(ndimage.gaussian_filter(edges, sigma, mode="reflect").ravel().tolist())
        else:
            gaussian_matrix.append([math.exp(-(pixel**2) / (2 * sigma**2)) for pixel in edges.ravel().tolist()])
    metric_arr = [max(score(real, grey[k], metric), 0.0) for k in order]
    weight_matrix = [[], []]
    for flag in range(2):
        for index, g in enumerate(gaussian_matrix[flag]):
            g1, g2 = gaussian_matrix[0][index], gaussian_matrix[1][index]
            if g1 != 0 and g2 != 0:
                weight_matrix[flag].append(g / (g1 + g2))
            elif metric_arr[0] == metric_arr[1]:
                weight_matrix[flag].append(0.5)
            elif math.isinf(metric_arr[0]):
                weight_matrix[flag].append([1.0, 0.0][flag])
            else:
                weight_matrix[flag].append(metric_arr[flag] / (metric_arr[0] + metric_arr[1]))
    first, second = (images[k].ravel().tolist() for k in order)
    pixels = [p * w + q * v for p, q, w, v in zip(first, second, *weight_matrix, strict=True)]
    return np.reshape(pixels, real.shape)


def score(real, image, metric):
    if metric == "ssim":
        return structural_similarity(
            real, image, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    error = float(np.mean((real - image) ** 2))
    return math.inf if error == 0 else 20 * math.log10(255 / math.sqrt(error))


def some_images(seed=0):
    """Real images and three GANs' of which the first are noise, then ever more degenerate ones."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    disc = np.where(x**2 + y**2 < 0.3, 0.4, -1.0)
    black, grey = np.full_like(disc, -1.0), np.zeros_like(disc)
    noise = rng.uniform(-1, 1, (4, SIZE, SIZE))
    sets = [
        tuple(noise),
        (disc, disc + 0.1 * np.abs(noise[1]), 0.9 * disc, np.roll(disc, 2, 0)),
        (disc, black, 0.8 * disc, np.roll(disc, 3, 1)),
        (disc, black, grey, noise[2]),
        (disc, disc, np.roll(disc, 1, 0), black),  # one is the real image
        (disc, disc, disc, black),  # two are
        (disc, -disc, np.roll(-disc, 1, 0), np.roll(-disc, 1, 1)),  # negative SSIM
        (black, black, black, black),
        (grey, black, np.full_like(disc, 1.0), np.full_like(disc, 0.5)),
    ]
    real, *generated = np.clip(np.array(sets), -1, 1).astype(np.float32).swapaxes(0, 1)
    return real, generated


@pytest.mark.parametrize("metric", ["ssim", "psnr"])
@pytest.mark.parametrize(("reading", "sigma"), [*BOTH, ("filter", 0.4), ("pointwise", 1.0)])
def test_equals_the_literal_loop(metric, reading, sigma):
    real, generated = some_images()
    result = aggregate(real, generated, metric=metric, reading=reading, sigma=sigma)
    for k in range(len(real)):
        expected = literal(real[k], [images[k] for images in generated], metric, reading, sigma)
        np.testing.assert_allclose(result.images[k], expected, atol=1e-6, err_msg=f"set {k}")
    assert result.images.dtype == np.float32 and np.abs(result.images).max() <= 1


@pytest.mark.parametrize(("reading", "sigma"), BOTH)
def test_the_order_of_the_gans_does_not_matter(reading, sigma):
    rng = np.random.default_rng(3)
    real = rng.uniform(-1, 1, (4, SIZE, SIZE))
    generated = [np.clip(real + rng.normal(0, s, real.shape), -1, 1) for s in (0.2, 0.3, 0.4)]
    for order in permutations(range(3)):
        for metric in ("ssim", "psnr"):
            expected = aggregate(real, generated, metric=metric, reading=reading, sigma=sigma)
            result = aggregate(real, [generated[k] for k in order], metric=metric, reading=reading, sigma=sigma)
            assert result.images.tobytes() == expected.images.tobytes()
            np.testing.assert_array_equal(np.array(order)[result.chosen], expected.chosen)


def test_of_equal_scores_the_earlier_gan_is_kept():
    real = np.zeros((1, SIZE, SIZE))
    generated = [real + shift for shift in (-0.5, 0.5, -0.5)]
    result = aggregate(real + 1 / 255, generated, metric="psnr", reading="filter", sigma=1.0)
    assert result.scores[0, 0] == result.scores[0, 2]
    assert result.chosen.tolist() in ([[1, 0]], [[0, 2]])
    equal = aggregate(real, [real, real, real], metric="ssim", reading="filter", sigma=1.0)
    assert equal.chosen.tolist() == [[0, 1]]


def test_each_image_of_a_batch_is_aggregated_alone():
    real, generated = some_images(5)
    settings = {"metric": "ssim", "reading": "filter", "sigma": 1.0}
    together = aggregate(real, generated, **settings)
    for k in range(len(real)):
        alone = aggregate(real[k : k + 1], [images[k : k + 1] for images in generated], **settings)
        np.testing.assert_array_equal(together.images[k], alone.images[0])
        np.testing.assert_array_equal(together.chosen[k], alone.chosen[0])


def test_the_filter_prefers_the_stronger_edge_and_the_pointwise_reading_the_weaker():
    weak = np.full((1, SIZE, SIZE), -0.5)
    weak[:, :, SIZE // 2 :] = 0.0
    strong = 2 * weak
    for reading, sigma, sign in (("filter", 1.0, 1), ("pointwise", 400.0, -1)):
        result = aggregate(weak, [weak, strong], metric="psnr", reading=reading, sigma=sigma)
        share = (result.images - weak)[0, :, SIZE // 2 - 1] / (strong - weak)[0, :, SIZE // 2 - 1]
        assert (sign * (share - 0.5) > 0.1).all()


def test_scores_are_of_the_eight_bit_scale():
    real, shift = np.full((1, SIZE, SIZE), 1 / 255), 20 / 127.5
    result = aggregate(real, [real + shift, real - shift], metric="psnr", reading="filter", sigma=1.0)
    np.testing.assert_allclose(result.scores[0], 20 * np.log10(255 / 20))
    assert eight_bit(np.array([-1.0, -0.999, 0.0, 1.0])).tolist() == [0, 0, 128, 255]


def test_shares_of_metrics_by_hand():
    metrics = np.array([[0.6, 0.2], [0.5, -0.1], [-0.2, -0.3], [0.0, 0.0], [np.inf, 30.0], [np.inf, np.inf]])
    expected = [[0.75, 0.25], [1, 0], [0.5, 0.5], [0.5, 0.5], [1, 0], [0.5, 0.5]]
    np.testing.assert_allclose(metric_shares(metrics), expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": "mse"}, "metric"),
        ({"reading": "exp"}, "reading"),
        ({"generated": [np.zeros((1, SIZE, SIZE))]}, "two GANs"),
        ({"generated": [np.zeros((1, SIZE, SIZE)), np.zeros((2, SIZE, SIZE))]}, "shaped as"),
        ({"generated": [np.zeros((1, SIZE, SIZE)), np.full((1, SIZE, SIZE), np.nan)]}, "finite"),
    ],
)
def test_what_cannot_be_aggregated_is_refused(change, words):
    image = np.zeros((1, SIZE, SIZE))
    arguments = {"real": image, "generated": [image, image], "metric": "ssim", "reading": "filter", "sigma": 1.0}
    with pytest.raises(ValueError, match=words):
        aggregate(**arguments | change)
