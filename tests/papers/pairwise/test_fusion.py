"""Fusion by attention, bilinear features and the fused batch normalisation against NumPy in float64 and Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.gan.normalisation import FusedBatchNormalization
from kerasgan.papers.pairwise.fusion import AttentionFusion, Bilinear

SHAPE = (3, 2, 2, 4)  # slices, height, width, channels


@pytest.fixture
def maps():
    return list(np.random.default_rng(1).normal(size=(3, *SHAPE)).astype("float32"))


@pytest.fixture
def weights():
    return np.random.default_rng(2).normal(size=(3, 16)).astype("float32")


def fusion_with(weights, **kwargs):
    layer = AttentionFusion(**kwargs)
    layer.build([SHAPE] * len(weights))
    layer.attention.assign(weights)
    return layer


def numpy_fusion(maps, weights):
    """Eq. (7) as printed, in float64."""
    maps = [np.asarray(features, np.float64) for features in maps]
    exponentials = [
        np.exp([float(w @ f.ravel()) for f in features])
        for features, w in zip(maps, np.asarray(weights, np.float64), strict=True)
    ]
    attention = np.stack(exponentials, axis=1) / np.sum(exponentials, axis=0)[:, None]
    return np.einsum("nk,knhwc->nhwc", attention, maps), attention


def numpy_bilinear(features):
    """H of each slice, summed over its pixels one by one."""
    pixels = np.asarray(features, np.float64).reshape(features.shape[0], -1, features.shape[-1])
    return np.stack([sum(np.outer(pixel, pixel) for pixel in each) / len(each) for each in pixels])


# ---- attention ----


def test_fusion_is_equation_7(maps, weights):
    fused, attention = fusion_with(weights)(maps)
    expected, expected_attention = numpy_fusion(maps, weights)
    np.testing.assert_allclose(fused, expected, atol=1e-5)
    np.testing.assert_allclose(attention, expected_attention, rtol=1e-4)


def test_at_first_every_modality_has_the_same_weight(maps):
    fused, attention = AttentionFusion()(maps)
    np.testing.assert_array_equal(attention, np.full((3, 3), np.float32(1 / 3)))
    np.testing.assert_allclose(fused, np.mean(maps, axis=0), atol=1e-6)


def test_attention_adds_up_to_one(maps, weights):
    _, attention = fusion_with(30 * weights)(maps)
    np.testing.assert_allclose(np.sum(attention, axis=1), 1, atol=1e-6)


def test_order_of_modalities_permutes_the_attention_and_leaves_the_sum(maps, weights):
    fused, attention = fusion_with(weights)(maps)
    order = [2, 0, 1]
    fused_too, attention_too = fusion_with(weights[order])([maps[k] for k in order])
    np.testing.assert_allclose(attention_too, np.asarray(attention)[:, order], rtol=1e-5)
    np.testing.assert_allclose(fused_too, fused, atol=1e-6)


def test_huge_logits_choose_a_modality_and_do_not_overflow(weights):
    maps = [np.full(SHAPE, value, "float32") for value in (1e3, 2e3, -1e3)]
    layer = fusion_with(np.full_like(weights, 1e3))  # logits of 1.6e7 and more, whose exponentials are infinite
    with tf.GradientTape() as tape:
        fused, attention = layer(maps)
    np.testing.assert_array_equal(attention, [[0, 1, 0]] * 3)
    np.testing.assert_array_equal(fused, maps[1])
    assert np.isfinite(tape.gradient(fused, layer.attention.value)).all()


def test_one_modality_has_all_the_attention(maps, weights):
    fused, attention = fusion_with(weights[:1])(maps[:1])
    np.testing.assert_array_equal(attention, np.ones((3, 1)))
    np.testing.assert_array_equal(fused, maps[0])


def test_attention_is_float32_in_mixed_precision(maps, weights):
    rounded = [tf.cast(features, "bfloat16") for features in maps]
    fused, attention = fusion_with(weights, dtype="mixed_bfloat16")(rounded)
    _, expected = numpy_fusion([tf.cast(features, "float32") for features in rounded], weights)
    assert (fused.dtype, attention.dtype) == ("bfloat16", "float32")
    np.testing.assert_allclose(attention, expected, rtol=1e-4)  # bfloat16 has 3 digits


def test_gradients_of_fusion_are_those_of_finite_differences(maps, weights):
    direction = np.random.default_rng(3).normal(size=SHAPE)
    tensors = [tf.constant(features) for features in maps]
    layer = fusion_with(0.3 * weights)
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        total = tf.reduce_sum(layer(tensors)[0] * direction.astype("float32"))
    by_maps, by_weights = tape.gradient(total, [tensors, layer.attention.value])

    def value(maps, weights):
        return np.sum(numpy_fusion(maps, weights)[0] * direction)

    stacked = np.stack(maps).astype(np.float64)
    np.testing.assert_allclose(np.stack(by_maps), slopes(lambda x: value(x, 0.3 * weights), stacked), atol=1e-4)
    expected = slopes(lambda x: value(maps, x), 0.3 * weights.astype(np.float64))
    np.testing.assert_allclose(by_weights, expected, atol=1e-4)


def slopes(function, x, step=1e-5):
    """Central differences of a scalar function in every element of `x`."""
    found = np.empty_like(x)
    for place in np.ndindex(x.shape):
        values = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            values.append(function(moved))
        found[place] = (values[0] - values[1]) / (2 * step)
    return found


@pytest.mark.parametrize("shapes", [[SHAPE, (3, 2, 2, 5)], [(3, None, 2, 4)] * 2])
def test_maps_of_different_or_unknown_sizes_are_refused(shapes):
    with pytest.raises(ValueError, match="maps of one known shape"):
        AttentionFusion().build(shapes)


# ---- bilinear features ----


@pytest.mark.parametrize("signed_sqrt", [False, True])
def test_bilinear_features_by_hand(signed_sqrt):
    features = np.array([[1, 2], [3, -1], [0, 1], [0, 0]], "float32").reshape(1, 2, 2, 2)
    by_hand = np.array([10, -1, -1, 6]) / 4  # sums of products over four pixels, by their number
    expected = np.sign(by_hand) * np.sqrt(np.abs(by_hand)) if signed_sqrt else by_hand
    np.testing.assert_allclose(Bilinear(signed_sqrt)(features), [expected], rtol=1e-6)


def test_bilinear_features_are_symmetric_and_positive_semidefinite(maps):
    products = np.asarray(Bilinear()(maps[0])).reshape(-1, 4, 4)
    np.testing.assert_allclose(products, numpy_bilinear(maps[0]), atol=1e-6)
    np.testing.assert_array_equal(products, products.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(products.astype(np.float64)).min() > -1e-6


def test_bilinear_sums_are_float32_in_mixed_precision():
    features = tf.cast(np.random.default_rng(4).uniform(size=(2, 16, 16, 3)), "bfloat16")
    products = Bilinear(dtype="mixed_bfloat16")(features)
    expected = numpy_bilinear(tf.cast(features, "float32")).reshape(2, 9)
    assert products.dtype == "float32"
    np.testing.assert_allclose(products, expected, rtol=1e-5)


@pytest.mark.parametrize("signed_sqrt", [False, True])
def test_gradients_of_bilinear_features_are_those_of_finite_differences(maps, signed_sqrt):
    direction = np.random.default_rng(5).normal(size=(3, 4, 4))
    features = tf.constant(maps[0])
    with tf.GradientTape() as tape:
        tape.watch(features)
        outputs = tf.reshape(Bilinear(signed_sqrt)(features), direction.shape)
        total = tf.reduce_sum(outputs * direction.astype("float32"))

    def value(x):
        products = numpy_bilinear(x)
        products = np.sign(products) * np.sqrt(np.abs(products)) if signed_sqrt else products
        return np.sum(products * direction)

    expected = slopes(value, maps[0].astype(np.float64))
    np.testing.assert_allclose(tape.gradient(total, features), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("jit", [False, True])
def test_signed_root_of_nothing_has_gradient_zero(jit):
    @tf.function(jit_compile=jit)
    def gradient(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            total = tf.reduce_sum(Bilinear(signed_sqrt=True)(features))
        return total, tape.gradient(total, features)

    total, found = gradient(tf.zeros((1, 2, 2, 3)))
    assert float(total) == 0
    np.testing.assert_array_equal(found, np.zeros((1, 2, 2, 3)))


# ---- files ----


def test_layers_come_back_from_a_file(tmp_path, maps, weights):
    inputs = [keras.Input(SHAPE[1:]) for _ in maps]
    normal = FusedBatchNormalization(momentum=0.7, epsilon=0.02)
    fused, attention = fusion_with(weights)([normal(inputs[0]), *inputs[1:]])
    model = keras.Model(inputs, [Bilinear(signed_sqrt=True)(fused), attention])
    model(maps, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for found, expected in zip(loaded(maps), model(maps), strict=True):
        np.testing.assert_array_equal(found, expected)
    again = next(layer for layer in loaded.layers if isinstance(layer, FusedBatchNormalization))
    assert (again.momentum, again.epsilon) == (0.7, 0.02)
