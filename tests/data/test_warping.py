"""Warps against tensorflow-addons (arrays kept by scripts/tfa_reference), SciPy, hand-made examples and properties."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

from kerasgan.data import pipeline, warping

TABLE_1 = warping.Augmentation(
    flip_horizontally=0.5,
    flip_vertically=0.5,
    elastic_alpha=720.0,
    elastic_sigma=24.0,
    rotation=20.0,
    shift=0.1,
    shear=0.05,
    zoom=0.1,
)
NOTHING = warping.Augmentation(**dict.fromkeys(TABLE_1.__dict__, 0.0))
SMALL = replace(TABLE_1, elastic_alpha=60.0, elastic_sigma=6.0)  # for 48x56
SEED = tf.constant([3, 8], tf.int64)


@pytest.fixture(scope="module")
def tfa():
    """The reference: `images` (2, 16, 20, 3), parameters, and what tensorflow-addons made of them."""
    with np.load(Path(__file__).with_name("tfa_reference.npz")) as arrays:
        return dict(arrays)


def affine_transform(images, matrix, interpolation="bilinear", background=0.0):
    """Images (h, w, c) or (n, h, w, c) under one affine map (3, 3), or one for each image (n, 3, 3)."""
    points = warping.affine_points(matrix, tf.shape(images)[-3:-1])
    return warping.resample(images, points, interpolation, background)


def dense_image_warp(images, flow):
    """Images read at p - flow(p) for each pixel p, as tensorflow-addons' function of this name; flow (..., h, w, 2)."""
    return warping.resample(images, warping.pixel_centres(tf.shape(flow)[-3:-1]) - flow)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def smooth(height=48, width=56):
    """A picture (h, w, 1) with slopes well below 1 a pixel."""
    rows, columns = np.mgrid[:height, :width]
    return (np.sin(rows / 7) * np.cos(columns / 9) + 0.01 * rows)[..., None].astype(np.float32)


def ball(height=48, width=56, radius=14):
    """(h, w, 1): how many pixels inside a circle's line a pixel lies; the circle is off centre."""
    rows, columns = np.mgrid[:height, :width]
    return (radius - np.hypot(rows - height / 2 + 4, columns - width / 2 - 3))[..., None].astype(np.float32)


def size_of(image):
    return tf.constant(image.shape[:2])


def affine_by_scipy(image, matrix, background=0.0, order=1):
    """SciPy's affine transform of (h, w), for a map relative to the image's centre."""
    matrix, centre = np.asarray(matrix, np.float64), (np.array(image.shape) - 1) / 2
    offset = centre + matrix[:2, 2] - matrix[:2, :2] @ centre
    return scipy.ndimage.affine_transform(
        image, matrix[:2, :2], offset, order=order, mode="grid-constant", cval=background
    )


# tensorflow-addons


