"""The settings of configs/pggan.yaml: types, units, ranges."""

from typing import Literal

from pydantic import model_validator

from kerasgan.data.settings import Modality
from kerasgan.gan.settings import TrainingSettings
from kerasgan.papers import settings as papers
from kerasgan.settings import Confidence, Count, Counts, Decay, Natural, Part, Rate, Section, Seed, Share, Weight

START = 4  # pixels of the first stage (stated, 3.1)


class StudySettings(papers.TwoClasses):
    """On whom, and what the two classes are: sections 3.1 and 4.1."""

    modality: Modality


class NetworkSettings(Section):
    """Karras et al. 2018, appendix A."""

    latent: Count  # numbers of noise
    base: Count  # of the channels, see `networks.Architecture.channels`
    maximum: Count  # of the channels
    scale: Rate  # of the channels
    slope: Share  # of LeakyReLU
    class_from: int | None  # pixels from which on the networks take the class; null: never


class ProgressiveTraining(TrainingSettings):
    """Section 3.1."""

    learning_rate: Rate
    beta_1: Decay
    beta_2: Decay
    epsilon: Rate  # of Adam
    steps: Count  # of the generator, of all stages together
    steps_per_epoch: Count  # of the generator
    fade: Part  # share of a stage's steps in which it fades in
    critic_steps: Count  # for one of the generator
    flip_every: Natural  # at every which; 0 is never
    flip_by: Literal["step", "image"]  # what is counted: critic steps, or pairs of a real and a generated image
    penalty_weight: Weight  # lambda
    drift: Weight
    average: Decay  # of the generator's running average, which is delivered; 0 is off
    validate_every: Count  # epochs
    sample_every: Count  # epochs


class DcganSettings(Section):
    """The DCGAN of Table 1; what is not here is as in configs/brainmr.yaml."""

    filters: Counts  # from the smallest map on
    batch_size: Count
    steps: Count  # of the generator
    steps_per_epoch: Count


class GanTrainSettings(Section):
    """GAN-train, section 4.1."""

    images: Count  # generated per class
    repeats: Count  # sets of generated images, from seeds of their own
    backbone: str  # whose features: a name of `evaluation.features`, or "encoder", one that the study trains
    encoder_epochs: Count  # of the latter
    penalty: Rate  # C of the support vector machine
    bootstrap: Count  # samples of patients
    confidence: Confidence
    seed: Seed


class PgganSettings(papers.PaperSettings):
    """All of configs/pggan.yaml."""

    study: StudySettings
    network: NetworkSettings
    pggan: ProgressiveTraining
    dcgan: DcganSettings
    gan_train: GanTrainSettings

    @model_validator(mode="after")
    def _consistent(self) -> "PgganSettings":
        size, told = self.data.size, self.network.class_from
        for name, pixels in (("data.size", size), ("network.class_from", told)):
            if pixels is not None and (pixels < START or pixels & (pixels - 1)):
                raise ValueError(f"{name} must be a power of two from {START} on, as images grow by doubling")
        if told is not None and told > size:
            raise ValueError(f"network.class_from must be at most data.size, {size}, or null for images of no class")
        for name, own in (("pggan", self.pggan), ("dcgan", self.dcgan)):
            if own.steps % own.steps_per_epoch:
                raise ValueError(
                    f"{name}.steps must be a multiple of {name}.steps_per_epoch, {own.steps_per_epoch}; change one"
                )
        if self.pggan.steps // self.pggan.steps_per_epoch < len(self.resolutions):
            raise ValueError(f"pggan.steps must make an epoch for each of {len(self.resolutions)} resolutions at least")
        return self

    @property
    def resolutions(self) -> list[int]:
        """Pixels of the stages: 4, 8, ... to `data.size`."""
        return [START * 2**level for level in range((self.data.size // START).bit_length())]
