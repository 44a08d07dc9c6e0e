"""Images from noise."""

import keras
import numpy as np
import pytest
from keras import layers

from kerasgan.gan import sampling


@pytest.fixture
def generator():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((5,)), layers.Dense(6, "tanh"), layers.Reshape((2, 3, 1))])


def test_images_are_a_function_of_the_seed_and_not_of_the_count(generator):
    few = np.concatenate(list(sampling.streamed(generator, 10, seed=3)))
    many = np.concatenate(list(sampling.streamed(generator, 200, seed=3)))
    assert few.shape == (10, 2, 3) and many.shape == (200, 2, 3)
    np.testing.assert_array_equal(many[:10], few)
    assert not np.array_equal(next(sampling.streamed(generator, 10, seed=4)), few)
    np.testing.assert_array_equal(sampling.sampler(generator)(sampling.noise(200, 5, seed=3)), many)


def test_normal_noise_is_numpys():
    expected = np.random.default_rng(3).standard_normal((4, 5), np.float32)
    np.testing.assert_array_equal(sampling.noise(4, 5, seed=3), expected)


def test_uniform_noise_fills_the_range():
    found = sampling.noise(2000, 5, 3, sampling.uniform)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, 2 * np.random.default_rng(3).random((2000, 5), np.float32) - 1)
    assert -1 <= found.min() < -0.999 and 0.999 < found.max() <= 1
    assert found.std() == pytest.approx(1 / np.sqrt(3), rel=0.02) and abs(found.mean()) < 0.02
    np.testing.assert_array_equal(sampling.noise(7, 5, 3, sampling.uniform), found[:7])


def test_images_of_a_class():
    """Image k is noise k plus ten times the class: which noise and which class were given can be read from it."""
    noise, label = keras.Input((3,)), keras.Input((), dtype="int32")
    shift = layers.Rescaling(10.0)(layers.Reshape((1,))(label))
    network = keras.Model([noise, label], layers.Reshape((1, 3, 1))(layers.Add()([noise, shift])))
    vectors = sampling.noise(70, 3, 2, sampling.uniform)
    for category in (0, 1):
        made = np.concatenate(list(sampling.streamed(network, 70, 2, sampling.uniform, category)))
        np.testing.assert_allclose(made[:, 0], vectors + 10 * category, atol=1e-6)
    labels = np.arange(70) % 2
    mixed = sampling.sampler(network)(vectors, labels)
    np.testing.assert_allclose(mixed[:, 0], vectors + 10 * labels[:, None], atol=1e-6)


def test_images_are_those_of_the_generator(generator):
    noise = sampling.noise(3, 5, seed=1)
    kernel, bias = generator.layers[0].get_weights()
    expected = np.tanh(noise.astype(float) @ kernel + bias).reshape(3, 2, 3)
    np.testing.assert_allclose(sampling.sampler(generator)(noise), expected, atol=1e-6)


def test_the_way_between_two_vectors_keeps_their_length():
    first, last = np.array([2.0, 0, 0]), np.array([0, 2.0, 0])
    way = sampling.between(first, last, 3)
    np.testing.assert_allclose(way, [first, [np.sqrt(2), np.sqrt(2), 0], last], atol=1e-6)
    np.testing.assert_allclose(sampling.between(first, first, 4), [first] * 4)