def test_reference_was_made_by_the_last_tensorflow_addons(tfa):
    versions = json.loads(str(tfa["versions"]))
    assert versions["tensorflow-addons"] == "0.23.0"
    assert versions["tensorflow"].startswith("2.15.")


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_rotation_agrees_with_tfa(tfa, interpolation):
    matrices = tf.stack([warping.rotation(math.degrees(angle)) for angle in tfa["angles"]])
    ours = affine_transform(tfa["images"], matrices, interpolation, tfa["fill"])
    np.testing.assert_allclose(ours, tfa[f"rotate_{interpolation}"], rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_translation_agrees_with_tfa(tfa, interpolation):
    matrices = tf.stack([warping.translation(down, right) for right, down in tfa["translations"]])
    ours = affine_transform(tfa["images"], matrices, interpolation, tfa["fill"])
    np.testing.assert_allclose(ours, tfa[f"translate_{interpolation}"], rtol=1e-5, atol=3e-5)


@pytest.mark.parametrize(("interpolation", "name"), [("nearest", "shear_x"), ("bilinear", "shear_x_bilinear")])
def test_shear_agrees_with_tfa(tfa, interpolation, name):
    image, level = tfa["images"][0], float(tfa["shear_level"])
    # Theirs leaves the first row in its place, ours the middle of the image.
    about_first_row = warping.shear(level) @ warping.translation(0, -level * (image.shape[0] - 1) / 2)
    ours = affine_transform(image, about_first_row, interpolation, tfa["fill"])
    np.testing.assert_allclose(ours, tfa[name], rtol=1e-5, atol=3e-5)


def test_dense_image_warp_agrees_with_tfa(tfa):
    images, flow = tfa["images"], tfa["flow"]
    ours, theirs = dense_image_warp(images, flow).numpy(), tfa["dense_image_warp"]
    size = tf.constant(images.shape[1:3])
    points = warping.pixel_centres(size) - flow
    inside = np.all((points >= 0) & (points <= tf.cast(size - 1, tf.float32)), axis=-1)
    assert 0.3 < inside.mean() < 0.9
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=1e-5, atol=1e-5)
    # Theirs repeats the border where ours has background.
    np.testing.assert_allclose(warping.resample(images, warping.within(points, size)), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("number", [0, 1])
def test_gaussian_filter_agrees_with_tfa(tfa, number):
    image, sigma = tfa["images"][0], float(tfa["sigmas"][number])
    reach = int(4 * sigma + 0.5)
    ours = warping.gaussian_filter(image, sigma)
    np.testing.assert_allclose(ours, tfa[f"gaussian_filter2d_constant_{number}"], rtol=1e-5, atol=1e-6)
    mirrored = np.pad(image, [(reach, reach), (reach, reach), (0, 0)], mode="reflect")
    ours = warping.gaussian_filter(mirrored, sigma)[reach:-reach, reach:-reach]
    np.testing.assert_allclose(ours, tfa[f"gaussian_filter2d_reflect_{number}"], rtol=1e-5, atol=1e-6)


# SciPy


@pytest.mark.parametrize(("interpolation", "order"), [("bilinear", 1), ("nearest", 0)])
def test_affine_transform_agrees_with_scipy(interpolation, order):
    image = noise(17, 23, 2)
    matrix = warping.rotation(17) @ warping.translation(1.3, -2.2) @ warping.shear(0.11) @ warping.zoom(1.2, 0.85)
    ours = affine_transform(image, matrix, interpolation, 0.7).numpy()
    for channel in range(2):
        theirs = affine_by_scipy(image[..., channel], matrix, 0.7, order)
        np.testing.assert_allclose(ours[..., channel], theirs, rtol=1e-5, atol=2e-5)


def test_resampling_at_any_points_agrees_with_scipy():
    images = noise(2, 9, 11, 1)
    points = np.random.default_rng(1).uniform(-3, 14, (2, 5, 7, 2)).astype(np.float32)
    ours = warping.resample(images, points, background=-1.5).numpy()
    for image, where, found in zip(images, points, ours, strict=True):
        theirs = scipy.ndimage.map_coordinates(
            image[..., 0], np.moveaxis(where, -1, 0), order=1, mode="grid-constant", cval=-1.5
        )
        np.testing.assert_allclose(found[..., 0], theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.7, 3.0, 24.0])
def test_gaussian_filter_agrees_with_scipy(sigma):
    image = noise(40, 50, 2)
    theirs = scipy.ndimage.gaussian_filter(image.astype(np.float64), sigma, axes=(0, 1), mode="constant")
    np.testing.assert_allclose(warping.gaussian_filter(image, sigma), theirs, rtol=1e-4, atol=1e-6)


def test_augmentation_reads_the_input_once_in_the_order_of_the_table():
    image = noise(48, 56, 1)
    ours, _ = warping.augment(image, image > 0, SEED, replace(SMALL, flip_horizontally=1.0, flip_vertically=0.0), 0.3)
    _, affine_seed, elastic_seed = tf.unstack(tf.random.split(SEED, 3))
    matrix = warping.random_affine(affine_seed, size_of(image), SMALL).numpy().astype(np.float64)
    field = warping.elastic_displacement(elastic_seed, size_of(image), 60.0, 6.0).numpy()
    centre = (np.array([48, 56]) - 1) / 2
    grid = np.moveaxis(np.mgrid[:48, :56], 0, -1) - centre
    points = np.moveaxis(grid @ matrix[:2, :2].T + matrix[:2, 2] + centre, -1, 0)
    moves = [scipy.ndimage.map_coordinates(field[..., axis], points, order=1, mode="nearest") for axis in (0, 1)]
    theirs = scipy.ndimage.map_coordinates(
        image[:, ::-1, 0], points + np.stack(moves), order=1, mode="grid-constant", cval=0.3
    )
    np.testing.assert_allclose(ours[..., 0], theirs, rtol=1e-4, atol=2e-4)


