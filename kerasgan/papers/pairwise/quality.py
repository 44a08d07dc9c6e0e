"""How near the synthetic images come to the real ones: PSNR (III-E2, Table 6) and SSIM, on image and tumour."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from kerasgan.data import pipeline
from kerasgan.data.prepare import Prepared
from kerasgan.metrics.psnr import psnr
from kerasgan.metrics.ssim import ssim
from kerasgan.report.tables import markdown

RANGE = 2.0  # images are in [-1, 1]
BATCH = 16  # slices that a generator takes at once
MEASURES = ("psnr", "psnr_tumour", "ssim", "ssim_tumour")


@dataclass(frozen=True)
class Pairs:
    """The slices of a subset that have both modalities: float32 (n, size, size) in [-1, 1], and the tumour (bool)."""

    m: np.ndarray
    n: np.ndarray
    tumour: np.ndarray


def load_pairs(prepared: Prepared, subset: str, partition: int, pair: tuple[str, str]) -> Pairs:
    """All slices of a subset into memory."""
    arrays = pipeline.arrays_of(prepared, prepared.visits(subset, partition, pair), pair)
    return Pairs(arrays[pair[0]], arrays[pair[1]], arrays["tumour"])


def translator(generator: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from slices (n, size, size) to translated slices, batch by batch, in one traced graph."""
    signature = tf.TensorSpec(generator.input_shape, tf.float32)
    # The concrete function: TensorFlow warns of many traced functions from one line, and each generator needs its own.
    call = tf.function(lambda images: generator(images, training=False)).get_concrete_function(signature)

    def translate(images: np.ndarray) -> np.ndarray:
        pieces = [images[i : i + BATCH, ..., None] for i in range(0, len(images), BATCH)]
        return np.concatenate([call(tf.constant(piece)).numpy()[..., 0] for piece in pieces])

    return translate


def measure(real: np.ndarray, fake: np.ndarray, tumour: np.ndarray) -> dict[str, np.ndarray]:
    """Each of `MEASURES` per slice; slices without tumour have NaN for the tumour's."""
    return {
        "psnr": psnr(real, fake, RANGE),
        "psnr_tumour": psnr(real, fake, RANGE, tumour),
        "ssim": ssim(real, fake, RANGE),
        "ssim_tumour": ssim(real, fake, RANGE, tumour),
    }


def summary(values: Mapping[str, np.ndarray]) -> dict[str, dict[str, float | int]]:
    """Mean, standard deviation and count over the slices for which a measure exists."""
    found = {name: array[np.isfinite(array)] for name, array in values.items()}
    return {
        name: {"mean": float(array.mean()), "std": float(array.std()), "slices": int(array.size)}
        for name, array in found.items()
        if array.size
    }


def quality_table(metrics: Mapping[str, Mapping], published: Mapping[str, tuple[float, float]], mask: str) -> str:
    """PSNR and SSIM per direction as Markdown, with the published row of Table 6 below."""

    def cell(value: Mapping | None) -> str:
        return f"{value['mean']:.2f} ({value['std']:.2f})" if value else "–"

    rows = [
        [f"{direction}, {subset}", *(cell(values.get(name)) for name in MEASURES)]
        for direction, subsets in metrics.items()
        for subset, values in subsets.items()
    ]
    printed = [f"{published[name][0]:.2f} ({published[name][1]:.2f})" for name in ("psnr", "psnr_tumour")]
    rows.append([f"Ge 2020, Table 6, {mask}, all directions", *printed, "–", "–"])
    return markdown(["mean (std) over slices", "PSNR whole, dB", "PSNR tumour, dB", "SSIM whole", "SSIM tumour"], rows)
