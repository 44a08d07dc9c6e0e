import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.errors import UserError
from kerasgan.gan.penalties import clip_weights, divergence_penalty, gradient_penalty, interpolate

RNG = np.random.default_rng(7)
REAL, FAKE = RNG.normal(size=(2, 4, 3, 3, 2)).astype("float32")
ALPHA = np.array([0.0, 0.25, 0.5, 1.0], "float32")
UNIT = np.full((3, 3, 2), 18**-0.5, "float32")


@pytest.mark.parametrize("length", [0.25, 1.0, 3.0])
def test_linear_critic(length):
    critic = lambda images: tf.reduce_sum(images * length * UNIT, axis=(1, 2, 3))  # noqa: E731
    assert float(gradient_penalty(critic, REAL, FAKE, ALPHA)) == pytest.approx((length - 1) ** 2, abs=1e-6)


def test_quadratic_critic():
    # D(x) = |x|^2 / 2 has the gradient x, so the penalty shows where it was taken.
    points = ALPHA[:, None, None, None] * REAL + (1 - ALPHA[:, None, None, None]) * FAKE
    expected = np.mean((np.linalg.norm(points.reshape(4, -1), axis=1) - 1) ** 2)
    penalty = gradient_penalty(lambda images: tf.reduce_sum(images**2, axis=(1, 2, 3)) / 2, REAL, FAKE, ALPHA)
    assert float(penalty) == pytest.approx(expected, rel=1e-6)


def test_gradient_by_the_critics_weights():
    # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    weights = tf.Variable(3 * UNIT)
    with tf.GradientTape() as tape:
        penalty = gradient_penalty(lambda x: tf.reduce_sum(x * weights, axis=(1, 2, 3)), REAL, FAKE, ALPHA)
    np.testing.assert_allclose(tape.gradient(penalty, weights), 4 * UNIT, rtol=1e-5)


def test_patch_critic_sums_its_map():
    # A map of logits, one for each position: the gradient is that of their sum.
    critic = lambda images: tf.reduce_sum(images * UNIT, axis=-1)  # noqa: E731
    assert float(gradient_penalty(critic, REAL, FAKE, ALPHA)) == pytest.approx(0.0, abs=1e-6)


def test_derivative_is_finite_where_the_gradient_is_zero():
    weights = tf.Variable(0 * UNIT)
    with tf.GradientTape() as tape:
        penalty = gradient_penalty(lambda x: tf.reduce_sum(x * weights, axis=(1, 2, 3)), REAL, FAKE, ALPHA)
    assert float(penalty) == pytest.approx(1.0, abs=1e-5)
    assert np.all(np.isfinite(tape.gradient(penalty, weights)))


@pytest.mark.parametrize(("k", "power"), [(2.0, 6.0), (0.5, 3.0), (1.0, 1.0)])
def test_divergence_of_a_linear_critic_and_its_gradient(k, power):
    # k |w|^p, whose gradient is k p |w|^(p - 2) w.
    weights = tf.Variable(1.5 * UNIT)
    with tf.GradientTape() as tape:
        penalty = divergence_penalty(lambda x: tf.reduce_sum(x * weights, axis=(1, 2, 3)), REAL, k, power)
    assert float(penalty) == pytest.approx(k * 1.5**power, rel=1e-5)
    np.testing.assert_allclose(tape.gradient(penalty, weights), k * power * 1.5 ** (power - 1) * UNIT, rtol=1e-5)


def test_divergence_of_a_quadratic_critic_is_taken_where_it_is_said():
    points = interpolate(REAL, FAKE, ALPHA)
    expected = 2 * np.mean(np.linalg.norm(points.numpy().reshape(4, -1), axis=1) ** 6)
    penalty = divergence_penalty(lambda x: tf.reduce_sum(x**2, axis=(1, 2, 3)) / 2, points, 2.0, 6.0)
    assert float(penalty) == pytest.approx(expected, rel=1e-5)


def test_divergence_has_a_finite_derivative_where_the_gradient_is_zero():
    weights = tf.Variable(0 * UNIT)
    with tf.GradientTape() as tape:
        penalty = divergence_penalty(lambda x: tf.reduce_sum(x * weights, axis=(1, 2, 3)), REAL, 2.0, 1.0)
    assert float(penalty) == pytest.approx(0.0, abs=1e-5)
    assert np.all(np.isfinite(tape.gradient(penalty, weights)))
    with pytest.raises(UserError, match="positive power, not 0"):
        divergence_penalty(tf.reduce_sum, REAL, 2.0, 0)


@pytest.mark.parametrize("compiled", [False, True])
def test_bfloat16_critic(compiled):
    critic = keras.Sequential(
        [keras.Input((3, 3, 2)), keras.layers.Flatten(), keras.layers.Dense(1, use_bias=False)], name="critic"
    )
    mixed = keras.models.clone_model(
        critic,
        clone_function=lambda layer: layer.__class__.from_config(layer.get_config() | {"dtype": "mixed_bfloat16"}),
    )
    mixed.set_weights(critic.get_weights())
    assert mixed(REAL).dtype == "bfloat16"
    penalty = tf.function(lambda: gradient_penalty(mixed, REAL, FAKE, ALPHA), jit_compile=compiled)()
    assert penalty.dtype == tf.float32
    expected = (np.linalg.norm(critic.get_weights()[0]) - 1) ** 2
    assert float(penalty) == pytest.approx(expected, rel=0.02, abs=1e-4)


def test_interpolates_lie_on_their_segment():
    rng = np.random.default_rng(0)
    alpha = rng.random(len(REAL)).astype("float32")
    points = interpolate(REAL, FAKE, alpha).numpy()
    for point, real, fake, share in zip(points, REAL, FAKE, alpha, strict=True):
        length = np.linalg.norm(real - fake)
        to_real, to_fake = np.linalg.norm(point - real), np.linalg.norm(point - fake)
        assert to_real + to_fake == pytest.approx(length, rel=1e-5)
        assert to_fake / length == pytest.approx(share, abs=1e-5)


def test_ends_of_the_segment_are_the_images():
    np.testing.assert_array_equal(interpolate(REAL, FAKE, np.ones(4)), REAL)
    np.testing.assert_array_equal(interpolate(REAL, FAKE, np.zeros(4)), FAKE)


def test_interpolates_of_bfloat16_are_float32():
    points = interpolate(tf.cast(REAL, tf.bfloat16), tf.cast(FAKE, tf.bfloat16), ALPHA)
    assert points.dtype == tf.float32
    np.testing.assert_allclose(points, interpolate(REAL, FAKE, ALPHA), atol=0.05)


@pytest.mark.parametrize("alpha", [0.5, ALPHA[:2], np.zeros((4, 3), "float32")])
def test_one_alpha_for_each_image(alpha):
    with pytest.raises(tf.errors.InvalidArgumentError):
        interpolate(REAL, FAKE, alpha)


def test_shapes_are_not_broadcast():
    with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible"):
        interpolate(REAL, FAKE[:1], ALPHA)


def test_clipping():
    variables = [keras.Variable([-2.0, -0.01, 0.005, 3.0]), tf.Variable([0.02])]
    clip_weights(variables, 0.01)
    np.testing.assert_allclose(variables[0], [-0.01, -0.01, 0.005, 0.01])
    np.testing.assert_allclose(variables[1], [0.01])


@pytest.mark.parametrize("limit", [0.0, -0.01, float("nan")])
def test_clipping_needs_a_positive_limit(limit):
    with pytest.raises(UserError, match="positive limit"):
        clip_weights([], limit)