def test_one_resampling_shows_what_successive_ones_show_but_sharper():
    image, still = smooth(), replace(SMALL, flip_horizontally=0.0, flip_vertically=0.0)
    size, (_, affine_seed, elastic_seed) = size_of(image), tf.unstack(tf.random.split(SEED, 3))
    matrix = warping.random_affine(affine_seed, size, still)
    field = warping.elastic_displacement(elastic_seed, size, 60.0, 6.0)

    def successive(picture):
        return affine_transform(dense_image_warp(picture, -field), matrix).numpy()

    once, _ = warping.augment(image, image > 0, SEED, still)
    middle = np.s_[14:-14, 14:-14]
    np.testing.assert_allclose(once.numpy()[middle], successive(image)[middle], atol=0.02)
    wild = noise(48, 56, 1)
    assert warping.augment(wild, wild > 0, SEED, still)[0].numpy()[middle].std() > 1.1 * successive(wild)[middle].std()


# By hand


IDENTITIES = {"rotation": (0,), "translation": (0, 0), "shear": (0,), "zoom": (1, 1)}


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("name", IDENTITIES)
def test_identities_are_exact(name, interpolation):
    image, identity = noise(16, 21, 2), getattr(warping, name)(*IDENTITIES[name])
    np.testing.assert_array_equal(affine_transform(image, identity, interpolation, 9.0), image)


def test_no_flow_and_no_augmentation_are_exact():
    image, mask = noise(16, 21, 2), noise(16, 21, 1) > 0
    np.testing.assert_array_equal(dense_image_warp(image, tf.zeros([16, 21, 2])), image)
    same_image, same_mask = warping.augment(image, mask, SEED, NOTHING, 9.0)
    np.testing.assert_array_equal(same_image, image)
    np.testing.assert_array_equal(same_mask, mask)


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_shift_by_one_pixel(interpolation):
    image = tf.reshape(tf.range(1.0, 7.0), [2, 3, 1])
    moved = affine_transform(image, warping.translation(1, 0), interpolation, -7.0)
    np.testing.assert_array_equal(moved[..., 0], [[-7, -7, -7], [1, 2, 3]])
    moved = affine_transform(image, warping.translation(0, -1), interpolation, -7.0)
    np.testing.assert_array_equal(moved[..., 0], [[2, 3, -7], [5, 6, -7]])


def test_half_a_pixel_is_the_mean_of_two_and_background_counts():
    image = tf.constant([[[2.0], [4.0], [8.0]]])
    moved = affine_transform(image, warping.translation(0, 0.5), background=10.0)
    np.testing.assert_allclose(moved[0, :, 0], [6, 3, 6])


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_rotation_by_90_degrees_is_counter_clockwise(interpolation):
    image = noise(15, 15, 2)
    turned = affine_transform(image, warping.rotation(90), interpolation)
    np.testing.assert_allclose(turned, np.rot90(image), atol=1e-4)


def test_shear_moves_rows_by_their_distance_from_the_middle():
    image = noise(5, 9, 1)
    sheared = affine_transform(image, warping.shear(1.0), background=0.0).numpy()
    for row, left in enumerate([-2, -1, 0, 1, 2]):
        expected = np.zeros((9, 1), np.float32)
        for column in range(9):
            if 0 <= column + left < 9:
                expected[column] = image[row, column + left]
        np.testing.assert_array_equal(sheared[row], expected)


def test_zoom_magnifies_about_the_centre():
    image = tf.reshape(tf.range(9.0), [1, 9, 1])
    larger = affine_transform(image, warping.zoom(1.0, 2.0))
    np.testing.assert_allclose(larger[0, :, 0], [2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6])
    smaller = affine_transform(image, warping.zoom(1.0, 0.5), background=-1.0)
    np.testing.assert_allclose(smaller[0, :, 0], [-1, -1, 0, 2, 4, 6, 8, -1, -1])


def test_product_applies_its_first_map_first():
    image = noise(9, 9, 1)
    both = affine_transform(image, warping.rotation(90) @ warping.translation(0, 2), "nearest")
    expected = np.zeros_like(image)
    expected[:, 2:] = np.rot90(image)[:, :-2]
    np.testing.assert_allclose(both, expected)


