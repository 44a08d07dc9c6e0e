"""The settings of configs/featuregan.yaml: types, units, ranges."""

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from kerasgan.gan.settings import TrainingSettings
from kerasgan.papers import settings as papers
from kerasgan.settings import Confidence, Count, Counts, Decay, Natural, Part, Rate, Section, Share, Weight

Block = Literal[
    "encoder1", "encoder2", "encoder3", "encoder4", "encoder5", "decoder4", "decoder3", "decoder2", "decoder1"
]
POOLINGS = 4  # of the U-Net, each of which halves the image
PRETRAINED = ("flair", "t1", "t1e", "t2")  # the channels of u-net-brain-tumor's published weights, in their order


class StudySettings(papers.TwoClasses):
    """On whom: sections 3.4 and 3.5."""

    modalities: papers.Modalities  # channels of the U-Net
    validate_on: Literal["test", "validation"]  # the patients on whom each epoch is measured

    @model_validator(mode="after")
    def _consistent(self) -> "StudySettings":
        if len(self.modalities) != 1 and self.modalities != PRETRAINED:
            raise ValueError(f"modalities must be one, or the four of the published weights: {', '.join(PRETRAINED)}")
        return self


class AugmentationSettings(Section):
    """Table 1, at 240x240; elastic_alpha and elastic_sigma are scaled to other sizes."""

    flip_horizontally: Share  # probability
    flip_vertically: Share  # probability
    elastic_alpha: Weight  # pixels
    elastic_sigma: Rate  # pixels
    rotation: Annotated[float, Field(ge=0, le=180)]  # degrees, either direction
    shift: Share  # fraction of height and width, either direction
    shear: Share  # columns per row, either direction
    zoom: Part  # magnification 1 +- this


class UnetSettings(TrainingSettings):
    """The feature extractor: sections 3.1, 4.1."""

    filters: Annotated[tuple[Count, Count, Count, Count, Count], Strict(False)]  # of the five levels
    kernels: Literal["truncated_normal", "he_normal"]  # first numbers, where no weights are given
    weights: str  # "random", or a file: .npz of TensorLayer 1.x, .keras
    first_channels: Literal["keep", "mean", "repeat"]  # of weights for four channels in a network of one
    standardised_by: Literal["train", "all"]  # the samples whose mean and deviation the z-score takes
    learning_rate: Rate
    epochs: Count
    loss: Literal["soft_dice", "squared_soft_dice"]
    smooth: Rate  # epsilon of eq. (3), of either loss
    keep: Literal["latest", "best"]  # the epoch delivered; best by the IoU of the patients of `study.validate_on`
    validate_every: Count  # epochs
    sample_every: Count  # epochs
    augmentation: AugmentationSettings


class FeatureSettings(Section):
    """What is taken from the U-Net: section 4.1.4."""

    block: Block
    dtype: Literal["float16", "float32"]  # on disk
    batch_size: Count  # slices that the network takes at once


class AcganSettings(TrainingSettings):
    """Sections 3.2, 4.2.2."""

    latent: Count  # numbers of noise
    slope: Share  # of LeakyReLU
    dropout: Part  # after the discriminator's hidden layers
    momentum: Decay  # of batch normalisation
    epsilon: Rate  # of batch normalisation
    learning_rate: Rate
    beta_1: Decay
    objective: Literal["non_saturating", "minimax"]
    rectify: bool  # negative features to 0, as a block's are
    epochs: Count
    samples: Count  # generated at the end, on which the class accuracy is measured
    validate_every: Count  # epochs
    sample_every: Count  # epochs


class FeatureClassifierSettings(TrainingSettings):
    """Sections 3.3, 4.2.4."""

    filters: Annotated[tuple[Count, Count], Strict(False)]  # of the two blocks
    dense: Count  # numbers of the first dense layer
    dropout: Part
    momentum: Decay  # of batch normalisation
    learning_rate: Rate
    epochs: Count
    added: Literal["both", "positive", "negative"]  # classes of the synthetic features that are added


class LinearSettings(Section):
    """The linear classifier on down-sampled features: section 4.2.4."""

    grid: Count  # means over grid x grid blocks
    inverse_penalty: Rate  # scikit-learn's C


class SweepSettings(Section):
    """What `kerasgan reproduce featuregan` compares."""

    widths: Counts  # of the AC-GANs
    width: Count  # of the one whose features are added
    counts: Annotated[tuple[Natural, ...], Strict(False), Field(min_length=1)]  # of added features
    repeats: Annotated[int, Field(ge=2)]  # trainings of the classifier per count, from seeds of their own
    confidence: Confidence

    @model_validator(mode="after")
    def _consistent(self) -> "SweepSettings":
        if self.width not in self.widths:
            raise ValueError(f"width must be one of widths: {', '.join(map(str, self.widths))}")
        if self.counts[0] != 0 or sorted(set(self.counts)) != list(self.counts):
            raise ValueError("counts must ascend from 0, the baseline")
        return self


class FeatureganSettings(papers.PaperSettings):
    """All of configs/featuregan.yaml."""

    study: StudySettings
    unet: UnetSettings
    features: FeatureSettings
    acgan: AcganSettings
    feature_classifier: FeatureClassifierSettings
    linear: LinearSettings
    sweep: SweepSettings

    @model_validator(mode="after")
    def _fits_the_networks(self) -> "FeatureganSettings":
        if self.data.size % 2**POOLINGS:
            raise ValueError(f"data.size must be a multiple of {2**POOLINGS}: the U-Net halves images four times")
        if self.study.validate_on == "validation" and not self.split.validation:
            raise ValueError("split.validation is 0, so study.validate_on must be test, or set a share")
        return self
