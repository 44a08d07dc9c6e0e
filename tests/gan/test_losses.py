import math

import numpy as np
import pytest
import tensorflow as tf

from kerasgan.gan import losses

REAL = [2.0, 0.0]
FAKE = [-1.0, 3.0]


def softplus(x):
    return math.log1p(math.exp(x))


# name, arguments, value by hand, gradient by the last argument (the generated images' logits)
CASES = [
    ("least_squares_discriminator", (REAL, FAKE), (1 + 1) / 2 + (1 + 9) / 2, [-1.0, 3.0]),
    ("least_squares_generator", (FAKE,), (4 + 4) / 2, [-2.0, 2.0]),
    (
        "non_saturating_discriminator",
        (REAL, FAKE),
        (softplus(-2) + softplus(0)) / 2 + (softplus(-1) + softplus(3)) / 2,
        [0.5 / (1 + math.e), 0.5 / (1 + math.exp(-3))],
    ),
    (
        "non_saturating_generator",
        (FAKE,),
        (softplus(1) + softplus(-3)) / 2,
        [-0.5 / (1 + math.exp(-1)), -0.5 / (1 + math.exp(3))],
    ),
    ("wasserstein_critic", (REAL, FAKE), 1.0 - 1.0, [0.5, 0.5]),
    ("wasserstein_generator", (FAKE,), -1.0, [-0.5, -0.5]),
]
every_loss = pytest.mark.parametrize(("name", "logits", "value", "gradient"), CASES, ids=[case[0] for case in CASES])


@every_loss
def test_value_and_gradient_by_hand(name, logits, value, gradient):
    logits = [tf.constant(array) for array in logits]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = getattr(losses, name)(*logits)
    assert float(loss) == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, logits)[-1], gradient, rtol=1e-6)


@every_loss
def test_scalar_float32_whatever_comes_in(name, logits, value, gradient):
    for dtype in ("bfloat16", "float16", "float64"):
        loss = getattr(losses, name)(*(tf.constant(array, dtype) for array in logits))
        assert loss.dtype == tf.float32
        assert loss.shape == ()
        assert float(loss) == pytest.approx(value, abs=1e-6)


@every_loss
def test_mean_over_batch_and_positions(name, logits, value, gradient):
    maps = [tf.tile(tf.reshape(array, (2, 1, 1, 1)), (3, 4, 5, 1)) for array in logits]
    assert float(getattr(losses, name)(*maps)) == pytest.approx(value, abs=1e-6)


def test_real_and_fake_batches_may_differ_in_size():
    loss = losses.least_squares_discriminator(tf.zeros(2), tf.constant([1.0, 1.0, 4.0]))
    assert float(loss) == pytest.approx(1 + (1 + 1 + 16) / 3)


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_non_saturating_stays_finite(logit):
    logits = tf.constant([logit])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        generator = losses.non_saturating_generator(logits)
        discriminator = losses.non_saturating_discriminator(logits, logits)
    assert float(generator) == max(0.0, -logit)
    assert float(discriminator) == 200.0
    assert float(tape.gradient(generator, logits)[0]) == (-1.0 if logit < 0 else 0.0)
    assert abs(float(tape.gradient(discriminator, logits)[0])) == 1.0


def test_a_perfect_discriminator_has_no_loss():
    assert float(losses.least_squares_discriminator(tf.ones(4), tf.zeros(4))) == 0.0
    assert float(losses.non_saturating_discriminator(tf.fill([4], 100.0), tf.fill([4], -100.0))) == 0.0


def test_bfloat16_logits_are_averaged_in_float32():
    # In bfloat16 the sum of 1000 ones and a half would stop growing at 256.
    logits = tf.concat([tf.ones(1000, tf.bfloat16), tf.constant([0.5], tf.bfloat16)], axis=0)
    assert float(losses.wasserstein_generator(logits)) == pytest.approx(-1000.5 / 1001, rel=1e-6)


def test_weighted_l1_by_hand():
    prediction = np.zeros((2, 1, 2, 1), "float32")
    target = np.array([1.0, -2.0, 3.0, 4.0], "float32").reshape(2, 1, 2, 1)
    weight = np.array([1.0, 0.5, 0.0, 2.0], "float32").reshape(2, 1, 2, 1)
    assert float(losses.weighted_l1(prediction, target, weight)) == (1 + 1 + 0 + 8) / 4
    assert float(losses.weighted_l1(prediction, target, 1.0)) == (1 + 2 + 3 + 4) / 4


def test_weighted_l1_is_symmetric_and_float32():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 4, 4, 2))
    weight = rng.random((3, 4, 4, 1))
    loss = losses.weighted_l1(first, second, weight)
    assert loss.dtype == tf.float32
    assert float(loss) == pytest.approx(np.abs(weight * (first - second)).mean(), rel=1e-6)
    assert float(losses.weighted_l1(second, first, weight)) == float(loss)
    assert float(losses.weighted_l1(first, first, weight)) == 0.0


def test_weighted_l1_refuses_to_broadcast_the_target():
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="not compatible"):
        losses.weighted_l1(tf.zeros((2, 4, 4, 1)), tf.zeros((2, 4, 4)), 1.0)
