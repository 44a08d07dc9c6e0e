"""Batch normalisation in one operation, against Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.gan.normalisation import FusedBatchNormalization

SHAPE = (3, 2, 2, 4)  # images, height, width, channels
IMAGES = np.random.default_rng(1).normal(size=SHAPE).astype("float32")


def keras_and_fused(dtype="float32", **kwargs):
    layers = [cls(dtype=dtype, **kwargs) for cls in (keras.layers.BatchNormalization, FusedBatchNormalization)]
    random = np.random.default_rng(6)
    weights = [random.normal(1, 0.3, 4), random.normal(size=4), random.normal(size=4), random.uniform(1, 2, 4)]
    for layer in layers:
        layer.build(SHAPE)
        layer.set_weights(weights)
    return layers


def trained(layer, images):
    """Outputs and gradients of one training step, with the running statistics after it."""
    images, direction = tf.constant(images), np.random.default_rng(7).normal(size=images.shape)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = layer(images, training=True)
        total = tf.reduce_sum(tf.cast(outputs, "float32") * direction.astype("float32"))
    gradients = tape.gradient(total, [images, layer.gamma.value, layer.beta.value])
    arrays = [outputs, *gradients, layer.moving_mean, layer.moving_variance]
    return [np.asarray(tf.cast(array, "float32")) for array in arrays]


def test_fused_normalisation_is_that_of_keras():
    images = 3 * IMAGES + 1
    plain, fused = keras_and_fused(momentum=0.8, epsilon=0.01)
    for expected, found in zip(trained(plain, images), trained(fused, images), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fused(images, training=False), plain(images, training=False), atol=1e-6)


def test_fused_normalisation_in_bfloat16_is_that_of_keras():
    plain, fused = keras_and_fused("mixed_bfloat16")
    rounded = tf.cast(IMAGES, "bfloat16")
    *expected, mean, variance = trained(plain, rounded)
    *found, fused_mean, fused_variance = trained(fused, rounded)
    for these, those in zip(expected, found, strict=True):
        np.testing.assert_allclose(those, these, rtol=0.05, atol=0.1)
    np.testing.assert_allclose(fused_mean, mean, rtol=1e-5)  # of a sum in float32
    np.testing.assert_allclose(fused_variance, variance, rtol=1e-5)


def test_running_variance_is_over_n_by_hand():
    layer = FusedBatchNormalization(momentum=0.5)
    images = np.array([1, 3], "float32").reshape(2, 1, 1, 1)  # mean 2, variance 1 over n and 2 over n - 1
    np.testing.assert_allclose(np.ravel(layer(images, training=True)), [-1, 1], rtol=1e-3)
    assert [float(layer.moving_mean[0]), float(layer.moving_variance[0])] == pytest.approx([1.0, 1.0])


def test_frozen_normalisation_uses_and_keeps_its_statistics():
    _, fused = keras_and_fused()
    expected, before = fused(IMAGES, training=False), fused.get_weights()
    fused.trainable = False
    np.testing.assert_array_equal(fused(IMAGES, training=True), expected)
    for now, then in zip(fused.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
