"""InfoGAN (Chen et al. 2016), a model that Mukherjee 2022 compares with: a GAN whose critic tells the latent codes.

Codes are made of the noise, not beside it: of standard normal numbers, the index of the largest of k is uniform over k
categories, and erf(x / sqrt 2) uniform in [-1, 1]. So an InfoGAN takes the same noise as every other generator.
"""

import keras
import tensorflow as tf
from keras import ops

from kerasgan.gan.model import Game, LatentGAN, Logs
from kerasgan.papers.aggrgan.settings import InfoganSettings


@keras.saving.register_keras_serializable(package="kerasgan")
class Codes(keras.layers.Layer):
    """Noise (n, latent), standard normal, to (n, latent): one of `categories` as a one-hot code, `continuous` numbers
    in [-1, 1], and the rest as it came."""

    def __init__(self, categories: int, continuous: int, **kwargs):
        super().__init__(**kwargs)
        self.categories, self.continuous = categories, continuous

    def call(self, noise):
        """The codes, then what is left of the noise."""
        of, rest = noise[:, : self.categories], noise[:, self.categories :]
        chosen = ops.one_hot(ops.argmax(of, axis=1), self.categories, dtype=noise.dtype)
        uniform = ops.erf(rest[:, : self.continuous] / 2**0.5)
        return ops.concatenate([chosen, uniform, rest[:, self.continuous :]], axis=1)

    def get_config(self):
        """The constructor's arguments, serialised."""
        return super().get_config() | {"categories": self.categories, "continuous": self.continuous}


class InfoGAN(LatentGAN):
    """A `LatentGAN` whose critic returns logits and what it tells of the codes; both players gain by its being right.

    As in the authors' own programme the bound on the information joins the losses of generator and critic.
    """

    def __init__(self, generator: keras.Model, critic: keras.Model, game: Game, own: InfoganSettings, **kwargs):
        super().__init__(
            generator, critic, game, losses=("generator_loss", "critic_loss", "information_loss"), **kwargs
        )
        self.codes, self.own = Codes(own.categories, own.continuous, dtype="float32"), own

    def train_step(self, reals: tf.Tensor) -> Logs:
        size = tf.shape(reals)[0]
        critic_loss = self.critic_step(reals)
        noise = self.noise(size)
        with tf.GradientTape() as tape:
            logits, told = self.critic(self.generator(noise, training=True), training=True)
            information = self.information(noise, told)
            generator_loss = self.game.generator_loss(logits)
            loss = generator_loss + information
        self.apply("generator", self.gradients("generator", loss, tape))
        self.follow()
        return self.report(
            {"generator_loss": generator_loss, "critic_loss": critic_loss, "information_loss": information}
        )

    def critic_step(self, real: tf.Tensor) -> tf.Tensor:
        noise = self.noise(tf.shape(real)[0])
        fake = self.generator(noise, training=True)
        with tf.GradientTape() as tape:
            (real_logits, _), (fake_logits, told) = self.critic(real, training=True), self.critic(fake, training=True)
            critic_loss = self.game.critic_loss(real_logits, fake_logits)
            loss = critic_loss + self.information(noise, told)
        self.apply("critic", self.gradients("critic", loss, tape))
        return critic_loss

    def information(self, noise: tf.Tensor, told: tf.Tensor) -> tf.Tensor:
        """-lambda log Q(c|x) of noise (n, latent) and what is told of its codes (n, codes), less constants, a scalar.

        Chen et al. 2016, eq. (5): cross-entropy of the category, and of each continuous code the log-likelihood of a
        normal distribution of variance 1 around what is told.
        """
        split, codes = self.own.categories, self.codes(noise)
        category = tf.nn.softmax_cross_entropy_with_logits(codes[:, :split], told[:, :split])
        distances = tf.square(codes[:, split : told.shape[1]] - told[:, split:])
        continuous = 0.5 * tf.reduce_sum(distances, axis=1)
        return tf.reduce_mean(self.own.categorical_weight * category + self.own.continuous_weight * continuous)
