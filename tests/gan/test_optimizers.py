import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasgan.gan.optimizers import Keras2Adagrad

START = np.array([[1.0, -2.0], [0.5, 0.0]])
GRADIENTS = np.random.default_rng(3).normal(size=(6, 2, 2)) * np.array([[1e-6, 1e-3], [1.0, 0.0]])


def keras2_rule(weights, gradients, rates, epsilon=1e-7):
    """Keras 2.3's `Adagrad.get_updates` in NumPy, float64."""
    accumulator = np.zeros_like(weights)
    for gradient, rate in zip(gradients, rates, strict=True):
        accumulator = accumulator + gradient**2
        weights = weights - rate * gradient / (np.sqrt(accumulator) + epsilon)
    return weights, accumulator


def run(optimizer, gradients=GRADIENTS, dtype="float32"):
    variable = keras.Variable(START, dtype=dtype)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, dtype)], [variable])
    return variable


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-8)])
def test_six_steps_of_keras_2(dtype, tolerance):
    expected, accumulator = keras2_rule(START, GRADIENTS, [np.float32(0.01)] * 6)
    optimizer = Keras2Adagrad()
    np.testing.assert_allclose(run(optimizer, dtype=dtype), expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(optimizer.variables[-1], accumulator, rtol=1e-5, atol=0)


def test_first_step_moves_by_the_learning_rate_and_not_as_in_keras_3():
    def first_step(optimizer):
        variable = keras.Variable(np.zeros(1), dtype="float64")
        optimizer.apply([tf.constant([1e-3], "float64")], [variable])
        return -float(variable[0])

    assert first_step(Keras2Adagrad(1e-4)) == pytest.approx(1e-4 * 1e-3 / (1e-3 + 1e-7), rel=1e-6)
    assert first_step(keras.optimizers.Adagrad(1e-4)) == pytest.approx(3.16e-7, rel=1e-2)


def test_epsilon_is_outside_the_root():
    variable = run(Keras2Adagrad(0.1, epsilon=0.5), GRADIENTS[:2])
    expected, _ = keras2_rule(START, GRADIENTS[:2], [0.1, 0.1], epsilon=0.5)
    np.testing.assert_allclose(variable, expected, rtol=1e-6)


def test_follows_a_schedule():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.01])
    expected, _ = keras2_rule(START, GRADIENTS, [0.1, 0.1, 0.1, 0.01, 0.01, 0.01])
    np.testing.assert_allclose(run(Keras2Adagrad(schedule)), expected, rtol=1e-5, atol=1e-6)


def test_learning_rate_can_be_set_between_steps():
    optimizer = Keras2Adagrad(0.1)
    variable = keras.Variable(START, dtype="float32")
    optimizer.apply([tf.constant(GRADIENTS[0], "float32")], [variable])
    optimizer.learning_rate = 0.01
    optimizer.apply([tf.constant(GRADIENTS[1], "float32")], [variable])
    expected, _ = keras2_rule(START, GRADIENTS[:2], [0.1, 0.01])
    np.testing.assert_allclose(variable, expected, rtol=1e-6)


def test_config_round_trip():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 10, 0.5)
    optimizer = Keras2Adagrad(schedule, epsilon=1e-5, clipnorm=1.0, name="slow")
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(restored, Keras2Adagrad)
    assert restored.get_config() == optimizer.get_config()
    assert restored.epsilon == 1e-5


def test_state_survives_being_saved():
    optimizer = Keras2Adagrad(0.1)
    variable = run(optimizer, GRADIENTS[:3])
    state = [value.numpy() for value in optimizer.variables]

    resumed, copy = Keras2Adagrad(0.1), keras.Variable(variable)
    resumed.build([copy])
    for own, saved in zip(resumed.variables, state, strict=True):
        own.assign(saved)
    for gradient in GRADIENTS[3:]:
        resumed.apply([tf.constant(gradient, "float32")], [copy])
    np.testing.assert_array_equal(copy, run(Keras2Adagrad(0.1)))
    assert int(resumed.iterations) == 6


def test_state_survives_a_keras_file(tmp_path):
    images, labels = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(Keras2Adagrad(0.1), "mse")
    model.fit(images, labels, verbose=0)
    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, restored):
        one.fit(images, labels, verbose=0, shuffle=False)
    for mine, theirs in zip(restored.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(restored.get_weights()[0], model.get_weights()[0])


def test_bfloat16_gradients_update_float32_variables():
    optimizer, variable = Keras2Adagrad(0.1), keras.Variable(START, dtype="float32")
    optimizer.apply([tf.constant(GRADIENTS[0], "bfloat16")], [variable])
    rounded = tf.cast(tf.constant(GRADIENTS[0], "bfloat16"), "float64").numpy()
    np.testing.assert_allclose(variable, keras2_rule(START, [rounded], [0.1])[0], rtol=1e-6)
    assert {v.dtype for v in optimizer.variables[1:]} == {"float32"}


def test_unscales_under_a_loss_scale():
    inner = Keras2Adagrad(0.1)
    optimizer, variable = (
        keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0),
        keras.Variable(START, dtype="float32"),
    )
    optimizer.apply([tf.constant(8 * GRADIENTS[0], "float32")], [variable])
    np.testing.assert_allclose(variable, keras2_rule(START, GRADIENTS[:1], [0.1])[0], rtol=1e-6)


def test_runs_under_a_distribution_strategy():
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        variable, optimizer = keras.Variable(START, dtype="float32"), Keras2Adagrad(0.1)
        optimizer.build([variable])

    @tf.function
    def step(gradient):
        def replica(gradient):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(variable.value * gradient)
            optimizer.apply(tape.gradient(loss, [variable.value]), [variable])

        strategy.run(replica, args=(gradient,))

    for gradient in GRADIENTS:
        step(tf.constant(gradient, "float32"))
    np.testing.assert_allclose(variable, keras2_rule(START, GRADIENTS, [0.1] * 6)[0], rtol=1e-5, atol=1e-6)


def test_a_step_compiles_with_xla():
    optimizer, variable = Keras2Adagrad(0.1), keras.Variable(START, dtype="float32")
    optimizer.build([variable])
    step = tf.function(lambda gradient: optimizer.apply([gradient], [variable]), jit_compile=True)
    for gradient in GRADIENTS:
        step(tf.constant(gradient, "float32"))
    np.testing.assert_allclose(variable, keras2_rule(START, GRADIENTS, [0.1] * 6)[0], rtol=1e-5, atol=1e-6)
