"""The multi-stream classifier: against NumPy in float64, its size, its outputs, its file."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import correlate2d

from kerasgan.gan.optimizers import Keras2Adagrad
from kerasgan.gan.supervised import SupervisedModel
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import streams
from kerasgan.papers.pairwise.classifier import objective

MODALITIES = ("t2", "flair", "t1")  # not in alphabetical order
SIZE = 8


@pytest.fixture(scope="module")
def published():
    return settings_of("pairwise").classifier.network


@pytest.fixture(scope="module")
def small(published):
    return published.model_copy(update={"filters": (3, 4, 5), "downsample_after": (1,), "dense": (6, 7)})


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(1)
    return {name: random.uniform(-1, 1, (4, SIZE, SIZE, 1)).astype("float32") for name in MODALITIES}


def network_of(modalities, settings):
    """A classifier none of whose weights is at its start, so that a lost or swapped one shows."""
    keras.utils.set_random_seed(1)
    network = streams.classifier(modalities, SIZE, settings)
    random = np.random.default_rng(2)
    for variable in network.variables:
        if variable.name not in ("kernel", "attention"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
    network.get_layer("attention").attention.assign(random.normal(size=network.get_layer("attention").attention.shape))
    return network


# ---- the numbers of Figure 5 ----


def test_parameters_at_the_published_setting_by_hand(published):
    network = streams.classifier(("t1", "t1e", "t2", "flair"), 128, published)
    kernels = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 128)
    norms = 4 * (32 + 32 + 64 + 64 + 128 + 128 + 128)  # scale, shift, running mean and variance
    attention = 16 * 16 * 128
    dense = (128 * 128 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 2
    assert network.count_params() == 4 * (kernels + norms + attention) + dense == 6_134_914


def test_feature_maps_of_the_published_setting_are_16_x_16_x_128(published):
    attention = streams.classifier(("t1", "flair"), 128, published).get_layer("attention")
    assert [features.shape for features in attention.input] == [(None, 16, 16, 128)] * 2


@pytest.mark.parametrize("downsample", ["pool", "stride"])
@pytest.mark.parametrize("modalities", [("t1",), MODALITIES])
def test_network_is_the_papers_in_numpy(small, images, modalities, downsample):
    settings = small.model_copy(update={"downsample": downsample, "downsample_after": (1, 3), "signed_sqrt": True})
    network = network_of(modalities, settings)
    expected_logits, expected_attention = numpy_classifier(network, modalities, settings, images)
    outputs = network({name: images[name] for name in modalities}, training=False)
    np.testing.assert_allclose(outputs["logits"], expected_logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs["attention"], expected_attention, rtol=1e-3)


def numpy_classifier(network, modalities, settings, images):
    """Logits and attention of each slice, in float64, in the paper's order: convolution, normalisation, ReLU, pool."""
    maps = []
    for name in modalities:
        x = images[name].astype(np.float64)
        for level in range(1, len(settings.filters) + 1):
            (kernel,) = network.get_layer(f"{name}_conv{level}").get_weights()
            gamma, beta, mean, variance = network.get_layer(f"{name}_norm{level}").get_weights()
            x = numpy_convolution(x, kernel)
            halve = level in settings.downsample_after
            if halve and settings.downsample == "stride":
                x = x[:, 1::2, 1::2]  # where SAME puts a 3x3 kernel's first stride: on pixel 1 of an even image
            x = np.maximum(gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta, 0)
            if halve and settings.downsample == "pool":
                x = np.maximum.reduce([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
        maps.append(x)
    (weights,) = network.get_layer("attention").get_weights()
    logits = np.stack([x.reshape(len(x), -1) @ w for x, w in zip(maps, weights.astype(np.float64), strict=True)], 1)
    attention = np.exp(logits - logits.max(axis=1, keepdims=True))
    attention /= attention.sum(axis=1, keepdims=True)
    fused = np.einsum("nk,knhwc->nhwc", attention, maps)
    x = np.einsum("nhwc,nhwd->ncd", fused, fused).reshape(len(fused), -1) / np.prod(fused.shape[1:3])
    x = np.sign(x) * np.sqrt(np.abs(x))
    for layer in [f"dense{level}" for level in range(1, len(settings.dense) + 1)]:
        kernel, bias = network.get_layer(layer).get_weights()
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = network.get_layer("logits").get_weights()
    return x @ kernel + bias, attention


def numpy_convolution(x, kernel):
    made = [
        sum(correlate2d(image[..., i], kernel[..., i, o], mode="same") for i in range(kernel.shape[2]))
        for image in x
        for o in range(kernel.shape[3])
    ]
    return np.reshape(made, (len(x), kernel.shape[3], *x.shape[1:3])).transpose(0, 2, 3, 1)


def test_running_statistics_have_the_settings_momentum(small, images):
    network = network_of(("t1",), small.model_copy(update={"momentum": 0.75}))
    layers = [network.get_layer(f"t1_norm{level}") for level in (1, 2, 3)]
    for layer in layers:
        layer.moving_mean.assign(np.full(layer.moving_mean.shape, 1000.0))
    network({"t1": images["t1"]}, training=True)
    for layer in layers:
        np.testing.assert_allclose(layer.moving_mean, 750, atol=10)


# ---- outputs ----


def test_attention_is_in_the_order_of_the_modalities(small, images):
    network = network_of(MODALITIES, small)
    attention = network.get_layer("attention").attention
    for k in range(len(MODALITIES)):
        chosen = np.zeros(attention.shape, "float32")
        chosen[k] = 1  # times a map that ReLU made non-negative
        attention.assign(chosen)
        assert (np.argmax(network(images)["attention"], axis=1) == k).all()


def test_a_stream_sees_its_own_modality_only(small, images):
    network = network_of(MODALITIES, small)
    maps = keras.Model(network.input, network.get_layer("attention").input)
    before, after = maps(images), maps(images | {"flair": -images["flair"]})
    assert [np.allclose(a, b) for a, b in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_outputs_are_float32(small, images, precision):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        outputs = network_of(MODALITIES, small)(images)
    finally:
        keras.config.set_dtype_policy(before)
    assert {name: (each.shape, each.dtype) for name, each in outputs.items()} == {
        "logits": ((4, 2), "float32"),
        "attention": ((4, 3), "float32"),
    }
    np.testing.assert_allclose(np.sum(outputs["attention"], axis=1), 1, atol=1e-6)


# ---- training ----


def test_every_weight_has_a_gradient_at_the_start(small, images):
    keras.utils.set_random_seed(3)
    network = streams.classifier(MODALITIES, SIZE, small)
    with tf.GradientTape() as tape:
        loss = objective(MODALITIES, (1.0, 2.0))(network, images | {"label": tf.constant([0, 1, 1, 0])})["loss"]
    gradients = tape.gradient(loss, [variable.value for variable in network.trainable_variables])
    dead = [v.path for v, g in zip(network.trainable_variables, gradients, strict=True) if not np.any(g)]
    assert dead == []


def test_a_few_steps_learn_a_visible_difference(small):
    keras.utils.set_random_seed(4)
    model = SupervisedModel(streams.classifier(MODALITIES, SIZE, small), objective(MODALITIES, (1.0, 2.0)))
    model.compile({"network": Keras2Adagrad(0.01)})
    label = np.arange(16) % 2
    noise = np.random.default_rng(5).normal(size=(16, SIZE, SIZE, 1))
    image = (0.3 * noise * (1 + 2 * label[:, None, None, None])).astype("float32")  # mutants are rougher
    batch = {name: tf.constant(image) for name in MODALITIES} | {"label": tf.constant(label, tf.int32)}
    step = tf.function(model.train_step)
    losses = [float(step(batch)["loss"]) for _ in range(40)]  # means so far
    assert losses[-1] < 0.6 * losses[0]


# ---- its file ----


@pytest.mark.parametrize("modalities", [("t1",), MODALITIES])
def test_comes_back_from_a_file(tmp_path, small, images, modalities):
    network = network_of(modalities, small)
    network.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras")  # in safe mode
    own = {name: images[name] for name in modalities}
    assert tuple(loaded.input) == modalities
    for name, expected in network(own).items():
        np.testing.assert_array_equal(loaded(own)[name], expected)
