"""Style transfer: losses against NumPy, gradients against differences, L-BFGS against SciPy, convolutions, VGG-19."""

from functools import partial

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import Input, Model, layers
from scipy.optimize import fmin_l_bfgs_b, rosen, rosen_der

from kerasgan.errors import UserError
from kerasgan.papers.aggrgan import style as style_transfer
from kerasgan.papers.aggrgan import vgg19 as vgg_module
from kerasgan.papers.aggrgan import winograd
from kerasgan.papers.aggrgan.lbfgs import Minimiser
from kerasgan.papers.aggrgan.style import LossWeights, Objective, features, transfer
from kerasgan.papers.aggrgan.vgg19 import Vgg19, load_vgg19, vgg19

STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
CONTENT_LAYER = "block4_conv2"


def weighted(content, style, variation):
    return LossWeights(content, style, variation, STYLE_LAYERS, CONTENT_LAYER)


PUBLISHED = weighted(5, 100, 0.001)
SIZE = 16


def small_network(dtype="float64"):
    """A stand-in with the names of VGG-19's layers, smooth (softplus), small weights for inputs of about 100."""
    keras.utils.set_random_seed(1)
    common = {"padding": "same", "activation": "softplus", "dtype": dtype}
    x = image = Input((None, None, 3), dtype=dtype)
    x = layers.Rescaling(0.01, dtype=dtype)(x)
    for block in range(1, 6):
        x = layers.Conv2D(3, 3, name=f"block{block}_conv1", **common)(x)
        if block == 4:
            x = layers.Conv2D(3, 3, name="block4_conv2", **common)(x)
        x = layers.AveragePooling2D(2, dtype=dtype)(x) if block < 4 else x
    return Model(image, x)


def images(count, seed=0, size=SIZE):
    return np.random.default_rng(seed).uniform(-1, 1, (count, size, size)).astype(np.float32)


# ---- loss terms ----


def test_terms_equal_numpy_on_a_tiny_feature_map():
    rng = np.random.default_rng(0)
    target, maps = rng.normal(size=(2, 2, 2, 3, 4))  # two images of 2x3 pixels and 4 filters
    a, b = 4, 6
    for k in range(2):
        rows, wanted = maps[k].reshape(b, a), target[k].reshape(b, a)
        g, h = np.zeros((a, a)), np.zeros((a, a))
        for i in range(a):
            for j in range(a):
                g[i, j] = sum(wanted[n, i] * wanted[n, j] for n in range(b))
                h[i, j] = sum(rows[n, i] * rows[n, j] for n in range(b))
        grams = style_transfer.gram(tf.constant(target))
        np.testing.assert_allclose(grams[k], g)
        found = style_transfer.style_loss(grams, tf.constant(maps))[k]
        np.testing.assert_allclose(found, ((g - h) ** 2).sum() / (4 * a**2 * b**2))
        found = style_transfer.content_loss(tf.constant(target), tf.constant(maps))[k]
        np.testing.assert_allclose(found, 0.5 * ((rows - wanted) ** 2).sum())