def test_flips():
    image = noise(2, 4, 5, 1)
    np.testing.assert_array_equal(warping.flip(image, True, False), image[:, :, ::-1])
    np.testing.assert_array_equal(warping.flip(image, False, True), image[:, ::-1])
    np.testing.assert_array_equal(warping.flip(image[0], True, True), image[0, ::-1, ::-1])


def test_every_channel_has_its_own_background():
    image = tf.ones([6, 8, 2])
    away = affine_transform(image, warping.translation(100, 0), background=tf.constant([-2.0, 5.0]))
    np.testing.assert_array_equal(away, np.broadcast_to([-2.0, 5.0], (6, 8, 2)))


def test_a_batch_is_its_images():
    images, matrix = noise(3, 10, 12, 2), warping.rotation(30)
    together = affine_transform(images, matrix)
    for image, found in zip(images, together, strict=True):
        np.testing.assert_array_equal(found, affine_transform(image, matrix))


# Random transforms


def test_affine_parameters_fill_the_ranges_of_the_table():
    seeds, size = tf.stack([tf.range(300), tf.range(300)], axis=1), tf.constant([100, 50])

    @tf.function
    def matrices(name):
        only = replace(NOTHING, **{name: getattr(TABLE_1, name)})
        return tf.map_fn(lambda seed: warping.random_affine(seed, size, only), seeds, tf.float32)

    drawn = {name: matrices(name).numpy() for name in ("rotation", "shift", "shear", "zoom")}
    found = {
        "degrees": (np.degrees(np.arctan2(drawn["rotation"][:, 0, 1], drawn["rotation"][:, 0, 0])), 20),
        "rows": (drawn["shift"][:, 0, 2], 10),
        "columns": (drawn["shift"][:, 1, 2], 5),
        "shear": (drawn["shear"][:, 1, 0], 0.05),
        "taller": (1 / drawn["zoom"][:, 0, 0] - 1, 0.1),
        "wider": (1 / drawn["zoom"][:, 1, 1] - 1, 0.1),
    }
    for name, (values, reach) in found.items():
        assert -reach <= values.min() < -0.95 * reach, name
        assert 0.95 * reach < values.max() <= reach * (1 + 1e-5), name
        assert abs(values.mean()) < 0.15 * reach, name
    rows, columns = found["rows"][0] / 10, found["columns"][0] / 5
    assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.2


def test_affine_maps_are_composed_in_the_order_of_the_table():
    seed, size = tf.constant([4, 2]), tf.constant([240, 240])
    angle, down, right, level, tall, wide = tf.random.stateless_uniform([6], seed, -1.0, 1.0).numpy().astype(float)
    angle *= np.radians(20)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    shift = np.array([[1, 0, -24 * down], [0, 1, -24 * right], [0, 0, 1]])
    slant = np.array([[1, 0, 0], [0.05 * level, 1, 0], [0, 0, 1]])
    scale = np.diag([1 / (1 + 0.1 * tall), 1 / (1 + 0.1 * wide), 1])
    ours = warping.random_affine(seed, size, TABLE_1)
    np.testing.assert_allclose(ours, turn @ shift @ slant @ scale, rtol=1e-5, atol=1e-5)


def test_flips_come_with_their_probabilities():
    image, mask = noise(4, 5, 1), noise(4, 5, 1) > 0

    def kinds(settings):
        results = [warping.augment(image, mask, [n, 0], settings)[0].numpy() for n in range(48)]
        kinds = [image, image[:, ::-1], image[::-1], image[::-1, ::-1]]
        return [sum(np.array_equal(each, kind) for each in results) for kind in kinds]

    assert kinds(replace(NOTHING, flip_horizontally=1.0)) == [0, 48, 0, 0]
    assert kinds(replace(NOTHING, flip_vertically=1.0)) == [0, 0, 48, 0]
    counts = kinds(replace(NOTHING, flip_horizontally=0.5, flip_vertically=0.5))
    assert sum(counts) == 48
    assert min(counts) >= 4


def test_elastic_displacement_has_the_standard_deviation_of_smoothed_noise():
    field = warping.elastic_displacement([1, 2], tf.constant([160, 200]), 30.0, 3.0).numpy()[12:-12, 12:-12]
    np.testing.assert_allclose(field.std(axis=(0, 1)), 30 / (math.sqrt(12 * math.pi) * 3), rtol=0.1)
    assert np.abs(field.mean(axis=(0, 1))).max() < 0.2
    assert abs(np.corrcoef(field[..., 0].ravel(), field[..., 1].ravel())[0, 1]) < 0.15


