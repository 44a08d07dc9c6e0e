"""The settings of configs/brainmr.yaml: types, units, ranges."""

from kerasgan.gan.settings import LatentTraining
from kerasgan.papers import settings as papers
from kerasgan.settings import Count, Counts, Decay, Rate, Section, Seed


class StudySettings(papers.StudySettings):
    """Whose slices are learnt (3.1, 3.2.1)."""

    label: str | None  # label column by which patients are chosen; None: all
    value: str  # its value
    held_out: bool  # learn from the training patients alone, so that there are real images that the GAN has not seen


class NetworkSettings(Section):
    """Generator and critic (3.2.2)."""

    latent: Count  # numbers of noise
    filters: Counts  # at 4 x 4, 8 x 8, ... pixels
    momentum: Decay  # of batch normalisation
    epsilon: Rate


class SteppedTraining(LatentTraining):
    """A run whose epochs are blocks of steps, not passes over the data."""

    steps_per_epoch: Count  # of the generator


class DcganSettings(SteppedTraining):
    """DCGAN: Adam."""

    beta_1: Decay


class WganSettings(SteppedTraining):
    """WGAN: RMSprop, weight clipping."""

    rho: Decay
    clip: Rate
    critic_steps: Count


class TuringSettings(Section):
    """The Visual Turing Test (3.3)."""

    images: Count  # real ones, and as many synthetic
    seed: Seed


class ComparisonSettings(Section):
    """How real and synthetic images are compared."""

    images: Count  # real ones, and as many synthetic, of each metric
    seeds: Count  # repetitions of the two-sample test, each with a split of its own
    c2st_epochs: Count  # of the two-sample test's CNN
    encoder_epochs: Count  # of the autoencoder whose features the metrics use
    neighbours: Count  # k of precision, recall, density and coverage
    seed: Seed


class BrainmrSettings(papers.PaperSettings):
    """All of configs/brainmr.yaml."""

    study: StudySettings
    network: NetworkSettings
    dcgan: DcganSettings
    wgan: WganSettings
    turing: TuringSettings
    comparison: ComparisonSettings
