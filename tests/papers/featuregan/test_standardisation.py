"""Mean and deviation of each channel: golden numbers, whatever the batches, and back."""

from functools import reduce

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.papers.featuregan.standardisation import Moments, Standard


def measured(batches):
    return Standard.of(reduce(Moments.merged, map(Moments.of, batches)))


def relu_features(count=7, size=3, channels=4, seed=1):
    """Features after ReLU of very different scales; channel 1 never fires, channel 3 is the same everywhere."""
    features = np.random.default_rng(seed).normal(0.5, 1, (count, size, size, channels)) * [1, 1, 1000, 1]
    features = np.maximum(features, 0).astype(np.float32)
    features[..., 1], features[..., 3] = 0, 0.1
    return features


def test_golden_by_hand():
    # Two samples of 1 x 2 positions: channel 0 holds 1, 3, 5, 11, channel 1 holds 2, 2, 2, 2.
    features = np.array([[[[1, 2], [3, 2]]], [[[5, 2], [11, 2]]]], np.float32)
    standard = measured([features])
    np.testing.assert_array_equal(standard.mean, [5, 2])
    np.testing.assert_allclose(standard.deviation, [np.sqrt((16 + 4 + 0 + 36) / 4), 0], rtol=1e-12)
    expected = np.array([-4, -2, 0, 6]) / np.sqrt(14)
    np.testing.assert_allclose(standard.standardise(features)[..., 0].ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize("sizes", [(7,), (1, 6), (3, 3, 1)])
def test_batches_do_not_matter(sizes):
    features = relu_features()
    standard = measured(np.split(features, np.cumsum(sizes)[:-1]))
    flat = features.reshape(-1, 4).astype(np.float64)
    np.testing.assert_allclose(standard.mean, flat.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(np.array(standard.deviation)[[0, 2]], flat.std(axis=0)[[0, 2]], rtol=1e-12)
    np.testing.assert_array_equal(np.array(standard.deviation)[[1, 3]], 0)


def test_large_means_lose_no_digits():
    """The textbook sum of squares has none left here: 1e6 squared is 1e12, the variance 1e-2."""
    numbers = 1e6 + np.random.default_rng(2).normal(0, 0.1, (50, 2, 2, 1))
    assert measured(np.split(numbers, 5)).deviation[0] == pytest.approx(numbers.std(), rel=1e-8)


@pytest.mark.parametrize("precision", [np.float16, np.float32])
def test_round_trip_and_constant_channels_exactly(precision):
    features = relu_features().astype(precision)
    standard = measured([features])
    standardised = standard.standardise(features)
    assert standardised.dtype == np.float32
    np.testing.assert_allclose(standardised[..., [0, 2]].mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(standardised[..., [0, 2]].std(axis=(0, 1, 2)), 1, atol=1e-5)
    np.testing.assert_array_equal(standardised[..., [1, 3]], 0)
    restored = standard.restore(standardised)
    np.testing.assert_allclose(restored, features, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(restored[..., [1, 3]], features[..., [1, 3]])


def test_constant_channels_are_restored_from_anything():
    standard = measured([relu_features()])
    restored = standard.restore(np.full((2, 3, 3, 4), 7.0, np.float32))
    np.testing.assert_array_equal(restored[..., 1], 0)
    np.testing.assert_array_equal(restored[..., 3], np.float32(0.1))


def test_the_graph_computes_the_same():
    features = relu_features()
    standard = measured([features])
    dataset = tf.data.Dataset.from_tensors(features).map(standard.standardise)
    np.testing.assert_array_equal(next(iter(dataset)), standard.standardise(features))
    np.testing.assert_array_equal(standard.restore(tf.constant(features)), standard.restore(features))


def test_a_test_set_is_scaled_by_the_training_sets_numbers():
    standard = Standard(mean=[1.0, 2.0], deviation=[2.0, 0.0])
    np.testing.assert_array_equal(standard.standardise(np.array([[5.0, 9.0]], np.float32)), [[2, 0]])


def test_a_constant_that_rounds_differently_counts_as_one():
    values = np.float32(0.1) * (1 + np.array([[1e-8], [-1e-8], [0]]))
    assert measured([values]).deviation == [0]


def test_numbers_that_are_not_finite_show():
    features = relu_features()
    features[3, 0, 0, 2] = np.inf
    assert np.isnan(Moments.of(features).squares).tolist() == [False, False, True, False]
