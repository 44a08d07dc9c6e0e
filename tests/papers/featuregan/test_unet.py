"""The U-Net against hand-counted sizes and against its own computation in NumPy."""

from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.papers.featuregan.tensorlayer import from_keras, layer_shapes, to_keras
from kerasgan.papers.featuregan.unet import BLOCKS, FILTERS, features, unet

NARROW = (3, 5, 4, 6, 7)


@pytest.fixture(scope="module")
def published():
    return unet((240, 240), 4)


# ---- an independent forward pass: taps one by one, float64 ----


def convolved(x, weights, biases):
    """SAME, stride 1: y[i, j] = sum over taps of x[i + a - 1, j + b - 1] w[a, b]."""
    (height, width, _), reach = x.shape, weights.shape[0] // 2
    padded = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
    taps = np.ndindex(weights.shape[:2])
    return sum(np.tensordot(padded[a : a + height, b : b + width], weights[a, b], 1) for a, b in taps) + biases


def transposed(x, weights, biases):
    """SAME, stride 2: y[2 i + a, 2 j + b] += x[i, j] w[a, b], without the last row and column."""
    height, width, _ = x.shape
    y = np.zeros((2 * height + 1, 2 * width + 1, weights.shape[2]))
    for a, b in np.ndindex(weights.shape[:2]):
        y[a : a + 2 * height : 2, b : b + 2 * width : 2] += np.tensordot(x, weights[a, b].T, 1)
    return y[:-1, :-1] + biases


def forward(image, arrays):
    """The maps of every layer with weights, and the probability, of one image (h, w, c)."""
    arrays, maps = [a.astype(np.float64) for a in arrays], {}

    def layer(name, x):
        weights, biases = arrays.pop(0), arrays.pop(0)
        y = transposed(x, weights, biases) if name.startswith("deconv") else convolved(x, weights, biases)
        maps[name] = np.maximum(y, 0) if "_" in name else y
        return maps[name]

    x, skips = image.astype(np.float64), []
    for level in (1, 2, 3, 4, 5):
        x = layer(f"conv{level}_2", layer(f"conv{level}_1", x))
        skips.append(x)
        if level < 5:
            x = np.maximum.reduce([x[i::2, j::2] for i in (0, 1) for j in (0, 1)])
    for level in (4, 3, 2, 1):
        up = np.concatenate([layer(f"deconv{level}", x), skips[level - 1]], axis=-1)
        x = layer(f"uconv{level}_2", layer(f"uconv{level}_1", up))
    maps["probability"] = 1 / (1 + np.exp(-layer("uconv1", x)))
    assert not arrays
    return maps


def random_arrays(channels, filters, seed):
    """He's normal weights in TensorLayer's layout, which keep the scale of what they pass on, and small biases."""
    rng, arrays = np.random.default_rng(seed), []
    for name, (weights, biases) in layer_shapes(channels, filters).items():
        # Of a transposed convolution of stride 2 a pixel sees a quarter of the taps.
        entering = weights[0] * weights[1] * (weights[3] / 4 if name.startswith("deconv") else weights[2])
        arrays += [rng.standard_normal(weights, np.float32) * np.sqrt(2 / entering), rng.normal(0, 0.1, biases)]
    return [array.astype(np.float32) for array in arrays]


@pytest.mark.parametrize(
    ("size", "channels", "filters"), [((16, 32), 4, FILTERS), ((32, 48), 1, NARROW), ((48, 32), 4, NARROW)]
)
def test_every_layer_equals_a_forward_pass_in_numpy(size, channels, filters):
    network, arrays = unet(size, channels, filters), random_arrays(channels, filters, 5)
    to_keras(arrays, network)
    image = np.random.default_rng(6).normal(size=(*size, channels)).astype(np.float32)
    expected = forward(image, arrays)
    outputs = {name: network.get_layer(name).output for name in expected}
    found = keras.Model(network.input, outputs)(image[None])
    for name, values in expected.items():
        assert values.std() > 0.01, name  # neither dead nor saturated
        np.testing.assert_allclose(found[name][0], values, rtol=2e-5, atol=2e-5 * np.abs(values).max(), err_msg=name)
    np.testing.assert_array_equal(found["probability"], network(image[None]))


