"""Soft Dice losses against values by hand."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.papers.featuregan import losses

soft_dice = partial(losses.soft_dice, smooth=1e-5)
squared_soft_dice = partial(losses.squared_soft_dice, smooth=1e-5)
BOTH = [soft_dice, squared_soft_dice]


def images(*rows):
    """Images of 2 x 2 pixels."""
    return tf.constant(np.reshape(rows, (len(rows), 2, 2, 1)), tf.float32)


def test_soft_dice_by_hand():
    # TP = 0.5 + 1 = 1.5, TP + FP = 0.5 + 1 + 0.25 = 1.75, TP + FN = 2: 1 - 3.00001 / 3.75001
    loss = soft_dice(images([0.5, 1, 0.25, 0]), images([1, 1, 0, 0]))
    assert float(loss) == pytest.approx(1 - 3.00001 / 3.75001, abs=1e-7)
    loss = losses.soft_dice(images([0.5, 1, 0.25, 0]), images([1, 1, 0, 0]), 1.0)
    assert float(loss) == pytest.approx(1 - 4 / 4.75, abs=1e-7)


def test_squared_soft_dice_by_hand():
    # sum p m = 1.5, sum p^2 = 0.25 + 1 + 0.0625 = 1.3125, sum m^2 = 2: 1 - 3.00001 / 3.31251
    loss = squared_soft_dice(images([0.5, 1, 0.25, 0]), images([1, 1, 0, 0]))
    assert float(loss) == pytest.approx(1 - 3.00001 / 3.31251, abs=1e-7)


@pytest.mark.parametrize("loss", BOTH)
def test_the_loss_is_the_mean_of_the_images_losses(loss):
    p, m = images([0.9, 0.8, 0.7, 0.9], [0, 0.1, 0, 0.4]), images([1, 1, 1, 1], [0, 0, 0, 1])
    each = [float(loss(p[n : n + 1], m[n : n + 1])) for n in range(2)]
    assert float(loss(p, m)) == pytest.approx(np.mean(each), abs=1e-6)
    pooled = float(loss(tf.reshape(p, (1, 4, 2, 1)), tf.reshape(m, (1, 4, 2, 1))))
    assert abs(float(loss(p, m)) - pooled) > 0.05


@pytest.mark.parametrize("loss", BOTH)
def test_agreement_is_zero_and_disagreement_one(loss):
    mask = images([1, 0, 0, 1])
    assert float(loss(mask, mask)) == pytest.approx(0, abs=1e-6)
    assert float(loss(1 - mask, mask)) == pytest.approx(1, abs=1e-5)
    assert float(loss(images([0] * 4), images([0] * 4))) == 0


@pytest.mark.parametrize("loss", BOTH)
@pytest.mark.parametrize("probability", [0.0, 1e-30, 1e-6, 0.5, 1.0])
@pytest.mark.parametrize("mask", [0.0, 1.0])
def test_gradients_are_finite(loss, probability, mask):
    p = tf.Variable(tf.fill((2, 16, 16, 1), probability))
    with tf.GradientTape() as tape:
        value = loss(p, tf.fill((2, 16, 16, 1), mask))
    gradient = tape.gradient(value, p).numpy()
    assert np.isfinite(gradient).all() and np.abs(gradient).max() <= 1.01e5 / 2
    assert -1e-6 <= float(value) <= 1


@pytest.mark.parametrize("loss", BOTH)
def test_sums_are_float32_under_bfloat16(loss):
    rng = np.random.default_rng(0)
    p = tf.cast(rng.random((1, 240, 240, 1)), tf.bfloat16)
    m = tf.cast(rng.random((1, 240, 240, 1)) > 0.9, tf.bfloat16)
    value = loss(p, m)
    assert value.dtype == tf.float32
    exact = {soft_dice: lambda x: x, squared_soft_dice: np.square}[loss]
    p, m = p.numpy().astype(float), m.numpy().astype(float)
    assert float(value) == pytest.approx(1 - 2 * (p * m).sum() / (exact(p).sum() + m.sum()), rel=1e-5)


@pytest.mark.parametrize("loss", BOTH)
def test_a_mask_of_another_shape_is_refused(loss):
    for mask in (tf.zeros((1, 2, 2)), images([1, 0, 0, 1])):
        with pytest.raises(tf.errors.InvalidArgumentError, match="shape"):
            loss(images([1, 0, 0, 1], [1, 0, 0, 1]), mask)
        with pytest.raises(ValueError, match="shape"):
            tf.function(loss)(images([1, 0, 0, 1], [1, 0, 0, 1]), mask)
