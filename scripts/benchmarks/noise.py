"""The training step of the GANs from noise, DCGAN and WGAN: kerasgan, Keras alone, PyTorch."""

from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import Input, Model, layers, ops

from benchmarks.timing import Row, in_turns
from benchmarks.ways import KERAS, OURS, PRECISIONS, Step, compared, graph_step, torch_layouts
from kerasgan.experiment.devices import numerics
from kerasgan.gan.model import LatentGAN
from kerasgan.gan.radford import START, kernels, levels_of
from kerasgan.papers import settings_of
from kerasgan.papers.brainmr.networks import KERNEL
from kerasgan.papers.brainmr.settings import BrainmrSettings, NetworkSettings
from kerasgan.papers.brainmr.training import DcganTask, WganTask

TASKS = {"dcgan": DcganTask, "wgan": WganTask}
ROUNDS = {"dcgan": 12, "wgan": 6}  # a step of WGAN trains the critic five times


def rows(model: str, quick: bool) -> list[Row]:
    """Steps of the generator in a second, with its critic's steps, for each way and precision."""
    return [row for precision in PRECISIONS for row in _rows(model, precision, quick)]


def _rows(model: str, precision: str, quick: bool) -> list[Row]:
    overrides = [f"{model}.precision={precision}"]
    overrides += ["data.size=16", "network.filters=[8, 8]", f"{model}.batch_size=2"] if quick else []
    settings = settings_of(model, overrides=overrides)
    training = getattr(settings, model)
    with numerics(training):  # the options with which kerasgan trains
        ours, plain = our_model(model, settings), PlainGAN(model, settings)
        reals = random_batch(settings.data.size, training.batch_size * ours.critic_steps)
        images = tf.constant(reals)
        steps = {OURS: graph_step(ours.train_step, images), KERAS: graph_step(plain.train_step, images)}
        seconds = in_turns(steps | torch_steps(model, settings, reals), 1 if quick else ROUNDS[model])
    return compared(seconds, 1, "steps/s", PRECISIONS[precision])


def random_batch(size: int, count: int) -> np.ndarray:
    """Images (count, size, size, 1) of noise in [-1, 1]."""
    return np.random.default_rng(1).uniform(-1, 1, (count, size, size, 1)).astype("float32")


def our_model(model: str, settings: BrainmrSettings) -> LatentGAN:
    """The compiled model as `kerasgan train` builds it."""
    task = TASKS[model].__new__(TASKS[model])  # `__init__` would look for data
    task.settings, task.size = settings, settings.data.size
    return task.build()


# ---- Keras alone ----


def plain_generator(size: int, settings: NetworkSettings) -> Model:
    """`networks.generator` of Keras's layers: same weights, same images."""
    filters = levels_of(size, settings.filters)
    noise = Input((settings.latent,))
    x = layers.Dense(START * START * filters[0], use_bias=False, kernel_initializer=kernels())(noise)
    x = layers.Reshape((START, START, filters[0]))(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=settings.momentum, epsilon=settings.epsilon)(x))
    for count in filters[1:]:
        x = layers.Conv2DTranspose(count, KERNEL, 2, "same", use_bias=False, kernel_initializer=kernels())(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=settings.momentum, epsilon=settings.epsilon)(x))
    return Model(noise, layers.Conv2DTranspose(1, KERNEL, 2, "same", kernel_initializer=kernels(), dtype="float32")(x))


def plain_critic(size: int, settings: NetworkSettings) -> Model:
    """`networks.critic` of Keras's layers: same weights, same logits."""
    first, *others = levels_of(size, settings.filters)[::-1]
    image = Input((size, size, 1))
    x = layers.ELU()(layers.Conv2D(first, KERNEL, 2, "same", kernel_initializer=kernels())(image))
    for count in others:
        x = layers.Conv2D(count, KERNEL, 2, "same", use_bias=False, kernel_initializer=kernels())(x)
        x = layers.ELU()(layers.BatchNormalization(momentum=settings.momentum, epsilon=settings.epsilon)(x))
    x = layers.Dense(1, use_bias=False, kernel_initializer=kernels(), dtype="float32")(layers.Flatten()(x))
    return Model(image, x)


class PlainGAN(keras.Model):
    """DCGAN or WGAN written down step by step, as Keras's own GAN examples are."""

    def __init__(self, model: str, settings: BrainmrSettings):
        super().__init__()
        training = getattr(settings, model)
        self.generator = plain_generator(settings.data.size, settings.network)
        self.critic = plain_critic(settings.data.size, settings.network)
        self.latent, self.wasserstein = settings.network.latent, model == "wgan"
        self.critic_steps = training.critic_steps if self.wasserstein else 1
        self.clip = training.clip if self.wasserstein else None
        self.random = keras.random.SeedGenerator(training.seed)
        self.entropy = keras.losses.BinaryCrossentropy(from_logits=True)
        self.loss_tracker = keras.metrics.Mean(name="generator_loss")
        if self.wasserstein:
            optimizer = partial(keras.optimizers.RMSprop, training.learning_rate, rho=training.rho)
        else:
            optimizer = partial(keras.optimizers.Adam, training.learning_rate, beta_1=training.beta_1)
        super().compile(optimizer=None)
        self.generator_optimizer, self.critic_optimizer = optimizer(), optimizer()

    def train_step(self, reals):
        for real in tf.split(reals, self.critic_steps):
            fake = self.generator(self.noise(len(real)), training=True)
            with tf.GradientTape() as tape:
                loss = self.critic_loss(self.critic(real, training=True), self.critic(fake, training=True))
            weights = self.critic.trainable_weights
            self.critic_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            if self.wasserstein:
                for weight in weights:
                    weight.assign(ops.clip(weight, -self.clip, self.clip))
        with tf.GradientTape() as tape:
            logits = self.critic(self.generator(self.noise(len(real)), training=True), training=True)
            loss = -ops.mean(logits) if self.wasserstein else self.entropy(ops.ones_like(logits), logits)
        weights = self.generator.trainable_weights
        self.generator_optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        self.loss_tracker.update_state(loss)
        return {"generator_loss": self.loss_tracker.result()}

    def critic_loss(self, real, fake):
        if self.wasserstein:
            return ops.mean(fake) - ops.mean(real)
        return self.entropy(ops.ones_like(real), real) + self.entropy(ops.zeros_like(fake), fake)

    def noise(self, count: int):
        return keras.random.normal((count, self.latent), seed=self.random)


# ---- PyTorch ----


def torch_steps(model: str, settings: BrainmrSettings, reals: np.ndarray) -> dict[str, Step]:
    """A training step of PyTorch per layout; none without the extra `bench`."""
    if not (layouts := torch_layouts()):
        return {}
    from benchmarks.pytorch_noise import Training

    trainings = {what: Training(model, settings, layout) for what, layout in layouts.items()}
    return {what: partial(training.train_step, training.prepare(reals)) for what, training in trainings.items()}