def test_total_variation_by_hand():
    image = tf.constant([[[0.0, 1.0, 3.0], [2.0, 2.0, 2.0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]])
    assert style_transfer.total_variation(image).numpy().tolist() == [(1 + 4 + 0 + 0) + (4 + 1 + 1), 0]


def test_preprocessing_is_that_of_keras_applications():
    grey = np.random.default_rng(0).uniform(0, 255, (1, 4, 4)).astype(np.float32)
    expected = keras.applications.vgg19.preprocess_input(np.repeat(grey[..., None], 3, axis=-1))
    np.testing.assert_allclose(style_transfer.preprocessed(tf.constant(grey)), expected, atol=1e-4)
    np.testing.assert_allclose(style_transfer.grey_levels(np.array([-1.0, 0.0, 1.0])), [0, 127.5, 255])


def fixed(network, content, style, weights):
    """The objective of a batch as a function of its images alone."""
    objective = Objective(network, weights)
    return partial(objective, targets=objective.targets(content, style))


def test_the_total_is_the_weighted_sum_over_the_layers():
    network = features(small_network(), PUBLISHED)
    content, style, image = (style_transfer.grey_levels(images(2, seed)) for seed in range(3))
    maps, of_content, of_style = (
        network(tf.constant(grey)[..., None] - tf.constant(style_transfer.BGR_MEANS, tf.float64))
        for grey in (image, content, style)
    )
    expected = 0.001 * style_transfer.total_variation(tf.constant(image))
    expected += 5 * style_transfer.content_loss(of_content[CONTENT_LAYER], maps[CONTENT_LAYER])
    for name in ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1"):
        expected += 100 / 5 * style_transfer.style_loss(style_transfer.gram(of_style[name]), maps[name])
    objective = Objective(network, PUBLISHED)
    found = objective.losses(tf.constant(image), objective.targets(content, style))
    np.testing.assert_allclose(found, expected)


def test_other_layers_are_looked_at():
    weights = LossWeights(5, 100, 0, ("block1_conv1", "block4_conv2"), "block2_conv1")
    network = features(small_network(), weights)
    content, style, image = (style_transfer.grey_levels(images(2, seed)) for seed in range(3))
    assert set(network(tf.zeros((1, SIZE, SIZE, 3)))) == {"block1_conv1", "block2_conv1", "block4_conv2"}
    objective = Objective(network, weights)
    maps, of_content, of_style = (objective._maps(grey) for grey in (image, content, style))
    expected = 5 * style_transfer.content_loss(of_content["block2_conv1"], maps["block2_conv1"])
    for name in ("block1_conv1", "block4_conv2"):
        expected += 100 / 2 * style_transfer.style_loss(style_transfer.gram(of_style[name]), maps[name])
    found = objective.losses(tf.constant(image), objective.targets(content, style))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("weights", [PUBLISHED, weighted(1, 0, 0), weighted(0, 1, 0), weighted(0, 0, 1)])
def test_gradient_equals_finite_differences(weights):
    network = features(small_network(), PUBLISHED)
    content, style, image = (style_transfer.grey_levels(images(2, seed)) for seed in range(3))
    objective = fixed(network, content, style, weights)
    flat, step = image.reshape(2, -1), 1e-3
    _, gradient = objective(tf.constant(flat))
    for direction in np.random.default_rng(4).normal(size=(3, 1, flat.shape[1])):
        ahead, behind = (objective(tf.constant(flat + sign * step * direction))[0] for sign in (1, -1))
        np.testing.assert_allclose((ahead - behind) / (2 * step), (gradient.numpy() * direction).sum(axis=1), rtol=1e-6)


def test_nothing_to_do_is_a_loss_of_zero():
    image = images(1)
    objective = fixed(
        features(small_network(), PUBLISHED), *[style_transfer.grey_levels(image)] * 2, weighted(5, 100, 0)
    )
    loss, gradient = objective(tf.constant(style_transfer.grey_levels(image).reshape(1, -1)))
    assert loss.numpy()[0] == 0 and not gradient.numpy().any()


# ---- L-BFGS ----


def quadratics(scales):
    """Problems k: scales[k] / 2 sum_j j (x_j - k)^2, whose minimum is 0 at x = k."""
    scales = np.asarray(scales, np.float64)[:, None]

    def function(points):
        centred = points - np.arange(len(scales))[:, None]
        gradient = scales * np.arange(1, points.shape[1] + 1) * centred
        return tf.reduce_sum(gradient * centred, axis=1) / 2, gradient

    return function


def test_quadratics_of_very_different_scales_are_solved_together():
    points, values = Minimiser(quadratics([1e-6, 1, 1e6]))(np.full((3, 8), 30.0), 40)
    np.testing.assert_allclose(points, np.arange(3)[:, None] * np.ones(8), atol=1e-5)
    assert values.shape == (41, 3) and (np.diff(values, axis=0) <= 0).all()


def rosenbrock(points):
    """The Rosenbrock function of each row."""
    with tf.GradientTape() as tape:
        tape.watch(points)
        ahead, behind = points[:, 1:], points[:, :-1]
        value = tf.reduce_sum(100 * (ahead - behind**2) ** 2 + (1 - behind) ** 2, axis=1)
    return value, tape.gradient(value, points)


def test_rosenbrock_is_solved_about_as_soon_as_by_scipy():
    starts = np.random.default_rng(0).uniform(-2, 2, (4, 6))
    points, values = Minimiser(rosenbrock)(starts, 120)
    _, _, info = fmin_l_bfgs_b(rosen, starts[0], rosen_der, pgtol=1e-8, factr=0, maxiter=120)
    assert info["nit"] <= 120 and values[-1].max() < 1e-10
    assert np.abs(rosen_der(points[0])).max() < 1e-4


def test_each_problem_goes_its_own_way():
    starts = np.random.default_rng(1).uniform(-2, 2, (3, 6))
    together, values = Minimiser(rosenbrock)(starts, 15)
    for k in range(3):
        alone, own = Minimiser(rosenbrock)(starts[k : k + 1], 15)
        np.testing.assert_allclose(together[k], alone[0], rtol=1e-9)
        np.testing.assert_allclose(values[:, k], own[:, 0], rtol=1e-9)


def test_a_problem_at_its_minimum_stays_while_others_go_on():
    starts = np.array([[0.0] * 4, [9.0] * 4])
    points, values = Minimiser(quadratics([1, 1]))(starts, 10)
    assert not points[0].any() and not values[:, 0].any()
    assert values[-1, 1] < 1e-3 * values[0, 1]


def test_a_problem_without_descent_ends_where_it_is():
    def misleading(points):
        return tf.reduce_sum(points, axis=1), -tf.ones_like(points)

    points, values = Minimiser(misleading)(np.ones((2, 3)), 4)
    assert (points == 1).all() and (values == 3).all()


def test_values_that_are_not_finite_are_stepped_back_from():
    def barrier(points):
        inside = tf.where(points < 2, points, np.nan)
        return tf.reduce_sum(-tf.math.log(2 - inside) - 3 * inside, axis=1), 1 / (2 - inside) - 3

    points, _ = Minimiser(barrier)(np.zeros((2, 3)), 30)
    np.testing.assert_allclose(points, 2 - 1 / 3, rtol=1e-6)


def test_final_loss_of_style_transfer_equals_scipys():
    network = features(small_network(), PUBLISHED)
    content, style = (style_transfer.grey_levels(images(2, seed)) for seed in range(2))
    _, values = Minimiser(fixed(network, content, style, PUBLISHED))(content.reshape(2, -1), 60)
    for k in range(2):
        own = tf.function(fixed(network, content[k : k + 1], style[k : k + 1], PUBLISHED))

        def function(flat, own=own):
            loss, gradient = own(tf.constant(flat[None]))
            return loss.numpy()[0], gradient.numpy()[0]

        _, expected, _ = fmin_l_bfgs_b(function, content[k].ravel(), factr=0, pgtol=0, maxiter=60)
        assert values[-1, k] <= 1.05 * expected
        assert values[-1, k] < 0.5 * values[0, k]


# ---- transfer ----


@pytest.fixture(scope="module")
def small_vgg():
    return Vgg19(small_network(), "stand-in")


def test_images_losses_and_calls_have_their_shapes_and_ranges(small_vgg):
    content, style, calls = images(3), images(3, 1), []
    result = transfer(content, style, small_vgg, PUBLISHED, iterations=5, batch_size=2, progress=calls.append)
    assert result.images.shape == content.shape and result.images.dtype == np.float32
    assert np.abs(result.images).max() <= 1
    assert result.losses.shape == (6, 3) and (np.diff(result.losses, axis=0) <= 0).all()
    assert [len(losses) for losses in calls] == [2] * 5 + [1] * 5
    assert result.weights == "stand-in"


def test_a_second_batch_and_a_second_call_are_not_traced_anew(small_vgg):
    arguments = (images(4), images(4, 1), small_vgg, PUBLISHED)
    transfer(images(2), images(2, 1), small_vgg, PUBLISHED, iterations=1, batch_size=2)
    _, minimiser = style_transfer._prepared(small_vgg.network, PUBLISHED)
    before = minimiser._advance.experimental_get_tracing_count()
    for _ in range(2):
        transfer(*arguments, iterations=2, batch_size=2)
    assert minimiser._advance.experimental_get_tracing_count() == before


def test_same_arguments_give_the_same_bytes(small_vgg):
    arguments = (images(2), images(2, 1), small_vgg, PUBLISHED)
    first, second = (transfer(*arguments, iterations=5, batch_size=2) for _ in range(2))
    assert first.images.tobytes() == second.images.tobytes() and first.losses.tobytes() == second.losses.tobytes()


def test_the_curve_starts_at_the_content_image(small_vgg):
    content, style = images(2), images(2, 1)
    result = transfer(content, style, small_vgg, weighted(5, 0, 0.001), iterations=0, batch_size=2)
    np.testing.assert_allclose(result.images, content, atol=1e-6)
    expected = 0.001 * style_transfer.total_variation(tf.constant(style_transfer.grey_levels(content)))
    np.testing.assert_allclose(result.losses[0], expected, rtol=1e-5)


def test_variation_alone_smooths_and_content_alone_stays(small_vgg):
    content, style = images(1), images(1, 1)
    smooth = transfer(content, style, small_vgg, weighted(0, 0, 1), iterations=30, batch_size=1)
    assert smooth.images.std() < 0.1 * content.std()
    same = transfer(content, style, small_vgg, weighted(5, 0, 0), iterations=3, batch_size=1)
    np.testing.assert_allclose(same.images, content, atol=1e-6)


def test_images_that_do_not_match_are_refused(small_vgg):
    for content, style in ((images(2), images(1)), (images(1), np.full_like(images(1), np.nan))):
        with pytest.raises(ValueError, match="expected finite content and style of one shape"):
            transfer(content, style, small_vgg, PUBLISHED, iterations=1, batch_size=1)


# ---- Winograd's convolution ----


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (1, 5, 7, 2), (3, 1, 2, 1), (1, 16, 4, 5)])
def test_minimal_filtering_equals_conv2d(shape):
    rng = np.random.default_rng(0)
    image, kernel = (tf.constant(rng.normal(size=size), tf.float32) for size in (shape, (3, 3, shape[-1], 6)))
    found = winograd.convolved(image, winograd.transformed_kernel(kernel))
    np.testing.assert_allclose(found, tf.nn.conv2d(image, kernel, 1, "SAME"), atol=3e-4)


