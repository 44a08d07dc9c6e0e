"""Grad-CAM against a network whose gradients are known by hand, and against finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kerasgan.errors import UserError
from kerasgan.papers import settings_of
from kerasgan.papers.pairwise import streams
from kerasgan.papers.pairwise.fusion import AttentionFusion
from kerasgan.papers.pairwise.interpretation import class_maps, gradcam

MODALITIES = ("t2", "flair")
SIZE = 8


def by_hand(size, strides=1):
    """Maps F_k = ReLU(x_k * (1, -1)), a bright and a dark channel; logit 1 is the mean of 3 bright - 2 dark.

    With attention 1/2 for both modalities, d logit / d F_k is (3, -2) / 2 over the number of pixels.
    """
    images = {name: keras.Input((size, size, 1), name=name) for name in MODALITIES}
    maps = [layers.ReLU()(layers.Conv2D(2, 1, strides, use_bias=False)(image)) for image in images.values()]
    fused, attention = AttentionFusion(name="attention")(maps)
    logits = layers.Dense(2, use_bias=False)(layers.GlobalAveragePooling2D()(fused))
    model = keras.Model(images, {"logits": logits, "attention": attention})
    zeros = np.zeros(model.get_layer("attention").attention.shape)
    kernel = np.array([1.0, -1.0]).reshape(1, 1, 1, 2)
    model.set_weights([kernel, kernel, zeros, np.array([[0.0, 3.0], [0.0, -2.0]])])
    return model


def slices_of(*images):
    return np.array(images, "float32")[..., None]


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(1)
    return {name: random.uniform(-1, 1, (3, SIZE, SIZE, 1)).astype("float32") for name in MODALITIES}


@pytest.fixture(scope="module")
def model():
    """A classifier with attention that differs between modalities, and no ReLU at its kink in the dense layer."""
    network = settings_of("pairwise").classifier.network
    small = network.model_copy(update={"filters": (4, 6), "downsample_after": (1,), "dense": (8,)})
    keras.utils.set_random_seed(1)
    model = streams.classifier(MODALITIES, SIZE, small)
    attention = model.get_layer("attention").attention
    attention.assign(0.1 * np.random.default_rng(2).normal(size=attention.shape))
    model.get_layer("dense1").bias.assign(5 * np.ones(8))
    return model


def test_maps_by_hand():
    # Bright pixels speak for the class with their value times 3/8, dark ones against it: ReLU drops them. Divided by
    # the largest of both modalities, 1 * 3/8, what is left is the brightness.
    t2 = slices_of([[1, 0.5], [-1, 0]])
    flair = slices_of([[0.25, -0.5], [0, 0.75]])
    maps = gradcam(by_hand(2), {"t2": t2, "flair": flair})
    np.testing.assert_allclose(maps["t2"], [[[1, 0.5], [0, 0]]], atol=1e-6)
    np.testing.assert_allclose(maps["flair"], [[[0.25, 0], [0, 0.75]]], atol=1e-6)


def test_unscaled_maps_by_hand():
    t2 = tf.constant(slices_of([[1, 0.5], [-1, 0]]))
    found = class_maps(by_hand(2), {"t2": t2, "flair": -t2}, 1)
    np.testing.assert_allclose(found[0], np.array([[[1, 0.5], [0, 0]]]) * 3 / 8, atol=1e-6)
    np.testing.assert_allclose(found[1], np.array([[[0, 0], [1, 0]]]) * 3 / 8, atol=1e-6)


def test_each_slice_is_scaled_by_its_own_maximum():
    t2 = slices_of([[0.5, 0], [0, 0]], [[0.1, 0], [0, 0]])
    flair = slices_of([[0.25, 0], [0, 0]], [[0.2, 0], [0, 0]])
    maps = gradcam(by_hand(2), {"t2": t2, "flair": flair})
    np.testing.assert_allclose(maps["t2"][:, 0, 0], [1, 0.5], rtol=1e-6)
    np.testing.assert_allclose(maps["flair"][:, 0, 0], [0.5, 1], rtol=1e-6)


def test_nothing_for_the_class_gives_zeros():
    dark = -np.ones((1, 2, 2, 1), "float32")
    for found in gradcam(by_hand(2), {"t2": dark, "flair": dark}).values():
        np.testing.assert_array_equal(found, np.zeros((1, 2, 2)))
    for found in gradcam(by_hand(2), {"t2": -dark, "flair": -dark}, class_index=0).values():  # whose weights are 0
        np.testing.assert_array_equal(found, np.zeros((1, 2, 2)))


def test_maps_are_enlarged_bilinearly():
    image = np.zeros((1, 4, 4, 1), "float32")
    image[0, 0, 0] = 1  # of the pixels (0, 0), (0, 2), (2, 0), (2, 2) that a stride of 2 reads
    maps = gradcam(by_hand(4, strides=2), {"t2": image, "flair": 0 * image})
    line = np.array([1, 0.75, 0.25, 0])  # pixel centres at 1/4 and 3/4 of the coarse pixels
    np.testing.assert_allclose(maps["t2"][0], np.outer(line, line), atol=1e-6)


@pytest.mark.parametrize("class_index", [0, 1])
def test_channel_weights_are_slopes_of_the_logit(model, images, class_index):
    maps = model.get_layer("attention").input
    features = [np.asarray(each) for each in keras.Model(model.input, maps)(images)]
    tail = keras.Model(maps, model.output["logits"])
    found = class_maps(model, {name: tf.constant(each) for name, each in images.items()}, class_index)
    step = 1e-2
    for k, own in enumerate(features):
        slopes = np.empty((own.shape[0], own.shape[-1]))
        for channel in range(own.shape[-1]):
            logits = []
            for sign in (1, -1):
                moved = [each.copy() for each in features]
                moved[k][..., channel] += sign * step  # all pixels: the sum of their gradients
                logits.append(np.asarray(tail(moved))[:, class_index])
            slopes[:, channel] = (logits[0] - logits[1]) / (2 * step)
        alpha = slopes / np.prod(own.shape[1:3])
        expected = np.maximum(np.einsum("nc,nhwc->nhw", alpha, own), 0)
        assert expected.max() > 0
        np.testing.assert_allclose(found[k], expected, rtol=0.02, atol=0.01 * expected.max())


def test_maps_lie_in_zero_to_one_and_have_the_images_size(model, images):
    maps = gradcam(model, images)
    assert list(maps) == list(MODALITIES)
    stacked = np.stack(list(maps.values()))
    assert stacked.shape == (2, 3, SIZE, SIZE) and stacked.dtype == np.float32
    assert stacked.min() >= 0
    np.testing.assert_allclose(stacked.max(axis=(0, 2, 3)), 1, atol=1e-6)


def test_a_loaded_model_gives_the_same_maps(tmp_path, model, images):
    model.save(tmp_path / "classifier.keras")
    loaded = keras.saving.load_model(tmp_path / "classifier.keras")
    expected = gradcam(model, images)
    for name, found in gradcam(loaded, images).items():
        np.testing.assert_allclose(found, expected[name], atol=1e-6)


def test_one_modality_in_bfloat16_is_nearly_as_in_float32(images):
    network = settings_of("pairwise").classifier.network
    small = network.model_copy(update={"filters": (4,), "downsample_after": (), "dense": (8,)})
    keras.utils.set_random_seed(2)
    exact = streams.classifier(("t2",), SIZE, small)
    for layer in (exact.get_layer("dense1"), exact.get_layer("logits")):
        layer.kernel.assign(np.abs(layer.kernel))  # so that everything speaks for the class
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = streams.classifier(("t2",), SIZE, small)
    finally:
        keras.config.set_dtype_policy("float32")
    model.set_weights(exact.get_weights())
    maps, expected = gradcam(model, images), gradcam(exact, images)  # flair is not asked for
    assert list(maps) == ["t2"] and maps["t2"].dtype == np.float32
    assert maps["t2"].max() == 1
    np.testing.assert_allclose(maps["t2"], expected["t2"], atol=0.03)


def test_a_missing_modality_or_an_unknown_class_is_told(model, images):
    with pytest.raises(UserError, match="expects images of t2, flair; missing: flair"):
        gradcam(model, {"t2": images["t2"]})
    with pytest.raises(UserError, match="class from 0 to 1, not 2"):
        gradcam(model, images, class_index=2)
