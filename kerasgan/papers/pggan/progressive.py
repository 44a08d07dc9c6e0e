"""The game of Alam et al., 3.1, eq. (2), at one resolution: WGAN-GP with the tricks of Karras et al. 2018.

The critic minimises, and with it the generator -E D(G(z)),

    s (E D(G(z)) - E D(x)) + lambda E (||grad D(x^)|| - 1)^2 + epsilon E D(x)^2,     s = 1, or -1 at a flip

x^ lies on the segment between a real and a generated image (Gulrajani et al. 2017, Algorithm 1, line 6; eq. 2 as
printed says x^ ~ P_g), and the last term keeps verdicts from drifting (Karras et al. 2018, appendix A.1).

"Once in three times, we flip the real / synthetic labels of the discriminator": `flip_by` "step" reads it as every
`flip_every`-th step of the critic, which has s = -1 and learns to call real images generated; "image" as every
`flip_every`-th pair of a real and a generated image, each of which has an s of its own. On average both are s = 1/3, a
Wasserstein term of a third of its weight beside the penalty. But Adam makes each step about as long as another: by
steps, two go forward and one goes back, while the generator always goes forward. Measured on simulated neonates of
32 x 32 (2000 steps of 16 images at a rate of 1e-3, 3000 of 4 at 2e-4): by steps the critic comes to prefer generated
images (`wasserstein` below 0) and the generator makes a single image, at both batch sizes; by images so at 4, not at
16; without flips never. The generator's loss has no flip.
"""

from collections.abc import Mapping
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from kerasgan.gan import losses, penalties
from kerasgan.gan.model import AdversarialModel, Logs, ReplicaSeeds, copied
from kerasgan.papers.pggan.layers import Fade, blend
from kerasgan.papers.pggan.networks import grow

LOSSES = ("generator_loss", "critic_loss", "wasserstein", "gradient_penalty", "alpha")


