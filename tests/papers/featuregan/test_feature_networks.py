"""Generator and discriminator of features: the published sizes counted by hand, and any block's shape."""

from itertools import pairwise

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.papers.featuregan.feature_networks import HIDDEN, discriminator, generator, kernel_of, ladder

NORM = {"slope": 0.2, "momentum": 0.9, "epsilon": 1e-5}


def pair(shape, width=3, latent=5, dropout=0.5, seed=1):
    keras.utils.set_random_seed(seed)
    return (
        generator(shape, width=width, latent=latent, **NORM),
        discriminator(shape, width=width, dropout=dropout, **NORM),
    )


def inputs(count=4, latent=5, seed=0):
    noise = np.random.default_rng(seed).standard_normal((count, latent)).astype("float32")
    return [noise, np.arange(count) % 2]


@pytest.mark.parametrize("width", [64, 256, 512])
def test_published_networks_counted_by_hand(width):
    made, judge = pair((15, 15, 1024), width, latent=110)
    norm, square = 2 * width, 9 * width**2
    # 110 numbers and 2 classes -> 1x1 -> 3x3 -> 7x7, each normalised, -> 15x15x1024 with a bias.
    for_made = (110 + 2) * width + norm + 2 * (square + norm) + 9 * width * 1024 + 1024
    # 15x15x1024 -> 7x7 with a bias -> 3x3 -> 1x1, both normalised, -> 1 and 2 logits.
    for_judge = 9 * 1024 * width + width + 2 * (square + norm) + (width + 1) + 2 * (width + 1)
    found = tuple(sum(w.numpy().size for w in network.trainable_weights) for network in (made, judge))
    known = {64: (672_128, 664_067), 256: (3_570_176, 3_540_995), 512: (9_498_624, 9_441_283)}
    assert found == known[width] == (for_made, for_judge)


def test_published_maps_grow_and_shrink_by_the_same_sizes():
    made, judge = pair((15, 15, 1024))
    up = [made.get_layer(name).output.shape[1:] for name in ("hidden1_map", "hidden2", "hidden3", "features_up")]
    assert up == [(1, 1, 3), (3, 3, 3), (7, 7, 3), (15, 15, 1024)]
    down = [judge.get_layer(f"hidden{level}").output.shape[1:] for level in (1, 2, 3)]
    assert down == [(7, 7, 3), (3, 3, 3), (1, 1, 3)]


def test_normalisation_and_dropout_stand_where_the_public_code_has_them():
    made, judge = pair((15, 15, 8))
    names = {layer.name for layer in judge.layers}
    assert {f"hidden{level}_dropout" for level in (1, 2, 3)} < names
    assert {name for name in names if "norm" in name} == {"hidden2_norm", "hidden3_norm"}
    assert {layer.name for layer in made.layers if "norm" in layer.name} == {f"hidden{n}_norm" for n in (1, 2, 3)}
    assert all(layer.negative_slope == 0.2 for net in (made, judge) for layer in net.layers if "leaky" in layer.name)


@pytest.mark.parametrize(
    ("side", "sizes"),
    [
        (15, (1, 3, 7, 15)),
        (30, (2, 6, 14, 30)),
        (60, (6, 14, 29, 60)),
        (120, (14, 29, 59, 120)),
        (8, (1, 1, 3, 8)),
        (4, (1, 1, 1, 4)),
        (1, (1, 1, 1, 1)),
    ],
)
def test_ladders_by_hand(side, sizes):
    assert ladder(side) == sizes


def test_every_ladder_is_exact_in_both_directions():
    for side in range(1, 300):
        sizes = ladder(side)
        assert len(sizes) == HIDDEN + 1
        for small, large in pairwise(sizes):
            kernel = kernel_of(large)
            assert (large - kernel) % 2 == 0, "the strided convolution leaves a pixel out"
            assert 2 * (small - 1) + kernel == large


@pytest.mark.parametrize("shape", [(30, 30, 6), (120, 120, 2), (8, 8, 4), (4, 4, 8), (4, 8, 3), (15, 10, 2), (1, 1, 5)])
def test_other_blocks_fit_and_learn_in_every_weight(shape):
    made, judge = pair(shape)
    with tf.GradientTape() as tape:
        features = made(inputs(), training=True)
        source, classes = judge(features, training=True)
        loss = tf.reduce_mean(tf.square(source)) + tf.reduce_mean(tf.square(classes - 1))
    assert (features.shape, source.shape, classes.shape) == ((4, *shape), (4, 1), (4, 2))
    weights = made.trainable_weights + judge.trainable_weights
    for weight, gradient in zip(weights, tape.gradient(loss, [w.value for w in weights]), strict=True):
        assert gradient is not None and np.isfinite(gradient).all(), weight.path


def test_the_condition_changes_the_features_and_noise_does():
    made, _ = pair((8, 8, 4))
    noise, _ = inputs()
    zero, one = made([noise, np.zeros(4, int)]), made([noise, np.ones(4, int)])
    # Relative: untrained, running statistics do not scale the maps up yet.
    size = np.abs(zero).max()
    assert np.abs(zero - one).max(axis=(1, 2, 3)).min() > 0.01 * size
    assert np.abs(zero[0] - zero[1]).max() > 0.01 * size


def test_same_seed_gives_the_same_weights():
    one, same, other = (pair((8, 8, 4), seed=seed) for seed in (3, 3, 4))
    for network in (0, 1):
        for a, b in zip(one[network].get_weights(), same[network].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[0].get_weights()[0], other[0].get_weights()[0])


def test_mixed_precision_computes_small_and_delivers_float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        made, judge = pair((8, 8, 4))
    finally:
        keras.config.set_dtype_policy(before)
    assert made.get_layer("features_up").compute_dtype == judge.get_layer("hidden1").compute_dtype == "bfloat16"
    features = made(inputs())
    assert [tensor.dtype for tensor in (features, *judge(features))] == [tf.float32] * 3
    assert {weight.dtype for weight in made.trainable_weights + judge.trainable_weights} == {"float32"}


def test_a_saved_generator_makes_the_same_features(tmp_path):
    made, judge = pair((15, 10, 4))
    for network, given in ((made, inputs()), (judge, made(inputs()))):
        network.save(tmp_path / "network.keras")
        again = keras.saving.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)
        expected, found = tf.nest.flatten(network(given)), tf.nest.flatten(again(given))
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize("shape", [(15, 15), (0, 15, 4), (15, 15, 0), (7.5, 15, 4)])
def test_shapes_that_no_block_has(shape):
    for build in (lambda: pair(shape)[0], lambda: discriminator(shape, width=2, dropout=0.5, **NORM)):
        with pytest.raises(UserError, match="such as 15x15x1024, not " + "x".join(map(str, shape))):
            build()
