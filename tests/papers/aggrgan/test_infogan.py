"""InfoGAN: codes made of noise, the bound on the information by hand, and that a step raises it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.stats import kstest

from kerasgan.gan import losses
from kerasgan.gan.model import Game
from kerasgan.papers import settings_of
from kerasgan.papers.aggrgan.infogan import Codes, InfoGAN


def test_codes_are_uniform_and_the_rest_is_as_it_came():
    noise = np.random.default_rng(1).standard_normal((20_000, 8)).astype("float32")
    codes = Codes(3, 2)(noise).numpy()
    np.testing.assert_array_equal(codes[:, :3].argmax(axis=1), noise[:, :3].argmax(axis=1))
    np.testing.assert_array_equal(codes[:, :3].sum(axis=1), 1)
    np.testing.assert_allclose(codes[:, :3].mean(axis=0), 1 / 3, atol=0.02)
    for column in codes[:, 3:5].T:
        assert kstest(column, "uniform", (-1, 2)).pvalue > 1e-3
    np.testing.assert_array_equal(codes[:, 5:], noise[:, 5:])


@pytest.fixture
def gan():
    overrides = ["network.latent=6", "infogan.categories=2", "infogan.continuous=1"]
    own = settings_of("infogan", overrides=[*overrides, "infogan.categorical_weight=2.0"]).infogan
    noise, image = keras.Input((6,)), keras.Input((4, 4, 1))
    first = Codes(2, 1)(noise)
    generator = keras.Model(noise, layers.Reshape((4, 4, 1))(layers.Dense(16)(first)))
    flat = layers.Flatten()(image)
    critic = keras.Model(image, [layers.Dense(1)(flat), layers.Dense(3)(flat)])
    game = Game(losses.non_saturating_discriminator, losses.non_saturating_generator)
    model = InfoGAN(generator, critic, game, own, latent_size=6, seed=1)
    model.compile({player: keras.optimizers.Adam(0.02) for player in model.players})
    return model


def test_information_by_hand(gan):
    noise = np.array([[2.0, 1, 0, 0, 0, 0], [0, 1.0, 10, 0, 0, 0]], "float32")
    told = np.array([[1.0, 0, 0.5], [3.0, 0, 0.25]], "float32")
    # Categories 0 and 1; the continuous codes are erf(0) = 0 and erf(10 / sqrt 2) = 1.
    category = [np.log(1 + np.exp(-1)), np.log(1 + np.exp(3))]
    continuous = [0.5 * 0.5**2, 0.5 * 0.75**2]
    expected = np.mean(2 * np.array(category) + np.array(continuous))
    assert float(gan.information(tf.constant(noise), tf.constant(told))) == pytest.approx(expected, rel=1e-5)


def test_both_players_learn_what_the_codes_are(gan):
    reals = tf.random.stateless_normal((32, 4, 4, 1), (3, 4))
    first = float(gan.train_step(reals)["information_loss"])
    for mean in gan.loss_means:
        mean.reset_state()
    for _ in range(100):
        gan.train_step(reals)
    for mean in gan.loss_means:
        mean.reset_state()
    assert float(gan.train_step(reals)["information_loss"]) < 0.3 * first


def test_the_generator_moves_by_the_information_too(gan):
    reals, start = tf.zeros((8, 4, 4, 1)), gan.state()
    before = {name: variable.numpy() for name, variable in start.items()}
    gan.critic_step = lambda real: tf.constant(0.0)
    moved = []
    for weight in (0.0, 50.0):
        for name, variable in start.items():
            variable.assign(before[name])
        gan.own = gan.own.model_copy(update={"categorical_weight": weight, "continuous_weight": weight})
        gan.train_step(reals)
        moved.append(gan.generator.get_weights()[0])
    assert not np.allclose(*moved)


def test_a_saved_generator_makes_the_same_images(gan, tmp_path):
    gan.generator.save(tmp_path / "g.keras")
    again = keras.saving.load_model(tmp_path / "g.keras", compile=False, safe_mode=True)
    noise = np.random.default_rng(2).standard_normal((5, 6)).astype("float32")
    np.testing.assert_array_equal(again(noise), gan.generator(noise))
