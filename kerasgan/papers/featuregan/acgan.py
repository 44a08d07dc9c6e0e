"""The AC-GAN of Mehra et al., eqs. (1) and (2), after Odena et al. 2017 ("Conditional image synthesis with auxiliary
classifier GANs"): a discriminator that tells real from generated and, of both, the class.

The auxiliary loss of the public code (gitlimlab/ACGAN-PyTorch) takes probabilities where log-probabilities belong;
here it is the log-likelihood of eq. (2), from logits. As there, one batch of generated features serves both players of
a step: the discriminator learns from it, then judges it again for the generator.
"""

from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasgan.errors import UserError, nearest
from kerasgan.gan import losses
from kerasgan.gan.model import AdversarialModel, Logs, ReplicaSeeds
from kerasgan.papers.featuregan.feature_networks import CLASSES

LOSSES = ("generator_loss", "critic_loss", "class_accuracy_real", "class_accuracy_fake")


def minimax_generator(fake_logits: tf.Tensor) -> tf.Tensor:
    """E log P(S = fake | X_fake), the part of L_S that the generator moves: Mehra et al., eq. (1).

    P(S = fake) is 1 - s(logit), s the sigmoid. Its gradient vanishes where the discriminator is sure, which the
    non-saturating form avoids.
    """
    return -tf.reduce_mean(tf.nn.softplus(tf.cast(fake_logits, tf.float32)))


GENERATOR_LOSSES = {"non_saturating": losses.non_saturating_generator, "minimax": minimax_generator}


class ACGAN(AdversarialModel):
    """A generator of features of a wanted class against a discriminator with two heads.

    Trained by `fit` on batches {"feature": (b, h, w, c) float32, standardised, "label": (b,) int, 0 or 1}. Noise is
    standard normal, wanted classes are uniform (assumed, as in the public code); both come from the model's own,
    checkpointed, generator of random numbers.

    Reports both players' losses and the share of real and of generated features whose class the discriminator tells
    right, 0 to 1, as it stood before its step and with its dropout.

    Args:
        generator: [noise (b, latent_size), label (b,)] to features.
        critic: features to the logits of source (b, 1) and of class (b, 2).
        latent_size: numbers of noise.
        objective: what the generator minimises beside -L_C: "non_saturating", -E log P(S = real | X_fake), or
            "minimax", L_S as printed.
        seed: of noise and wanted classes.

    Raises:
        UserError: another objective.
    """

    def __init__(
        self,
        generator: keras.Model,
        critic: keras.Model,
        *,
        latent_size: int,
        objective: str = "non_saturating",
        seed: int,
    ):
        if objective not in GENERATOR_LOSSES:
            raise UserError(
                f"the AC-GAN has no objective {objective!r} of its generator; {nearest(objective, GENERATOR_LOSSES)}"
            )
        super().__init__({"generator": [generator], "critic": [critic]}, LOSSES)
        self.generator, self.critic = generator, critic
        self.source_loss, self.latent_size = GENERATOR_LOSSES[objective], latent_size
        self.random = ReplicaSeeds(seed)

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> Logs:
        """The discriminator maximises L_S + L_C, then the generator L_C - L_S, or its non-saturating form."""
        size = tf.shape(batch["feature"])[0]
        noise, wanted = self.noise(size), self.wanted(size)
        with tf.GradientTape() as tape:
            fake = self.generator([noise, wanted], training=True)
            with tape.stop_recording():
                values = self.critic_step(batch["feature"], batch["label"], fake, wanted)
            source, classes = self.critic(fake, training=True)
            loss = self.source_loss(source) + class_loss(wanted, classes)
        self.apply("generator", self.gradients("generator", loss, tape))
        return self.report({"generator_loss": loss} | values)

    def critic_step(self, real: tf.Tensor, label: tf.Tensor, fake: tf.Tensor, wanted: tf.Tensor) -> Logs:
        """One update of the discriminator on real and generated features (b, h, w, c) and their classes (b,).

        Returns its loss -(L_S + L_C) and its accuracies before the update.
        """
        with tf.GradientTape() as tape:
            # In two calls: each is normalised by its own mean and variance, as in the public code.
            real_source, real_classes = self.critic(real, training=True)
            fake_source, fake_classes = self.critic(fake, training=True)
            loss = losses.non_saturating_discriminator(real_source, fake_source)
            loss += class_loss(label, real_classes) + class_loss(wanted, fake_classes)
        self.apply("critic", self.gradients("critic", loss, tape))
        return {
            "critic_loss": loss,
            "class_accuracy_real": class_accuracy(label, real_classes),
            "class_accuracy_fake": class_accuracy(wanted, fake_classes),
        }

    def noise(self, size: tf.Tensor | int) -> tf.Tensor:
        """(size, latent_size) standard normal numbers."""
        return keras.random.normal((size, self.latent_size), seed=self.random)

    def wanted(self, size: tf.Tensor | int) -> tf.Tensor:
        """(size,) classes to generate, int32, each as probable as the other."""
        return keras.random.randint((size,), 0, CLASSES, seed=self.random)


def class_loss(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """-E log P(C = c | X), at least 0, of labels (b,) and logits (b, 2), a scalar: half of eq. (2), the sign turned."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label, tf.cast(logits, tf.float32)))


def class_accuracy(label: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The share of labels (b,) that are the class of the larger logit (b, 2), 0 to 1, a scalar."""
    right = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), tf.cast(label, tf.int32))
    return tf.reduce_mean(tf.cast(right, tf.float32))