@pytest.fixture(scope="module")
def wide():
    """A convolution that minimal filtering suits, with biases that show."""
    keras.utils.set_random_seed(3)
    layer = layers.Conv2D(256, 3, padding="same", activation="relu", bias_initializer="random_normal")
    layer.build((None, None, None, 8))
    return layer


def output_and_gradient(layer, image, upstream):
    with tf.GradientTape() as tape:
        tape.watch(image)
        output = layer(image)
    return output, tape.gradient(output, image, upstream)


def test_the_layer_and_its_gradient_are_those_of_the_convolution(wide, monkeypatch):
    calls = []
    monkeypatch.setattr(winograd, "convolved", lambda *args, own=winograd.convolved: (calls.append(1), own(*args))[1])
    rng = np.random.default_rng(0)
    image, upstream = (tf.constant(rng.normal(size=(4, 8, 9, count)), tf.float32) for count in (8, 256))
    found = output_and_gradient(winograd.faster(wide), image, upstream)
    assert len(calls) == 2
    for ours, expected in zip(found, output_and_gradient(wide, image, upstream), strict=True):
        # Where an output is about 0, rounding decides whether ReLU passes the gradient.
        assert np.mean(np.abs(ours - expected) > 1e-4) < 0.01
        assert np.linalg.norm(ours - expected) < 1e-3 * np.linalg.norm(expected)


