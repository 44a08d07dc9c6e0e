"""The pairwise GAN as one would write it with Keras alone, to compare kerasgan's up-convolution and step with."""

import keras
import tensorflow as tf
from keras import Input, Model, layers

from kerasgan.papers.pairwise import networks
from kerasgan.papers.pairwise.gan import PLAYERS, PairwiseGAN
from kerasgan.papers.pairwise.settings import PairwiseSettings


def generator(name: str, size: int, filters=networks.GENERATOR_FILTERS) -> Model:
    """`networks.generator` with `UpSampling2D` and `Conv2D` in place of `UpConv2D`: same weights, same outputs."""
    image = Input((size, size, 1))
    x, skips = image, []
    for count in filters:
        x = layers.Conv2D(count, networks.KERNEL, strides=2, padding="same")(x)
        x = layers.LeakyReLU(networks.SLOPE)(x)
        skips.append(x)
    for level in range(len(filters) - 1, 0, -1):
        x = layers.UpSampling2D()(x)
        x = layers.Conv2D(filters[level - 1], networks.KERNEL, padding="same", activation="relu")(x)
        x = layers.Concatenate()([x, skips[level - 1]])
    x = layers.UpSampling2D()(x)
    x = layers.Conv2D(1, networks.KERNEL, padding="same", dtype="float32")(x)
    return Model(image, layers.Activation("tanh", dtype="float32")(x), name=name)


def build_networks_only(settings: PairwiseSettings) -> PairwiseGAN:
    """kerasgan's training step on plain generators."""
    loss = {"l1_weight": settings.loss.l1_weight, "mask_background": settings.loss.mask_background}
    model = PairwiseGAN(*_networks(settings.data.size), **loss)
    model.compile({player: _adam(settings) for player in PLAYERS})
    return model


def build(settings: PairwiseSettings) -> "PlainPairwiseGAN":
    """Plain generators and a plain training step."""
    model = PlainPairwiseGAN(*_networks(settings.data.size))
    model.compile(_adam(settings), _adam(settings), _adam(settings), settings.loss)
    return model


class PlainPairwiseGAN(keras.Model):
    """Algorithm 1 of Ge 2020 written down step by step, as Keras's own GAN examples are: one tape for each update."""

    def __init__(self, generators, discriminators):
        super().__init__()
        self.generator_m, self.generator_n = generators
        self.discriminator_m, self.discriminator_n = discriminators
        self.loss_tracker = keras.metrics.Mean(name="generator_loss")

    def compile(self, generator_optimizer, optimizer_m, optimizer_n, loss):
        super().compile(optimizer=None)
        self.generator_optimizer, self.optimizer_m, self.optimizer_n = generator_optimizer, optimizer_m, optimizer_n
        self.loss_settings = loss

    def train_step(self, batch):
        x_m, x_n = batch["m"], batch["n"]
        weight = tf.where(batch["tumour"] > 0, 1.0, self.loss_settings.mask_background)
        with tf.GradientTape() as tape:
            fake_n, fake_m = self.generator_m(x_m, training=True), self.generator_n(x_n, training=True)
            verdict_n = self.discriminator_n(fake_n, training=True)
            verdict_m = self.discriminator_m(fake_m, training=True)
            adversarial = tf.reduce_mean((verdict_n - 1) ** 2) + tf.reduce_mean((verdict_m - 1) ** 2)
            l1 = tf.reduce_mean(weight * tf.abs(fake_n - x_n)) + tf.reduce_mean(weight * tf.abs(fake_m - x_m))
            loss = adversarial + self.loss_settings.l1_weight * l1
        weights = self.generator_m.trainable_weights + self.generator_n.trainable_weights
        self.generator_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

        self.train_discriminator(self.discriminator_n, self.optimizer_n, x_n, fake_n)
        self.train_discriminator(self.discriminator_m, self.optimizer_m, x_m, fake_m)
        self.loss_tracker.update_state(loss)
        return {"generator_loss": self.loss_tracker.result()}

    def train_discriminator(self, discriminator, optimizer, real, fake):
        with tf.GradientTape() as tape:
            real_verdict, fake_verdict = discriminator(real, training=True), discriminator(fake, training=True)
            loss = tf.reduce_mean((real_verdict - 1) ** 2) + tf.reduce_mean(fake_verdict**2)
        weights = discriminator.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))


def _networks(size: int) -> tuple[list[Model], list[Model]]:
    return [generator(name, size) for name in "mn"], [networks.discriminator(name, size) for name in "mn"]


def _adam(settings: PairwiseSettings) -> keras.optimizers.Adam:
    return keras.optimizers.Adam(settings.training.learning_rate, beta_1=settings.training.beta_1)