def test_the_published_network_by_hand(published):
    encoder = sum(9 * a * b + b + 9 * b * b + b for a, b in pairwise((4, *FILTERS)))
    up = sum(9 * a * b + a for a, b in pairwise(FILTERS))
    merged = sum(9 * 2 * a * a + a + 9 * a * a + a for a in FILTERS[:-1])
    assert encoder + up + merged + 64 + 1 == 34_513_921
    assert published.count_params() == 34_513_921
    assert len(published.trainable_variables) == 46
    assert published.output_shape == (None, 240, 240, 1)


def test_one_channel_takes_1728_numbers_less():
    assert unet((240, 240), 1).count_params() == 34_513_921 - 3 * 9 * 64 == 34_512_193


def test_blocks_have_the_papers_shapes(published):
    shapes = {block: features(published, block).output_shape[1:] for block in BLOCKS}
    assert list(shapes) == [*(f"encoder{n}" for n in (1, 2, 3, 4, 5)), *(f"decoder{n}" for n in (4, 3, 2, 1))]
    assert shapes["encoder5"] == (15, 15, 1024)
    assert shapes["decoder4"] == shapes["encoder4"] == (30, 30, 512)
    assert shapes["decoder3"] == shapes["encoder3"] == (60, 60, 256)
    assert shapes["decoder2"] == shapes["encoder2"] == (120, 120, 128)
    assert shapes["decoder1"] == shapes["encoder1"] == (240, 240, 64)


def test_features_are_the_blocks_output_and_share_the_weights():
    network = unet((16, 32), 1, NARROW)
    arrays = random_arrays(1, NARROW, 1)
    part = features(network, "decoder3")
    to_keras(arrays, network)  # after the part was made
    image = np.random.default_rng(2).normal(size=(16, 32, 1))
    np.testing.assert_allclose(part(image[None])[0], forward(image, arrays)["uconv3_2"], rtol=1e-4, atol=1e-5)


def test_an_unknown_block_is_named(published):
    with pytest.raises(UserError, match="no block 'encodr5'; did you mean 'encoder5'"):
        features(published, "encodr5")


def test_the_first_numbers_are_truncated_normal(published):
    arrays = dict(zip(layer_shapes(4), zip(*[iter(from_keras(published))] * 2, strict=True), strict=True))
    for name, (weights, biases) in arrays.items():
        assert (biases == 0).all(), name
        assert np.abs(weights).max() <= 0.04, name  # cut at two standard deviations
    # A normal distribution of 0.02 that is cut at 2 sigma has a standard deviation of 0.02 x 0.8796.
    assert arrays["conv5_2"][0].std() == pytest.approx(0.02 * 0.8796, rel=1e-2)
    assert not np.array_equal(arrays["conv4_2"][0], arrays["uconv4_2"][0])


@pytest.mark.parametrize("size", [(240, 155), (100, 240), (8, 16), (0, 16)])
def test_a_size_that_cannot_be_halved_four_times_is_refused(size):
    with pytest.raises(UserError, match=f"multiples of 16 pixels, not {size[0]}x{size[1]}"):
        unet(size, 1)


@pytest.mark.parametrize("channels", [0, 3, 5])
def test_other_numbers_of_channels_are_refused(channels):
    with pytest.raises(UserError, match=f"1 channel or of 4 .* not of {channels}"):
        unet((16, 16), channels)


def test_logits_and_probability_are_float32_under_mixed_precision():
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        network = unet((16, 16), 4, NARROW)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    image = tf.random.normal((2, 16, 16, 4), seed=1)
    assert network(image).dtype == tf.float32
    assert network.get_layer("uconv1").output.dtype == "float32"
    assert features(network, "encoder5")(image).dtype == tf.bfloat16


def test_a_saved_network_comes_back_without_our_code(tmp_path):
    network = unet((16, 16), 4, NARROW)
    network.save(tmp_path / "unet.keras")
    image = tf.random.normal((1, 16, 16, 4), seed=1)
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "unet.keras")(image), network(image))
