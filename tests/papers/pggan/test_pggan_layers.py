"""Each layer by an independent computation in NumPy; fused convolutions against Keras's, gradients included."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerasgan.errors import UserError
from kerasgan.papers.pggan.layers import (
    ClassEmbedding,
    EqualisedConv2D,
    EqualisedDense,
    Fade,
    MinibatchDeviation,
    PixelNorm,
    blend,
    down_convolution,
    group_of,
)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype("float32")


def convolved(images, kernel):
    """A convolution with zeros around the images, tap by tap."""
    size, (_, height, width, _) = kernel.shape[0], images.shape
    padded = np.pad(images.astype(float), [(0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)])
    taps = [(i, j) for i in range(size) for j in range(size)]
    return sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i, j in taps)


def doubled(images):
    return images.repeat(2, axis=1).repeat(2, axis=2)


def means(images):
    n, height, width, channels = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


# ---- equalised learning rate ----


def test_dense_by_hand():
    rows, kernel, bias = normal(3, 5), normal(5, 4), normal(4)
    layer = EqualisedDense(4, gain=0.5)
    layer.build((None, 5))
    layer.set_weights([kernel, bias])
    np.testing.assert_allclose(layer(rows), rows @ kernel * 0.5 / np.sqrt(5) + bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 11])  # the down-convolution has a form for few channels and one for many
@pytest.mark.parametrize("resampling", ["none", "up", "down"])
def test_convolutions_by_hand(resampling, channels):
    images, kernel, bias = normal(2, 6, 8, channels), normal(3, 3, channels, 4), normal(4)
    layer = EqualisedConv2D(4, 3, resampling)
    layer.build(images.shape)
    layer.set_weights([kernel, bias])
    expected = convolved(doubled(images) if resampling == "up" else images, kernel * np.sqrt(2 / (9 * channels)))
    expected = (means(expected) if resampling == "down" else expected) + bias
    found = layer(images)
    assert layer.compute_output_shape((None, 6, 8, channels))[1:] == found.shape[1:] == expected.shape[1:]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3])
def test_first_outputs_have_the_variance_of_the_inputs(size):
    """With gain 1, whatever the fan in: that is what the constant is for."""
    for channels in (2, 50):
        layer = EqualisedConv2D(300, size, gain=1.0)
        outputs = layer(normal(2, 16, 16, channels))[:, 2:-2, 2:-2]
        assert layer.kernel.numpy().std() == pytest.approx(1, rel=0.1)
        assert outputs.numpy().std() == pytest.approx(1, rel=0.15)
        assert not layer.bias.numpy().any()


def reference(resampling, filters):
    convolution = layers.Conv2D(filters, 3, padding="same", dtype="float64")
    before = [layers.UpSampling2D(2, dtype="float64")] if resampling == "up" else []
    behind = [layers.AveragePooling2D(2, dtype="float64")] if resampling == "down" else []
    return keras.Sequential([*before, convolution, *behind])


def outputs_and_gradients(layer, images, weights, dtype):
    """Outputs, their gradients by images and weights, and the weights' gradients of a gradient penalty."""
    images = tf.constant(images, dtype)
    layer(images)
    layer.set_weights(weights)
    own = [v.value for v in layer.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        outputs = layer(images)
        loss = tf.reduce_sum(tf.sin(outputs))
        (slopes,) = tape.gradient(loss, [images])
        penalty = tf.reduce_sum(tf.square(slopes))
    gradients = tape.gradient(loss, [images, *own]) + tape.gradient(penalty, [images, *own])
    return [np.asarray(values, "float64") for values in (outputs, *gradients)]


@pytest.mark.parametrize("channels", [3, 11])
@pytest.mark.parametrize("resampling", ["up", "down"])
def test_fused_convolutions_equal_kerass(resampling, channels):
    images, weights = normal(2, 6, 4, channels), [normal(3, 3, channels, 5), normal(5)]
    scaled = [weights[0] * np.sqrt(2 / (9 * channels)), weights[1]]
    expected = outputs_and_gradients(reference(resampling, 5), images, scaled, "float64")
    found = outputs_and_gradients(EqualisedConv2D(5, 3, resampling), images, weights, "float32")
    for index in (2, 5):  # by the kernel, which is multiplied by the constant
        expected[index] = expected[index] * np.sqrt(2 / (9 * channels))
    for one, other in zip(expected, found, strict=True):
        assert np.abs(one - other).max() < 2e-5 * np.abs(one).max()


@pytest.mark.parametrize("channels", [3, 11])
def test_down_convolution_of_unknown_sizes(channels):
    kernel = normal(3, 3, channels, 2)
    call = tf.function(
        down_convolution, input_signature=[tf.TensorSpec((None, None, None, channels)), tf.TensorSpec(kernel.shape)]
    )
    for shape in ((1, 4, 6), (3, 2, 2)):
        images = normal(*shape, channels)
        np.testing.assert_allclose(call(images, kernel), means(convolved(images, kernel)), atol=1e-4)


def test_convolutions_in_mixed_precision_round_once():
    images, kernel = normal(2, 8, 8, 12), normal(3, 3, 12, 4)
    for resampling in ("none", "up", "down"):
        found = []
        for dtype in ("float32", "mixed_bfloat16"):
            layer = EqualisedConv2D(4, 3, resampling, dtype=dtype)
            layer.build(images.shape)
            layer.set_weights([kernel, np.zeros(4)])
            found.append(layer(images))
        assert found[1].dtype == "bfloat16" and layer.kernel.dtype == "float32"
        assert np.abs(found[0] - tf.cast(found[1], tf.float32)).max() < 2**-6 * np.abs(found[0]).max()


def test_wrong_resamplings():
    with pytest.raises(UserError, match=r"no resampling 'dwon'.*down"):
        EqualisedConv2D(4, 3, "dwon")
    with pytest.raises(UserError, match="kernels of 3 x 3, not of 1"):
        EqualisedConv2D(4, 1, "down")
    with pytest.raises(UserError, match="5x6 have no blocks"):
        EqualisedConv2D(4, 3, "down").build((None, 5, 6, 1))


# ---- the others ----


def test_pixel_norm_by_hand():
    images = normal(2, 3, 3, 6)
    expected = images / np.sqrt((images.astype(float) ** 2).mean(axis=-1, keepdims=True) + 1e-8)
    np.testing.assert_allclose(PixelNorm()(images), expected, rtol=1e-5)
    assert not PixelNorm()(np.zeros((1, 2, 2, 3), "float32")).numpy().any()
    small = PixelNorm(dtype="mixed_bfloat16")(1e-3 * images)
    assert small.dtype == "bfloat16"
    np.testing.assert_allclose(tf.cast(small, tf.float32)[0], PixelNorm()(1e-3 * images)[0], rtol=2**-6)


@pytest.mark.parametrize(("count", "group"), [(1, 1), (2, 2), (3, 3), (4, 4), (8, 4), (12, 4)])
def test_minibatch_deviation_by_hand(count, group):
    images = normal(count, 3, 2, 5)
    found = MinibatchDeviation()(images).numpy()
    np.testing.assert_array_equal(found[..., :5], images)
    for image in range(count):
        own = [images[i] for i in range(count) if i % (count // group) == image % (count // group)]
        assert len(own) == group
        deviation = np.sqrt(np.var(own, axis=0) + 1e-8).mean()
        np.testing.assert_allclose(found[image, ..., 5], deviation, rtol=1e-5)


def test_minibatch_deviation_of_an_unknown_batch():
    call = tf.function(MinibatchDeviation(), input_signature=[tf.TensorSpec((None, 3, 2, 5))])
    for count in (2, 8):
        images = normal(count, 3, 2, 5)
        np.testing.assert_allclose(call(images), MinibatchDeviation()(images), rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"groups of 4: .* a replica has up to 4"):
        call(normal(6, 3, 2, 5))


def test_uneven_groups_are_refused():
    assert [group_of(n) for n in (1, 2, 3, 4, 16, None)] == [1, 2, 3, 4, 4, None]
    for count in (5, 6, 10):
        with pytest.raises(UserError, match=f"groups of 4.*not {count}"):
            group_of(count)
    with pytest.raises(UserError, match="groups of 4"):
        MinibatchDeviation()(normal(6, 3, 2, 5))


def test_equal_images_have_no_deviation_and_finite_gradients():
    images = tf.constant(np.repeat(normal(1, 2, 2, 3), 4, axis=0))
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = MinibatchDeviation()(images)[..., -1]
    np.testing.assert_allclose(outputs, 1e-4, rtol=1e-3)
    assert not np.abs(tape.gradient(outputs, images)).max() > 1e-3


def test_the_fade_is_exact_at_both_ends():
    before, after = normal(2, 4, 4, 3), normal(2, 4, 4, 3, seed=1)
    fade = Fade()
    np.testing.assert_array_equal(fade([before, after]), after)
    fade.alpha.assign(0.0)
    np.testing.assert_array_equal(fade([before, after]), before)
    fade.alpha.assign(0.25)
    np.testing.assert_allclose(fade([before, after]), 0.75 * before + 0.25 * after, rtol=1e-6)
    np.testing.assert_allclose(blend(before, after, 0.25), fade([before, after]))
    assert fade.trainable_variables == [] and len(fade.get_weights()) == 1


def test_class_embedding_by_hand():
    layer = ClassEmbedding(3, 4, scale=0.5)
    assert not layer(np.array([0, 2])).numpy().any(), "begins at zero"
    table = normal(3, 4)
    layer.set_weights([table])
    np.testing.assert_allclose(layer(np.array([2, 0, 2])), 0.5 * table[[2, 0, 2]])
    for wrong in ([0, 3], [-1, 0]):
        with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 2"):
            layer(np.array(wrong))


def test_configurations_bring_every_layer_back():
    images, label = keras.Input((4, 4, 2)), keras.Input((), dtype="int32")
    x = EqualisedConv2D(3, 3, "down", gain=0.7)(MinibatchDeviation()(PixelNorm()(images)))
    flat = EqualisedDense(2, gain=0.3)(layers.Flatten()(x))
    told = ClassEmbedding(2, 2, scale=0.1)(label)
    model = keras.Model([images, label], Fade()([flat, told]))
    model.set_weights([normal(*w.shape) if w.shape else np.float32(0.25) for w in model.get_weights()])
    twin = keras.Model.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    given = [normal(4, 4, 4, 2), np.array([0, 1, 1, 0])]
    np.testing.assert_array_equal(model(given), twin(given))
