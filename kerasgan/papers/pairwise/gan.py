"""The pairwise GAN of Ge 2020: losses (eqs. 1 to 5) and Algorithm 1.

Two modalities m and n; G_m makes n from m, G_n makes m from n; D_m and D_n judge images of m and n.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from kerasgan.gan import losses
from kerasgan.gan.model import AdversarialModel, Logs
from kerasgan.papers.pairwise import networks
from kerasgan.papers.pairwise.settings import PairwiseSettings

# One optimizer for both generators, since Algorithm 1 updates them together (step 5), and one per discriminator.
PLAYERS = ("generators", "discriminator_n", "discriminator_m")
LOSSES = ("generator_loss", "l1", "discriminator_n_loss", "discriminator_m_loss")


class PairwiseGAN(AdversarialModel):
    """Both directions of one pair of modalities.

    Trained by `fit` on batches {"m", "n": (b, size, size, 1) float32 in [-1, 1], "tumour": (b, size, size, 1) float32,
    1 in the tumour and 0 outside}, slices of the same patient.

    Args:
        generators: (G_m, G_n).
        discriminators: (D_m, D_n).
        l1_weight: lambda_1 of eq. (3).
        mask_background: weight of the pixels outside the tumour in eq. (4); inside it is 1.
    """

    def __init__(
        self,
        generators: Sequence[keras.Model],
        discriminators: Sequence[keras.Model],
        *,
        l1_weight: float,
        mask_background: float,
    ):
        judge_m, judge_n = discriminators
        super().__init__({"generators": generators, "discriminator_n": [judge_n], "discriminator_m": [judge_m]}, LOSSES)
        self.generator_m, self.generator_n = generators
        self.discriminator_m, self.discriminator_n = judge_m, judge_n
        self.l1_weight, self.mask_background = l1_weight, mask_background

    def train_step(self, batch: dict[str, tf.Tensor]) -> Logs:
        """Steps 3 to 9 of Algorithm 1.

        The fakes of step 3 serve all updates, and the updates move disjoint weights, so every gradient can be taken
        from one forward pass before any update: D(fake) is computed once for the generators' and its own loss.
        """
        x_m, x_n = batch["m"], batch["n"]
        with tf.GradientTape(persistent=True) as tape:
            fake_n = self.generator_m(x_m, training=True)
            fake_m = self.generator_n(x_n, training=True)
            # Real and fake in two calls: in one, the gradient on the fakes would also be computed for the reals.
            fake_verdict_n = self.discriminator_n(fake_n, training=True)
            fake_verdict_m = self.discriminator_m(fake_m, training=True)
            # Eq. (4) with its masks, and eq. (5), minimised.
            weight = self.mask_background + (1 - self.mask_background) * batch["tumour"]
            l1 = losses.weighted_l1(fake_n, x_n, weight) + losses.weighted_l1(fake_m, x_m, weight)
            generator_loss = (
                losses.least_squares_generator(fake_verdict_n)
                + losses.least_squares_generator(fake_verdict_m)
                + self.l1_weight * l1
            )
            loss_n = losses.least_squares_discriminator(self.discriminator_n(x_n, training=True), fake_verdict_n)
            loss_m = losses.least_squares_discriminator(self.discriminator_m(x_m, training=True), fake_verdict_m)
        # Taken outside the tape's block: a persistent tape would otherwise record its own gradients.
        turns = [("generators", generator_loss), ("discriminator_n", loss_n), ("discriminator_m", loss_m)]
        gradients = [(player, self.gradients(player, loss, tape)) for player, loss in turns]
        for player, gradient in gradients:
            self.apply(player, gradient)
        return self.report(
            {"generator_loss": generator_loss, "l1": l1, "discriminator_n_loss": loss_n, "discriminator_m_loss": loss_m}
        )


def build(pair: tuple[str, str], settings: PairwiseSettings) -> PairwiseGAN:
    """The compiled model of a pair of canonical modalities, with the settings' numbers and seeded weights.

    Call it inside the strategy's scope and under the precision wanted (`experiment.devices`).
    """
    keras.utils.set_random_seed(settings.training.seed)
    size = settings.data.size
    m, n = pair
    model = PairwiseGAN(
        (networks.generator(f"{m}_to_{n}", size), networks.generator(f"{n}_to_{m}", size)),
        (networks.discriminator(f"judge_{m}", size), networks.discriminator(f"judge_{n}", size)),
        l1_weight=settings.loss.l1_weight,
        mask_background=settings.loss.mask_background,
    )
    rate, beta_1 = settings.training.learning_rate, settings.training.beta_1
    model.compile({p: keras.optimizers.Adam(rate, beta_1=beta_1) for p in PLAYERS}, settings.training.jit)
    return model