class ProgressiveGAN(AdversarialModel):
    """Generator and critic of one resolution r, which fade in what they have more than those of the stage before.

    Trained by `fit` on batches {"image": (critic_steps * batch, r, r, 1) float32 in [-1, 1], "class": (critic_steps *
    batch,) int from 0}; the class may be left out where the networks do not take it. Each critic step takes a fresh
    part of them, then the generator makes its step. Before step k (from 0) alpha is set to min(1, k / fade_steps) in
    all networks, and real images are blended, with the same alpha, from their 2 x 2 means to themselves. A stage that
    is to end with alpha 1 needs more than `fade_steps` steps. All of it is one graph, whatever alpha.

    Generated images have the classes of the real ones beside them, in either player's step. So a segment between the
    two has one class, which the critic's slope on it needs; and classes are as frequent on both sides, so that the
    critic cannot tell them apart by the class alone, and the generator learns from the verdicts that the critic learnt.

    Reports the losses that the players minimise; `wasserstein`, E D(x) - E D(G(z)) whatever the flip, an estimate of
    the distance; `gradient_penalty`, without its weight; `alpha`. Those of the critic are of its last step.

    `averaged`, the generator's running average, follows its weights w as average w' + (1 - average) w; alpha is not
    averaged.

    Args:
        generator, critic: of `networks`, both of one resolution.
        latent_size: numbers of noise, uniform in [-1, 1] (stated, 3.1).
        critic_steps: of the critic for one of the generator.
        fade_steps: steps until alpha is 1; 0: it is 1 from the beginning.
        flip_every: at every which step of the critic, or pair of images, these change roles; 0: never.
        flip_by: "step" or "image".
        penalty_weight: lambda.
        drift: epsilon.
        average: of the running average, in [0, 1); 0 is none.
        seed: of noise and of the points at which the slope is taken.
    """

    def __init__(
        self,
        generator: keras.Model,
        critic: keras.Model,
        *,
        latent_size: int,
        critic_steps: int,
        fade_steps: int,
        flip_every: int,
        flip_by: Literal["step", "image"],
        penalty_weight: float,
        drift: float,
        average: float,
        seed: int,
    ):
        averaged = copied(generator) if average else None
        followers = {"averaged": averaged} if average else None
        super().__init__({"generator": [generator], "critic": [critic]}, LOSSES, followers)
        self.generator, self.critic, self.averaged = generator, critic, averaged
        self.latent_size, self.critic_steps, self.average = latent_size, critic_steps, average
        self.fade_steps, self.flip_every, self.flip_by = fade_steps, flip_every, flip_by
        self.penalty_weight, self.drift = penalty_weight, drift
        self.conditional = len(generator.inputs) == 2
        self.random = ReplicaSeeds(seed)
        self.step = self.add_weight(name="step", shape=(), dtype="int64", initializer="zeros", trainable=False)
        networks = [network for network in (generator, critic, averaged) if network is not None]
        self.fades = [layer for network in networks for layer in network.layers if isinstance(layer, Fade)]

    def inherit(self, saved: Mapping[str, np.ndarray], generator: keras.Model, critic: keras.Model) -> None:
        """Take over from the stage before: what it saved, and networks of its resolution to read it with.

        `saved` is what `checkpoint.read` finds in its latest.npz. The running average goes on if it was saved. The
        numbers of `generator` and `critic` are overwritten.
        """
        own = {"generator": (generator, self.generator), "critic": (critic, self.critic)}
        if self.averaged is not None:
            own["averaged"] = (generator, self.averaged)
        for name, (before, after) in own.items():
            before.set_weights(weights_of(saved, name))
            grow(before, after)

    def train_step(self, batch: Mapping[str, tf.Tensor]) -> Logs:
        alpha = self.set_alpha()
        images = tf.split(self.faded(batch["image"], alpha), self.critic_steps)
        labels = tf.split(batch["class"], self.critic_steps) if self.conditional else [None] * self.critic_steps
        for number, (real, label) in enumerate(zip(images, labels, strict=True)):
            values = self.critic_step(real, label, self.roles(number, tf.shape(real)[0]))
        generator_loss = self.generator_step(tf.shape(real)[0], label)
        self.step.assign_add(1)
        return self.report({"generator_loss": generator_loss, "alpha": alpha} | values)

    def set_alpha(self) -> tf.Tensor:
        """Set the networks' alpha to that of the coming step, and return it."""
        done = tf.cast(self.step, tf.float32) / self.fade_steps if self.fade_steps else tf.constant(1.0)
        alpha = tf.minimum(done, 1.0)
        for fade in self.fades:
            fade.alpha.assign(alpha)
        return alpha

    def faded(self, images: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        """Real images (n, r, r, 1) as the stage shows them: at alpha 0 without what only this resolution can show."""
        if not self.fade_steps:
            return images
        means = tf.nn.avg_pool2d(images, 2, 2, "VALID")
        return blend(tf.repeat(tf.repeat(means, 2, axis=1), 2, axis=2), images, alpha)

    def roles(self, number: int, size: tf.Tensor | int) -> tf.Tensor | float:
        """s (size, 1) of each pair in the critic's step `number` (from 0) of this step: -1 at a flip, else 1."""
        if not self.flip_every:
            return 1.0
        # Counted from 1 over the stage; a replica counts as if it were alone.
        count = tf.repeat(tf.convert_to_tensor(self.step) * self.critic_steps + number + 1, size)
        if self.flip_by == "image":
            count = (count - 1) * tf.cast(size, count.dtype) + 1 + tf.range(tf.cast(size, count.dtype))
        return tf.where(count % self.flip_every == 0, -1.0, 1.0)[:, None]

    def critic_step(self, real: tf.Tensor, label: tf.Tensor | None, roles: tf.Tensor | float) -> Logs:
        """One update of the critic on real images (n, r, r, 1), of classes (n,), and as many generated ones.

        Returns its values as `report` takes them.
        """
        size = tf.shape(real)[0]
        fake = self.made(size, label)
        points = self.points(size)
        with tf.GradientTape() as tape:
            real_verdicts, fake_verdicts = self.judged(real, label), self.judged(fake, label)
            loss = tf.reduce_mean(roles * (fake_verdicts - real_verdicts))
            penalty = penalties.gradient_penalty(lambda images: self.judged(images, label), real, fake, points)
            loss += self.penalty_weight * penalty + self.drift * tf.reduce_mean(tf.square(real_verdicts))
        self.apply("critic", self.gradients("critic", loss, tape))
        distance = -losses.wasserstein_critic(real_verdicts, fake_verdicts)
        return {"critic_loss": loss, "wasserstein": distance, "gradient_penalty": penalty}

    def generator_step(self, size: tf.Tensor, label: tf.Tensor | None) -> tf.Tensor:
        """One update of the generator on `size` noise vectors, of classes (size,); returns its loss."""
        with tf.GradientTape() as tape:
            loss = losses.wasserstein_generator(self.judged(self.made(size, label), label))
        self.apply("generator", self.gradients("generator", loss, tape))
        self.follow()
        return loss

    def follow(self) -> None:
        """Move the running average, if there is one, after a step of the generator."""
        if self.averaged is not None:
            pairs = zip(self.averaged.trainable_variables, self.generator.trainable_variables, strict=True)
            for mean, variable in pairs:
                mean.assign(self.average * mean + (1 - self.average) * variable)

    def made(self, size: tf.Tensor | int, label: tf.Tensor | None) -> tf.Tensor:
        """Images of fresh noise."""
        noise = self.noise(size)
        return self.generator(noise if label is None else [noise, label], training=True)

    def judged(self, images: tf.Tensor, label: tf.Tensor | None) -> tf.Tensor:
        """The critic's verdicts (n, 1)."""
        return self.critic(images if label is None else [images, label], training=True)

    def noise(self, size: tf.Tensor | int) -> tf.Tensor:
        """(size, latent_size) numbers uniform in [-1, 1] from the model's own, checkpointed, generator."""
        return keras.random.uniform((size, self.latent_size), -1.0, 1.0, seed=self.random)

    def points(self, size: tf.Tensor | int) -> tf.Tensor:
        """(size,) numbers uniform in [0, 1]: where on its segment each slope is taken."""
        return keras.random.uniform((size,), seed=self.random)


def weights_of(saved: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    """The weights of the network that plays `name` ("generator", "critic", "averaged"), for its `set_weights`.

    `saved` is what `checkpoint.read` finds; the network has the checkpoint's resolution.
    """
    return [saved[key] for key in sorted(saved) if key.startswith(f"{name}/0/")]
