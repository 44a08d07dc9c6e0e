"""kerasgan.gan.patches: Keras's numbers, gradients and weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.gan import patches
from kerasgan.gan.patches import PatchedConv2D, PatchedConv2DTranspose

PAIRS = {
    "convolution": (PatchedConv2D, keras.layers.Conv2D),
    "transposed": (PatchedConv2DTranspose, keras.layers.Conv2DTranspose),
}


@pytest.fixture(autouse=True, params=[1, 256], ids=["patches", "strided"])
def wide(request, monkeypatch):
    """Filters from which on patches are used; the layers here have 5."""
    monkeypatch.setattr(patches, "WIDE", request.param)


def networks(kind, kernel, bias=True):
    """Ours and Keras's layer on images 7x8x3 with the same weights."""
    ours, theirs = PAIRS[kind]
    more = {"output_padding": 0} if kind == "transposed" else {}
    found = []
    for make in (ours(5, kernel, use_bias=bias), theirs(5, kernel, 2, "valid", use_bias=bias, **more)):
        image = keras.Input((7, 8, 3))
        found.append(keras.Model(image, make(image)))
    mine, other = found
    random = np.random.default_rng(1)
    mine.set_weights([random.normal(size=w.shape) for w in mine.weights])
    other.set_weights(mine.get_weights())
    return mine, other


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kernel", [(3, 4), (3, 3), (1, 2)])
@pytest.mark.parametrize("kind", PAIRS)
def test_outputs_and_gradients_are_kerass(kind, kernel, bias):
    found = []
    images = tf.constant(np.random.default_rng(2).normal(size=(4, 7, 8, 3)), tf.float32)
    for network in networks(kind, kernel, bias):
        weights = [w.value for w in network.trainable_variables]
        with tf.GradientTape() as outer:  # and the gradient of a gradient, which penalties take
            outer.watch(images)
            with tf.GradientTape() as tape:
                tape.watch(images)
                outputs = network(images)
                value = tf.reduce_sum(outputs**2)
            slope = tape.gradient(value, images)
            penalty = tf.reduce_sum(slope**2)
        found.append([outputs, slope, *outer.gradient(penalty, [images, weights[0]])])
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(network(images) ** 2)
        found[-1] += tape.gradient(value, weights)
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("kind", PAIRS)
def test_a_file_keeps_the_layer(kind, tmp_path):
    mine, _ = networks(kind, (3, 4))
    mine.save(tmp_path / "network.keras")
    read = keras.models.load_model(tmp_path / "network.keras")
    images = np.ones((2, 7, 8, 3), np.float32)
    assert type(read.layers[1]) is PAIRS[kind][0]
    np.testing.assert_array_equal(read(images), mine(images))


@pytest.mark.parametrize("kind", PAIRS)
def test_a_compiled_step_of_any_batch_size_agrees(kind):
    mine, other = networks(kind, (3, 4))
    images = tf.ones((2, 7, 8, 3))

    def slopes(network):
        def run(batch):
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(network(batch) ** 2)
            return tape.gradient(value, network.trainable_variables[0].value)

        return run

    for jit in (False, True):
        run = tf.function(slopes(mine), [tf.TensorSpec((None, 7, 8, 3))], jit_compile=jit)
        np.testing.assert_allclose(run(images), slopes(other)(images), rtol=1e-4)
