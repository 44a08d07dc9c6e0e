"""A class's images, from noise to style (the paper's Figure 8 and 9): generate, aggregate, transfer, measure.

What the paper leaves open (assumed): each GAN makes one image from noise for each real image, its reference, which is
drawn from the class's learnt images. Aggregation chooses by it, its style is transferred, and the measures of Tables 1
to 4 compare with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from kerasgan.data.imagesets import ImageSet, of_visits
from kerasgan.data.prepare import Prepared
from kerasgan.gan import sampling
from kerasgan.metrics.histogram_divergence import histogram_divergence
from kerasgan.metrics.psnr import psnr
from kerasgan.metrics.sharpness import sharpness_difference
from kerasgan.metrics.ssim import ssim
from kerasgan.papers.aggrgan.aggregation import GREY_LEVELS, aggregate, eight_bit
from kerasgan.papers.aggrgan.categories import sequence_of, visits_of
from kerasgan.papers.aggrgan.settings import AggrganSettings, MeasureSettings, StyleSettings
from kerasgan.papers.aggrgan.style import LossWeights, Transferred, transfer
from kerasgan.papers.aggrgan.vgg19 import Vgg19

MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray, MeasureSettings], np.ndarray]] = {
    "SSIM": lambda real, image, _: ssim(real, image, GREY_LEVELS),
    "PSNR": lambda real, image, _: psnr(real, image, GREY_LEVELS),
    "KL divergence": lambda real, image, own: histogram_divergence(real, image, own.epsilon),
    "SD": lambda real, image, _: sharpness_difference(real, image, GREY_LEVELS),
}


@dataclass(frozen=True)
class Base:
    """Images of the base models, one for each reference."""

    references: ImageSet
    images: Mapping[str, np.ndarray]  # model -> float32 (n, height, width) in [-1, 1]


def references_of(prepared: Prepared, settings: AggrganSettings, category: str, count: int) -> ImageSet:
    """`count` of a class's learnt images, drawn by the seed; if there are fewer, each comes again before any a third
    time."""
    study = settings.study
    visits = visits_of(prepared, study, category, held_out=False)
    images = of_visits(prepared, visits, sequence_of(category, study))
    rng = np.random.default_rng(settings.aggregation.seed)
    rounds = [rng.permutation(len(images)) for _ in range(-(-count // len(images)))]
    return images.take(np.concatenate(rounds)[:count])


def generate_base(generators: Mapping[str, keras.Model], references: ImageSet, seed: int) -> Base:
    """An image of each generator for each reference; each generator has noise of its own."""
    images = {}
    for number, (name, generator) in enumerate(generators.items()):
        noise = sampling.noise(len(references), generator.input_shape[1], seed + number)
        images[name] = np.clip(sampling.sampler(generator)(noise), -1, 1)
    return Base(references, images)


def aggregated(base: Base, models: tuple[str, ...], metric: str, settings: AggrganSettings):
    """Algorithm 1 on the images of some models, by `ssim` or `psnr`."""
    own = settings.aggregation
    chosen = [base.images[name] for name in models]
    return aggregate(base.references.images, chosen, metric=metric, reading=own.reading, sigma=own.sigma)


def styled(
    images: np.ndarray,
    references: ImageSet,
    vgg: Vgg19,
    own: StyleSettings,
    progress: Callable[[np.ndarray], None] | None = None,
) -> Transferred:
    """Images with the style of their references."""
    return transfer(
        images,
        references.images,
        vgg,
        LossWeights.of(own),
        iterations=own.iterations,
        batch_size=own.batch_size,
        progress=progress,
    )


def measured(references: np.ndarray, images: np.ndarray, settings: MeasureSettings) -> dict[str, np.ndarray]:
    """The measures of eqs. (1) to (7), float64 (n,) each, of images (n, h, w) in [-1, 1] on the 8-bit scale."""
    real, own = eight_bit(references), eight_bit(images)
    return {name: measure(real, own, settings) for name, measure in MEASURES.items()}
