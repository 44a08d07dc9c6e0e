"""A GAN small enough to train in a test: 8 numbers from 3."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kerasgan.gan import checkpoint, losses
from kerasgan.gan.checkpoint import Position
from kerasgan.gan.model import Game, LatentGAN


def toy(
    seed: int = 1, critic_steps: int = 2, game: Game | None = None, rate: float = 0.01, average: float = 0.0
) -> LatentGAN:
    keras.utils.set_random_seed(seed)
    generator = keras.Sequential([keras.Input((3,)), layers.Dense(8), layers.Reshape((2, 2, 2))], name="generator")
    critic = keras.Sequential(
        [keras.Input((2, 2, 2)), layers.Flatten(), layers.Dense(4, "tanh"), layers.Dense(1)], name="critic"
    )
    game = game or Game(losses.least_squares_discriminator, losses.least_squares_generator)
    model = LatentGAN(generator, critic, game, latent_size=3, critic_steps=critic_steps, average=average, seed=seed)
    model.compile({"generator": keras.optimizers.Adam(rate), "critic": keras.optimizers.Adam(rate)})
    return model


def batches(position: Position, seed: int = 0, steps: int = 5) -> tf.data.Dataset:
    """Batch k of epoch e is a function of (seed, e, k)."""

    def batch(number):
        return tf.random.stateless_normal((8, 2, 2, 2), tf.stack([tf.cast(seed, tf.int64), number])) + 1

    return tf.data.Dataset.counter(position.epoch * steps + position.step, dtype=tf.int64).map(batch)


def numbers(model) -> dict[str, np.ndarray]:
    return checkpoint.values(model.state())