def test_few_tiles_are_convolved_by_the_layer_itself(wide, monkeypatch):
    monkeypatch.setattr(winograd, "convolved", None)
    image = tf.ones((1, 12, 12, 8))
    np.testing.assert_array_equal(winograd.faster(wide)(image), wide(image))


def test_only_wide_plain_convolutions_are_replaced(wide):
    assert isinstance(winograd.faster(wide), winograd.WinogradConv2D)
    common = {"filters": 256, "kernel_size": 3, "padding": "same"}
    for change in ({"filters": 8}, {"kernel_size": 5}, {"padding": "valid"}, {"strides": 2}, {"dtype": "float64"}):
        layer = layers.Conv2D(**(common | change))
        layer.build((None, None, None, 8))
        assert winograd.faster(layer) is layer
    pool = layers.AveragePooling2D(2)
    assert winograd.faster(pool) is pool


def test_features_are_the_maps_of_the_network_itself():
    network = load_vgg19("random", seed=1).network
    image = tf.constant(np.random.default_rng(0).uniform(-100, 100, (4, 32, 32, 3)), tf.float32)
    found = features(network, PUBLISHED)(image)
    assert list(found) == [*STYLE_LAYERS, CONTENT_LAYER]
    expected = Model(network.input, {name: network.get_layer(name).output for name in found})(image)
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], atol=2e-4 * np.max(expected[name]))


