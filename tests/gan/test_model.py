import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import numbers, toy

from kerasgan.experiment.devices import strategy_for
from kerasgan.gan import losses, penalties, sampling
from kerasgan.gan.model import AdversarialModel, Game


def changed(before, after, prefix):
    return any(not np.array_equal(before[name], after[name]) for name in before if name.startswith(prefix))


REAL = tf.random.stateless_normal((8, 2, 2, 2), (1, 2))


def test_each_step_moves_its_own_players_weights_and_no_others():
    model = toy()
    start = numbers(model)
    model.critic_step(REAL)
    after_critic = numbers(model)
    assert changed(start, after_critic, "critic/") and not changed(start, after_critic, "generator/")
    model.generator_step(tf.constant(4))
    after = numbers(model)
    assert changed(after_critic, after, "generator/") and not changed(after_critic, after, "critic/")


def test_optimizers_are_built_by_compile():
    state = toy().state()
    moments = [name for name, variable in state.items() if "optimizer" in name and "momentum" in variable.path]
    assert len(moments) == 2 + 4, "one first moment per kernel and bias"


def test_critic_steps_see_fresh_images_and_fresh_noise():
    seen = []
    model = toy(critic_steps=3)
    model.critic_step = lambda real: seen.append(real.numpy()) or tf.constant(0.0)
    model.train_step(tf.reshape(tf.range(6 * 8, dtype=tf.float32), (6, 2, 2, 2)))
    assert [batch.shape[0] for batch in seen] == [2, 2, 2]
    assert len({batch.tobytes() for batch in seen}) == 3
    assert not np.array_equal(model.noise(2), model.noise(2))


def test_penalty_is_added_and_constraint_runs_after_the_step():
    game = Game(
        losses.wasserstein_critic,
        losses.wasserstein_generator,
        penalty=lambda critic, real, fake, alpha: 1000 + 0 * tf.reduce_mean(alpha),
        constrain=lambda variables: penalties.clip_weights(variables, 0.01),
    )
    model = toy(game=game)
    assert model.critic_step(REAL) > 900
    assert max(float(tf.reduce_max(tf.abs(v.value))) for v in model.trainable_of("critic")) <= 0.01 + 1e-9
    assert max(float(tf.reduce_max(tf.abs(v.value))) for v in model.trainable_of("generator")) > 0.01


def test_alpha_is_one_uniform_number_per_image():
    alphas = []
    game = Game(
        losses.wasserstein_critic,
        losses.wasserstein_generator,
        penalty=lambda critic, real, fake, alpha: alphas.append(alpha.numpy()) or tf.constant(0.0),
    )
    model = toy(game=game)
    for _ in range(40):
        model.critic_step(REAL)
    drawn = np.concatenate(alphas)
    assert drawn.shape == (320, 1, 1, 1)
    assert 0 <= drawn.min() < 0.05 and 0.95 < drawn.max() <= 1
    assert abs(drawn.mean() - 0.5) < 0.06


def test_epoch_logs_are_means_over_steps():
    model = toy()
    values = [model.train_step(REAL) and float(model.loss_means[0].result()) for _ in range(2)]
    first = values[0]
    second = 2 * values[1] - first
    model.reset_metrics()
    assert second != first
    assert np.isfinite(second)
    assert float(model.loss_means[0].result()) == 0


def test_it_learns_the_mean_of_the_data():
    game = Game(
        losses.wasserstein_critic,
        losses.wasserstein_generator,
        penalty=lambda *arguments: 10 * penalties.gradient_penalty(*arguments),
    )
    model = toy(rate=0.005, critic_steps=2, game=game)
    target = tf.data.Dataset.counter().map(
        lambda n: tf.random.stateless_normal((64, 2, 2, 2), tf.stack([n, n])) * 0.2 + 2
    )
    model.fit(target, steps_per_epoch=800, epochs=1, verbose=0, shuffle=False)
    images = model.generator(sampling.noise(256, 3, seed=0)).numpy()
    assert np.abs(images.mean(axis=0) - 2).max() < 0.4


def test_the_averaged_generator_follows_by_hand():
    model = toy(average=0.75)
    before = model.averaged.get_weights()
    for expected, found in zip(model.generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)
    model.generator_step(tf.constant(4))
    now = zip(before, model.generator.get_weights(), model.averaged.get_weights(), strict=True)
    for mean, weight, found in now:
        np.testing.assert_allclose(found, 0.75 * mean + 0.25 * weight, rtol=1e-6)
    assert any(name.startswith("averaged/") for name in model.state())
    assert toy().averaged is None


def test_players_and_optimizers_must_match():
    model = AdversarialModel({"a": [], "b": []}, ["loss"])
    with pytest.raises(ValueError, match=r"each of \['a', 'b'\], got \['a'\]"):
        model.compile({"a": keras.optimizers.SGD()})


def test_two_replicas_make_the_same_update_as_one_device():
    whole = tf.random.stateless_normal((8, 2, 2, 2), (5, 6))
    single = toy(critic_steps=1)
    single.noise = lambda size: tf.ones((size, 3))
    single.fit(tf.data.Dataset.from_tensors(whole).repeat(), steps_per_epoch=3, verbose=0, shuffle=False)

    with strategy_for("mirrored").scope():
        double = toy(critic_steps=1)
    double.noise = lambda size: tf.ones((size, 3))
    double.fit(tf.data.Dataset.from_tensors(whole).repeat(), steps_per_epoch=3, verbose=0, shuffle=False)

    one, two = numbers(single), numbers(double)
    trained = [name for name in one if name.startswith(("generator", "critic")) and "optimizer" not in name]
    assert trained
    for name in trained:
        np.testing.assert_allclose(two[name], one[name], atol=1e-5, err_msg=name)


def test_replicas_draw_noise_of_their_own():
    single = toy()
    strategy = strategy_for("mirrored")
    with strategy.scope():
        double = toy()
    first, second = strategy.experimental_local_results(strategy.run(lambda: double.noise(4)))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, single.noise(4))
    # Nor what the other draws next.
    later = strategy.experimental_local_results(strategy.run(lambda: double.noise(4)))
    np.testing.assert_array_equal(later[0], single.noise(4))
    assert not np.array_equal(later[0], second) and not np.array_equal(later[1], first)
