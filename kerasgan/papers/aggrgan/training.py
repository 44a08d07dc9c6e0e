"""A training run of one of the five models on the images of a class."""

from typing import Any

import keras
import tensorflow as tf

from kerasgan.data.modalities import DISPLAY, canonical
from kerasgan.data.prepare import Prepared
from kerasgan.gan import losses
from kerasgan.gan.model import Game, LatentGAN
from kerasgan.gan.penalties import divergence_penalty, interpolate
from kerasgan.gan.radford import levels_of
from kerasgan.papers.aggrgan import networks
from kerasgan.papers.aggrgan.categories import categories_of, is_modality, sequence_of, visits_of
from kerasgan.papers.aggrgan.infogan import Codes, InfoGAN
from kerasgan.papers.aggrgan.settings import AggrganSettings
from kerasgan.papers.latent import LatentTask


class AggrganTask(LatentTask):
    """Trains a GAN on the images of a class, a tumour or a modality; the models differ in networks and game."""

    @classmethod
    def target(cls, category: str) -> dict[str, Any]:
        """A class by its name, a modality by any of its names, or "all": each class that the data has."""
        if category.lower() == "all":
            return {"category": "all"}
        return {"category": canonical(category) if is_modality(category) else category}

    @classmethod
    def run_name(cls, target: dict[str, Any], settings: AggrganSettings) -> str:
        return target["category"]

    @classmethod
    def settled(cls, target: dict[str, Any], settings: AggrganSettings) -> dict[str, Any]:
        """An unknown class is a `UserError`."""
        if target["category"] != "all":
            sequence_of(target["category"], settings.study)
        return target

    @classmethod
    def title(cls, target: dict[str, Any]) -> str:
        return f"{cls.model} of {'every class' if target['category'] == 'all' else target['category']}"

    @classmethod
    def members(cls, target: dict[str, Any], settings: AggrganSettings, prepared: Prepared) -> list[dict[str, Any]]:
        return [{"category": name} for name in categories_of(prepared, settings.study)]

    def __init__(self, settings: AggrganSettings, prepared: Prepared, target: dict[str, Any]):
        study, size, category = settings.study, settings.data.size, target["category"]
        levels_of(size, settings.network.filters)
        sequence = sequence_of(category, study)
        learnt, compared = (visits_of(prepared, study, category, held_out=own) for own in (False, True))
        super().__init__(settings, prepared, target, size, {sequence: learnt}, {sequence: compared}, "held-out")

    def steps_per_epoch(self, replicas: int = 1) -> int:
        return self.images // (self.training.batch_size * self.critic_steps)

    def describe(self) -> str:
        patients = {visit.patient for visits in self.visits.values() for visit in visits}
        category, (sequence,) = self.target_["category"], self.visits
        what = DISPLAY[sequence] if is_modality(category) else f"{category}, {DISPLAY[sequence]},"
        return (
            f"{self.prepared.manifest.origin}: {self.images} images of {what} of {len(patients)} training and "
            "validation patients"
        )

    def optimizer(self) -> keras.optimizers.Optimizer:
        return keras.optimizers.Adam(self.training.learning_rate, beta_1=self.training.beta_1)

    def game(self) -> Game:
        return Game(losses.non_saturating_discriminator, losses.non_saturating_generator)


class Dcgan1Task(AggrganTask):
    """DCGAN-1: up-sampling and convolution."""

    model = "dcgan1"

    def networks(self) -> tuple[keras.Model, keras.Model]:
        own = self.settings.network
        return networks.generator(self.size, own, "upsampled"), networks.discriminator(self.size, own)


class Dcgan2Task(AggrganTask):
    """DCGAN-2: transposed convolution."""

    model = "dcgan2"

    def networks(self) -> tuple[keras.Model, keras.Model]:
        own = self.settings.network
        return networks.generator(self.size, own, "transposed"), networks.discriminator(self.size, own)


class WgandivTask(AggrganTask):
    """WGAN with the Wasserstein divergence (eqs. 10 and 11; Wu et al. 2018)."""

    model = "wgandiv"

    @property
    def critic_steps(self) -> int:
        return self.settings.wgandiv.critic_steps

    def networks(self) -> tuple[keras.Model, keras.Model]:
        own = self.settings.network
        return networks.generator(self.size, own, "transposed"), networks.smooth_critic(self.size, own)

    def game(self) -> Game:
        return Game(losses.wasserstein_critic, losses.wasserstein_generator, penalty=self.penalty)

    def penalty(self, critic: keras.Model, real: tf.Tensor, fake: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        """k E ||grad D||^p at mixtures of real and generated images, or at both."""
        own = self.settings.wgandiv
        mixed = own.points == "mixed"
        points = interpolate(real, fake, alpha) if mixed else tf.concat([real, tf.cast(fake, real.dtype)], axis=0)
        return divergence_penalty(lambda images: critic(images, training=True), points, own.k, own.power)


class LsganTask(Dcgan1Task):
    """LSGAN (Mao et al. 2017) with the networks of DCGAN-1."""

    model = "lsgan"

    def game(self) -> Game:
        return Game(losses.least_squares_discriminator, losses.least_squares_generator)


class InfoganTask(AggrganTask):
    """InfoGAN (Chen et al. 2016) with the networks of DCGAN-1."""

    model = "infogan"
    losses = ("generator_loss", "critic_loss", "information_loss")
    panels = AggrganTask.panels | {"losses": losses}

    def networks(self) -> tuple[keras.Model, keras.Model]:
        network, own = self.settings.network, self.settings.infogan
        first = Codes(own.categories, own.continuous, dtype="float32", name="codes")
        return (
            networks.generator(self.size, network, "upsampled", first),
            networks.recogniser(self.size, network, own.categories + own.continuous, own.hidden),
        )

    def assemble(self, generator: keras.Model, critic: keras.Model) -> LatentGAN:
        return InfoGAN(
            generator,
            critic,
            self.game(),
            self.settings.infogan,
            latent_size=self.latent,
            average=self.training.average,
            seed=self.training.seed,
        )