# ---- VGG-19 ----


@pytest.fixture(scope="module")
def original():
    """`keras.applications.VGG19` with numbers of its own."""
    keras.utils.set_random_seed(7)
    return keras.applications.VGG19(include_top=False, weights=None)


def write_weights(path, network, change=None):
    """A weights file in the layout of keras.applications' own."""
    with h5py.File(path, "w") as file:
        for layer in network.layers:
            group = file.create_group(layer.name)
            arrays = (change or {}).get(layer.name, layer.get_weights())
            names = [f"{layer.name}_{part}_1:0" for part in "Wb"][: len(arrays)]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays, strict=True):
                group[name] = array
    return path


def test_layers_are_those_of_keras_applications_but_for_the_pooling(original):
    own = vgg19()
    assert [layer.name for layer in own.layers[1:]] == [layer.name for layer in original.layers[1:]]
    assert [w.shape for w in own.weights] == [w.shape for w in original.weights]
    assert own.count_params() == original.count_params() == 20_024_384
    pools = [layer for layer in own.layers if layer.name.endswith("pool")]
    assert len(pools) == 5 and all(isinstance(layer, layers.AveragePooling2D) for layer in pools)
    assert set(STYLE_LAYERS) | {CONTENT_LAYER} <= {layer.name for layer in own.layers}


def test_a_local_file_is_loaded_and_named(original, tmp_path):
    loaded = load_vgg19(str(write_weights(tmp_path / "own.h5", original)), seed=0)
    assert loaded.weights.startswith("own.h5, sha256 ")
    for own, expected in zip(loaded.network.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_array_equal(own, expected)
    image = np.random.default_rng(0).uniform(-100, 100, (1, 32, 32, 3)).astype(np.float32)
    ends = [Model(n.input, n.get_layer("block1_conv2").output)(image) for n in (loaded.network, original)]
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_the_first_array_that_differs_is_named(original, tmp_path):
    kernel, bias = original.get_layer("block3_conv2").get_weights()
    path = write_weights(tmp_path / "other.h5", original, {"block3_conv2": [kernel[..., :8], bias], "block5_conv1": []})
    with pytest.raises(UserError, match=r"other\.h5 has block3_conv2 as \[\(3, 3, 256, 8\), \(256,\)\], not"):
        load_vgg19(str(path), seed=0)


def test_files_that_are_no_weights_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no weights")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    for name, words in (
        ("text.h5", "is not an HDF5 file"),
        ("empty.h5", "block1_conv1"),
        ("no.h5", "there is no file"),
    ):
        with pytest.raises(UserError, match=rf"{name}.*{vgg_module.WEIGHTS_FILE}|{words}"):
            load_vgg19(str(tmp_path / name), seed=0)


def test_imagenet_weights_are_copied_from_keras_applications(original, monkeypatch):
    monkeypatch.setattr(keras.applications, "VGG19", lambda include_top, weights: original)
    loaded = load_vgg19("imagenet", seed=0)
    assert loaded.weights == "ImageNet weights of keras.applications"
    np.testing.assert_array_equal(loaded.network.get_weights()[-2], original.get_weights()[-2])


def test_without_a_download_the_file_and_its_address_are_named(monkeypatch):
    def fails(**_):
        raise Exception("URL fetch failure on the address: None")

    monkeypatch.setattr(keras.applications, "VGG19", fails)
    with pytest.raises(UserError, match=rf"URL fetch failure.*{vgg_module.WEIGHTS_URL}"):
        load_vgg19("imagenet", seed=0)


def test_random_weights_are_seeded_and_named():
    first, again, other = (load_vgg19("random", seed=seed) for seed in (1, 1, 2))
    assert first.weights == "random weights, seed 1" and other.weights != first.weights
    for a, b in zip(first.network.get_weights(), again.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.network.get_weights()[0] != other.network.get_weights()[0]).all()
    assert not first.network.trainable_weights


def test_vgg19_itself_lowers_the_loss():
    vgg = load_vgg19("random", seed=1)
    result = transfer(images(1, size=32), images(1, 1, size=32), vgg, PUBLISHED, iterations=2, batch_size=1)
    assert result.losses[-1, 0] < result.losses[0, 0]
    assert result.weights == "random weights, seed 1"