def test_table_1_at_240_pixels_displaces_by_about_five_pixels():
    fields = [warping.elastic_displacement([n, 0], tf.constant([240, 240]), 720.0, 24.0) for n in range(12)]
    assert 4 < np.std(np.stack(fields)[:, 72:-72, 72:-72]) < 6


def test_rotation_there_and_back_returns_the_interior():
    image = smooth()
    for angle in (5.0, 20.0, 133.0):
        there = affine_transform(image, warping.rotation(angle))
        back = affine_transform(there, warping.rotation(-angle)).numpy()
        rows, columns = np.mgrid[:48, :56]
        interior = np.hypot(rows - 23.5, columns - 27.5) < 20
        np.testing.assert_allclose(back[interior], image[interior], atol=0.015)


@pytest.mark.parametrize("number", range(6))
def test_image_and_mask_move_together(number):
    depth = ball()
    image, mask = warping.augment(depth, depth > 0, [number, 5], SMALL, -50.0)
    assert mask.numpy().any()
    assert np.all(mask.numpy()[image.numpy() > 1.5])
    assert not np.any(mask.numpy()[image.numpy() < -1.5])


@pytest.mark.parametrize("dtype", [tf.bool, tf.uint8, tf.int32, tf.float32])
def test_mask_keeps_its_type_and_its_two_values(dtype):
    depth = ball()
    mask = warping.augment(depth, tf.cast(depth > 0, dtype), SEED, SMALL)[1]
    assert mask.dtype == dtype
    assert set(np.unique(tf.cast(mask, tf.float32))) == {0.0, 1.0}


def test_what_comes_in_is_background_and_no_tumour():
    image, mask = tf.ones([40, 40, 2]), tf.ones([40, 40, 1], tf.uint8)
    image, mask = warping.augment(image, mask, SEED, replace(NOTHING, shift=0.9), tf.constant([-1.0, 3.0]))
    outside = mask.numpy()[..., 0] == 0
    assert 0.1 < outside.mean() < 1
    outside = scipy.ndimage.binary_erosion(outside, border_value=1)  # at the edge, image and background mix
    np.testing.assert_array_equal(image.numpy()[outside], np.broadcast_to([-1.0, 3.0], (outside.sum(), 2)))


def test_same_seed_same_warp_and_another_seed_another():
    image, mask = noise(48, 56, 1), noise(48, 56, 1) > 0
    first, again = (warping.augment(image, mask, SEED, SMALL) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], warping.augment(image, mask, SEED + 1, SMALL)[0])


def test_sizes_may_be_known_at_run_time_only():
    unknown = tf.TensorSpec([None, None, None], tf.float32)

    @tf.function(input_signature=[unknown, unknown])
    def augmented(image, mask):
        return warping.augment(image, mask, SEED, SMALL)

    for height, width in ((48, 56), (31, 20)):
        image = smooth(height, width)
        for found, expected in zip(augmented(image, image), warping.augment(image, image, SEED, SMALL), strict=True):
            assert found.shape == (height, width, 1)
            assert np.mean(np.abs(found - expected) > 1e-3) < 0.01  # rounding may decide between two nearest pixels


def test_a_resumed_pipeline_sees_the_same_images():
    images = np.stack([smooth(32, 32) + n for n in range(4)])
    examples = tf.data.Dataset.from_tensor_slices({"image": images, "mask": images > 1})

    def augment(example, seed):
        return dict(
            zip(("image", "mask"), warping.augment(example["image"], example["mask"], seed, SMALL), strict=True)
        )

    def batches(first_epoch):
        return pipeline.training_batches(examples, 4, 2, 11, first_epoch=first_epoch, augment=augment)

    assert batches(0).element_spec["image"].shape == (None, 32, 32, 1)
    whole, resumed = list(batches(0).take(4)), list(batches(1).take(2))
    for expected, found in zip(whole[2:], resumed, strict=True):
        np.testing.assert_array_equal(expected["image"], found["image"])
        np.testing.assert_array_equal(expected["mask"], found["mask"])
    assert not np.array_equal(whole[0]["image"], whole[2]["image"])
